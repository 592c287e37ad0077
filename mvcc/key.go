package mvcc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
)

// Keys inside the engine are the keyspace's id, 4 bytes big-endian, followed
// by the user's key; so one tree holds all keyspaces, each in one range.
const prefixSize = 4

// catalogID is the keyspace of the engine's own records; firstUserID is the
// first id that a user's keyspace gets. The ids between are reserved.
const (
	catalogID   = 0
	firstUserID = 16
)

func makePrefix(id uint32) (p [prefixSize]byte) {
	binary.BigEndian.PutUint32(p[:], id)
	return p
}

// Range is the set of keys k with Lo <= k < Hi. A nil Lo is the first key, a
// nil Hi means that there is no upper bound.
type Range struct{ Lo, Hi []byte }

// Prefix returns the range of all keys that begin with p.
func Prefix(p []byte) Range {
	return Range{Lo: p, Hi: prefixEnd(p)}
}

// prefixEnd returns the least key above all keys with the prefix, nil when
// there is none.
func prefixEnd(p []byte) []byte {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] != 0xff {
			end := bytes.Clone(p[:i+1])
			end[i]++
			return end
		}
	}
	return nil
}

// successor appends the least key above key to dst.
func successor(dst, key []byte) []byte {
	return append(append(dst, key...), 0)
}

// span is a range of internal keys; hi is never nil for a user's range.
type span struct{ lo, hi []byte }

// contains reports whether key lies in the span.
func (s span) contains(key []byte) bool {
	return bytes.Compare(key, s.lo) >= 0 && (s.hi == nil || bytes.Compare(key, s.hi) < 0)
}

func (s span) empty() bool { return s.hi != nil && bytes.Compare(s.lo, s.hi) >= 0 }

func checkKey(key []byte) error {
	if len(key) > MaxKeySize {
		return &ArgumentError{fmt.Sprintf("key of %d bytes is longer than the limit of %d bytes", len(key), MaxKeySize)}
	}
	return nil
}

func checkValue(value []byte) error {
	if len(value) > MaxValueSize {
		return &ArgumentError{fmt.Sprintf("value of %d bytes is longer than the limit of %d bytes", len(value), MaxValueSize)}
	}
	return nil
}

// describe renders an internal key for people.
func (db *DB) describe(ikey []byte) string {
	if len(ikey) < prefixSize {
		return strconv.Quote(string(ikey))
	}
	name := db.keyspaceName(binary.BigEndian.Uint32(ikey))
	if len(ikey) == prefixSize && bytes.Equal(ikey, protectionPrefix[:]) {
		return name
	}
	if bytes.HasPrefix(ikey, largePrefix[:]) && len(ikey) == prefixSize+8 {
		return fmt.Sprintf("%s %d", name, binary.BigEndian.Uint64(ikey[prefixSize:]))
	}
	if db.opts.DescribeKey != nil {
		return db.opts.DescribeKey(name, ikey[prefixSize:])
	}
	return name + "/" + strconv.Quote(string(ikey[prefixSize:]))
}
