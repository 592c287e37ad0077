package fuzz

import (
	"encoding/binary"
	"math/rand/v2"
)

// pack encodes numbers as varints.
func pack(numbers ...uint64) []byte {
	var b []byte
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// unpacker reads what pack wrote. After a fault all reads are 0.
type unpacker struct {
	rest []byte
	bad  bool
}

func (u *unpacker) next() uint64 {
	n, used := binary.Uvarint(u.rest)
	if used <= 0 {
		u.rest, u.bad = nil, true
		return 0
	}
	u.rest = u.rest[used:]
	return n
}

// count reads the length of a list whose elements take at least one byte each.
func (u *unpacker) count() int {
	n := u.next()
	if n > uint64(len(u.rest)) {
		u.rest, u.bad = nil, true
		return 0
	}
	return int(n)
}

// done returns an error unless everything was read and nothing was missing.
func (u *unpacker) done(what string) error {
	if u.bad || len(u.rest) > 0 {
		return violated("%s is malformed (%d bytes left over)", what, len(u.rest))
	}
	return nil
}

// filler returns size bytes that depend on all arguments and on nothing else,
// so that a value tells whose it is and a piece of another one is noticed.
func filler(nonce, cell, size uint64) []byte {
	random := rand.New(rand.NewPCG(nonce, cell<<32|size))
	b := make([]byte, 0, size+8)
	for uint64(len(b)) < size {
		b = binary.LittleEndian.AppendUint64(b, random.Uint64())
	}
	return b[:size]
}
