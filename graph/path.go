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
	ahead, behind := newFlood(from, false), newFlood(to, true)
	for len(ahead.edge) > 0 && len(behind.edge) > 0 && (t.MaxDepth == 0 || ahead.depth+behind.depth < t.MaxDepth) {
		side, other := ahead, behind
		if behind.smaller(ahead) {
			side, other = behind, ahead
		}
		met, err := side.grow(w, other)
		if err != nil {
			return Path{}, err
		}
		if met != 0 {
			return tx.pathOf(from, append(ahead.back(met, from), behind.back(met, to)...))
		}
	}
	return Path{}, &NoPathError{from, to}
}

// flood is one side of the search: all nodes up to depth steps from its origin.
type flood struct {
	backwards bool
	depth     int
	edge      []NodeID        // nodes at depth
	by        map[NodeID]Step // by which each node was reached
}

// smaller reports whether f is the cheaper one to grow. Of equal ones it is the one that has grown less: its next
// step is less likely to run over a hub.
func (f *flood) smaller(g *flood) bool {
	if len(f.edge) != len(g.edge) {
		return len(f.edge) < len(g.edge)
	}
	return f.depth < g.depth
}

func newFlood(origin NodeID, backwards bool) *flood {
	return &flood{backwards: backwards, edge: []NodeID{origin}, by: map[NodeID]Step{origin: {}}}
}

// grow goes one step further and returns a node that the other side has too, 0 when there is none. As
// the sides had none in common before, every path has at least depth+other.depth edges now,
// and the first node in common is on one of that length.
func (f *flood) grow(w *walker, other *flood) (met NodeID, err error) {
	f.depth++
	var next []NodeID
	for _, node := range f.edge {
		for s, err := range w.follow(node, f.backwards) {
			if err != nil {
				return 0, err
			}
			reached := s.To
			if f.backwards {
				reached = s.From
			}
			if _, again := f.by[reached]; again {
				continue
			}
			f.by[reached] = s
			if _, common := other.by[reached]; common {
				return reached, nil
			}
			next = append(next, reached)
		}
	}
	f.edge = next
	return 0, nil
}

// back returns the steps between the origin and a node, in the direction of travel.
func (f *flood) back(node, origin NodeID) []Step {
	var steps []Step
	for node != origin {
		s := f.by[node]
		steps = append(steps, s)
		node = s.From
		if f.backwards {
			node = s.To
		}
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
