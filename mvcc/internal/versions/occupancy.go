package versions

import (
	"math/bits"
	"sync/atomic"
)

// occupancy has a bit for each partition, set when the partition gets its first key and never
// cleared (V7). Readers look at it before they touch a partition.
type occupancy []atomic.Uint64

func newOccupancy(partitions int) occupancy { return make(occupancy, (partitions+63)/64) }

func (o occupancy) set(i int) { o[i/64].Or(1 << (i % 64)) }

func (o occupancy) has(i int) bool { return o[i/64].Load()&(1<<(i%64)) != 0 }

// next returns the first occupied partition at or after i, -1 if there is none. REQUIRES: i >= 0.
func (o occupancy) next(i int) int {
	mask := ^uint64(0) << (i % 64)
	for word := i / 64; word < len(o); word++ {
		if set := o[word].Load() & mask; set != 0 {
			return word*64 + bits.TrailingZeros64(set)
		}
		mask = ^uint64(0)
	}
	return -1
}

// previous returns the last occupied partition at or before i, -1 if there is none.
// REQUIRES: i is below the number of partitions.
func (o occupancy) previous(i int) int {
	if i < 0 {
		return -1
	}
	mask := ^uint64(0) >> (63 - i%64)
	for word := i / 64; word >= 0; word-- {
		if set := o[word].Load() & mask; set != 0 {
			return word*64 + 63 - bits.LeadingZeros64(set)
		}
		mask = ^uint64(0)
	}
	return -1
}
