package pagestore

import (
	"encoding/binary"
	"math/bits"
)

// uvarintLen returns the number of bytes that binary.AppendUvarint takes for x.
func uvarintLen(x uint64) int { return (bits.Len64(x|1) + 6) / 7 }

// uvarintAt decodes an unsigned varint at b[at:] of a verified node and returns the position behind it.
func uvarintAt(b []byte, at int) (uint64, int) {
	if c := b[at]; c < 0x80 {
		return uint64(c), at + 1
	}
	return uvarintLong(b, at)
}

// uvarintSkip returns the position behind the varint at b[at:].
func uvarintSkip(b []byte, at int) int {
	for b[at] >= 0x80 {
		at++
	}
	return at + 1
}

// uvarintLong is uvarintAt for more than one byte.
func uvarintLong(b []byte, at int) (uint64, int) {
	x, n := binary.Uvarint(b[at:])
	return x, at + n
}

// reader decodes varints from bytes that nobody has verified. The first fault sticks.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	x, n := binary.Uvarint(r.b)
	if n <= 0 || n != uvarintLen(x) {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return x
}

// take returns the next n bytes.
func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}
