package versions

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Sizes of the pieces of a backlog, in items: each is as large as all before it, within bounds.
const (
	firstChunk = 8
	maxChunk   = 256
)

// backlog has the entries of a partition that nobody has needed in order yet. A commit adds to it in a few nanoseconds, where
// a search for the place among a million others takes a microsecond. Who needs the order sorts all of them and enters them
// one after the other, which takes each a fraction of that (absorb). The order of a table that only takes writes is made
// once, when it is merged.
type backlog struct {
	// size is the number of entries that are not in the tree, those that were loaded included. It gets smaller
	// under partition.mu only (V8).
	size atomic.Int64
	mu   struct {
		sync.Mutex
		chunks [][]item
		begun  bool // there was an entry
	}
}

// add takes new entries, and reports whether they are the first.
func (b *backlog) add(entries []*entry) (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(b.mu.chunks) - 1
	for _, e := range entries {
		if last < 0 || len(b.mu.chunks[last]) == cap(b.mu.chunks[last]) {
			b.mu.chunks = append(b.mu.chunks, make([]item, 0, min(max(b.size.Load(), firstChunk), maxChunk)))
			last++
		}
		b.mu.chunks[last] = append(b.mu.chunks[last], itemOf(e))
		b.size.Add(1)
	}
	first, b.mu.begun = !b.mu.begun, true
	return first
}

// begin counts entries that were loaded.
func (b *backlog) begin(n int) { b.size.Add(int64(n)) }

// take empties the backlog, and returns its items in key order. REQUIRES: partition.mu, held until they are in the tree (V8).
func (b *backlog) take() []item {
	b.mu.Lock()
	chunks := b.mu.chunks
	b.mu.chunks = nil
	b.size.Store(0)
	b.mu.Unlock()
	all := slices.Concat(chunks...)
	slices.SortFunc(all, itemCompare)
	return all
}
