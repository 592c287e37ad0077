package ycsb

import (
	"sync"
	"sync/atomic"
)

// inserts numbers new records and knows up to which all of them have been acknowledged, so that nobody reads a record
// that may not be there yet. Safe for concurrent use.
type inserts struct {
	next  atomic.Uint64 // record
	known atomic.Uint64 // all records below are there

	mu struct {
		sync.Mutex
		early map[uint64]struct{} // acknowledged, but one before them is not
	}
}

func (i *inserts) init(records uint64) {
	i.next.Store(records)
	i.known.Store(records)
	i.mu.early = map[uint64]struct{}{}
}

// begin returns the number of a new record.
func (i *inserts) begin() uint64 { return i.next.Add(1) - 1 }

// acknowledge tells that a record is there.
func (i *inserts) acknowledge(record uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.mu.early[record] = struct{}{}
	known := i.known.Load()
	for {
		if _, there := i.mu.early[known]; !there {
			break
		}
		delete(i.mu.early, known)
		known++
	}
	i.known.Store(known)
}
