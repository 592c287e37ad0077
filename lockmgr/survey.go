package lockmgr

import (
	"github.com/sombradb/sombra/deadlock"
)

// survey is a picture of who waits for whom. It is taken shard by shard while
// the table goes on working, so it may show edges that never existed together:
// what is found in it must be verified (L7). A real deadlock is always in it, for
// no wait of a cycle can end by itself. Its memory is used again.
type survey struct {
	waits    []wait
	blockers []*Owner // of all waits, one after the other
	keys     []byte   // of all awaited entries, one after the other
	place    map[*Owner]int
	waiters  []deadlock.Waiter
	ids      []deadlock.TxnID // backs the Blockers of waiters
}

// wait is what the survey knows about one waiting request.
type wait struct {
	owner       *Owner
	shard       *shard
	entry       *entry
	seq         uint64
	mode        Mode
	locks       int
	keyFrom     int // keys[keyFrom:keyTo]
	keyTo       int
	blockedFrom int // blockers[blockedFrom:blockedTo]
	blockedTo   int
}

// take fills the survey.
func (sv *survey) take(t *Table) {
	for i := range t.shards {
		sv.addShard(&t.shards[i])
	}
}

func (sv *survey) addShard(s *shard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.contended {
		sv.addQueue(s, e)
	}
}

// addQueue adds the requests for one key.
//
// REQUIRES: s.mu.
func (sv *survey) addQueue(s *shard, e *entry) {
	from := len(sv.keys)
	sv.keys = append(sv.keys, e.key...)
	var ahead nearest
	for r := e.queue.first; r != nil; r = r.next {
		w := wait{
			owner: r.owner, shard: s, entry: e, seq: r.seq, mode: r.mode, locks: r.locks,
			keyFrom: from, keyTo: len(sv.keys), blockedFrom: len(sv.blockers),
		}
		sv.blockers = r.appendBlockers(sv.blockers, &ahead, (*Owner).waits)
		w.blockedTo = len(sv.blockers)
		sv.waits = append(sv.waits, w)
		ahead[r.mode] = r
	}
}

// waits reports whether the owner stands in a queue. Of an owner that does not,
// nothing can wait in a cycle.
func (o *Owner) waits() bool { return o.req.in.Load() != nil }

// nearest holds for each mode the last request before a place in a queue.
type nearest [modes]*request

// appendBlockers appends the owners in the way of a waiting request, as far as
// they are wanted: the other holders in conflict with it, and of the requests
// ahead in conflict with it the nearest one of each mode.
//
// Requests further ahead add nothing: one of the same mode is blocked by the same
// holders, so that whatever can be reached through it is reached as quickly
// through the nearest. Naming all would make a queue of n requests cost n*n.
//
// REQUIRES: the mutex of the shard in which r waits.
func (r *request) appendBlockers(to []*Owner, ahead *nearest, wanted func(*Owner) bool) []*Owner {
	for i := range r.entry.holders {
		h := &r.entry.holders[i]
		if h.owner != r.owner && r.mode.conflictsWith(h.mode) && wanted(h.owner) {
			to = append(to, h.owner)
		}
	}
	for m, p := range ahead {
		listed := p != nil && p.held != None && r.mode.conflictsWith(p.held)
		if p != nil && !listed && r.mode.conflictsWith(Mode(m)) && wanted(p.owner) {
			to = append(to, p.owner)
		}
	}
	return to
}

// cycles returns the cycles in the picture as places in waits.
func (sv *survey) cycles() [][]int {
	if sv.place == nil {
		sv.place = make(map[*Owner]int)
	}
	for i := range sv.waits {
		sv.place[sv.waits[i].owner] = i
	}
	// The graph is numbered by place, not by the owners' ids: whether these are
	// unique is the caller's business.
	for _, o := range sv.blockers {
		id, known := sv.place[o]
		if !known {
			id = len(sv.waits) // no node: it does not wait any more
		}
		sv.ids = append(sv.ids, deadlock.TxnID(id))
	}
	for i := range sv.waits {
		w := &sv.waits[i]
		sv.waiters = append(sv.waiters, deadlock.Waiter{
			ID: deadlock.TxnID(i), WaitSeq: w.seq, Blockers: sv.ids[w.blockedFrom:w.blockedTo],
		})
	}
	return deadlock.Cycles(sv.waiters)
}

// key returns a copy-free view of the key that a wait is about.
func (sv *survey) key(w *wait) []byte { return sv.keys[w.keyFrom:w.keyTo] }

// forget empties the survey; it keeps the memory, but no owner alive.
func (sv *survey) forget() {
	clear(sv.waits)
	clear(sv.blockers)
	clear(sv.place)
	clear(sv.waiters)
	sv.waits, sv.blockers, sv.keys = sv.waits[:0], sv.blockers[:0], sv.keys[:0]
	sv.waiters, sv.ids = sv.waiters[:0], sv.ids[:0]
}
