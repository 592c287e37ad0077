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
	id        uint64 // 0: it has none yet; set under shard.mu
	label     string
	began     time.Time
	readOnly  bool
	protected atomic.Bool
	tx        *txn      // nil in the pin of a cursor
	holder    *txn      // tx, or the transaction of the cursor
	stack     []uintptr // who began it, nil inside View and Update; set before it is handed out
	cleanup   runtime.Cleanup

	shard      *snapshotShard
	prev, next *session    // guarded by shard.mu
	kept       atomic.Bool // somebody has it from the registry: it must not be used again; set under shard.mu
	// pin is the snapshot, maxTimestamp while there is none, and nextPin a second one while the snapshot moves forward.
	// Both change under shard.mu, but for the first pin (pinAt).
	pin, nextPin atomic.Uint64
}

const snapshotShards = 16

type snapshotShard struct {
	mu struct {
		sync.Mutex
		first   *session
		closing bool
		begun   int64 // transactions, and how many of them run
		running int64
		views   int64 // that have ended
	}
	_ [16]byte // keeps shards on cache lines of their own
}

// snapshots is the registry of running transactions and their snapshots.
//
// A reader that pins a snapshot without a lock stores the watermark as its pin, and then looks whether it still is the
// watermark; if not, it does so again. Who lists the snapshots reads a watermark first. If it does not see a pin,
// the store of the pin came after it looked, and the reader's last look at the watermark later still: so the
// pin is at or above any watermark read before list was called. A checkpoint that
// waits for its seal to be visible and then lists the snapshots thus knows all
// that are below the seal (S1).
type snapshots struct {
	shards [snapshotShards]snapshotShard
	turn   atomic.Uint32
}

// next returns the shard for one more session.
func (r *snapshots) next() *snapshotShard { return &r.shards[r.turn.Add(1)%snapshotShards] }

// add registers a transaction, or the pin of a cursor, without a snapshot. It fails for a transaction when the database
// is closing.
func (r *snapshots) add(s *session) bool {
	if s.shard == nil {
		s.shard = r.next()
	}
	s.pin.Store(uint64(maxTimestamp))
	s.nextPin.Store(uint64(maxTimestamp))
	mu := &s.shard.mu
	mu.Lock()
	defer mu.Unlock()
	if s.tx != nil {
		if mu.closing {
			return false
		}
		mu.begun++
		mu.running++
	}
	if s.next = mu.first; s.next != nil {
		s.next.prev = s
	}
	mu.first = s
	return true
}

// pinned returns the snapshot.
func (s *session) pinned() Timestamp { return Timestamp(s.pin.Load()) }

// pinAt takes a snapshot at the watermark unless there is one, and returns it. Only the user's goroutine calls it.
func (s *session) pinAt(watermark *atomic.Uint64) Timestamp {
	if pin := s.pinned(); pin != maxTimestamp {
		return pin
	}
	for {
		ts := watermark.Load()
		s.pin.Store(ts)
		if watermark.Load() == ts {
			return Timestamp(ts)
		}
	}
}

// pinBefore takes a snapshot at a moment, or at the watermark if that is earlier, and returns it.
func (s *session) pinBefore(watermark *atomic.Uint64, at Timestamp) Timestamp {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	pin := min(at, Timestamp(watermark.Load()))
	s.pin.Store(uint64(pin))
	return pin
}

// pinNewest moves the pin to the watermark, or to floor if that is later, and returns it.
func (s *session) pinNewest(watermark *atomic.Uint64, floor Timestamp) Timestamp {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	pin := max(Timestamp(watermark.Load()), floor)
	s.pin.Store(uint64(pin))
	return pin
}

// pinNext holds the newest applied commit besides the snapshot, and returns it.
func (s *session) pinNext(applied *atomic.Pointer[commitEntry]) *commitEntry {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	e := applied.Load()
	s.nextPin.Store(uint64(e.ts))
	return e
}

// movePin makes the second pin the snapshot, or drops it.
func (s *session) movePin(move bool) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	if move {
		s.pin.Store(s.nextPin.Load())
	}
	s.nextPin.Store(uint64(maxTimestamp))
}

// unpin gives the snapshot up.
func (s *session) unpin() {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.pin.Store(uint64(maxTimestamp))
}

// remove ends the session.
func (r *snapshots) remove(s *session) {
	if s.remove() {
		s.tx.db.leave()
	}
}

// remove takes the session out of its shard, and reports whether that was the last transaction there of a database that is
// closing.
func (s *session) remove() (last bool) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	return s.removeLocked()
}

// removeView is remove for the transaction of a View; it may be used again unless somebody else has it.
func (s *session) removeView() (again, last bool) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.shard.mu.views++
	return !s.kept.Load(), s.removeLocked()
}

// removeLocked is remove. REQUIRES: shard.mu.
func (s *session) removeLocked() (last bool) {
	mu := &s.shard.mu
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		mu.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
	if s.tx == nil {
		return false
	}
	mu.running--
	return mu.closing && mu.running == 0
}

// close refuses transactions from now on. It returns how many of the shards have none.
func (r *snapshots) close() (idle int) {
	for i := range r.shards {
		mu := &r.shards[i].mu
		mu.Lock()
		if mu.closing = true; mu.running == 0 {
			idle++
		}
		mu.Unlock()
	}
	return idle
}

// totals returns how many transactions have begun, run, and have ended as views.
func (r *snapshots) totals() (begun, running, views int64) {
	for i := range r.shards {
		mu := &r.shards[i].mu
		mu.Lock()
		begun, running, views = begun+mu.begun, running+mu.running, views+mu.views
		mu.Unlock()
	}
	return begun, running, views
}

// name returns the transaction's id, and gives it one if it has none.
func (s *session) name(ids *atomic.Uint64) uint64 {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.nameLocked(ids)
	return s.id
}

// nameLocked is name. REQUIRES: shard.mu.
func (s *session) nameLocked(ids *atomic.Uint64) {
	if s.id == 0 {
		s.id = ids.Add(1)
	}
}

// keepHolder returns the session's transaction for use without the shard's mutex. REQUIRES: shard.mu.
func (s *session) keepHolder() *txn {
	s.holder.session.kept.Store(true)
	return s.holder
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
		for _, pin := range [...]Timestamp{s.pinned(), Timestamp(s.nextPin.Load())} {
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
		if p := s.pinned(); p < pin {
			pin, label, began, ok = p, s.label, s.began, true
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

func sortByAge(all []TxnInfo) {
	slices.SortFunc(all, func(a, b TxnInfo) int { return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.ID, b.ID)) })
}
