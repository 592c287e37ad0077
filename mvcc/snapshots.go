package mvcc

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// session is what the database knows of a running transaction. It is apart
// from Txn so that the registry never keeps a forgotten Txn alive.
type session struct {
	id        uint64
	label     string
	began     time.Time
	readOnly  bool
	protected atomic.Bool
	tx        *txn      // nil in the pin of a cursor
	holder    *txn      // tx, or the transaction of the cursor
	stack     []uintptr // who began it, nil inside View and Update; set before it is handed out
	cleanup   runtime.Cleanup

	shard      *snapshotShard
	prev, next *session  // guarded by shard.mu
	pin        Timestamp // the snapshot, maxTimestamp while there is none; guarded by shard.mu
	nextPin    Timestamp // a second one while the snapshot moves forward; guarded by shard.mu
}

const snapshotShards = 16

type snapshotShard struct {
	mu struct {
		sync.Mutex
		first *session
	}
	_ [40]byte // keeps shards on cache lines of their own
}

// snapshots is the registry of running transactions and their snapshots.
//
// A snapshot is pinned under its shard's mutex, with the watermark read under
// that same mutex. So when list returns, every snapshot that it did not see
// is at or above any watermark read before list was called: a checkpoint that
// waits for its seal to be visible and then lists the snapshots knows all
// that are below the seal (S1).
type snapshots struct {
	shards [snapshotShards]snapshotShard
	turn   atomic.Uint32
	active atomic.Int64
}

// add registers a transaction without a snapshot.
func (r *snapshots) add(s *session) {
	s.shard = &r.shards[r.turn.Add(1)%snapshotShards]
	s.pin, s.nextPin = maxTimestamp, maxTimestamp
	if s.tx != nil {
		r.active.Add(1)
	}
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.next = s.shard.mu.first
	if s.next != nil {
		s.next.prev = s
	}
	s.shard.mu.first = s
}

// pinAt takes a snapshot at the watermark unless there is one, and returns it.
func (s *session) pinAt(watermark *atomic.Uint64) Timestamp {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	if s.pin == maxTimestamp {
		s.pin = Timestamp(watermark.Load())
	}
	return s.pin
}

// pinNewest moves the pin to the watermark, or to floor if that is later, and returns it.
func (s *session) pinNewest(watermark *atomic.Uint64, floor Timestamp) Timestamp {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.pin = max(Timestamp(watermark.Load()), floor)
	return s.pin
}

// pinNext holds the newest applied commit besides the snapshot, and returns it.
func (s *session) pinNext(applied *atomic.Pointer[commitEntry]) *commitEntry {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	e := applied.Load()
	s.nextPin = e.ts
	return e
}

// movePin makes the second pin the snapshot, or drops it.
func (s *session) movePin(move bool) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	if move {
		s.pin = s.nextPin
	}
	s.nextPin = maxTimestamp
}

// unpin gives the snapshot up.
func (s *session) unpin() {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.pin = maxTimestamp
}

// remove ends the session.
func (r *snapshots) remove(s *session) {
	s.shard.mu.Lock()
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		s.shard.mu.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
	s.shard.mu.Unlock()
	if s.tx != nil {
		r.active.Add(-1)
	}
}

// each calls f for every session, under its shard's mutex.
func (r *snapshots) each(f func(*session)) {
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		for s := sh.mu.first; s != nil; s = s.next {
			f(s)
		}
		sh.mu.Unlock()
	}
}

// list returns the pinned timestamps, ascending, each once.
func (r *snapshots) list() []Timestamp {
	var pins []Timestamp
	r.each(func(s *session) {
		for _, pin := range []Timestamp{s.pin, s.nextPin} {
			if pin != maxTimestamp {
				pins = append(pins, pin)
			}
		}
	})
	slices.Sort(pins)
	return slices.Compact(pins)
}

// oldest returns the oldest pinned snapshot's timestamp and a copy of what is
// known of its transaction; ok is false when there is none.
func (r *snapshots) oldest() (pin Timestamp, label string, began time.Time, ok bool) {
	pin = maxTimestamp
	r.each(func(s *session) {
		if s.pin < pin {
			pin, label, began, ok = s.pin, s.label, s.began, true
		}
	})
	return pin, label, began, ok
}

// horizon returns the timestamp at or below which only the newest version of
// a key can still be read: the oldest snapshot, or where retention begins, or the watermark read before
// looking when there is neither.
func (db *DB) horizon() Timestamp {
	horizon := min(Timestamp(db.watermark.Load()), db.retainFrom())
	if pin, _, _, ok := db.snapshots.oldest(); ok {
		return min(pin, horizon)
	}
	return horizon
}

// anyIn reports whether one of the ascending timestamps lies in [from, to).
func anyIn(snaps []Timestamp, from, to Timestamp) bool {
	i, _ := slices.BinarySearch(snaps, from)
	return i < len(snaps) && snaps[i] < to
}

func sortByID(all []TxnInfo) {
	slices.SortFunc(all, func(a, b TxnInfo) int { return cmp.Compare(a.ID, b.ID) })
}
