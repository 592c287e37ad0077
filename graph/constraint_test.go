package graph

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

// constrain creates constraints that must be possible.
func constrain(t tb, db *DB, list ...Constraint) {
	t.Helper()
	for _, c := range list {
		if err := db.CreateConstraint(bg, c); err != nil {
			t.Fatalf("%v: %v", c, err)
		}
	}
}

// refusal is what a ConstraintError has to say.
func refusal(t *testing.T, what string, err error, want ConstraintError, text string) {
	t.Helper()
	var c *ConstraintError
	if !errors.As(err, &c) || !errors.Is(err, ErrConstraint) {
		t.Errorf("%s: %v is no violation", what, err)
		return
	}
	got := *c
	got.State = 0
	if got != want {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
	if err.Error() != text {
		t.Errorf("%s: text\n got %s\nwant %s", what, err, text)
	}
}

// refused runs a transaction that goes on after a refusal, and has written nothing.
func refused(t *testing.T, db *DB, what string, want ConstraintError, text string, fn func(tx *Txn) error) {
	t.Helper()
	before := elements(t, db)
	update(t, db, func(tx *Txn) error {
		refusal(t, what, fn(tx), want, text)
		return nil
	})
	wantSame(t, elements(t, db), before)
}

// What TestEveryWriteIsHeldToConstraints is about.
var (
	email, age  = NodesRequire("Person", "email"), NodesHaveKind("Person", "age", KindInt, KindFloat)
	since, when = EdgesRequire("KNOWS", "since"), EdgesHaveKind("KNOWS", "since", KindDate)
	joins       = EdgesJoin("KNOWS", "Person", "Friend")
	both        = []string{"Person", "Friend"}
	day         = Props{"since": Date(2026, 1, 1)}
)

// acquaintances makes nodes a and b, which can know each other, c, which cannot, and an edge.
func acquaintances(t *testing.T, db *DB) (a, b, c NodeID, e EdgeID) {
	t.Helper()
	constrain(t, db, email, age, since, when, joins)
	update(t, db, func(tx *Txn) (err error) {
		mail := Props{"email": String("a")}
		if a, err = tx.CreateNode(both, mail); err != nil {
			return err
		}
		if b, err = tx.CreateNode(both, Props{"email": Int(1), "age": Float(2.5)}); err != nil {
			return err
		}
		if c, err = tx.CreateNode([]string{"Friend"}, Props{"age": String("free")}); err != nil {
			return err
		}
		if e, err = tx.CreateEdge(a, b, "KNOWS", day); err != nil {
			return err
		}
		_, err = tx.CreateEdge(c, a, "LIKES", nil) // another type
		return err
	})
	return a, b, c, e
}

// G9: whatever writes an element is held to it, and names element, constraint and value.
func TestEveryWriteIsHeldToConstraints(t *testing.T) {
	db := openTest(t)
	a, b, c, e := acquaintances(t, db)
	refused(t, db, "a node without", ConstraintError{Constraint: email, Node: 4},
		"graph: node 4 cannot be without email: every node :Person has email",
		func(tx *Txn) error { _, err := tx.CreateNode(both, nil); return err })
	refused(t, db, "a node of the wrong kind", ConstraintError{Constraint: age, Node: 5, Value: Bool(true)},
		"graph: node 5 cannot have age = true (bool): age of every node :Person is int or float",
		func(tx *Txn) error {
			_, err := tx.CreateNode(both, Props{"email": String("x"), "age": Bool(true)})
			return err
		})
	refused(t, db, "taking a property", ConstraintError{Constraint: email, Node: a},
		"graph: node 1 cannot be without email: every node :Person has email",
		func(tx *Txn) error { return tx.RemoveProperty(a, "email") })
	refused(t, db, "setting a property", ConstraintError{Constraint: age, Node: a, Value: String("x")},
		`graph: node 1 cannot have age = "x" (string): age of every node :Person is int or float`,
		func(tx *Txn) error { return tx.SetProperty(a, "age", String("x")) })
	refused(t, db, "adding a label", ConstraintError{Constraint: email, Node: c},
		"graph: node 3 cannot be without email: every node :Person has email",
		func(tx *Txn) error { return tx.AddLabel(c, "Person") })
	refused(t, db, "taking the source's label", ConstraintError{Constraint: joins, Node: a, Edge: e, Needs: "Person"},
		"graph: edge 1 needs node 1 to have the label Person: every edge :KNOWS goes from :Person to :Friend",
		func(tx *Txn) error { return tx.RemoveLabel(a, "Person") })
	refused(t, db, "taking the destination's label", ConstraintError{Constraint: joins, Node: b, Edge: e, Needs: "Friend"},
		"graph: edge 1 needs node 2 to have the label Friend: every edge :KNOWS goes from :Person to :Friend",
		func(tx *Txn) error { return tx.RemoveLabel(b, "Friend") })
	refused(t, db, "an edge without", ConstraintError{Constraint: since, Edge: 3},
		"graph: edge 3 cannot be without since: every edge :KNOWS has since",
		func(tx *Txn) error { _, err := tx.CreateEdge(b, a, "KNOWS", nil); return err })
	refused(t, db, "an edge of the wrong kind", ConstraintError{Constraint: when, Edge: 4, Value: Int(2019)},
		"graph: edge 4 cannot have since = 2019 (int): since of every edge :KNOWS is date",
		func(tx *Txn) error { _, err := tx.CreateEdge(b, a, "KNOWS", Props{"since": Int(2019)}); return err })
	refused(t, db, "an edge from elsewhere", ConstraintError{Constraint: joins, Node: c, Edge: 5, Needs: "Person"},
		"graph: edge 5 needs node 3 to have the label Person: every edge :KNOWS goes from :Person to :Friend",
		func(tx *Txn) error { _, err := tx.CreateEdge(c, a, "KNOWS", day); return err })
	refused(t, db, "taking an edge's property", ConstraintError{Constraint: since, Edge: e},
		"graph: edge 1 cannot be without since: every edge :KNOWS has since",
		func(tx *Txn) error { return tx.RemoveEdgeProperty(e, "since") })
	refused(t, db, "setting an edge's property", ConstraintError{Constraint: when, Edge: e, Value: Int(1)},
		"graph: edge 1 cannot have since = 1 (int): since of every edge :KNOWS is date",
		func(tx *Txn) error { return tx.SetEdgeProperty(e, "since", Int(1)) })
	update(t, db, func(tx *Txn) error { // what does not concern them goes through, and so does what makes room first
		return errors.Join(
			tx.SetProperty(a, "age", Int(3)), tx.RemoveProperty(b, "age"), tx.SetEdgeProperties(e, Props{"since": Date(2027, 1, 1), "x": Int(1)}),
			tx.RemoveLabel(b, "Person"), tx.RemoveProperty(b, "email"), tx.RemoveLabel(a, "Friend"),
			tx.DeleteEdge(e), tx.RemoveLabel(b, "Friend"), tx.RemoveLabel(a, "Person"), tx.DetachDelete(c))
	})
}

// A label that was taken in the transaction is missing, one that was added is there, and so are its edges.
func TestATransactionSeesItsOwnLabelsAndEdges(t *testing.T) {
	for _, level := range levels {
		t.Run(level.String(), func(t *testing.T) {
			db := openTest(t)
			constrain(t, db, EdgesJoin("R", "A", ""))
			ids := addNodes(t, db, 2, "A")
			other := addNodes(t, db, 1, "B")[0]
			tx := begin(t, db, level)
			edge := func(src NodeID) error { _, err := tx.CreateEdge(src, ids[1], "R", nil); return err }
			wantErr(t, "no label", edge(other), ErrConstraint, "label A")
			if err := errors.Join(tx.AddLabel(other, "A"), edge(other), tx.RemoveLabel(ids[0], "A")); err != nil {
				t.Fatal(err)
			}
			wantErr(t, "label taken", edge(ids[0]), ErrConstraint, "label A")
			wantErr(t, "own edge", tx.RemoveLabel(other, "A"), ErrConstraint, "label A")
			if err := errors.Join(tx.AddLabel(ids[0], "A"), edge(ids[0]), tx.Commit()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// G9, as a story: both transactions have done their work before either commits.
func TestAnEdgeAndTheLossOfALabelItNeedsNeverBothCommit(t *testing.T) {
	for _, connector := range levels {
		for _, remover := range levels {
			for _, removeFirst := range []bool{true, false} {
				for side, label := range []string{"A", "B"} {
					t.Run(fmt.Sprintf("%v/%v/first=%v/%s", connector, remover, removeFirst, label), func(t *testing.T) {
						db := openTest(t)
						constrain(t, db, EdgesJoin("R", "A", "B"))
						ends := []NodeID{addNodes(t, db, 1, "A")[0], addNodes(t, db, 1, "B")[0]}
						a, b := begin(t, db, connector), begin(t, db, remover)
						if _, err := a.CreateEdge(ends[0], ends[1], "R", nil); err != nil {
							t.Fatal(err)
						}
						if err := b.RemoveLabel(ends[side], label); err != nil {
							t.Fatal(err)
						}
						first, second := a, b
						if removeFirst {
							first, second = b, a
						}
						if err := first.Commit(); err != nil {
							t.Fatalf("the first commit failed: %v", err)
						}
						if err := second.Commit(); !errors.Is(err, mvcc.ErrConflict) {
							t.Fatalf("the second commit: %v, want a conflict", err)
						}
					})
				}
			}
		}
	}
}

// Edges of other types, and other labels, are no conflict.
func TestOnlyEdgesThatNeedTheLabelConflictWithItsLoss(t *testing.T) {
	db := openTest(t)
	constrain(t, db, EdgesJoin("R", "A", "B"))
	ids := addNodes(t, db, 2, "A")
	update(t, db, func(tx *Txn) error {
		return errors.Join(tx.AddLabel(ids[0], "B"), tx.AddLabel(ids[1], "B"), tx.AddLabel(ids[0], "C"))
	})
	a, b := begin(t, db, mvcc.Snapshot), begin(t, db, mvcc.Snapshot)
	_, err := a.CreateEdge(ids[0], ids[1], "S", nil)
	_, err2 := a.CreateEdge(ids[1], ids[0], "R", nil) // needs B of it, not A
	if err = errors.Join(err, err2, b.RemoveLabel(ids[0], "A"), b.RemoveLabel(ids[0], "C"), a.Commit(), b.Commit()); err != nil {
		t.Error(err)
	}
}

// Creating a constraint finds what violates it, also far from the beginning, and then leaves nothing.
func TestAConstraintIsVerifiedAgainstWhatIsThere(t *testing.T) {
	db := openTest(t)
	ids := addNodes(t, db, verifyBatch+10, "A")
	bad := ids[len(ids)-1]
	update(t, db, func(tx *Txn) error {
		for _, id := range ids {
			if id == bad {
				break
			}
			if err := tx.SetProperty(id, "p", Int(1)); err != nil {
				return err
			}
		}
		return tx.SetProperty(bad, "q", Int(7))
	})
	var worst EdgeID
	update(t, db, func(tx *Txn) (err error) {
		for _, id := range ids {
			if worst, err = tx.CreateEdge(id, ids[0], "R", Props{"w": Int(1)}); err != nil {
				return err
			}
		}
		if err := tx.SetEdgeProperties(worst, Props{"w": Null(), "v": Bool(true)}); err != nil {
			return err
		}
		return tx.RemoveLabel(bad, "A")
	})
	for _, c := range []struct {
		Constraint
		node NodeID
		edge EdgeID
		v    Value
	}{
		{EdgesRequire("R", "w"), 0, worst, Null()},
		{EdgesHaveKind("R", "v", KindInt), 0, worst, Bool(true)},
		{EdgesJoin("R", "A", ""), bad, worst, Null()},
		{EdgesJoin("R", "", "B"), ids[0], 1, Null()},
	} {
		testVerification(t, db, c.Constraint, c.node, c.edge, c.v)
	}
	update(t, db, func(tx *Txn) error { return tx.AddLabel(bad, "A") })
	testVerification(t, db, NodesRequire("A", "p"), bad, 0, Null())
	testVerification(t, db, NodesHaveKind("A", "q", KindString), bad, 0, Int(7))
	update(t, db, func(tx *Txn) error {
		return errors.Join(tx.SetProperties(bad, Props{"p": Int(2), "q": Null()}), tx.SetEdgeProperties(worst, Props{"w": Int(2), "v": Int(3)}))
	})
	constrain(t, db, EdgesRequire("R", "w"), EdgesHaveKind("R", "v", KindInt), EdgesJoin("R", "A", "A"), NodesRequire("A", "p"), NodesHaveKind("A", "q", KindString))
	if r := check(t, db); r.Constraints != 5 {
		t.Errorf("%d constraints", r.Constraints)
	}
}

func testVerification(t *testing.T, db *DB, c Constraint, node NodeID, edge EdgeID, v Value) {
	t.Helper()
	err := db.CreateConstraint(bg, c)
	var got *ConstraintError
	if !errors.As(err, &got) || got.Node != node || got.Edge != edge || got.Value != v {
		t.Errorf("%v: %v", c, err)
	}
	if list, err := db.Constraints(bg); len(list) != 0 || err != nil {
		t.Errorf("%v, error %v after a failed creation", list, err)
	}
}

func TestConstraintsAreDefinedOnce(t *testing.T) {
	db := openTest(t)
	all := []Constraint{
		EdgesJoin("R", "A", "B"), EdgesJoin("S", "", "B"), EdgesHaveKind("R", "p", KindList, KindMap), EdgesRequire("R", "p"),
		NodesRequire("A", "p"), NodesHaveKind("A", "p", KindBool), NodesRequire("A", "q"), NodesRequire("B x", "p"),
	}
	constrain(t, db, all...)
	for _, c := range all {
		wantErr(t, "again", db.CreateConstraint(bg, c), ErrConstraintExists, c.String()+", in force")
	}
	wantErr(t, "other kinds", db.CreateConstraint(bg, NodesHaveKind("A", "p", KindInt)), ErrConstraintExists, "p of every node :A is bool")
	wantErr(t, "other ends", db.CreateConstraint(bg, EdgesJoin("R", "C", "")), ErrConstraintExists, "goes from :A to :B")
	list, err := db.Constraints(bg)
	var texts []string
	for _, c := range list {
		if c.State != ConstraintReady {
			t.Errorf("%v is %v", c, c.State)
		}
		texts = append(texts, c.String())
	}
	want := `every edge :R goes from :A to :B; every edge :R has p; p of every edge :R is list or map; every edge :S goes from any node to :B; ` +
		`every node :A has p; p of every node :A is bool; every node :A has q; every node :"B x" has p`
	if got := strings.Join(texts, "; "); got != want || err != nil {
		t.Errorf("error %v, constraints\n got %s\nwant %s", err, got, want)
	}
	for _, c := range all {
		if err := db.DropConstraint(bg, c); err != nil {
			t.Errorf("drop %v: %v", c, err)
		}
		wantErr(t, "drop again", db.DropConstraint(bg, c), ErrNoConstraint, c.String())
	}
	wantErr(t, "unknown names", db.DropConstraint(bg, NodesRequire("never", "never")), ErrNoConstraint, "never")
	constrain(t, db, NodesRequire("A", "p"))
	for _, c := range []Constraint{
		{}, {Kind: RequiredProperty, Label: "B x", EdgeType: "R", Property: "p"}, {Kind: EndpointLabels, Label: "A"}, NodesRequire("A", ""),
		{Kind: UniqueValue, Label: "A", Property: "p"}, EdgesRequire("R", "p"),
	} {
		wantErr(t, "drop nonsense", db.DropConstraint(bg, c), ErrNoConstraint, "no constraint")
	}
	for _, c := range []Constraint{
		{}, {Kind: UniqueValue, Label: "A", Property: "p"}, {Kind: 9, Label: "A"}, NodesRequire("", "p"), NodesRequire("A", ""),
		{Kind: RequiredProperty, Label: "A", EdgeType: "R", Property: "p"}, NodesHaveKind("A", "p"), NodesHaveKind("A", "p", KindNull),
		NodesHaveKind("A", "p", KindMap+1), EdgesJoin("", "A", "B"), EdgesJoin("R", "", ""), {Kind: EndpointLabels, Label: "A", EdgeType: "R", Source: "A"},
		NodesRequire("A\xff", "p"),
	} {
		wantErr(t, "nonsense", db.CreateConstraint(bg, c), ErrInvalid, "graph: ")
	}
}

// A writer that began before a constraint was defined, or dropped, must not commit by the schema of then.
func TestAWriterOlderThanAConstraintIsRetried(t *testing.T) {
	write := map[string]func(*Txn, []NodeID) error{
		"node":  func(tx *Txn, _ []NodeID) error { _, err := tx.CreateNode([]string{"N"}, nil); return err },
		"label": func(tx *Txn, ids []NodeID) error { return tx.RemoveLabel(ids[0], "M") },
		"edge":  func(tx *Txn, ids []NodeID) error { _, err := tx.CreateEdge(ids[0], ids[1], "R", nil); return err },
		"props": func(tx *Txn, _ []NodeID) error { return tx.SetEdgeProperty(1, "w", Int(3)) },
	}
	for _, level := range levels {
		for name, fn := range write {
			t.Run(level.String()+"/"+name, func(t *testing.T) {
				db := openTest(t)
				ids := addNodes(t, db, 2, "M")
				addEdge(t, db, ids[0], ids[1], "S", nil)
				older := func() *Txn {
					tx := begin(t, db, level)
					if err := fn(tx, ids); err != nil {
						t.Fatal(err)
					}
					return tx
				}
				for _, c := range []Constraint{EdgesRequire("R", "p"), EdgesJoin("R", "M", ""), NodesRequire("N", "p"), EdgesHaveKind("S", "w", KindString)} {
					if c.EdgeType == "" && (name == "edge" || name == "props") {
						continue // not their business
					}
					tx := older()
					constrain(t, db, c)
					if err := tx.Commit(); !errors.Is(err, mvcc.ErrConflict) {
						t.Fatalf("%v: commit: %v, want a conflict", c, err)
					}
					if err := db.DropConstraint(bg, c); err != nil {
						t.Fatal(err)
					}
				}
				if err := older().Commit(); err != nil {
					t.Errorf("without a constraint: %v", err)
				}
			})
		}
	}
}

// What a crash leaves of a creation is gone after opening; a constraint in force stays.
func TestUnverifiedConstraintsAreRemovedWhenOpening(t *testing.T) {
	for _, c := range []Constraint{NodesRequire("A", "p"), EdgesRequire("R", "p"), EdgesJoin("R", "A", "")} {
		t.Run(c.String(), func(t *testing.T) {
			fs := newMem(t)
			db := openOn(t, fs)
			ids := addNodes(t, db, 1, "B")
			constrain(t, db, NodesHaveKind("B", "x", KindInt))
			r, err := c.rule(func(d *dict, name string) (uint64, error) { return d.intern(bg, name) }, db)
			if err != nil {
				t.Fatal(err)
			}
			r.id, r.state = 77, ConstraintVerifying
			if err := db.defineRule(bg, r); err != nil {
				t.Fatal(err)
			}
			if list, err := db.Constraints(bg); err != nil || len(list) != 2 {
				t.Errorf("%v, error %v", list, err)
			}
			write := func(tx *Txn) error {
				_, err := tx.CreateNode([]string{"A"}, nil)
				if err == nil {
					_, err = tx.CreateEdge(ids[0], ids[0], "R", nil)
				}
				return err
			}
			wantErr(t, "before verification", db.Update(bg, write), ErrConstraint, c.String())
			closeDB(t, db)
			db = openOn(t, fs)
			defer closeDB(t, db)
			if r := check(t, db); r.Constraints != 1 {
				t.Errorf("%d constraints", r.Constraints)
			}
			update(t, db, write)
			err = db.Update(bg, func(tx *Txn) error { return tx.SetProperty(ids[0], "x", Bool(true)) })
			wantErr(t, "the other one", err, ErrConstraint, "x of every node :B")
		})
	}
}

// A power cut at any moment of creating and dropping leaves a constraint that is in force, or none.
func TestPowerCutsDuringSchemaChanges(t *testing.T) {
	mem := newMem(t)
	var images []*vfs.Mem
	armed, n := false, uint64(0)
	fs := vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
		if armed && op.Changes {
			n++
			images = append(images, mem.Crash(vfs.CrashConfig{Mode: vfs.Random, Seed: n}), mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll}))
		}
		return vfs.Fault{}
	})
	db := openOn(t, fs)
	ids := addNodes(t, db, 2, "A")
	addEdge(t, db, ids[0], ids[1], "R", Props{"w": Int(1)})
	good, bad := EdgesRequire("R", "w"), EdgesHaveKind("R", "w", KindString)
	armed = true
	constrain(t, db, good, EdgesJoin("R", "A", "A"))
	wantErr(t, "violated", db.CreateConstraint(bg, bad), ErrConstraint, "edge 1")
	if err := db.DropConstraint(bg, good); err != nil {
		t.Fatal(err)
	}
	armed = false
	closeDB(t, db)
	seen := map[int]int{}
	for _, image := range images {
		db := openOn(t, image)
		seen[int(check(t, db).Constraints)]++
		list, err := db.Constraints(bg)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			if c.Property == bad.Property && c.Kind == bad.Kind || c.State != ConstraintReady {
				t.Errorf("%v is %v", c, c.State)
			}
		}
		held := len(list) > 0 && list[len(list)-1].Kind == RequiredProperty
		err = db.Update(bg, func(tx *Txn) error { return tx.RemoveEdgeProperty(1, "w") })
		if held != errors.Is(err, ErrConstraint) || !held && err != nil {
			t.Errorf("with %v: %v", list, err)
		}
		closeDB(t, db)
	}
	if seen[0] == 0 || seen[1] == 0 || seen[2] == 0 {
		t.Errorf("images by number of constraints: %v", seen)
	}
}

func TestACancelledConstraintLeavesNothing(t *testing.T) {
	db := openTest(t)
	addNodes(t, db, 3, "P")
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if err := db.CreateConstraint(ctx, NodesHaveKind("P", "age", KindInt)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	// It is dropped by somebody else while it is being verified.
	c := NodesHaveKind("P", "age", KindInt)
	r, err := c.rule(func(d *dict, name string) (uint64, error) { return d.intern(bg, name) }, db)
	if err != nil {
		t.Fatal(err)
	}
	r.id, r.state = 5, ConstraintVerifying
	if err := errors.Join(db.defineRule(bg, r), db.DropConstraint(bg, c)); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "publish", db.publishRule(bg, r), ErrNoConstraint, "age")
	if list, err := db.Constraints(bg); len(list) != 0 || err != nil {
		t.Errorf("constraints %v, error %v", list, err)
	}
	err = db.small(bg, "counter", func(kv *mvcc.Txn) error { return kv.Put(db.ks, counterKey(counterRules), appendUint(nil, 6)) })
	if err != nil {
		t.Fatal(err)
	}
}
