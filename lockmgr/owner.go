package lockmgr

import (
	"bytes"
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	// fewLocks is the room for held locks inside an owner.
	fewLocks = 4
	// searchedLocks is how many held locks are searched one by one; owners with
	// more have a hash table over them.
	searchedLocks = 16
	// keptLocks is the most held locks whose memory an owner keeps for reuse.
	keptLocks = 1024
)

// Owner holds locks: a transaction. One goroutine at a time may use it. It may be
// handed over, through a channel or whatever else makes the uses happen one
// before the other: another goroutine may end what one has begun. Kill, Waiting
// and Owners may come from any goroutine at any time. It must not be copied.
type Owner struct {
	table *Table
	info  OwnerInfo
	// held lists the granted locks. Only the goroutine that uses the owner touches
	// it: who grants a lock to a waiter changes the entry, and the waiter notes it
	// here when it wakes up. So no mutex is needed. Who looks from outside counts
	// the holders in the entries (Owners): an atomic count here would cost every
	// transaction two more locked instructions, half as many as the mutexes of one
	// lock.
	held []hold
	few  [fewLocks]hold
	// slots finds more than searchedLocks held locks by hash: open addressing over
	// places in held, plus one (0: free). All are free while the list is shorter.
	// Nothing is ever removed but everything.
	slots []int32
	req   request
	// killed is the reason given to Kill, until ReleaseAll.
	killed atomic.Pointer[error]
}

// hold is one lock in an owner's list.
type hold struct {
	entry *entry
	hash  uint64
	mode  Mode
}

// NewOwner returns an owner without locks. It needs no closing; an owner without
// locks is garbage like any value.
func (t *Table) NewOwner(info OwnerInfo) *Owner {
	if info.Began.IsZero() {
		info.Began = time.Now()
	}
	o := &Owner{table: t, info: info}
	o.held = o.few[:0]
	o.req.owner = o
	return o
}

// Renew makes an owner without locks one of this table that is described anew: another transaction. Nobody may call Kill or
// Waiting for the one before any more.
func (t *Table) Renew(o *Owner, info OwnerInfo) {
	if o == nil || o.table != t || len(o.held) > 0 {
		return
	}
	if info.Began.IsZero() {
		info.Began = time.Now()
	}
	o.info = info
}

// Held returns the mode in which the owner holds the key: the weakest one that
// includes all it was granted. It may be called by the goroutine that uses the
// owner.
func (t *Table) Held(o *Owner, key []byte) Mode {
	if o == nil || len(o.held) == 0 {
		return None
	}
	return o.modeAt(o.find(t.hash(key), key))
}

// find returns the place of the key in held, or -1.
func (o *Owner) find(hash uint64, key []byte) int {
	if len(o.held) <= searchedLocks {
		for i := range o.held {
			if h := &o.held[i]; h.hash == hash && bytes.Equal(h.entry.key, key) {
				return i
			}
		}
		return -1
	}
	for at := o.slot(hash); o.slots[at] != 0; at = o.nextSlot(at) {
		i := int(o.slots[at]) - 1
		if h := &o.held[i]; h.hash == hash && bytes.Equal(h.entry.key, key) {
			return i
		}
	}
	return -1
}

func (o *Owner) modeAt(at int) Mode {
	if at < 0 {
		return None
	}
	return o.held[at].mode
}

// note records a granted lock: at its place, or as a new one (-1).
func (o *Owner) note(at int, e *entry, hash uint64, mode Mode) {
	if at >= 0 {
		o.held[at].mode = mode
		return
	}
	o.held = append(o.held, hold{e, hash, mode})
	switch n := len(o.held); {
	case n <= searchedLocks:
	case n == searchedLocks+1, 2*n > len(o.slots):
		o.index(4 * n)
	default:
		o.fill(n - 1)
	}
}

// index enters all held locks into slots, which must be free or have less than
// the given size.
func (o *Owner) index(atLeast int) {
	if len(o.slots) < atLeast {
		o.slots = make([]int32, 1<<bits.Len(uint(atLeast-1)))
	}
	for i := range o.held {
		o.fill(i)
	}
}

func (o *Owner) fill(place int) {
	at := o.slot(o.held[place].hash)
	for o.slots[at] != 0 {
		at = o.nextSlot(at)
	}
	o.slots[at] = int32(place + 1)
}

func (o *Owner) slot(hash uint64) int { return int(hash & uint64(len(o.slots)-1)) }

func (o *Owner) nextSlot(at int) int { return (at + 1) & (len(o.slots) - 1) }

// keep makes the front of the list of held locks all of it.
func (o *Owner) keep(front []hold) {
	clear(o.held[len(front):])
	if o.held = front; cap(front) > keptLocks && len(front) <= keptLocks {
		o.held, o.slots = append([]hold(nil), front...), nil
	}
	clear(o.slots)
	if len(o.held) > searchedLocks {
		o.index(2 * len(o.held))
	}
}

// forget empties the list of held locks.
func (o *Owner) forget() {
	if len(o.held) > searchedLocks {
		clear(o.slots)
	}
	clear(o.held)
	o.held = o.held[:0]
	if cap(o.held) > keptLocks {
		o.held, o.slots = o.few[:0], nil
	}
	o.few = [fewLocks]hold{} // may still point to entries after the list outgrew it
}
