package graph

import (
	"context"
	"iter"
)

// BFS visits, breadth first, each node that can be reached from start, which comes first at depth 0; so a node's
// depth is its distance. Its memory grows with the nodes visited: a bit for each, and eight bytes for those of two depths. An error, that of
// the transaction's context included, ends it. Errors: ErrNodeNotFound for start.
func (tx *Txn) BFS(start NodeID, t Traversal) iter.Seq2[Visit, error] {
	return func(yield func(Visit, error) bool) {
		w, err := tx.newWalker(t, start)
		if err != nil {
			yield(Visit{}, err)
			return
		}
		s := tx.db.searches.Get().(*search)
		s.run(w, start, yield)
		s.reset() // not after a panic of the loop's: then nobody uses it again
		tx.db.searches.Put(s)
	}
}

// search is the memory of a breadth first search, used again by the next.
type search struct {
	seen        idSet
	level, next []NodeID
	depth       int
}

// maxKeptLevel is the capacity of a level that is kept, in nodes: 512 KiB.
const maxKeptLevel = 1 << 16

func (s *search) reset() {
	s.seen.reset()
	if cap(s.level) > maxKeptLevel || cap(s.next) > maxKeptLevel {
		s.level, s.next = nil, nil
	}
}

// run visits nodes until there are no more or yield returns false.
func (s *search) run(w *walker, start NodeID, yield func(Visit, error) bool) {
	if !yield(Visit{Node: start}, nil) {
		return
	}
	s.seen.add(start)
	s.level = append(s.level[:0], start)
	for s.depth = 1; len(s.level) > 0 && (w.rules.MaxDepth == 0 || s.depth <= w.rules.MaxDepth); s.depth++ {
		s.next = s.next[:0]
		for _, node := range s.level {
			if !s.expand(w, node, yield) {
				return
			}
		}
		s.level, s.next = s.next, s.level
	}
}

// expand visits the nodes next to one, and reports whether to go on.
func (s *search) expand(w *walker, node NodeID, yield func(Visit, error) bool) bool {
	if w.rules.Filter != nil {
		for step, err := range w.follow(node, false) {
			if err != nil {
				yield(Visit{}, err)
				return false
			}
			if s.seen.add(step.To) && !s.visit(step, yield) {
				return false
			}
		}
		return true
	}
	first, last := w.rules.Direction.sides()
	for side := first; side <= last; side++ {
		l, err := w.tx.copyOf(node, side, &w.types)
		if err == nil && l != nil {
			err = w.tick(int(l.edges))
		}
		if err != nil {
			yield(Visit{}, err)
			return false
		}
		if l != nil && !s.expandCopy(w, l, node, yield) || l == nil && !s.expandStore(w, node, side, yield) {
			return false
		}
	}
	return true
}

// visit passes on a node that was not seen before.
func (s *search) visit(step Step, yield func(Visit, error) bool) bool {
	s.next = append(s.next, step.To)
	return yield(Visit{Node: step.To, Depth: s.depth, Step: step}, nil)
}

// expandCopy is expand along the edges in a copy.
func (s *search) expandCopy(w *walker, l *adjList, node NodeID, yield func(Visit, error) bool) bool {
	for k := range int(l.types) {
		typ, lo, hi := l.stretch(k)
		if !w.tx.wants(&w.types, typ) {
			continue
		}
		step := Step{From: node, Type: w.tx.db.types.describe(typ)}
		if l.wide {
			for i := lo; i < hi; i++ {
				if step.To = l.other(i); s.seen.add(step.To) {
					if step.Edge = l.edge(i); !s.visit(step, yield) {
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
			if !s.visit(step, yield) {
				return false
			}
		}
	}
	return true
}

// expandStore is expand along the edges in the store.
func (s *search) expandStore(w *walker, node NodeID, side int, yield func(Visit, error) bool) bool {
	v := sideView{tx: w.tx, node: node, side: side}
	return v.stream(w.types, func(p place, err error) bool {
		if err == nil {
			err = w.tick(1)
		}
		if err != nil {
			yield(Visit{}, err)
			return false
		}
		step := w.step(p, node)
		return !s.seen.add(step.To) || s.visit(step, yield)
	})
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
