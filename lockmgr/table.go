package lockmgr

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/sombradb/sombra/deadlock"
)

// Table is a lock table. Safe for concurrent use.
type Table struct {
	opts     Options
	seed     maphash.Seed
	shards   [shardCount]shard
	closed   atomic.Bool
	waiters  atomic.Int64 // requests in queues
	waitSeq  atomic.Uint64
	counters counters
	detector detector
	reports  reports
	// hashMask clears bits of every hash. All are kept, except in tests that want
	// collisions.
	hashMask uint64
}

// counters are the events of slow paths; the shards count the fast one.
type counters struct {
	waits, timeouts, deadlocks, notAvailable atomic.Int64
	waitNanos                                atomic.Int64
}

// New returns a table and starts its detector goroutine, which Close ends.
func New(opts Options) *Table {
	t := newTable(opts)
	t.detector.start(t)
	return t
}

// newTable returns a table without detector.
func newTable(opts Options) *Table {
	t := &Table{opts: opts.withDefaults(), seed: maphash.MakeSeed(), hashMask: ^uint64(0)}
	for i := range t.shards {
		t.shards[i].table, t.shards[i].number = t, i
	}
	return t
}

// Close wakes every waiter with ErrClosed and ends the detector. Held locks can
// still be released. Later calls do nothing but wait for the first to finish.
func (t *Table) Close() {
	t.closed.Store(true)
	for i := range t.shards {
		t.shards[i].close()
	}
	t.detector.stop()
}

// close ends all waits of the shard. None can begin afterwards: Acquire looks at
// Table.closed under the mutex before it waits.
func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.contended) > 0 {
		e := s.contended[0]
		for e.queue.first != nil {
			s.settle(e.queue.first, closed, ErrClosed)
		}
		s.retire(e)
	}
}

func (t *Table) hash(key []byte) uint64 { return maphash.Bytes(t.seed, key) & t.hashMask }

// shardOf takes the upper bits; the lower ones choose the bucket inside.
func (t *Table) shardOf(hash uint64) *shard { return &t.shards[hash>>(64-shardBits)] }

// reports is the ring of the last deadlocks.
type reports struct {
	mu struct {
		sync.Mutex
		ring [keptReports]*deadlock.Error
		next int // total number of reports so far
	}
}
