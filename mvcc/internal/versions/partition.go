package versions

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/google/btree"
)

// indexDegree gives nodes of 31 to 63 items; 16 and 64 measured no better.
const indexDegree = 32

// item is an entry in the ordered index, with the first 16 bytes of its key (zeros after a shorter
// one) as two big-endian numbers. Where the numbers differ, they order as the keys do.
type item struct {
	high, low uint64
	entry     *entry
}

func itemOf(e *entry) item {
	if len(e.key) >= 16 {
		return item{binary.BigEndian.Uint64(e.key), binary.BigEndian.Uint64(e.key[8:]), e}
	}
	var start [16]byte
	copy(start[:], e.key)
	return item{binary.BigEndian.Uint64(start[:]), binary.BigEndian.Uint64(start[8:]), e}
}

func itemLess(a, b item) bool {
	if a.high != b.high {
		return a.high < b.high
	}
	if a.low != b.low {
		return a.low < b.low
	}
	return bytes.Compare(a.entry.key, b.entry.key) < 0
}

func itemCompare(a, b item) int {
	switch {
	case a.high != b.high:
		return cmp.Compare(a.high, b.high)
	case a.low != b.low:
		return cmp.Compare(a.low, b.low)
	}
	return bytes.Compare(a.entry.key, b.entry.key)
}

// perReader is what one reader adds to demand at least.
const perReader = 64

// partition is the ordered index of the keys in [start, end).
type partition struct {
	// start and end are nil where there is no bound.
	start, end []byte
	number     uint32
	// newest is at or after the timestamp of every version entered here (V7).
	newest atomic.Uint64
	late   backlog
	// demand is how many commits to come keep the order up to date when the mutex is free, because somebody has needed it
	// lately: so a reader seldom finds a backlog that is long.
	demand atomic.Int32
	// Readers share the mutex because a search costs more than the lock: with two readers of one
	// partition a seek took half the time that it took behind a plain mutex.
	mu struct {
		sync.RWMutex
		// tree is nil until the first key is absorbed.
		tree *btree.BTreeG[item]
		// loaded are entries that are not yet in the tree, which is nil then (load.go).
		loaded []entry
	}
	_ [cacheLine]byte
}

func (p *partition) holds(key []byte) bool {
	return bytes.Compare(key, p.start) >= 0 && (p.end == nil || bytes.Compare(key, p.end) < 0)
}

// raise notes that a version of this timestamp is about to be entered.
func (p *partition) raise(timestamp uint64) {
	for {
		newest := p.newest.Load()
		if newest >= timestamp || p.newest.CompareAndSwap(newest, timestamp) {
			return
		}
	}
}

// insert adds the leading entries that belong to this partition. It returns how many they are, and
// whether they are the partition's first.
func (p *partition) insert(entries []*entry) (inserted int, first bool) {
	n := 1
	for n < len(entries) && entries[n].partition == p.number {
		n++
	}
	first = p.late.add(entries[:n])
	if p.demand.Load() > 0 {
		p.demand.Add(-1)
		if p.mu.TryLock() { // a commit does not wait for readers: the next one of them absorbs
			p.absorbLocked()
			p.mu.Unlock()
		}
	}
	return n, first
}

// readLock takes the mutex for reading, with an index that has every key that was entered before the call (V8).
func (p *partition) readLock() {
	if p.demand.Load() < perReader/2 {
		p.demand.Store(perReader)
	}
	if p.late.size.Load() > 0 {
		p.absorb()
	}
	p.mu.RLock()
}

// absorb enters in the tree what waits for that.
func (p *partition) absorb() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.absorbLocked()
}

// absorbLocked is absorb for the holder of the mutex.
func (p *partition) absorbLocked() {
	late := p.late.take()
	if p.mu.tree == nil {
		p.mu.tree = btree.NewWithFreeListG(indexDegree, itemLess, btree.NewFreeListG[item](0))
	}
	for i := range p.mu.loaded {
		p.mu.tree.ReplaceOrInsert(itemOf(&p.mu.loaded[i]))
	}
	p.mu.loaded = nil
	for _, i := range late {
		p.mu.tree.ReplaceOrInsert(i)
	}
}
