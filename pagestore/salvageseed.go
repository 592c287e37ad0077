package pagestore

import (
	"encoding/binary"
	"io"
)

// seedVotes is how many pages must agree on a seed.
const seedVotes = 2

// findSeed finds the page size of a file without superblocks, and the seed of its checksums. A page that says its own number
// tells the size. The checksum is a linear function, so that content and checksum together give the seed with which they
// were made: intact pages agree on it. The size is 0 when there are no such pages.
func findSeed(f io.ReaderAt, size int64) (pageSize int, seed uint32) {
	reverse := reverseTable()
	for ps := MinPageSize; ps <= MaxPageSize; ps *= 2 {
		votes := map[uint32]int{}
		b := make([]byte, ps)
		for p := int64(2); (p+1)*int64(ps) <= size; p++ {
			if _, err := f.ReadAt(b, p*int64(ps)); err != nil {
				continue
			}
			le := binary.LittleEndian
			if le.Uint32(b[offMagic:]) != pageMagic || le.Uint64(b[offPage:]) != uint64(p) || le.Uint32(b[offPages:]) != 1 {
				continue
			}
			s := reverse.seed(b[:ps-trailerSize], le.Uint32(b[ps-trailerSize:]))
			if votes[s]++; votes[s] >= seedVotes {
				return ps, s
			}
		}
	}
	return 0, 0
}

// reversed finds the index of an entry of the checksum's table by the entry's highest byte.
type reversed [256]byte

func reverseTable() (r reversed) {
	for i, entry := range castagnoli {
		r[entry>>24] = byte(i)
	}
	return r
}

// seed returns the value from which the checksum of b is sum.
func (r *reversed) seed(b []byte, sum uint32) uint32 {
	c := ^sum
	for i := len(b) - 1; i >= 0; i-- {
		k := r[c>>24]
		c = (c^castagnoli[k])<<8 | uint32(k^b[i])
	}
	return ^c
}
