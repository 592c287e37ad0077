package lockmgr

import (
	"sync/atomic"
	"time"
)

// outcome is the state of a request: it starts as waiting and changes once.
//
//	          enqueue              settle
//	unused ------------> waiting ----------> granted | victim | timedOut |
//	   ^                                     cancelled | killed | closed
//	   +------------- next request of the owner ------------+
type outcome uint32

const (
	unused outcome = iota
	waiting
	granted
	victim
	timedOut
	cancelled
	killed
	closed
)

// request is an owner's current wait. Each owner has one, used again and again.
//
// Fields without a note are written by the owner before the request enters the
// queue and do not change until it has left; the shard's mutex guards the links.
type request struct {
	owner *Owner
	entry *entry
	mode  Mode // what the owner will hold of this key: includes held
	held  Mode // what it holds while it waits for more; None: nothing
	seq   uint64
	locks int // held by the owner in all
	since time.Time
	prev  *request
	next  *request

	// in is the shard in whose queue the request stands, nil otherwise. It changes
	// under that shard's mutex only. Kill reads it without: it does not know which
	// mutex to take.
	in atomic.Pointer[shard]
	// state changes from waiting by one compare-and-swap in settle, whoever comes
	// first, so that there is exactly one outcome (L3).
	state atomic.Uint32
	// err is the error of the outcome: written before the wake-up, read after it.
	err error
	// wake has room for one token, so that the waker never blocks.
	wake  chan struct{}
	timer *time.Timer
}

func (r *request) outcome() outcome { return outcome(r.state.Load()) }

// yieldsTo reports whether an upgrade from held to mode goes before the request.
// Ordinary requests that conflict yield. Other upgrades keep their place, unless
// they wait for the newcomer's held lock: behind them it would wait for ever.
func (r *request) yieldsTo(mode, held Mode) bool {
	return r.mode.conflictsWith(held) || r.held == None && r.mode.conflictsWith(mode)
}

// queue holds the waiting requests of a key in the order of service. The shard's
// mutex guards it.
type queue struct {
	first, last *request
	counts      modeCounts
}

// insert puts the request before another one, or at the end (nil).
func (q *queue) insert(r, before *request) {
	r.next = before
	if before == nil {
		r.prev, q.last = q.last, r
	} else {
		r.prev, before.prev = before.prev, r
	}
	if r.prev == nil {
		q.first = r
	} else {
		r.prev.next = r
	}
	q.counts[r.mode]++
}

func (q *queue) remove(r *request) {
	if r.prev == nil {
		q.first = r.next
	} else {
		r.prev.next = r.next
	}
	if r.next == nil {
		q.last = r.prev
	} else {
		r.next.prev = r.prev
	}
	r.prev, r.next = nil, nil
	q.counts[r.mode]--
}

// serve grants what can be granted, in order: a request that stays blocks those
// behind it that conflict with it, so that nobody is overtaken for ever (L5).
//
// REQUIRES: s.mu, and e belongs to s.
func (s *shard) serve(e *entry) {
	var ahead modeSet
	for r := e.queue.first; r != nil && !e.exhausted(ahead); {
		next := r.next
		if e.admits(r.mode, r.held) && !r.mode.conflictsWithAny(ahead) {
			s.settle(r, granted, nil)
		} else {
			ahead |= r.mode.bit()
		}
		r = next
	}
}

// exhausted reports that behind waiting requests of the given modes nothing more
// can be granted. It keeps a release from walking a long queue in vain.
//
// X lets nothing pass, and U only S. S and A would let their own kind pass; but
// that is blocked by what blocks them, since neither is ever an upgrade, which
// alone has a lock of its own that does not count. S would let U pass; that is
// blocked by what blocks S, since a holder of S that asks for U goes before the
// requests that S waits for.
func (e *entry) exhausted(ahead modeSet) bool {
	const nothing = 1<<S | 1<<A | 1<<X
	return e.granted[X] > 0 || ahead&nothing != 0 || ahead&(1<<U) != 0 && e.queue.counts[S] == 0
}

// settle ends a wait: it takes the request out of the queue, makes the owner a
// holder if it was granted, and wakes it. It reports whether this call did it;
// false means that the wait had already ended otherwise.
//
// REQUIRES: as for withdraw.
func (s *shard) settle(r *request, to outcome, err error) bool {
	if !r.state.CompareAndSwap(uint32(waiting), uint32(to)) {
		return false
	}
	s.dequeue(r)
	if to == granted {
		s.grant(r.entry, r.owner, r.mode, r.held)
	}
	r.err = err
	r.in.Store(nil)
	r.wake <- struct{}{}
	return true
}

// withdraw ends a wait without a grant, and serves those that stood behind it.
//
// REQUIRES: s.mu, and r stands in a queue of s, or did and the owner has not seen
// the end of that wait yet.
func (s *shard) withdraw(r *request, to outcome, err error) bool {
	e := r.entry
	if !s.settle(r, to, err) {
		return false
	}
	s.serve(e)
	s.retire(e)
	return true
}
