package graph

import (
	"context"
	"iter"
)

// Traversal says which edges a traversal follows. The zero value follows all
// edges from source to destination.
type Traversal struct {
	// Direction of the edges followed, seen from where the traversal comes from.
	Direction Direction
	// Types of the edges followed; none are all.
	Types []string
	// MaxDepth is the greatest number of edges between the start and what is found; 0 is no limit.
	MaxDepth int
	// Filter, when not nil, decides about each step; it may use the transaction
	// to look at the step's edge and node. An error ends the traversal.
	Filter func(Step) (bool, error)
}

// Step is an edge as it is followed: with Direction In, From is the edge's destination.
type Step struct {
	Edge     EdgeID
	From, To NodeID
	Type     string
}

// Visit is a node that a traversal meets for the first time.
type Visit struct {
	Node  NodeID
	Depth int  // edges from the start
	Step  Step // that led here; zero at the start
}

func (t *Traversal) validate() error {
	if t.Direction > Both {
		return invalid("unknown direction %d", t.Direction)
	}
	if t.MaxDepth < 0 {
		return invalid("the maximal depth is negative (%d)", t.MaxDepth)
	}
	return nil
}

// walker follows edges by the rules of a traversal.
type walker struct {
	tx    *Txn
	rules Traversal
	types nameSet
	steps int
}

// contextCheck is how many steps go between two looks at the context.
const contextCheck = 256

func (tx *Txn) newWalker(t Traversal, nodes ...NodeID) (*walker, error) {
	if err := t.validate(); err != nil {
		return nil, err
	}
	for _, id := range nodes {
		found, err := tx.HasNode(id)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, &NotFoundError{ID: uint64(id)}
		}
	}
	return &walker{tx: tx, rules: t, types: tx.typeSet(t.Types)}, nil
}

// allows asks the filter about a step, and ends the traversal with its context.
func (w *walker) allows(s Step) (bool, error) {
	if w.steps++; w.steps%contextCheck == 0 {
		if ctx := w.tx.Context(); ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
	}
	if w.rules.Filter == nil {
		return true, nil
	}
	return w.rules.Filter(s)
}

// follow iterates over the allowed steps from a node, or with back to it.
func (w *walker) follow(node NodeID, back bool) iter.Seq2[Step, error] {
	d := w.rules.Direction
	if back {
		d = d.reverse()
	}
	return func(yield func(Step, error) bool) {
		for p, err := range w.tx.adjacent(node, d, w.types) {
			var s Step
			allowed := true
			if err == nil {
				s = w.step(p, node)
				if back {
					s.From, s.To = s.To, s.From
				}
				allowed, err = w.allows(s)
			}
			if (allowed || err != nil) && (!yield(s, err) || err != nil) {
				return
			}
		}
	}
}

// step returns the step along p away from a node.
func (w *walker) step(p place, from NodeID) Step {
	return Step{Edge: p.edge, From: from, To: p.other(from), Type: w.tx.db.types.describe(p.typ)}
}

// BFS visits, breadth first, each node that can be reached from start, which comes first at depth 0; so a node's
// depth is its distance. Its memory grows with the nodes visited. An error, that of
// the transaction's context included, ends it. Errors: ErrNodeNotFound for start.
func (tx *Txn) BFS(start NodeID, t Traversal) iter.Seq2[Visit, error] {
	return func(yield func(Visit, error) bool) {
		w, err := tx.newWalker(t, start)
		if err != nil {
			yield(Visit{}, err)
			return
		}
		if !yield(Visit{Node: start}, nil) {
			return
		}
		seen := map[NodeID]struct{}{start: {}}
		level := []NodeID{start}
		for depth := 1; len(level) > 0 && (t.MaxDepth == 0 || depth <= t.MaxDepth); depth++ {
			var next []NodeID
			for s, err := range w.frontier(level, seen) {
				if !yield(Visit{Node: s.To, Depth: depth, Step: s}, err) || err != nil {
					return
				}
				next = append(next, s.To)
			}
			level = next
		}
	}
}

// frontier iterates over the steps from nodes to ones that are not in seen, and adds those.
func (w *walker) frontier(nodes []NodeID, seen map[NodeID]struct{}) iter.Seq2[Step, error] {
	return func(yield func(Step, error) bool) {
		for _, node := range nodes {
			for s, err := range w.follow(node, false) {
				if _, again := seen[s.To]; again && err == nil {
					continue
				}
				seen[s.To] = struct{}{}
				if !yield(s, err) || err != nil {
					return
				}
			}
		}
	}
}
