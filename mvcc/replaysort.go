package mvcc

import (
	"bytes"
	"math/bits"
	"slices"
)

// compare orders by key, and the writes of one key as they were logged.
func (b *replayBatch) compare(x, y replayItem) int {
	switch {
	case x.high != y.high:
		return lessFirst(x.high < y.high)
	case x.low != y.low:
		return lessFirst(x.low < y.low)
	}
	if c := bytes.Compare(b.write(x.at).Key, b.write(y.at).Key); c != 0 {
		return c
	}
	if x.ts != y.ts {
		return lessFirst(x.ts < y.ts)
	}
	return lessFirst(x.at < y.at)
}

func lessFirst(less bool) int {
	if less {
		return -1
	}
	return 1
}

// sameKey reports whether two neighbours in order are of one key.
func (b *replayBatch) sameKey(x, y replayItem) bool {
	return x.high == y.high && x.low == y.low && bytes.Equal(b.write(x.at).Key, b.write(y.at).Key)
}

// sorted returns all items in order.
func (b *replayBatch) sorted() []replayItem {
	all := make([]replayItem, b.count)
	rest := all
	d := digitOf(b.items)
	var count [digits + 1]int
	for _, block := range b.items {
		for i := range block {
			count[d.of(&block[i])+1]++
		}
	}
	for i := range digits {
		count[i+1] += count[i]
	}
	next := count
	for _, block := range b.items {
		for i := range block {
			to := &next[d.of(&block[i])]
			rest[*to] = block[i]
			*to++
		}
	}
	b.items = nil
	inParallel(digits, func(i int) { b.sort(all[count[i]:count[i+1]], nil) })
	return all
}

// sort orders items, by their first bits that differ as long as they are many. spare has room for as many, or is nil.
func (b *replayBatch) sort(all, spare []replayItem) {
	const few = 1 << 12
	if len(all) <= few || slices.IsSortedFunc(all, b.compare) {
		slices.SortFunc(all, b.compare)
		return
	}
	d := digitOf([][]replayItem{all})
	if d.constant {
		slices.SortFunc(all, b.compare)
		return
	}
	if spare == nil {
		spare = make([]replayItem, len(all))
	}
	var count [digits + 1]int
	for i := range all {
		count[d.of(&all[i])+1]++
	}
	for i := range digits {
		count[i+1] += count[i]
	}
	next := count
	copy(spare, all)
	for i := range all {
		to := &next[d.of(&spare[i])]
		all[*to] = spare[i]
		*to++
	}
	for i := range digits {
		b.sort(all[count[i]:count[i+1]], spare[:count[i+1]-count[i]])
	}
}

// digitBits is how many bits of a key one step of the sort looks at.
const (
	digitBits = 12
	digits    = 1 << digitBits
)

// digit is the first bits in which some items differ.
type digit struct {
	low      bool // they are in low, and all items have the same high
	shift    int
	constant bool // the first 16 bytes of all keys are the same
}

func digitOf(blocks [][]replayItem) digit {
	var high, low uint64
	for _, block := range blocks {
		for i := range block {
			high |= block[i].high ^ blocks[0][0].high
			low |= block[i].low ^ blocks[0][0].low
		}
	}
	d := digit{low: high == 0, constant: high|low == 0}
	if d.low {
		high = low
	}
	d.shift = max(bits.Len64(high)-digitBits, 0)
	return d
}

func (d digit) of(x *replayItem) int {
	if d.low {
		return int(x.low >> d.shift & (digits - 1))
	}
	return int(x.high >> d.shift & (digits - 1))
}
