package mvcc

import (
	"bytes"
	"encoding/binary"

	"github.com/sombradb/sombra/mvcc/internal/versions"
	"github.com/sombradb/sombra/pagestore"
)

// A key of the history tree is
//
//	grouped(internal key) | ^timestamp, 8 bytes | end, 8 bytes | kind, 1 byte
//
// big-endian, so that the versions of one key stand together, newest first.
// The version was the current one for snapshots in [timestamp, end). A delete
// has end = timestamp: it is kept while a snapshot below it is open, so that
// a writer with that snapshot finds the conflict.
//
// grouped makes keys of different length compare as the keys do when more
// bytes follow: 8 bytes at a time, padded with zeros, each group followed by
// 0xff if the key goes on after it, else by the count of its bytes. It grows a key
// by an eighth at most, where escaping would double a key of zeros.
const historyTail = 8 + 8 + 1

// appendGrouped appends the grouped form of key.
func appendGrouped(dst, key []byte) []byte {
	for len(key) > 8 {
		dst = append(append(dst, key[:8]...), 0xff)
		key = key[8:]
	}
	var group [9]byte
	copy(group[:], key)
	group[8] = byte(len(key))
	return append(dst, group[:]...)
}

// parseGrouped appends the key to dst and returns what follows it.
func parseGrouped(dst, b []byte) (key, rest []byte, ok bool) {
	for len(b) >= 9 {
		switch n := b[8]; {
		case n == 0xff:
			dst, b = append(dst, b[:8]...), b[9:]
		case n <= 8:
			return append(dst, b[:n]...), b[9:], true
		default:
			return dst, nil, false
		}
	}
	return dst, nil, false
}

// historyVersion is one entry of the history tree.
type historyVersion struct {
	key            []byte // internal key
	timestamp, end Timestamp
	kind           versions.Kind
}

// neededBy reports whether one of the ascending snapshots can see the version,
// or for a delete, would conflict with it.
func (h historyVersion) neededBy(snaps []Timestamp) bool {
	if h.kind == versions.Delete && h.timestamp == h.end {
		return len(snaps) > 0 && snaps[0] < h.timestamp
	}
	return anyIn(snaps, h.timestamp, h.end)
}

func appendHistoryKey(dst []byte, h historyVersion) []byte {
	dst = appendGrouped(dst, h.key)
	dst = binary.BigEndian.AppendUint64(dst, ^uint64(h.timestamp))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.end))
	return append(dst, byte(h.kind))
}

// parseHistoryKey decodes a key of the history tree; the result's key is
// appended to scratch.
func parseHistoryKey(scratch, b []byte) (h historyVersion, ok bool) {
	key, rest, ok := parseGrouped(scratch, b)
	if !ok || len(rest) != historyTail {
		return historyVersion{}, false
	}
	return historyVersion{
		key:       key,
		timestamp: Timestamp(^binary.BigEndian.Uint64(rest)),
		end:       Timestamp(binary.BigEndian.Uint64(rest[8:])),
		kind:      versions.Kind(rest[16]),
	}, true
}

// historySeekKey is at or below every version of key at or before ts, and
// above the newer ones.
func historySeekKey(dst, key []byte, ts Timestamp) []byte {
	return binary.BigEndian.AppendUint64(appendGrouped(dst, key), ^uint64(ts))
}

// seekHistory returns the newest version of key at or before ts, and leaves
// the cursor on it.
func seekHistory(c *pagestore.Cursor, key []byte, ts Timestamp) (h historyVersion, found bool, err error) {
	var buf [64]byte
	if !c.Seek(historySeekKey(buf[:0], key, ts)) {
		return h, false, c.Err()
	}
	h, ok := parseHistoryKey(nil, c.Key())
	if !ok {
		return h, false, badHistoryKey(c.Key())
	}
	return h, bytes.Equal(h.key, key), nil
}

// getHistory is get for a key whose version at ts is not the newest one.
func (st *state) getHistory(dst, key []byte, ts Timestamp) (value []byte, found bool, err error) {
	c := st.base.Cursor(pagestore.HistoryTree)
	defer c.Close()
	h, found, err := seekHistory(c, key, ts)
	if err != nil || !found || h.kind == versions.Delete || ts >= h.end {
		return dst, false, err
	}
	v, err := c.Value()
	if err != nil {
		return dst, false, err
	}
	return append(dst, v...), true, nil
}

// historyChangedAfter reports whether the newest version in the history tree
// ended, or was a delete, after ts.
func (st *state) historyChangedAfter(key []byte, ts Timestamp) (bool, error) {
	c := st.base.Cursor(pagestore.HistoryTree)
	defer c.Close()
	h, found, err := seekHistory(c, key, maxTimestamp)
	return found && h.end > ts, err
}

// historySpanChangedAfter reports a key in the span whose history says that
// it changed after ts. Only the newest entry of each key can tell, but an older one
// that ended after ts is as good a witness.
func (st *state) historySpanChangedAfter(s span, ts Timestamp) (key []byte, changed bool, err error) {
	c := st.base.Cursor(pagestore.HistoryTree)
	defer c.Close()
	for ok := c.Seek(appendGrouped(nil, s.lo)); ok; ok = c.Next() {
		h, ok := parseHistoryKey(nil, c.Key())
		if !ok {
			return nil, false, badHistoryKey(c.Key())
		}
		if !s.contains(h.key) {
			break
		}
		if h.end > ts {
			return h.key, true, nil
		}
	}
	return nil, false, c.Err()
}
