package graph

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/sombradb/sombra/mvcc"
	"pgregory.net/rapid"
)

// However names come into memory, each id is either of a name or free, and a set for names without an id has the free ones.
func TestANameSetHasTheIDsOfNoName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDict(nil, dictTypes, "edge type")
		ids := rapid.Permutation([]uint64{1, 2, 3, 4, 5, 6, 7, 8}).Draw(t, "ids")
		ids = ids[:rapid.IntRange(0, len(ids)).Draw(t, "known")]
		var names []string
		for _, id := range ids {
			d.add(fmt.Sprint(id), id)
			d.add(fmt.Sprint(id), id) // two may bring it
			names = append(names, fmt.Sprint(id), fmt.Sprint(id))
		}
		known := d.resolve(names)
		set := d.resolve(append(names, "late", "later"))
		if known.late != nil || len(known.spans) != len(ids) || !slices.Equal(set.late, []string{"late", "later"}) {
			t.Fatalf("known %v, all %v", known, set)
		}
		next := uint64(1)
		for i, s := range set.spans {
			if s.lo != next || s.hi < s.lo || s.free == slices.Contains(ids, s.lo) || !s.free && s.hi != s.lo {
				t.Fatalf("span %v of %v, known are %v", s, set.spans, ids)
			}
			if i > 0 && s.free && set.spans[i-1].free {
				t.Fatalf("two spans for one: %v", set.spans)
			}
			next = s.hi + 1
		}
		if next != 0 || set.spans[len(set.spans)-1].hi != math.MaxUint64 {
			t.Fatalf("the last ids are missing: %v", set.spans)
		}
	})
}

// lose gives an edge type an id as a transaction does whose outcome is never known: the name is not brought into memory.
func lose(t *testing.T, db *DB, name string) (id uint64) {
	t.Helper()
	err := db.small(bg, "", func(kv *mvcc.Txn) (err error) {
		id, err = db.types.claim(kv, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// A name that has an id which nobody here knows of is read exactly as well, also below newer names.
func TestANameWhoseIDIsNotKnown(t *testing.T) {
	h := newHamlet(t, openTest(t))
	lost := lose(t, h.db, "LOST")
	addEdge(t, h.db, h.a, h.b, "LATER", nil)
	innocent, guilty, own := begin(t, h.db, mvcc.Serializable), begin(t, h.db, mvcc.Serializable), begin(t, h.db, mvcc.Serializable)
	for _, tx := range []*Txn{innocent, guilty} {
		if n, err := tx.Degree(h.a, Out, "LOST"); n != 0 || err != nil {
			t.Fatal(n, err)
		}
	}
	edges := own.Edges(h.a, Out, "LATER", "LOST", "KNOWS")
	addEdge(t, h.db, h.a, h.c, "LATER", nil)
	if err := errors.Join(setNode(h.b)(innocent), innocent.Commit()); err != nil {
		t.Errorf("an edge of another type: %v", err)
	}
	if _, err := own.CreateEdge(h.a, h.c, "LOST", nil); err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, e := range collect(t, edges) {
		types = append(types, e.Type)
	}
	if want := []string{"KNOWS", "LOST", "LATER", "LATER"}; !slices.Equal(types, want) {
		t.Errorf("edges of types %v, want %v", types, want)
	}
	if id, known := h.db.types.lookup("LOST"); id != lost || !known {
		t.Errorf("the id is %d, was %d", id, lost)
	}
	if err := own.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(setNode(h.c)(guilty), guilty.Commit()); !errors.Is(err, mvcc.ErrConflict) {
		t.Errorf("commit: %v, want a conflict", err)
	}
}

// Elements that come between the look at the names and the read of the store are told apart by their names.
func TestWhatComesBetweenANameAndItsRead(t *testing.T) {
	for _, level := range levels {
		t.Run(level.String(), func(t *testing.T) {
			h := newHamlet(t, openTest(t))
			tx := begin(t, h.db, level)
			labels := h.db.labels.resolve([]string{"First"})
			out, in := tx.Edges(h.a, Out, "FIRST"), tx.Edges(h.b, Both, "FIRST")
			var first, loop EdgeID
			var node NodeID
			update(t, h.db, func(tx *Txn) error {
				var errs [6]error
				_, errs[0] = tx.CreateNode([]string{"Other"}, nil)
				node, errs[1] = tx.CreateNode([]string{"Other", "First"}, nil)
				_, errs[2] = tx.CreateEdge(h.a, h.b, "OTHER", nil)
				first, errs[3] = tx.CreateEdge(h.a, h.b, "FIRST", nil)
				loop, errs[4] = tx.CreateEdge(h.b, h.b, "FIRST", nil)
				_, errs[5] = tx.CreateEdge(h.b, h.b, "OTHER", nil)
				return errors.Join(errs[:]...)
			})
			ids := func(edges []Edge) (ids []EdgeID) {
				for _, e := range edges {
					ids = append(ids, e.ID)
				}
				return ids
			}
			if got := ids(collect(t, out)); !slices.Equal(got, []EdgeID{first}) {
				t.Errorf("out edges %v, want %v", got, first)
			}
			if got := ids(collect(t, in)); !slices.Equal(got, []EdgeID{loop, first}) {
				t.Errorf("edges %v, want %v and %v", got, loop, first)
			}
			got := collect(t, func(yield func(NodeID, error) bool) { tx.labelEntries(labels.spans[0], labels.late, yield) })
			if !slices.Equal(got, []NodeID{node}) {
				t.Errorf("nodes %v, want %v", got, node)
			}
		})
	}
}

// Commits that would change what a protected transaction has read wait for it; that it names what it has read does not.
func TestAProtectedTransactionDoesNotWaitForItself(t *testing.T) {
	h := newHamlet(t, openTest(t))
	bait := addNodes(t, h.db, 3, "Person") // one for each attempt: what was lost on is locked the next time
	attempts := 0
	err := h.db.UpdateWith(bg, &mvcc.TxnOptions{Isolation: mvcc.Serializable}, func(tx *Txn) error {
		attempts++
		label, typ, property := fmt.Sprint("L", attempts), fmt.Sprint("T", attempts), fmt.Sprint("p", attempts)
		nodes, err := tx.CountByLabel(label)
		degree, err2 := tx.Degree(h.b, Both, typ)
		v, err3 := tx.Property(h.b, property)
		if err = errors.Join(err, err2, err3); err != nil || nodes+degree > 0 || !v.IsNull() {
			t.Errorf("%d nodes, %d edges, %v: %v", nodes, degree, v, err)
		}
		if attempts <= len(bait) {
			if _, err := tx.Node(bait[attempts-1]); err != nil {
				return err
			}
			update(t, h.db, setNode(bait[attempts-1]))
		}
		id, err := tx.CreateNode([]string{label}, Props{property: Int(1)})
		if err != nil {
			return err
		}
		_, err = tx.CreateEdge(h.b, id, typ, nil)
		return err
	})
	if err != nil || attempts != 4 {
		t.Errorf("after %d attempts: %v", attempts, err)
	}
	if m := h.db.Store().Metrics(); m.Protected != 1 || m.HeldOff != 0 {
		t.Errorf("%d transactions were protected, %d commits waited", m.Protected, m.HeldOff)
	}
}

// At ReadCommitted the weights may get their name after the search has begun, and before it reads the first one.
func TestAWeightThatIsNamedDuringTheSearch(t *testing.T) {
	h := newHamlet(t, openTest(t))
	tx := begin(t, h.db, mvcc.ReadCommitted)
	w, err := tx.newWalker(Traversal{}, h.a, h.b)
	if err != nil {
		t.Fatal(err)
	}
	d := newDijkstra(w, h.a, "first")
	update(t, h.db, func(tx *Txn) error { return useProperty(tx, h) })
	if cost, err := d.run(h.a, h.b); cost != 7 || err != nil {
		t.Errorf("cost %v: %v", cost, err)
	}
}
