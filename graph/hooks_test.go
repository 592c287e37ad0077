package graph

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

func openHooked(t testing.TB, fs vfs.FS, hooks Hooks) *DB {
	t.Helper()
	opts := loadOptions(fs)
	opts.Hooks = hooks
	db, err := Open(testPath, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		check(t, db)
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

func show[T any](v *T, text func(T) string) string {
	if v == nil {
		return "-"
	}
	return text(*v)
}

// recorder notes what hooks are asked, and refuses with an error when there is one.
type recorder struct {
	asked  []string
	refuse error
}

func (r *recorder) hooks() Hooks {
	node := func(n Node) string { return fmt.Sprintf("node %d%v%v", n.ID, n.Labels, n.Props) }
	edge := func(e Edge) string { return fmt.Sprintf("edge %d %d%s%d%v", e.ID, e.Src, e.Type, e.Dst, e.Props) }
	return Hooks{
		Node: func(_ *Txn, before, after *Node) error {
			r.asked = append(r.asked, show(before, node)+" > "+show(after, node))
			return r.refuse
		},
		Edge: func(_ *Txn, before, after *Edge) error {
			r.asked = append(r.asked, show(before, edge)+" > "+show(after, edge))
			return r.refuse
		},
	}
}

// Hooks see each write with what was there before and what is to be, and nothing of it happens when they refuse.
func TestHooksSeeEveryWrite(t *testing.T) {
	var r recorder
	db := openHooked(t, newMem(t), r.hooks())
	no := errors.New("no")
	for _, c := range []*counter{db.nodeIDs, db.edgeIDs} {
		if err := c.reserve(bg); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		do   func(tx *Txn) error
		want []string
	}{
		{func(tx *Txn) error { _, err := tx.CreateNode([]string{"A"}, Props{"p": Int(1)}); return err }, []string{"- > node 1[A]map[p:1]"}},
		{func(tx *Txn) error { _, _, err := tx.CreateNodeAs("k", "b", nil, nil); return err }, []string{"- > node 2[]map[]"}},
		{func(tx *Txn) error { return tx.AddLabel(2, "B") }, []string{"node 2[]map[] > node 2[B]map[]"}},
		{func(tx *Txn) error { return tx.SetProperties(1, Props{"p": Null(), "q": Int(2)}) }, []string{"node 1[A]map[p:1] > node 1[A]map[q:2]"}},
		{func(tx *Txn) error { return tx.RemoveProperty(1, "q") }, []string{"node 1[A]map[q:2] > node 1[A]map[]"}},
		{func(tx *Txn) error { return tx.RemoveLabel(1, "A") }, []string{"node 1[A]map[] > node 1[]map[]"}},
		{func(tx *Txn) error { _, err := tx.CreateEdge(1, 2, "R", Props{"w": Int(1)}); return err }, []string{"- > edge 1 1R2map[w:1]"}},
		{func(tx *Txn) error { _, _, err := tx.CreateEdgeAs("k", "e", 2, 2, "S", nil); return err }, []string{"- > edge 2 2S2map[]"}},
		{func(tx *Txn) error { return tx.SetEdgeProperty(1, "w", Int(2)) }, []string{"edge 1 1R2map[w:1] > edge 1 1R2map[w:2]"}},
		{func(tx *Txn) error { return tx.RemoveEdgeProperty(1, "w") }, []string{"edge 1 1R2map[w:2] > edge 1 1R2map[]"}},
		{func(tx *Txn) error { return tx.DeleteEdge(1) }, []string{"edge 1 1R2map[] > -"}},
		{func(tx *Txn) error { return tx.DeleteNode(1) }, []string{"node 1[]map[] > -"}},
		{func(tx *Txn) error { return tx.DetachDelete(2) }, []string{"edge 2 2S2map[] > -", "node 2[B]map[] > -"}},
	} {
		before := elements(t, db)
		nextIDs := [2]uint64{db.nodeIDs.mu.next, db.edgeIDs.mu.next} // so that ids are those of the table
		r.refuse, r.asked = no, nil
		update(t, db, func(tx *Txn) error { // which goes on
			err := step.do(tx)
			var refused *RefusedError
			if !errors.As(err, &refused) || !errors.Is(err, no) || !errors.Is(err, ErrRefused) || (refused.Node == 0) == (refused.Edge == 0) {
				t.Errorf("refused: %v", err)
			}
			return nil
		})
		wantSame(t, elements(t, db), before)
		db.nodeIDs.mu.next, db.edgeIDs.mu.next = nextIDs[0], nextIDs[1]
		r.refuse, r.asked = nil, nil
		update(t, db, step.do)
		if !slices.Equal(r.asked, step.want) {
			t.Errorf("hooks were asked %q, want %q", r.asked, step.want)
		}
	}
}

// A hook may read, and see what the transaction has done before; it may not write, nor end the statement under it.
func TestWhatAHookMayDo(t *testing.T) {
	var asked int
	db := openHooked(t, newMem(t), Hooks{Node: func(tx *Txn, _, after *Node) error {
		if asked++; after == nil || !after.HasLabel("Watched") {
			return nil
		}
		sp, err := tx.Savepoint()
		if err != nil {
			return err
		}
		for what, err := range map[string]error{
			"node": second(tx.CreateNode(nil, nil)), "edge": second(tx.CreateEdge(1, 1, "R", nil)), "set": tx.SetProperty(1, "p", Int(1)),
			"label": tx.AddLabel(1, "X"), "edge property": tx.SetEdgeProperty(1, "p", Int(1)), "delete": tx.DeleteNode(1), "detach": tx.DetachDelete(1),
			"delete edge": tx.DeleteEdge(1), "commit": tx.Commit(), "back": tx.RollbackTo(sp),
		} {
			wantErr(t, what, err, ErrInvalid, "hook")
		}
		n, err := tx.CountByLabel("Watched")
		if _, lockErr := tx.LockNode(1); err != nil || lockErr != nil {
			return errors.Join(err, lockErr)
		}
		if n >= 2 {
			return fmt.Errorf("there are %d already", n)
		}
		return nil
	}})
	addNodes(t, db, 1, "N")
	err := db.UpdateWith(bg, &mvcc.TxnOptions{Isolation: mvcc.Serializable}, func(tx *Txn) error {
		for range 2 {
			if _, err := tx.CreateNode([]string{"Watched"}, nil); err != nil {
				return err
			}
		}
		_, err := tx.CreateNode([]string{"Watched"}, nil)
		wantErr(t, "the third", err, ErrRefused, "there are 2 already")
		return tx.SetProperty(1, "p", Int(2)) // it can write again
	})
	if err != nil || asked == 0 {
		t.Error(err, asked)
	}
}

func second[T any](_ T, err error) error { return err }

// What Update has to retry it retries, also when a hook has met it; a panic is the caller's, and leaves the transaction usable.
func TestErrorsAndPanicsOfHooks(t *testing.T) {
	times := 0
	db := openHooked(t, newMem(t), Hooks{Edge: func(_ *Txn, before, _ *Edge) error {
		if times++; before != nil {
			panic("hook")
		}
		if times == 1 {
			return &mvcc.ConflictError{}
		}
		return nil
	}})
	ids := addNodes(t, db, 1, "N")
	addEdge(t, db, ids[0], ids[0], "R", nil)
	if times != 2 {
		t.Errorf("the hook was asked %d times", times)
	}
	tx := begin(t, db, mvcc.Snapshot)
	func() {
		defer func() {
			if r := recover(); r != "hook" {
				t.Errorf("panic %v", r)
			}
		}()
		_ = tx.DeleteEdge(2) // the first id went with the first attempt
	}()
	if _, err := tx.CreateNode(nil, nil); err != nil {
		t.Error(err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
}

// A load is held to hooks, without a transaction, and goes on after a refusal.
func TestALoadIsHeldToHooks(t *testing.T) {
	var r recorder
	opts := loadOptions(newMem(t))
	opts.Hooks = r.hooks()
	db, err := Load(bg, testPath, opts, func(l *Loader) error {
		for _, r.refuse = range []error{errors.New("no"), nil} {
			_, err := l.CreateNode([]string{"A"}, Props{"p": Int(1)})
			if !errors.Is(err, r.refuse) {
				t.Errorf("node: %v", err)
			}
			if r.refuse == nil {
				_, err = l.CreateEdge(1, 1, "R", nil)
			}
			if err != nil && !errors.Is(err, ErrRefused) {
				return err
			}
		}
		r.refuse = errors.New("no")
		_, _, err := l.CreateEdgeAs("k", "e", 1, 1, "S", nil)
		wantErr(t, "edge", err, ErrRefused, "edge 2 is refused: no")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"- > node 1[A]map[p:1]", "- > node 1[A]map[p:1]", "- > edge 1 1R1map[]", "- > edge 2 1S1map[]"}
	if report := check(t, db); report.Nodes != 1 || report.Edges != 1 || report.ExternalIDs != 0 || !slices.Equal(r.asked, want) {
		t.Errorf("%d nodes, %d edges; asked %q", report.Nodes, report.Edges, r.asked)
	}
	closeDB(t, db)
}
