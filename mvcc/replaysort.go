package mvcc

import (
	"bytes"
	"math/bits"
	"slices"

	"github.com/sombradb/sombra/internal/hugepage"
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
	all := hugepage.Make[replayItem](b.count)
	b.items = slices.DeleteFunc(b.items, func(block []replayItem) bool { return len(block) == 0 })
	if len(b.items) == 0 {
		return all
	}
	d := digitOf(b.items)
	// Several goroutines bring the items of some blocks each to their places.
	crews := make([]scatter, min(replayGoroutines(), len(b.items)))
	inParallel(len(crews), func(i int) {
		c := &crews[i]
		c.blocks = b.items[i*len(b.items)/len(crews) : (i+1)*len(b.items)/len(crews)]
		c.count(d)
	})
	var begin [digits + 1]int
	for i := range digits {
		begin[i+1] = begin[i]
		for k := range crews {
			n := crews[k].next[i]
			crews[k].next[i] = begin[i+1]
			begin[i+1] += n
		}
	}
	inParallel(len(crews), func(i int) { crews[i].move(d, all) })
	b.items = nil
	inParallel(digits, func(i int) { b.sort(all[begin[i]:begin[i+1]], nil) })
	return all
}

// scatter brings the items of some blocks to where their digits belong.
type scatter struct {
	blocks [][]replayItem
	next   [digits]int // how many items have the digit; then where the next one goes
}

func (s *scatter) count(d digit) {
	for _, block := range s.blocks {
		for i := range block {
			s.next[d.of(&block[i])]++
		}
	}
}

func (s *scatter) move(d digit, all []replayItem) {
	for _, block := range s.blocks {
		for i := range block {
			to := &s.next[d.of(&block[i])]
			all[*to] = block[i]
			*to++
		}
	}
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
