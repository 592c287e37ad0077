package lockmgr

import "slices"

// maxWalk bounds how many owners a new waiter looks at, itself included.
const maxWalk = 16

// closesCycle reports whether the owner's wait, which has just begun, seems to close
// a circle of waits. It follows the waits from one owner to the next, with one shard
// locked at a time, so what it sees may be wrong either way: whether there is a
// deadlock is for the detector to say (L7), which is asked the sooner. A cycle that
// is not seen here, because it is long or changes meanwhile, is found after Grace.
//
// Who holds nothing closes no circle: nobody behind it in the queue is in its way.
//
// REQUIRES: no mutex, and the caller uses the owner.
func (o *Owner) closesCycle() bool {
	var room [maxWalk]*Owner
	seen := append(room[:0], o)
	var blockers [maxWalk]*Owner
	for at := 0; at < len(seen); at++ {
		for _, b := range seen[at].inTheWay(blockers[:0]) {
			if b == o {
				return true
			}
			if len(seen) < maxWalk && !slices.Contains(seen, b) {
				seen = append(seen, b)
			}
		}
	}
	return false
}

// inTheWay appends those that the owner waits for, as many as there is room for:
// the holders in conflict, or if there is none, the nearest request ahead in conflict.
// Requests ahead of one that conflicts with all holders wait for nobody else.
func (o *Owner) inTheWay(to []*Owner) []*Owner {
	s := o.req.in.Load()
	if s == nil {
		return to
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &o.req
	if r.in.Load() != s { // nothing else of it may be read
		return to
	}
	for i := range r.entry.holders {
		h := &r.entry.holders[i]
		if h.owner != o && r.mode.conflictsWith(h.mode) && len(to) < cap(to) {
			to = append(to, h.owner)
		}
	}
	if len(to) > 0 {
		return to
	}
	p := r.prev
	for steps := 0; p != nil && steps < maxWalk && !r.mode.conflictsWith(p.mode); steps++ {
		p = p.prev
	}
	if p != nil && r.mode.conflictsWith(p.mode) {
		to = append(to, p.owner)
	}
	return to
}
