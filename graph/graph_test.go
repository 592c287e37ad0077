package graph

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/sombradb/sombra/mvcc"
)

func TestConstraintErrorsNameElementConstraintAndValue(t *testing.T) {
	db := openTest(t)
	a, b := addNodes(t, db, 1, "P")[0], addNodes(t, db, 1, "P")[0]
	update(t, db, func(tx *Txn) error {
		if err := tx.SetProperty(a, "code", String("ATL")); err != nil {
			return err
		}
		return tx.SetProperty(b, "code", String("ATL"))
	})
	err := db.CreateIndex(bg, "P", "code", true)
	var c *ConstraintError
	if !errors.As(err, &c) || c.Existing != a || c.Node != b || c.Label != "P" || c.Property != "code" || c.Value != String("ATL") {
		t.Fatalf("create over duplicates: %v", err)
	}
	if list, err := db.Indexes(bg); len(list) != 0 || err != nil {
		t.Fatalf("indexes %v, error %v after a failed creation", list, err)
	}
	update(t, db, func(tx *Txn) error { return tx.SetProperty(b, "code", String("BOS")) })
	if err := db.CreateIndex(bg, "P", "code", true); err != nil {
		t.Fatal(err)
	}
	err = db.Update(bg, func(tx *Txn) error { return tx.SetProperty(b, "code", String("ATL")) })
	for _, part := range []string{"code", `"ATL"`, ":P(code)"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not mention %s", err, part)
		}
	}
	update(t, db, func(tx *Txn) error { // the value is free once its owner has another
		if err := tx.SetProperty(a, "code", Null()); err != nil {
			return err
		}
		return tx.SetProperty(b, "code", String("ATL"))
	})
}

func TestAnIndexSurvivesReopening(t *testing.T) {
	fs := newMem(t)
	db := openOn(t, fs)
	if err := db.CreateIndex(bg, "P", "age", false); err != nil {
		t.Fatal(err)
	}
	ids := addNodes(t, db, 3, "P")
	update(t, db, func(tx *Txn) error { return tx.SetProperty(ids[1], "age", Int(41)) })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openOn(t, fs)
	defer func() { _ = db.Close() }()
	check(t, db)
	update(t, db, func(tx *Txn) error { return tx.SetProperty(ids[2], "age", Float(41)) })
	view(t, db, func(tx *Txn) {
		if got := collect(t, tx.Find("P", "age", Int(41))); len(got) != 2 || got[0].ID != ids[1] || got[1].ID != ids[2] {
			t.Errorf("found %v", got)
		}
		if labels := collect(t, tx.Labels()); len(labels) != 1 || labels[0] != "P" {
			t.Errorf("labels %v", labels)
		}
		if n, err := tx.CountByLabel("P"); n != 3 || err != nil {
			t.Errorf("%d with the label, error %v", n, err)
		}
	})
}

// What a crash leaves of a creation or a dropping is gone after opening.
func TestUnfinishedIndexesAreRemovedWhenOpening(t *testing.T) {
	for _, state := range []IndexState{IndexBuilding, IndexDropping} {
		t.Run(state.String(), func(t *testing.T) {
			fs := newMem(t)
			db := openOn(t, fs)
			if err := db.CreateIndex(bg, "P", "age", false); err != nil {
				t.Fatal(err)
			}
			ids := addNodes(t, db, 3, "P")
			update(t, db, func(tx *Txn) error { return tx.SetProperty(ids[1], "age", Int(41)) })
			err := db.changeSchema(bg, func(kv *mvcc.Txn, s *schema) error {
				for _, ix := range s.byID {
					now := *ix
					now.state = state
					if err := kv.Put(db.ks, appendIndexDefKey(nil, ix.id), appendIndexDef(nil, &now)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			view(t, db, func(tx *Txn) {
				for _, err := range tx.Find("P", "age", Int(41)) {
					if !errors.Is(err, ErrNoIndex) {
						t.Errorf("find: %v", err)
					}
				}
			})
			if err := db.CreateIndex(bg, "P", "age", false); !errors.Is(err, ErrIndexExists) {
				t.Errorf("create over an unfinished one: %v", err)
			}
			check(t, db)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = openOn(t, fs)
			defer func() { _ = db.Close() }()
			if r := check(t, db); r.Indexes != 0 || r.IndexEntries != 0 {
				t.Errorf("%d indexes, %d entries", r.Indexes, r.IndexEntries)
			}
			if err := db.CreateIndex(bg, "P", "age", false); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestACancelledIndexCreationLeavesNothing(t *testing.T) {
	db := openTest(t)
	addNodes(t, db, 3, "P")
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if err := db.CreateIndex(ctx, "P", "age", false); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if list, err := db.Indexes(bg); len(list) != 0 || err != nil {
		t.Errorf("indexes %v, error %v", list, err)
	}
}

func TestFailedOperationsInATransactionWriteNothing(t *testing.T) {
	db := openTest(t)
	for _, p := range []string{"a", "b"} {
		if err := db.CreateIndex(bg, "P", p, true); err != nil {
			t.Fatal(err)
		}
	}
	update(t, db, func(tx *Txn) error {
		if _, err := tx.CreateNode([]string{"P"}, Props{"b": Int(1)}); err != nil {
			return err
		}
		_, err := tx.CreateNode([]string{"P"}, Props{"a": Int(1), "b": Int(1)})
		if !errors.Is(err, ErrConstraint) {
			t.Errorf("error %v", err)
		}
		return nil
	})
	if r := check(t, db); r.Nodes != 1 || r.IndexEntries != 1 {
		t.Errorf("%d nodes, %d entries", r.Nodes, r.IndexEntries)
	}
}

func TestReadOnlyTransactionsUseUpNothing(t *testing.T) {
	db := openTest(t)
	a := addNodes(t, db, 1, "N")[0]
	view(t, db, func(tx *Txn) {
		for name, err := range map[string]error{
			"set":    tx.SetProperty(a, "new", Int(1)),
			"label":  tx.AddLabel(a, "New"),
			"delete": tx.DeleteNode(a),
		} {
			if !errors.Is(err, mvcc.ErrReadOnly) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := tx.CreateEdge(a, a, "NEW", nil); !errors.Is(err, mvcc.ErrReadOnly) {
			t.Errorf("edge: %v", err)
		}
		if _, err := tx.CreateNode([]string{"New"}, nil); !errors.Is(err, mvcc.ErrReadOnly) {
			t.Errorf("node: %v", err)
		}
	})
	if got := len(db.Labels()) + len(db.PropertyNames()) + len(db.EdgeTypes()); got != 1 {
		t.Errorf("%d names are in use", got)
	}
}

func TestBadNamesAndValuesAreRefused(t *testing.T) {
	db := openTest(t)
	if err := db.CreateIndex(bg, "N", "p", false); err != nil {
		t.Fatal(err)
	}
	for name, props := range map[string]Props{
		"empty": {"": Int(1)}, "long": {strings.Repeat("x", MaxNameSize+1): Int(1)}, "bytes": {"\xff": Int(1)},
		"long value": {"p": String(strings.Repeat("x", MaxIndexedSize+1))},
	} {
		err := db.Update(bg, func(tx *Txn) error {
			_, err := tx.CreateNode([]string{"N"}, props)
			return err
		})
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	long := Props{"p": String(strings.Repeat("\x00", MaxIndexedSize)), "q": String(strings.Repeat("x", 1<<20)), "r": Float(math.NaN())}
	update(t, db, func(tx *Txn) error {
		id, err := tx.CreateNode([]string{"N"}, long)
		if err != nil {
			return err
		}
		n, err := tx.Node(id)
		if err == nil && n.Props["q"] != long["q"] {
			t.Error("a long value is not what it was")
		}
		return err
	})
}

func TestReadOnlyDatabases(t *testing.T) {
	fs := newMem(t)
	store, err := mvcc.Open(testPath, &mvcc.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	readOnly := &Options{Options: mvcc.Options{FS: fs, ReadOnly: true}}
	if _, err := Open(testPath, readOnly); !errors.Is(err, ErrNotGraph) {
		t.Errorf("a store without graph: %v", err)
	}
	db := openOn(t, fs)
	a := addNodes(t, db, 1, "N")[0]
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = Open(testPath, readOnly); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	view(t, db, func(tx *Txn) {
		if n, err := tx.Node(a); err != nil || !n.HasLabel("N") {
			t.Errorf("node %v, error %v", n, err)
		}
	})
}

func TestUnknownFormatsAreRefused(t *testing.T) {
	fs := newMem(t)
	db := openOn(t, fs)
	err := db.small(bg, "test", func(kv *mvcc.Txn) error { return kv.Put(db.ks, versionKey, appendUint(nil, 9)) })
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(testPath, &Options{Options: mvcc.Options{FS: fs}}); !errors.Is(err, ErrVersion) {
		t.Errorf("error %v", err)
	}
}

func TestExternalIDsFindWhatTheyCreated(t *testing.T) {
	db := openTest(t)
	var first NodeID
	for round := range 2 {
		update(t, db, func(tx *Txn) error {
			a, created, err := tx.CreateNodeAs("src", "a", []string{"N"}, nil)
			if err != nil || created != (round == 0) {
				t.Errorf("round %d: created %v, error %v", round, created, err)
			}
			if round > 0 && a != first {
				t.Errorf("node %d, want %d", a, first)
			}
			first = a
			_, created, err = tx.CreateEdgeAs("src", "e", a, a, "R", nil)
			if created != (round == 0) {
				t.Errorf("round %d: edge created %v", round, created)
			}
			return err
		})
	}
	view(t, db, func(tx *Txn) {
		if id, err := tx.LookupNode("src", "a"); id != first || err != nil {
			t.Errorf("node %d, error %v", id, err)
		}
		if id, err := tx.LookupEdge("src", "e"); id == 0 || err != nil {
			t.Errorf("edge %d, error %v", id, err)
		}
		if _, err := tx.LookupNode("other", "a"); !errors.Is(err, ErrNodeNotFound) {
			t.Errorf("another key: %v", err)
		}
	})
	update(t, db, func(tx *Txn) error { return tx.DetachDelete(first) })
	view(t, db, func(tx *Txn) {
		if _, err := tx.LookupNode("src", "a"); !errors.Is(err, ErrNodeNotFound) {
			t.Errorf("a deleted node: %v", err)
		}
		if _, err := tx.LookupEdge("src", "e"); !errors.Is(err, ErrEdgeNotFound) {
			t.Errorf("a deleted edge: %v", err)
		}
	})
	update(t, db, func(tx *Txn) error {
		a, created, err := tx.CreateNodeAs("src", "a", nil, nil)
		if !created || a == first {
			t.Errorf("the id of a deleted node: created %v, node %d", created, a)
		}
		return err
	})
	if r := check(t, db); r.ExternalIDs != 2 || r.FreeExternalIDs != 1 {
		t.Errorf("%d external ids, %d free", r.ExternalIDs, r.FreeExternalIDs)
	}
}

// Check finds each kind of disagreement.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	p := place{src: 1, dst: 2, typ: 1, edge: 1}
	ix := &index{id: 1, label: 1, properties: []uint64{1}}
	for name, c := range map[string]struct {
		key   []byte
		value []byte // nil deletes the key
	}{
		"node gone":              {appendNodeKey(nil, 1), nil},
		"node malformed":         {appendNodeKey(nil, 1), []byte{9}},
		"node without names":     {appendNodeKey(nil, 3), appendNode(nil, &nodeRec{props: propList{{500, Int(1)}}})},
		"node above counter":     {appendNodeKey(nil, 1<<40), []byte{0, 0}},
		"label missing":          {appendLabelKey(nil, 1, 1), nil},
		"label too many":         {appendLabelKey(nil, 1, 99), []byte{}},
		"out gone":               {appendOutKey(nil, p), nil},
		"in gone":                {appendInKey(nil, p), nil},
		"place gone":             {appendEdgeKey(nil, 1), nil},
		"place elsewhere":        {appendEdgeKey(nil, 1), appendPlace(nil, place{src: 2, dst: 2, typ: 1})},
		"place of nothing":       {appendEdgeKey(nil, 9), appendPlace(nil, p)},
		"in of nothing":          {appendInKey(nil, place{src: 1, dst: 1, typ: 1, edge: 5}), []byte{}},
		"index entry missing":    {appendIndexKey(nil, ix, Int(5), 1), nil},
		"index entry too many":   {appendIndexKey(nil, ix, Int(6), 1), []byte{}},
		"entry of no index":      {appendIndexKey(nil, &index{id: 8}, Int(6), 1), []byte{}},
		"malformed definition":   {appendIndexDefKey(nil, 1), []byte{1}},
		"malformed external id":  {[]byte{keyExternal, 'x'}, []byte{1}},
		"name twice":             {appendNameKey(nil, dictLabels, "again"), []byte{1}},
		"counter gone":           {counterKey(counterEdges), nil},
		"malformed adjacency":    {[]byte{keyIn, 255}, []byte{}},
		"malformed epoch":        {epochKey, []byte{1, 1}},
		"unique in a plain one":  {appendIndexKey(nil, &index{id: 1, unique: true}, Int(5), 0), []byte{1}},
		"edge type without name": {appendOutKey(nil, place{src: 1, dst: 2, typ: 77, edge: 1}), []byte{}},
	} {
		t.Run(name, func(t *testing.T) {
			db := openOn(t, newMem(t))
			defer func() { _ = db.Close() }()
			if err := db.CreateIndex(bg, "P", "p", false); err != nil {
				t.Fatal(err)
			}
			ids := addNodes(t, db, 2, "P")
			addEdge(t, db, ids[0], ids[1], "R", nil)
			update(t, db, func(tx *Txn) error { return tx.SetProperty(ids[0], "p", Int(5)) })
			check(t, db)
			err := db.small(bg, "damage", func(kv *mvcc.Txn) error {
				if c.value == nil {
					return kv.Delete(db.ks, c.key)
				}
				return kv.Put(db.ks, c.key, c.value)
			})
			if err != nil {
				t.Fatal(err)
			}
			db.schema.Store(nil)
			report, err := db.Check(bg)
			if err != nil {
				t.Fatalf("check: %v", err)
			}
			if len(report.Problems) == 0 {
				t.Fatal("check found nothing")
			}
			for _, p := range report.Problems {
				if !errors.Is(p, mvcc.ErrCorrupt) {
					t.Errorf("problem %v is not about corruption", p)
				}
			}
		})
	}
}

func TestConflictsNameTheElement(t *testing.T) {
	db := openTest(t)
	a := addNodes(t, db, 1, "N")[0]
	tx := begin(t, db, mvcc.Snapshot)
	if _, err := tx.Node(a); err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx *Txn) error { return tx.SetProperty(a, "p", Int(1)) })
	err := tx.SetProperty(a, "p", Int(2))
	var c *mvcc.ConflictError
	if !errors.As(err, &c) || c.Name != "(:N 1)" || !IsRetryable(err) {
		t.Errorf("error %v", err)
	}
}

// Without a snapshot an index may vanish between two reads, or under one.
func TestReadersWithoutSnapshotNoticeADroppedIndex(t *testing.T) {
	db := openTest(t)
	ids := addNodes(t, db, 3, "P")
	update(t, db, func(tx *Txn) error {
		for _, id := range ids {
			if err := tx.SetProperty(id, "age", Int(41)); err != nil {
				return err
			}
		}
		return nil
	})
	for _, during := range []bool{true, false} {
		if err := db.CreateIndex(bg, "P", "age", false); err != nil {
			t.Fatal(err)
		}
		current, old := begin(t, db, mvcc.ReadCommitted), begin(t, db, mvcc.Snapshot)
		found := func(tx *Txn, drop bool) (n int, err error) {
			for _, err = range tx.Find("P", "age", Int(41)) {
				if err != nil {
					return n, err
				}
				if n++; n == 1 && drop { // and another takes its place
					if err := errors.Join(db.DropIndex(bg, "P", "age"), db.CreateIndex(bg, "P", "age", false)); err != nil {
						t.Fatal(err)
					}
				}
			}
			return n, nil
		}
		if n, err := found(old, false); n != 3 || err != nil {
			t.Errorf("before: %d, %v", n, err)
		}
		n, err := found(current, during)
		if during && !errors.Is(err, ErrNoIndex) || !during && (n != 3 || err != nil) {
			t.Errorf("dropped meanwhile %v: %d, %v", during, n, err)
		}
		if err := db.DropIndex(bg, "P", "age"); err != nil {
			t.Fatal(err)
		}
		if _, err := found(current, false); !errors.Is(err, ErrNoIndex) {
			t.Errorf("after: %v", err)
		}
		if n, err := found(old, false); n != 3 || err != nil {
			t.Errorf("an old snapshot: %d, %v", n, err)
		}
	}
}

func TestACounterReservesNoBlockWhileItHasIDs(t *testing.T) {
	db := openTest(t)
	first, err := db.nodeIDs.take(bg)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.nodeIDs.reserve(bg); err != nil {
		t.Fatal(err)
	}
	if second, err := db.nodeIDs.take(bg); second != first+1 || err != nil {
		t.Errorf("id %d after %d, error %v", second, first, err)
	}
}

func TestABuilderStopsWhenItsIndexIsDropped(t *testing.T) {
	db := openTest(t)
	ids := addNodes(t, db, 1, "P")
	update(t, db, func(tx *Txn) error { return tx.SetProperty(ids[0], "age", Int(41)) })
	label, _ := db.labels.lookup("P")
	property, _ := db.properties.lookup("age")
	id, err := db.indexIDs.take(bg)
	if err != nil {
		t.Fatal(err)
	}
	ix := &index{id: id, label: label, properties: []uint64{property}, state: IndexBuilding}
	if err := db.defineIndex(bg, ix); err != nil {
		t.Fatal(err)
	}
	if err := db.moveIndex(bg, ix, IndexDropping); err != nil {
		t.Fatal(err)
	}
	if err := db.fillIndex(bg, ix); !errors.Is(err, ErrNoIndex) {
		t.Errorf("fill: %v", err)
	}
	if err := db.moveIndex(bg, ix, IndexReady); !errors.Is(err, ErrNoIndex) {
		t.Errorf("publish: %v", err)
	}
	if err := db.DropIndex(bg, "P", "age"); err != nil {
		t.Errorf("drop: %v", err)
	}
}
