package graph

import (
	"context"
	"iter"
)

// BFS visits, breadth first, each node that can be reached from start, which comes first at depth 0; so a node's
// depth is its distance. Its memory grows with the nodes visited: a bit for each, and eight bytes for those of two
// depths. An error, that of the transaction's context included, ends it. Errors: ErrNodeNotFound for start.
func (tx *Txn) BFS(start NodeID, t Traversal) iter.Seq2[Visit, error] {
	return func(yield func(Visit, error) bool) {
		w, err := tx.newWalker(t, start)
		if err == nil {
			s := tx.db.search()
			err = s.run(w, start, yield)
			tx.db.endSearch(s) // not after a panic of the loop's: then nobody uses it again
		}
		if err != nil {
			yield(Visit{}, err)
		}
	}
}

// search is the memory of a breadth first search, used again by the next.
type search struct {
	seen        idSet
	level, next []NodeID // nodes at one depth, and at the one after it
	trail       []Step   // of a flood: by which each node was reached, in the order of visits
}

// What is kept of a search: 512 KiB of a level, 1.25 MiB of a trail.
const (
	maxKeptLevel = 1 << 16
	maxKeptTrail = 1 << 15
)

// search returns an empty one; endSearch takes it back.
func (db *DB) search() *search { return db.searches.Get().(*search) }

func (db *DB) endSearch(s *search) {
	s.seen.reset()
	if cap(s.level) > maxKeptLevel || cap(s.next) > maxKeptLevel {
		s.level, s.next = nil, nil
	}
	if cap(s.trail) > maxKeptTrail {
		s.trail = nil
	}
	clear(s.trail) // of the names of types
	s.trail = s.trail[:0]
	db.searches.Put(s)
}

// begin starts at a node.
func (s *search) begin(start NodeID) {
	s.seen.add(start)
	s.level = append(s.level[:0], start)
	s.trail = s.trail[:0]
}

// run visits nodes until there are no more or yield returns false.
func (s *search) run(w *walker, start NodeID, yield func(Visit, error) bool) error {
	if !yield(Visit{Node: start}, nil) {
		return nil
	}
	depth := 0
	visit := func(step Step) bool { return yield(Visit{Node: step.To, Depth: depth, Step: step}, nil) }
	s.begin(start)
	for len(s.level) > 0 && (w.rules.MaxDepth == 0 || depth < w.rules.MaxDepth) {
		depth++
		if more, err := s.advance(w, false, visit); !more || err != nil {
			return err
		}
	}
	return nil
}

// advance goes from one depth to the next, by the allowed steps from nodes, or with back to nodes; steps passed to visit lead away
// from where the search began in either case. It calls visit for each node that was not seen before, and reports whether that always returned true.
func (s *search) advance(w *walker, back bool, visit func(Step) bool) (more bool, err error) {
	s.next = s.next[:0]
	for _, node := range s.level {
		if more, err := s.expand(w, node, back, visit); !more || err != nil {
			return false, err
		}
	}
	s.level, s.next = s.next, s.level
	return true, nil
}

// expand is advance for one node.
func (s *search) expand(w *walker, node NodeID, back bool, visit func(Step) bool) (more bool, err error) {
	if w.rules.Filter != nil {
		return s.expandFiltered(w, node, back, visit)
	}
	d := w.rules.Direction
	if back {
		d = d.reverse()
	}
	first, last := d.sides()
	for side := first; side <= last; side++ {
		l, err := w.tx.copyOf(node, side, &w.types, true)
		if err != nil {
			return false, err
		}
		if l == nil {
			more, err = s.expandStore(w, node, side, visit)
		} else if err = w.tick(int(l.edges)); err == nil {
			more = s.expandCopy(w, l, node, visit)
		}
		if !more || err != nil {
			return false, err
		}
	}
	return true, nil
}

// visit passes on a node that was not seen before.
func (s *search) visit(step Step, visit func(Step) bool) bool {
	s.next = append(s.next, step.To)
	return visit(step)
}

// expandFiltered is expand with a filter, which sees steps in the direction of travel.
func (s *search) expandFiltered(w *walker, node NodeID, back bool, visit func(Step) bool) (more bool, err error) {
	for step, err := range w.follow(node, back) {
		if err != nil {
			return false, err
		}
		if back {
			step.From, step.To = step.To, step.From
		}
		if s.seen.add(step.To) && !s.visit(step, visit) {
			return false, nil
		}
	}
	return true, nil
}

// expandCopy is expand along the edges in a copy.
func (s *search) expandCopy(w *walker, l *adjList, node NodeID, visit func(Step) bool) bool {
	for k := range int(l.types) {
		typ, lo, hi := l.stretch(k)
		if !w.tx.wants(&w.types, typ) {
			continue
		}
		step := Step{From: node, Type: w.tx.db.types.describe(typ)}
		if l.wide {
			for i := lo; i < hi; i++ {
				if step.To = l.other(i); s.seen.add(step.To) {
					if step.Edge = l.edge(i); !s.visit(step, visit) {
						return false
					}
				}
			}
			continue
		}
		for i, other := range l.others()[lo:hi] {
			if s.seen.has(NodeID(other)) { // which is inlined: most edges lead to what was seen
				continue
			}
			s.seen.add(NodeID(other))
			step.To, step.Edge = NodeID(other), l.edge(lo+i)
			if !s.visit(step, visit) {
				return false
			}
		}
	}
	return true
}

// expandStore is expand along the edges in the store.
func (s *search) expandStore(w *walker, node NodeID, side int, visit func(Step) bool) (more bool, err error) {
	v := sideView{tx: w.tx, node: node, side: side}
	more = v.stream(w.types, func(p place, e error) bool {
		if err = e; err == nil {
			err = w.tick(1)
		}
		if err != nil {
			return false
		}
		step := w.step(p, node)
		return !s.seen.add(step.To) || s.visit(step, visit)
	})
	return more, err
}

// tick counts steps, and returns why the traversal has to end when its context has ended.
func (w *walker) tick(steps int) error {
	if w.steps += steps; w.steps >= contextCheck {
		w.steps = 0
		if ctx := w.tx.Context(); ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}
