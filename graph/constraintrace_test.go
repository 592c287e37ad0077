package graph

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/sombradb/sombra/mvcc"
)

// raceConstraints are about what disturb does.
var raceConstraints = []Constraint{
	EdgesJoin("R", "A", "B"), NodesRequire("A", "p"), EdgesRequire("R", "w"), NodesHaveKind("B", "p", KindInt), EdgesHaveKind("R", "w", KindInt),
}

// disturb makes one change, which some of the constraints forbid in some states of the graph.
func disturb(tx *Txn, i int, a, b NodeID) error {
	value := []Value{Null(), Int(int64(i)), String("x")}[i%3]
	switch i % 8 {
	case 0:
		return tx.RemoveLabel(a, "A")
	case 1:
		return tx.RemoveLabel(a, "B")
	case 2:
		return tx.AddLabel(a, []string{"A", "B"}[i/8%2])
	case 3:
		return tx.SetProperty(a, "p", value)
	case 4:
		for e, err := range tx.Edges(a, Both) {
			if err != nil {
				return err
			}
			return tx.DeleteEdge(e.ID)
		}
		return nil
	case 5:
		for e, err := range tx.Edges(a, Out) {
			if err != nil {
				return err
			}
			return tx.SetEdgeProperty(e.ID, "w", value)
		}
		return nil
	}
	if i%8 == 7 {
		return errors.Join(tx.SetProperty(a, "p", Int(1)), tx.AddLabel(a, "A"), tx.AddLabel(a, "B"))
	}
	_, err := tx.CreateEdge(a, b, "R", Props{"w": value})
	return err
}

// heal makes everything as the constraints want it.
func heal(tx *Txn) error {
	for e, err := range tx.AllEdges() {
		if err != nil {
			return err
		}
		if err := tx.SetEdgeProperty(e.ID, "w", Int(1)); err != nil {
			return err
		}
	}
	for n, err := range tx.Nodes() {
		if err != nil {
			return err
		}
		if err := errors.Join(tx.SetProperty(n.ID, "p", Int(1)), tx.AddLabel(n.ID, "A"), tx.AddLabel(n.ID, "B")); err != nil {
			return err
		}
	}
	return nil
}

// G9 while writers of all levels make, change and unmake what the constraints are about, and these come and go.
func TestConstraintsComeAndGoBesideWriters(t *testing.T) {
	db := openTest(t)
	ids := addNodes(t, db, 40, "A")
	var stop atomic.Bool
	var held, refusals atomic.Int64
	writer := func(w int) func() {
		return func() {
			opts := &mvcc.TxnOptions{Isolation: levels[w%len(levels)]}
			for i := w; !stop.Load(); i += 7 {
				a, b := ids[i%len(ids)], ids[i*13%len(ids)]
				err := db.UpdateWith(bg, opts, func(tx *Txn) error { return disturb(tx, i, a, b) })
				if errors.Is(err, ErrConstraint) {
					refusals.Add(1)
				} else if err != nil && !errors.Is(err, ErrEdgeNotFound) && !mvcc.IsRetryable(err) {
					t.Errorf("write: %v", err)
					return
				}
			}
		}
	}
	definer := func() {
		defer stop.Store(true)
		for range 6 {
			for _, c := range raceConstraints {
				err := db.UpdateWith(bg, &mvcc.TxnOptions{Isolation: mvcc.ReadCommitted}, heal)
				if err == nil || errors.Is(err, ErrConstraint) {
					err = db.CreateConstraint(bg, c)
				}
				if err == nil {
					held.Add(1)
				} else if !errors.Is(err, ErrConstraint) {
					t.Errorf("create: %v", err)
				}
			}
			check(t, db)
			for _, c := range raceConstraints {
				if err := db.DropConstraint(bg, c); err != nil && !errors.Is(err, ErrNoConstraint) {
					t.Errorf("drop: %v", err)
				}
			}
		}
	}
	race(definer, writer(0), writer(1), writer(2))
	check(t, db)
	if held.Load() == 0 || refusals.Load() == 0 {
		t.Errorf("%d constraints came into force, %d writes were refused: the race says nothing", held.Load(), refusals.Load())
	}
	t.Logf("%d constraints came into force, %d writes were refused", held.Load(), refusals.Load())
}
