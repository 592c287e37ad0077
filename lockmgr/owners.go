package lockmgr

import (
	"cmp"
	"slices"
)

// OwnerState is what one owner holds and waits for.
type OwnerState struct {
	Owner uint64
	Label string
	Locks int          // keys held
	Waits *WaiterState // nil: it does not wait
}

// Waiting returns what the owner waits for; false means that at some moment of
// the call it did not wait. It may be called from any goroutine. It takes one
// mutex of the table, for a time that grows with the queue and the holders of
// the key.
func (t *Table) Waiting(o *Owner) (WaiterState, bool) {
	if o == nil || o.table != t {
		return WaiterState{}, false
	}
	s := o.req.in.Load()
	if s == nil {
		return WaiterState{}, false
	}
	w, waits := s.waitOf(o)
	if waits {
		w.Key = t.opts.Describe([]byte(w.Key))
	}
	return w, waits
}

// waitOf returns the owner's wait in this shard, its key not rendered yet.
func (s *shard) waitOf(o *Owner) (w WaiterState, waits bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Unless the request stands in this shard, nothing else of it may be read. Then
	// the wait that brought us here has ended.
	if o.req.in.Load() != s {
		return w, false
	}
	e := o.req.entry
	var ahead nearest
	for r := e.queue.first; r != &o.req; r = r.next {
		ahead[r.mode] = r
	}
	w = o.req.waiterState(&ahead)
	w.Key = string(e.key)
	return w, true
}

// Owners returns all owners that hold or await locks, ordered by id. It may be
// called from any goroutine. It reads the table part by part while the others
// go on, so the numbers of an owner that works meanwhile are not of one moment;
// those of one that waits or idles are exact. Its cost grows with the number of
// locks in the table.
func (t *Table) Owners() []OwnerState {
	c := census{place: make(map[*Owner]int)}
	for i := range t.shards {
		c.addShard(&t.shards[i])
	}
	names := make(map[string]string)
	for i := range c.found {
		if w := c.found[i].Waits; w != nil {
			if _, known := names[w.Key]; !known {
				names[w.Key] = t.opts.Describe([]byte(w.Key))
			}
			w.Key = names[w.Key]
		}
	}
	slices.SortStableFunc(c.found, func(a, b OwnerState) int { return cmp.Compare(a.Owner, b.Owner) })
	return c.found
}

// census collects owners. They are told apart by their memory: whether their
// ids are unique is the caller's business.
type census struct {
	found []OwnerState
	place map[*Owner]int // in found
	// last is the owner asked for before: of many locks most belong to few owners.
	last   *Owner
	lastAt int
}

func (c *census) addShard(s *shard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index.count == 0 {
		return
	}
	s.index.each(func(e *entry) {
		for i := range e.holders {
			c.of(e.holders[i].owner).Locks++
		}
	})
	for _, e := range s.contended {
		c.addQueue(e)
	}
}

// addQueue notes the requests for one key. An owner that was met waiting in a
// shard before has gone on since; what is seen last counts.
//
// REQUIRES: the mutex of the entry's shard.
func (c *census) addQueue(e *entry) {
	key := string(e.key)
	var ahead nearest
	for r := e.queue.first; r != nil; r = r.next {
		w := r.waiterState(&ahead)
		w.Key = key
		c.of(r.owner).Waits = &w
		ahead[r.mode] = r
	}
}

// of returns the owner's state. It is valid until the next call.
func (c *census) of(o *Owner) *OwnerState {
	if o == c.last {
		return &c.found[c.lastAt]
	}
	at, known := c.place[o]
	if !known {
		at = len(c.found)
		c.place[o] = at
		c.found = append(c.found, OwnerState{Owner: o.info.ID, Label: o.info.Label})
	}
	c.last, c.lastAt = o, at
	return &c.found[at]
}
