package lockmgr

import (
	"sync"
	"unsafe"
)

const (
	shardBits  = 7
	shardCount = 1 << shardBits

	// spareEntries is how many unused entries a shard keeps for the next keys.
	spareEntries = 64
	// spareKeyBytes is the largest key buffer that is kept with them.
	spareKeyBytes = 128
	// cacheLines is the size of a pair of cache lines, which processors load
	// together: shards that share one would slow each other down.
	cacheLines = 128
)

// shard is one part of the table: the keys whose hash begins with its number.
type shard struct {
	shardState
	_ [cacheLines - unsafe.Sizeof(shardState{})%cacheLines]byte
}

type shardState struct {
	table  *Table
	number int
	mu     sync.Mutex
	// All below is guarded by mu.
	index     index
	contended []*entry // with a queue, in no order
	free      *entry   // a list linked by chain
	spare     int      // length of the free list
	acquired  int64    // since the table was made
	holds     int      // granted locks
	keyBytes  int      // capacity of the key buffers of entries, used and spare
}

// entry returns the key's entry, a new one if nobody holds or awaits it. The
// caller must make it busy, or retire it.
//
// REQUIRES: s.mu.
func (s *shard) entry(hash uint64, key []byte) *entry {
	if e := s.index.find(hash, key); e != nil {
		return e
	}
	e := s.free
	if e == nil {
		e = &entry{contended: notContended}
		e.holders = e.inline[:0]
	} else {
		s.free, s.spare = e.chain, s.spare-1
		s.keyBytes -= cap(e.key)
	}
	e.hash, e.key = hash, append(e.key[:0], key...)
	s.keyBytes += cap(e.key)
	s.index.insert(e)
	return e
}

// retire gives back the entry when nobody holds or awaits it.
//
// REQUIRES: s.mu.
func (s *shard) retire(e *entry) {
	if !e.idle() {
		return
	}
	s.index.remove(e)
	if s.spare >= spareEntries || cap(e.key) > spareKeyBytes {
		s.keyBytes -= cap(e.key)
		return
	}
	e.holders = e.inline[:0]
	e.chain, s.free = s.free, e
	s.spare++
}

// grant makes the owner a holder.
//
// REQUIRES: s.mu.
func (s *shard) grant(e *entry, o *Owner, mode, held Mode) {
	e.grant(o, mode, held)
	s.acquired++
	if held == None {
		s.holds++
	}
}

// enqueue starts the wait of a request.
//
// REQUIRES: s.mu.
func (s *shard) enqueue(r, before *request) {
	e := r.entry
	e.queue.insert(r, before)
	if e.contended == notContended {
		e.contended = len(s.contended)
		s.contended = append(s.contended, e)
	}
	s.table.waiters.Add(1)
}

// dequeue takes a request out of its queue.
//
// REQUIRES: s.mu, and r stands in a queue of s.
func (s *shard) dequeue(r *request) {
	e := r.entry
	e.queue.remove(r)
	if e.queue.first == nil {
		last := len(s.contended) - 1
		moved := s.contended[last]
		s.contended[e.contended], moved.contended = moved, e.contended
		s.contended[last] = nil
		s.contended = s.contended[:last]
		e.contended = notContended
	}
	s.table.waiters.Add(-1)
}
