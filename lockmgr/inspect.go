package lockmgr

import (
	"slices"
	"strings"
	"time"
	"unsafe"
)

// KeyState is one locked key in a snapshot of the table.
type KeyState struct {
	Key     string // rendered by Describe
	Holders []HolderState
	Queue   []WaiterState // in order
}

// HolderState is one holder of a key.
type HolderState struct {
	Owner uint64
	Label string
	Mode  Mode
}

// WaiterState is one waiting request.
type WaiterState struct {
	Key   string // rendered by Describe
	Owner uint64
	Label string
	Mode  Mode // that it waits for: what was asked for, joined with what is held
	Since time.Time
	// WaitsFor are the holders in conflict with the request, and of the requests
	// ahead in conflict with it the nearest one of each mode.
	WaitsFor []uint64
}

// Locks returns the keys that are waited for, or all locked keys, ordered by
// their rendered names. Each key's state is consistent in itself; the keys are
// not of one moment.
func (t *Table) Locks(all bool) []KeyState {
	var found []KeyState
	for i := range t.shards {
		found = t.shards[i].appendStates(found, all)
	}
	for i := range found {
		k := &found[i]
		k.Key = t.opts.Describe([]byte(k.Key))
		for j := range k.Queue {
			k.Queue[j].Key = k.Key
		}
	}
	slices.SortFunc(found, func(a, b KeyState) int { return strings.Compare(a.Key, b.Key) })
	return found
}

// appendStates appends the shard's keys, not rendered yet.
func (s *shard) appendStates(to []KeyState, all bool) []KeyState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !all {
		for _, e := range s.contended {
			to = append(to, e.state())
		}
		return to
	}
	s.index.each(func(e *entry) { to = append(to, e.state()) })
	return to
}

// state copies the entry.
//
// REQUIRES: the mutex of the entry's shard.
func (e *entry) state() KeyState {
	k := KeyState{Key: string(e.key), Holders: make([]HolderState, len(e.holders))}
	for i := range e.holders {
		k.Holders[i] = e.holders[i].state()
	}
	var ahead nearest
	for r := e.queue.first; r != nil; r = r.next {
		k.Queue = append(k.Queue, r.waiterState(&ahead))
		ahead[r.mode] = r
	}
	return k
}

// waiterState copies the request, but not its key.
//
// REQUIRES: the mutex of the shard in which r waits.
func (r *request) waiterState(ahead *nearest) WaiterState {
	w := WaiterState{Owner: r.owner.info.ID, Label: r.owner.info.Label, Mode: r.mode, Since: r.since}
	for _, o := range r.appendBlockers(nil, ahead, anyOwner) {
		w.WaitsFor = append(w.WaitsFor, o.info.ID)
	}
	return w
}

func anyOwner(*Owner) bool { return true }

func (h *holder) state() HolderState {
	return HolderState{Owner: h.owner.info.ID, Label: h.owner.info.Label, Mode: h.mode}
}

// Metrics are counters since New and current readings.
type Metrics struct {
	Acquired     int64         // locks granted, upgrades included; keeping what is held does not count
	Waits        int64         // requests that had to wait
	Timeouts     int64         // waits that ended with ErrTimeout
	Searches     int64         // for deadlocks
	Deadlocks    int64         // resolved, one victim each
	NotAvailable int64         // requests refused under NoWait
	WaitTime     time.Duration // in all ended waits together

	Keys    int64 // locked now
	Waiters int64 // waiting now
	Bytes   int64 // approximate memory of entries, queues and held locks
}

// Metrics returns counters and readings. The readings of different shards are
// not of one moment.
func (t *Table) Metrics() Metrics {
	c := &t.counters
	m := Metrics{
		Waits: c.waits.Load(), Timeouts: c.timeouts.Load(),
		Searches: t.detector.searches.Load(), Deadlocks: c.deadlocks.Load(),
		NotAvailable: c.notAvailable.Load(), WaitTime: time.Duration(c.waitNanos.Load()), Waiters: t.waiters.Load(),
	}
	for i := range t.shards {
		t.shards[i].addTo(&m)
	}
	return m
}

// Sizes behind Metrics.Bytes.
const (
	entryBytes  = int(unsafe.Sizeof(entry{}))
	holdBytes   = int(unsafe.Sizeof(hold{}) + unsafe.Sizeof(holder{}))
	bucketBytes = int(unsafe.Sizeof((*entry)(nil)))
)

func (s *shard) addTo(m *Metrics) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.Acquired += s.acquired
	m.Keys += int64(s.index.count)
	m.Bytes += int64((s.index.count+s.spare)*entryBytes + s.keyBytes + s.holds*holdBytes + len(s.index.buckets)*bucketBytes)
}
