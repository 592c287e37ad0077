package graph

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sombradb/sombra/mvcc"
)

var name2 = []string{"last", "first"}

// persons makes nodes with names and years; an empty name is none.
func persons(t *testing.T, db *DB, list ...[3]string) (ids []NodeID) {
	t.Helper()
	update(t, db, func(tx *Txn) error {
		ids = nil
		for _, p := range list {
			props := Props{}
			for i, name := range []string{"last", "first", "year"} {
				if p[i] != "" {
					props[name] = String(p[i])
				}
			}
			id, err := tx.CreateNode([]string{"P"}, props)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	return ids
}

// found returns the ids that an index on several properties has, in its order.
func found(t *testing.T, db *DB, properties []string, equal []Value, r Range) (ids []NodeID) {
	t.Helper()
	view(t, db, func(tx *Txn) {
		for _, n := range collect(t, tx.FindComposite("P", properties, equal, r)) {
			ids = append(ids, n.ID)
		}
	})
	return ids
}

func TestACompositeIndexIsSearchedByPrefixAndRange(t *testing.T) {
	db := openTest(t)
	persons(t, db, [3]string{"Ng", "Bo", "1"}, [3]string{"Ng", "Al", "2"}, [3]string{"N", "gAl", "3"}, [3]string{"Ng", "", "4"},
		[3]string{"", "Al", "5"}, [3]string{"Ng", "Al", "0"}, [3]string{"Oz", "Cy", "7"}, [3]string{"Ng", "Al", ""})
	three := []string{"last", "first", "year"}
	if err := errors.Join(db.CreateCompositeIndex(bg, "P", name2, false), db.CreateCompositeIndex(bg, "P", three, true)); err != nil {
		t.Fatal(err)
	}
	ng, al := String("Ng"), String("Al")
	for what, c := range map[string]struct {
		properties []string
		equal      []Value
		r          Range
		want       []NodeID
	}{
		"all":                 {name2, nil, Range{}, []NodeID{3, 2, 6, 8, 1, 7}},
		"all of three":        {three, nil, Range{Reverse: true}, []NodeID{7, 1, 2, 6, 3}},
		"first":               {name2, []Value{ng}, Range{}, []NodeID{2, 6, 8, 1}},
		"both":                {name2, []Value{ng, al}, Range{}, []NodeID{2, 6, 8}},
		"both, reversed":      {name2, []Value{ng, al}, Range{Reverse: true}, []NodeID{8, 6, 2}},
		"two of three":        {three, []Value{ng, al}, Range{}, []NodeID{6, 2}},
		"all three, unique":   {three, []Value{ng, al, String("2")}, Range{}, []NodeID{2}},
		"range of the first":  {name2, nil, Range{Lo: String("Ng"), ExcludeLo: true}, []NodeID{7}},
		"range of the second": {name2, []Value{ng}, Range{Lo: al, Hi: String("Bo")}, []NodeID{2, 6, 8}},
		"with its end":        {name2, []Value{ng}, Range{Lo: al, Hi: String("Bo"), IncludeHi: true, ExcludeLo: true}, []NodeID{1}},
		"range of the third":  {three, []Value{ng, al}, Range{Hi: String("1")}, []NodeID{6}},
		"up to a value":       {name2, []Value{ng}, Range{Hi: String("B"), Reverse: true}, []NodeID{8, 6, 2}},
		"empty range":         {name2, []Value{ng}, Range{Lo: String("C"), Hi: String("B")}, nil},
		"another kind":        {name2, []Value{ng}, Range{Lo: Int(1)}, nil},
		"a value of nobody":   {three, []Value{ng, al, String("9")}, Range{}, nil},
		"null":                {name2, []Value{Null()}, Range{}, nil},
		"null at the end":     {name2, []Value{ng, Null()}, Range{}, nil},
		"null as range":       {name2, []Value{ng}, Range{ExcludeLo: true}, nil},
	} {
		if got := found(t, db, c.properties, c.equal, c.r); !slices.Equal(got, c.want) {
			t.Errorf("%s: nodes %v, want %v", what, got, c.want)
		}
	}
	update(t, db, func(tx *Txn) error { // entries come and go with each of the properties, and with the label
		return errors.Join(tx.SetProperty(4, "first", String("Aa")), tx.RemoveProperty(2, "last"), tx.SetProperty(6, "first", String("Zz")), tx.RemoveLabel(8, "P"))
	})
	if got := found(t, db, name2, []Value{ng}, Range{}); !slices.Equal(got, []NodeID{4, 1, 6}) {
		t.Errorf("after changes: %v", got)
	}
}

func TestSearchesOfCompositeIndexesThatMakeNoSense(t *testing.T) {
	db := openTest(t)
	if err := errors.Join(db.CreateCompositeIndex(bg, "P", name2, false), db.CreateIndex(bg, "P", "year", false)); err != nil {
		t.Fatal(err)
	}
	persons(t, db, [3]string{"Ng", "Bo", "1"})
	search := func(properties []string, equal []Value, r Range) (err error) {
		view(t, db, func(tx *Txn) {
			for _, err = range tx.FindComposite("P", properties, equal, r) {
			}
		})
		return err
	}
	v := String("Ng")
	wantErr(t, "too many values", search(name2, []Value{v, v, v}, Range{}), ErrInvalid, "3 values")
	wantErr(t, "no property for the range", search(name2, []Value{v, v}, Range{Lo: v}), ErrInvalid, "a range")
	wantErr(t, "another order", search([]string{"first", "last"}, nil, Range{}), ErrNoIndex, "index on :P(first, last)")
	wantErr(t, "a part", search(name2[:1], nil, Range{}), ErrNoIndex, "index on :P(last)")
	wantErr(t, "unknown", search([]string{"never", "last"}, nil, Range{}), ErrNoIndex, ":P(never, last)")
	wantErr(t, "none", search(nil, nil, Range{}), ErrNoIndex, ":P()")
	wantErr(t, "very many", search(make([]string, 20), nil, Range{}), ErrNoIndex, ":P(")
	if got := found(t, db, []string{"year"}, nil, Range{}); len(got) != 1 {
		t.Errorf("an index on one property: %v", got)
	}
	if got := found(t, db, []string{"year"}, []Value{String("1")}, Range{}); len(got) != 1 {
		t.Errorf("an index on one property, by value: %v", got)
	}
	if got := found(t, db, []string{"year"}, []Value{Null()}, Range{}); len(got) != 0 {
		t.Errorf("an index on one property, by null: %v", got)
	}
	view(t, db, func(tx *Txn) { // an index on several does not stand for one on the first: it has not all nodes
		for _, err := range tx.Find("P", "last", v) {
			wantErr(t, "find", err, ErrNoIndex, ":P(last)")
		}
	})
}

func TestCompositeIndexesAreUniqueTogether(t *testing.T) {
	for _, level := range levels {
		t.Run(level.String(), func(t *testing.T) {
			db := openTest(t)
			ids := persons(t, db, [3]string{"Ng", "Bo"}, [3]string{"Ng", "Al"}, [3]string{"Ng", ""}, [3]string{"Ng", ""}, [3]string{"Ng", "Bo"})
			err := db.CreateCompositeIndex(bg, "P", name2, true)
			text := `graph: node 5 cannot have last, first = ["Ng", "Bo"]: node 1 has it, and the index on :P(last, first) is unique`
			c := Constraint{Kind: UniqueValue, Label: "P", Property: "last, first"}
			refusal(t, "duplicates", err, ConstraintError{Constraint: c, Value: List(String("Ng"), String("Bo")), Node: ids[4], Existing: ids[0]}, text)
			if list, err := db.Indexes(bg); len(list) != 0 || err != nil {
				t.Errorf("indexes %v, error %v", list, err)
			}
			update(t, db, func(tx *Txn) error { return tx.DeleteNode(ids[4]) })
			if err := db.CreateCompositeIndex(bg, "P", name2, true); err != nil {
				t.Fatal(err)
			}
			tx := begin(t, db, level)
			wantErr(t, "taken", tx.SetProperty(ids[3], "first", String("Al")), ErrConstraint, "node 2 has it")
			if err := errors.Join(tx.SetProperty(ids[1], "first", String("Cy")), tx.SetProperty(ids[3], "first", String("Al")), tx.Commit()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDefinitionsOfCompositeIndexes(t *testing.T) {
	fs := newMem(t)
	db := openOn(t, fs)
	if err := db.CreateIndex(bg, "P", "last", false); err != nil {
		t.Fatal(err)
	}
	if v := formatOf(t, db); v != formatPlain {
		t.Errorf("format %d with an index on one property", v)
	}
	if err := errors.Join(db.CreateCompositeIndex(bg, "P", name2, true), db.CreateCompositeIndex(bg, "P", []string{"first", "last"}, false)); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "again", db.CreateCompositeIndex(bg, "P", name2, false), ErrIndexExists, ":P(last, first)")
	wantErr(t, "twice", db.CreateCompositeIndex(bg, "P", []string{"a", "b", "a"}, false), ErrInvalid, "property a twice")
	wantErr(t, "none", db.CreateCompositeIndex(bg, "P", nil, false), ErrInvalid, "0 properties")
	wantErr(t, "drop none", db.DropIndex(bg, "P"), ErrInvalid, "0 properties")
	many := strings.Split("a b c d e f g h i", " ")
	wantErr(t, "many", db.CreateCompositeIndex(bg, "P", many, false), ErrInvalid, "1 to 8")
	if err := db.CreateCompositeIndex(bg, "P", many[:8], false); err != nil {
		t.Error(err)
	}
	closeDB(t, db)
	db = openOn(t, fs)
	defer closeDB(t, db)
	var texts []string
	list, err := db.Indexes(bg)
	for _, ix := range list {
		texts = append(texts, fmt.Sprint(ix.Properties, ix.Unique))
	}
	if got := strings.Join(texts, " "); got != "[a b c d e f g h] false [first last] false [last] false [last first] true" || err != nil {
		t.Errorf("indexes %s, error %v", got, err)
	}
	if err := errors.Join(db.DropIndex(bg, "P", "last", "first"), db.DropIndex(bg, "P", "last")); err != nil {
		t.Error(err)
	}
	wantErr(t, "drop again", db.DropIndex(bg, "P", name2...), ErrNoIndex, ":P(last, first)")
	wantErr(t, "drop unknown", db.DropIndex(bg, "P", "last", "never"), ErrNoIndex, ":P(last, never)")
	if r := check(t, db); r.Indexes != 2 || formatOf(t, db) != formatSchema {
		t.Errorf("%d indexes, format %d", r.Indexes, formatOf(t, db))
	}
	for _, b := range [][]byte{{0, 2, 1, 0}, {0, 2, 1, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {0, 2, 1, 2, 1}, {0, 2, 1, 2, 1, 2, 3}, {2, 2, 1, 1, 1}, {0, 2, 1, 255, 255, 255, 255, 255, 255, 255, 255, 1}} {
		if ix, err := parseIndexDef(1, b); err == nil {
			t.Errorf("%x is %+v", b, ix)
		}
	}
}

// Values that fit alone may be too long, or nested too deep, together.
func TestLimitsOfCompositeIndexes(t *testing.T) {
	db := openTest(t)
	if err := db.CreateCompositeIndex(bg, "P", name2, false); err != nil {
		t.Fatal(err)
	}
	half, deep := String(strings.Repeat("x", MaxIndexedSize/2)), List()
	for range MaxNesting - 1 {
		deep = List(deep)
	}
	create := func(props Props) error {
		return db.Update(bg, func(tx *Txn) error { _, err := tx.CreateNode([]string{"P"}, props); return err })
	}
	wantErr(t, "long", create(Props{"last": half, "first": half}), ErrInvalid, "last, first has 8200 bytes")
	wantErr(t, "deep", create(Props{"last": deep, "first": Int(1)}), ErrInvalid, "64 deep")
	if err := errors.Join(create(Props{"last": half, "first": Int(1)}), create(Props{"last": deep}), create(Props{"last": Int(1), "first": List(Null())})); err != nil {
		t.Error(err)
	}
	if got := found(t, db, name2, nil, Range{}); len(got) != 2 {
		t.Errorf("nodes %v", got)
	}
}

func TestCompositeIndexesAreBuiltBesideWriters(t *testing.T) {
	db := openTest(t)
	ids := addNodes(t, db, 600, "P")
	done := make(chan struct{})
	writer := func(w int) func() {
		return func() {
			for i := w; ; i += 7 {
				select {
				case <-done:
					return
				default:
				}
				err := db.UpdateWith(bg, &mvcc.TxnOptions{Isolation: levels[w]}, func(tx *Txn) error {
					return tx.SetProperty(ids[i%len(ids)], name2[i/5%2], []Value{Int(int64(i % 9)), Null()}[i%3/2])
				})
				if err != nil {
					t.Errorf("write: %v", err)
					return
				}
			}
		}
	}
	builder := func() {
		defer close(done)
		for range 3 {
			if err := db.CreateCompositeIndex(bg, "P", name2, false); err != nil {
				t.Errorf("create: %v", err)
			}
			check(t, db)
			if err := db.DropIndex(bg, "P", name2...); err != nil {
				t.Errorf("drop: %v", err)
			}
		}
	}
	race(builder, writer(0), writer(1), writer(2))
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if err := db.CreateCompositeIndex(ctx, "P", name2, false); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if r := check(t, db); r.Indexes != 0 || r.IndexEntries != 0 {
		t.Errorf("%d indexes with %d entries", r.Indexes, r.IndexEntries)
	}
}

// Reports speak of all properties, and a node is told by them.
func TestCompositeIndexesInReports(t *testing.T) {
	db := openTest(t)
	if err := db.CreateCompositeIndex(bg, "P", name2, true); err != nil {
		t.Fatal(err)
	}
	ids := persons(t, db, [3]string{"Ng", "Bo"})
	tx := begin(t, db, mvcc.Snapshot)
	if _, err := tx.Node(ids[0]); err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx *Txn) error { return tx.SetProperty(ids[0], "year", Int(1)) })
	var c *mvcc.ConflictError
	if err := tx.SetProperty(ids[0], "year", Int(2)); !errors.As(err, &c) || c.Name != `(:P {last: "Ng", first: "Bo"})` {
		t.Errorf("error %v", err)
	}
	tx.Rollback()
	label, _ := db.labels.lookup("P")
	ix := &index{id: 1, label: label, unique: true}
	view(t, db, func(tx *Txn) {
		if text := db.describeKey(keyspaceName, appendIndexKey(nil, ix, List(Int(1), Int(2)), 0)); text != "P(last, first = [1, 2])" {
			t.Errorf("text %q", text)
		}
	})
	update(t, db, func(tx *Txn) error { return tx.SetProperty(ids[0], "first", Int(1)) })
	err := db.small(bg, "damage", func(kv *mvcc.Txn) error {
		return kv.Put(db.ks, appendIndexKey(nil, ix, List(String("Ng")), 0), []byte{byte(ids[0])})
	})
	if err != nil {
		t.Fatal(err)
	}
	report, err := db.Check(bg)
	if err != nil || len(report.Problems) != 1 || !errors.Is(report.Problems[0], mvcc.ErrCorrupt) {
		t.Errorf("an entry of too few values: %v, %v", report.Problems, err)
	}
	err = db.small(bg, "mend", func(kv *mvcc.Txn) error { return kv.Delete(db.ks, appendIndexKey(nil, ix, List(String("Ng")), 0)) })
	if err != nil {
		t.Fatal(err)
	}
}
