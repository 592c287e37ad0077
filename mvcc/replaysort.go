package mvcc

import (
	"bytes"
	"math/bits"
	"slices"
	"sync/atomic"

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
	begin := b.scatter(all)
	blocks := b.items // their memory is free for copies now
	b.items = nil
	var next atomic.Int64
	inParallel(replayGoroutines(), func(i int) {
		s := sorter{batch: b}
		if i < len(blocks) {
			s.spare = blocks[i][:cap(blocks[i])]
		}
		for i := int(next.Add(1)) - 1; i < digits; i = int(next.Add(1)) - 1 {
			s.sort(all[begin[i]:begin[i+1]])
		}
	})
	return all
}

// scatter brings the items to all by a digit, several goroutines those of some blocks each. Items with digit i are then
// all[begin[i]:begin[i+1]].
func (b *replayBatch) scatter(all []replayItem) (begin [digits + 1]int) {
	crews := make([]scatter, min(replayGoroutines(), len(b.items)))
	inParallel(len(crews), func(i int) {
		crews[i].blocks = b.items[i*len(b.items)/len(crews) : (i+1)*len(b.items)/len(crews)]
		crews[i].measure()
	})
	r := crews[0].prefixes
	for i := range crews {
		r.join(crews[i].prefixes)
	}
	d := digitOf(r, digits)
	for narrowed := true; narrowed; {
		inParallel(len(crews), func(i int) { crews[i].count(&d) })
		for i := range digits {
			begin[i+1] = begin[i]
			for k := range crews {
				begin[i+1] += crews[k].next[i]
			}
		}
		narrowed = false
		for i := range digits {
			if begin[i+1]-begin[i] > b.count/2 { // more than others can sort meanwhile
				narrowed = d.narrow(i)
			}
		}
	}
	for i := range digits {
		at := begin[i]
		for k := range crews {
			n := crews[k].next[i]
			crews[k].next[i] = at
			at += n
		}
	}
	inParallel(len(crews), func(i int) { crews[i].move(&d, all) })
	return begin
}

// scatter brings the items of some blocks to where their digits belong.
type scatter struct {
	blocks   [][]replayItem
	prefixes prefixRange
	next     [digits]int // how many items have the digit; then where the next one goes
}

func (s *scatter) measure() {
	s.prefixes = rangeOf(s.blocks[0])
	for _, block := range s.blocks[1:] {
		s.prefixes.join(rangeOf(block))
	}
}

func (s *scatter) count(d *digit) {
	clear(s.next[:])
	for _, block := range s.blocks {
		for i := range block {
			s.next[d.of(&block[i])]++
		}
	}
}

func (s *scatter) move(d *digit, all []replayItem) {
	for _, block := range s.blocks {
		for i := range block {
			to := &s.next[d.of(&block[i])]
			all[*to] = block[i]
			*to++
		}
	}
}

// sorter sorts parts of a batch, in one goroutine.
type sorter struct {
	batch *replayBatch
	spare []replayItem // for copies
}

// few is how many items are sorted by comparing them.
const few = 32

// sort orders items by digits as long as they are many. A digit has about as many values as there are items.
func (s *sorter) sort(all []replayItem) {
	if len(all) <= few {
		slices.SortFunc(all, s.batch.compare)
		return
	}
	if slices.IsSortedFunc(all, s.batch.compare) {
		return
	}
	r := rangeOf(all)
	if r.least == r.most {
		slices.SortFunc(all, s.batch.compare)
		return
	}
	if len(s.spare) < len(all) {
		s.spare = hugepage.Make[replayItem](len(all))
	}
	d := digitOf(r, min(1<<bits.Len(uint(len(all))), digits))
	var ends [digits]int
	for i := range all {
		ends[d.of(&all[i])]++
	}
	sum := 0
	for i := range d.values {
		n := ends[i]
		ends[i] = sum
		sum += n
	}
	spare := s.spare[:copy(s.spare, all)]
	for i := range spare {
		to := &ends[d.of(&spare[i])]
		all[*to] = spare[i]
		*to++
	}
	begin := 0
	for _, end := range ends[:d.values] {
		if end-begin > 1 {
			s.sort(all[begin:end])
		}
		begin = end
	}
}
