package bench

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
)

// mix is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable
// pseudorandom number generators", 2014). It is a bijection, so distinct
// numbers give distinct keys, spread over the whole key range.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

const keySize = 16 // bytes

// record is the key and the value of one number. Its buffers are reused by set.
type record struct {
	key, value []byte
}

// set makes the record of number n in its given version.
func (r *record) set(n, version uint64, valueSize int) {
	r.key = appendKey(r.key[:0], n)
	r.value = appendValue(r.value[:0], n, version, valueSize)
}

// appendKey appends the key of number n: its place in the key range, then n itself.
func appendKey(dst []byte, n uint64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, mix(n))
	return binary.BigEndian.AppendUint64(dst, n)
}

// appendValue appends size bytes that depend on n and version and do not compress.
// The first eight are valueHead.
func appendValue(dst []byte, n, version uint64, size int) []byte {
	end := len(dst) + size
	for word := valueHead(n, version); len(dst) < end; word = mix(word) {
		dst = binary.LittleEndian.AppendUint64(dst, word)
	}
	return dst[:end]
}

func valueHead(n, version uint64) uint64 { return mix(n ^ version<<48) }

// minValueSize is the least value size: the head must fit.
const minValueSize = 8

// Checksum sums up records, whatever their order.
type Checksum uint64

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s *Checksum) add(key, value []byte) {
	crc := crc32.Update(crc32.Update(0, castagnoli, key), castagnoli, value)
	*s += Checksum(mix(uint64(crc)<<32 | uint64(len(value))))
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
