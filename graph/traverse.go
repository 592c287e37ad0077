package graph

import "iter"

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
	if err := w.tick(1); err != nil {
		return false, err
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
