package mvcc

import (
	"encoding/binary"

	cerrors "github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// Kinds of log records.
//
//	recordCommit  chain uvarint (0: none) | writes
//	recordChunk   chain uvarint | a piece of writes
//
// writes is a sequence of
//
//	kind 1 byte | key length uvarint | key | value length uvarint | value   (put; add: the value is what is added)
//	kind 1 byte | key length uvarint | key                                  (delete)
//
// A transaction whose writes do not fit one record logs them in chunks first,
// split anywhere, under a random chain number; its commit record names the chain
// and carries the last piece. Chunks without a commit record mean nothing. The timestamp of a chunk is its number in
// the chain, from 1, so that Repair can tell whether one is missing; in logs of earlier releases it is 0.
const (
	recordCommit = 1
	recordChunk  = 2
)

// appendWrite encodes one write without its value, which follows.
func appendWriteHead(dst []byte, w versions.Write) []byte {
	dst = append(dst, byte(w.Kind))
	dst = binary.AppendUvarint(dst, uint64(len(w.Key)))
	dst = append(dst, w.Key...)
	if w.Kind != versions.Delete {
		dst = binary.AppendUvarint(dst, uint64(len(w.Value)))
	}
	return dst
}

// encodedSize is at least the length of the encoded writes.
func encodedSize(writes []versions.Write) int {
	n := binary.MaxVarintLen64
	for _, w := range writes {
		n += 1 + 2*binary.MaxVarintLen64 + len(w.Key) + len(w.Value)
	}
	return n
}

// cutWrite takes one write off the front of b. It is not ok when b ends before the write does.
func cutWrite(b []byte) (w versions.Write, rest []byte, ok bool, err error) {
	if len(b) == 0 {
		return w, b, false, nil
	}
	if w.Kind = versions.Kind(b[0]); w.Kind < versions.Put || w.Kind > kindAdd {
		return w, b, false, cerrors.Newf("its kind %d is unknown", w.Kind)
	}
	if w.Key, rest, ok = cutBytes(b[1:]); !ok {
		return w, b, false, nil
	}
	if w.Kind != versions.Delete {
		if w.Value, rest, ok = cutBytes(rest); !ok {
			return w, b, false, nil
		}
	}
	return w, rest, true, nil
}

// cutBytes takes a length and that many bytes off the front of b.
func cutBytes(b []byte) (field, rest []byte, ok bool) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)-used) {
		return nil, nil, false
	}
	end := used + int(n)
	return b[used:end:end], b[end:], true
}
