package graph

import "slices"

// Path is a walk from its first node to its last; edge i joins nodes i and i+1, in
// the direction of the traversal that found it.
type Path struct {
	Nodes []NodeID
	Edges []Edge
	Cost  float64 // sum of weights; of ShortestPath the number of edges
}

// ShortestPath returns a path of the fewest edges. It searches from both ends at
// once, always from the side with the smaller frontier, so it visits about twice the square root of what a
// search from one end would. Errors: ErrNodeNotFound, ErrNoPath.
func (tx *Txn) ShortestPath(from, to NodeID, t Traversal) (Path, error) {
	w, err := tx.newWalker(t, from, to)
	if err != nil {
		return Path{}, err
	}
	if from == to {
		return Path{Nodes: []NodeID{from}}, nil
	}
	ahead, behind := tx.newFlood(from, false), tx.newFlood(to, true)
	met, err := connect(w, ahead, behind)
	var steps []Step
	if met != 0 {
		steps = append(ahead.back(met), behind.back(met)...)
	}
	tx.db.endSearch(ahead.search)
	tx.db.endSearch(behind.search)
	switch {
	case err != nil:
		return Path{}, err
	case met == 0:
		return Path{}, &NoPathError{from, to}
	}
	return tx.pathOf(from, steps)
}

// connect grows both sides until they have a node in common, and returns it, 0 when there is none.
func connect(w *walker, ahead, behind *flood) (met NodeID, err error) {
	limit := w.rules.MaxDepth
	for met == 0 && err == nil && len(ahead.level) > 0 && len(behind.level) > 0 && (limit == 0 || ahead.depth+behind.depth < limit) {
		side, other := ahead, behind
		if behind.smaller(ahead) {
			side, other = behind, ahead
		}
		met, err = side.grow(w, other)
	}
	return met, err
}

// flood is one side of the search: all nodes up to depth steps from its origin.
type flood struct {
	*search
	origin    NodeID
	backwards bool
	depth     int
}

// smaller reports whether f is the cheaper one to grow. Of equal ones it is the one that has grown less: its next
// step is less likely to run over a hub.
func (f *flood) smaller(g *flood) bool {
	if len(f.level) != len(g.level) {
		return len(f.level) < len(g.level)
	}
	return f.depth < g.depth
}

func (tx *Txn) newFlood(origin NodeID, backwards bool) *flood {
	f := &flood{search: tx.db.search(), origin: origin, backwards: backwards}
	f.begin(origin)
	return f
}

// grow goes one step further and returns a node that the other side has too, 0 when there is none. As
// the sides had none in common before, every path has at least depth+other.depth edges now,
// and the first node in common is on one of that length.
func (f *flood) grow(w *walker, other *flood) (met NodeID, err error) {
	f.depth++
	_, err = f.advance(w, f.backwards, func(s Step) bool {
		f.trail = append(f.trail, s)
		if other.seen.has(s.To) {
			met = s.To
		}
		return met == 0
	})
	return met, err
}

// back returns the steps between the origin and a node, in the direction of travel. The step to a node comes before
// those from it in the trail, so one look at it is enough.
func (f *flood) back(node NodeID) []Step {
	var steps []Step
	for i := len(f.trail) - 1; i >= 0 && node != f.origin; i-- {
		s := f.trail[i]
		if s.To != node {
			continue
		}
		node = s.From
		if f.backwards {
			s.From, s.To = s.To, s.From
		}
		steps = append(steps, s)
	}
	if !f.backwards {
		slices.Reverse(steps)
	}
	return steps
}

// pathOf reads the edges of a path.
func (tx *Txn) pathOf(from NodeID, steps []Step) (Path, error) {
	p := Path{Nodes: []NodeID{from}, Cost: float64(len(steps))}
	for _, s := range steps {
		e, err := tx.Edge(s.Edge)
		if err != nil {
			return Path{}, err
		}
		p.Nodes = append(p.Nodes, s.To)
		p.Edges = append(p.Edges, e)
	}
	return p, nil
}
