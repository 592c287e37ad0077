package gen

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
)

// Mix is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable
// pseudorandom number generators", 2014). It is a bijection, so distinct
// numbers give distinct keys, spread over the whole key range.
func Mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// unmix is the inverse of Mix.
func unmix(x uint64) uint64 {
	x ^= x>>31 ^ x>>62
	x *= 0x319642b2d24d8ec3
	x ^= x>>27 ^ x>>54
	x *= 0x96de1b173f119089
	x ^= x>>30 ^ x>>60
	return x - 0x9e3779b97f4a7c15
}

// KeySize is the length of a key in bytes.
const KeySize = 16

// Record is the key and the value of one number. Its buffers are reused by Set.
type Record struct{ Key, Value []byte }

// Set makes the record of number n in its given version.
func (r *Record) Set(n, version uint64, valueSize int) {
	r.Key = AppendKey(r.Key[:0], n)
	r.Value = AppendValue(r.Value[:0], n, version, valueSize)
}

// AppendKey appends the key of number n: its place in the key range, then n itself.
func AppendKey(dst []byte, n uint64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, Mix(n))
	return binary.BigEndian.AppendUint64(dst, n)
}

// AppendValue appends size bytes that depend on n and version and do not compress.
// The first eight are ValueHead.
func AppendValue(dst []byte, n, version uint64, size int) []byte {
	end := len(dst) + size
	for word := ValueHead(n, version); len(dst) < end; word = Mix(word) {
		dst = binary.LittleEndian.AppendUint64(dst, word)
	}
	return dst[:end]
}

// ValueHead is the first word of the value of number n in its given version.
func ValueHead(n, version uint64) uint64 { return Mix(n ^ version<<48) }

// MinValueSize is the least value size: the head must fit.
const MinValueSize = 8

// VersionOf returns the version of a value of number n, of which the lowest 16 bits are kept. ok is false when the value is
// none of that number.
func VersionOf(n uint64, value []byte) (version uint64, ok bool) {
	if len(value) < MinValueSize {
		return 0, false
	}
	v := unmix(binary.LittleEndian.Uint64(value)) ^ n
	return v >> 48, v<<16 == 0
}

// Whole reports whether a value is one that AppendValue makes, of any number and version: each word follows from the one
// before it. A value of less than 16 bytes tells nothing and is whole.
func Whole(value []byte) bool {
	var word uint64
	for at := 0; at < len(value); at += 8 {
		var buf [8]byte
		n := copy(buf[:], value[at:])
		if at == 0 {
			word = binary.LittleEndian.Uint64(buf[:])
			continue
		}
		word = Mix(word)
		if binary.LittleEndian.Uint64(buf[:]) != word&(1<<(8*n)-1) {
			return false
		}
	}
	return true
}

// Checksum sums up records, whatever their order.
type Checksum uint64

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Add adds a record.
func (s *Checksum) Add(key, value []byte) {
	crc := crc32.Update(crc32.Update(0, castagnoli, key), castagnoli, value)
	*s += Checksum(Mix(uint64(crc)<<32 | uint64(len(value))))
}

// String returns 16 hexadecimal digits.
func (s Checksum) String() string { return fmt.Sprintf("%016x", uint64(s)) }

// MarshalText is String: JSON readers keep only 53 bits of a number.
func (s Checksum) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Checksum) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 16, 64)
	if err != nil {
		return fmt.Errorf("bench: checksum: %w", err)
	}
	*s = Checksum(v)
	return nil
}
