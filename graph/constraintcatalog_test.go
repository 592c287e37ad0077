package graph

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sombradb/sombra/mvcc"
)

// Definitions survive their encoding; whatever else stands there is an error.
func TestDefinitionsOfConstraintsAreStrict(t *testing.T) {
	good := []*rule{
		{id: 1, kind: RequiredProperty, state: ConstraintReady, on: 3, property: 700},
		{id: 2, kind: PropertyKind, state: ConstraintVerifying, edges: true, on: 1, property: 1, kinds: allKinds},
		{id: 3, kind: EndpointLabels, state: ConstraintReady, edges: true, on: 1, ends: [2]uint64{0, 9}},
		{id: 4, kind: EndpointLabels, state: ConstraintReady, edges: true, on: 1, ends: [2]uint64{9, 9}},
	}
	for _, r := range good {
		b := appendRule(nil, r)
		got, err := parseRule(r.id, b)
		if err != nil || *got != *r {
			t.Errorf("%x: %+v, error %v, want %+v", b, got, err, r)
		}
		for i := range b {
			if _, err := parseRule(r.id, b[:i]); err == nil {
				t.Errorf("%x, cut at %d, is a definition", b, i)
			}
		}
		if _, err := parseRule(r.id, append(b, 1)); err == nil {
			t.Errorf("%x and one more is a definition", b)
		}
	}
	for _, b := range [][]byte{
		nil, {0, 2, 0, 1, 1}, {4, 2, 0, 1, 1}, {1, 0, 0, 1, 1}, {1, 3, 0, 1, 1}, {1, 2, 2, 1, 1}, {1, 2, 0, 0, 1}, {1, 2, 0, 1, 0},
		{2, 2, 0, 1, 1, 0}, {2, 2, 0, 1, 1, 1}, {2, 2, 0, 1, 0, 2}, {2, 2, 0, 1, 1, 249, 0x10, 0}, {3, 2, 0, 1, 1, 1}, {3, 2, 1, 1, 0, 0},
		{254, 1, 1, 1, 1, 1, 1, 1}, {1, 2, 0, 1, 250, 1},
	} {
		if r, err := parseRule(1, b); err == nil {
			t.Errorf("%x is %+v", b, r)
		}
	}
}

func FuzzConstraintDecoder(f *testing.F) {
	f.Add([]byte{1, 2, 0, 1, 1})
	f.Add([]byte{2, 1, 1, 1, 1, 6})
	f.Add([]byte{3, 2, 1, 250, 1, 1, 1, 0, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRule(7, b)
		if err != nil {
			return
		}
		if got := appendRule(nil, r); string(got) != string(b) {
			t.Errorf("%x becomes %x", b, got)
		}
	})
}

// A definition that cannot be right keeps the graph from being opened, and says where it stands.
func TestAMalformedConstraintIsCorruption(t *testing.T) {
	fs := newMem(t)
	db := openOn(t, fs)
	constrain(t, db, NodesRequire("A", "p"))
	err := db.changeSchema(bg, func(kv *mvcc.Txn, _ *schema) error { return kv.Put(db.ks, appendRuleKey(nil, 1), []byte{9, 9}) })
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(bg, func(tx *Txn) error { _, err := tx.CreateNode(nil, nil); return err })
	if !errors.Is(err, mvcc.ErrCorrupt) || !strings.Contains(err.Error(), "the definition of the constraint that every node :A has p") {
		t.Errorf("error %v", err)
	}
	closeDB(t, db)
	if _, err := Open(testPath, mendOptions(fs)); !errors.Is(err, mvcc.ErrCorrupt) || !strings.Contains(err.Error(), "constraint 1") {
		t.Errorf("open: %v", err)
	}
	if _, err := Mend(bg, testPath, mendOptions(fs)); !errors.Is(err, mvcc.ErrCorrupt) {
		t.Errorf("mend: %v", err)
	}
}

func formatOf(t *testing.T, db *DB) (version uint64) {
	t.Helper()
	view(t, db, func(tx *Txn) {
		var err error
		if version, err = db.readFormat(tx.kv); err != nil {
			t.Fatal(err)
		}
	})
	return version
}

// Releases that know format 1 only would not keep constraints: a graph that has had one is of format 2.
func TestConstraintsRaiseTheFormat(t *testing.T) {
	fs := newMem(t)
	db := openOn(t, fs)
	addNodes(t, db, 1, "A")
	if v := formatOf(t, db); v != formatPlain {
		t.Errorf("format %d without constraints", v)
	}
	wantErr(t, "violated", db.CreateConstraint(bg, NodesRequire("A", "p")), ErrConstraint, "node 1")
	constrain(t, db, NodesRequire("B", "p"))
	if v := formatOf(t, db); v != formatSchema {
		t.Errorf("format %d with a constraint", v)
	}
	closeDB(t, db)
	db = openOn(t, fs)
	defer closeDB(t, db)
	if v := formatOf(t, db); v != formatSchema {
		t.Errorf("format %d after opening", v)
	}
	loaded := mustLoad(t, newMem(t), func(l *Loader) error { return l.CreateConstraint(EdgesJoin("R", "A", "B")) })
	defer closeDB(t, loaded)
	if v := formatOf(t, loaded); v != formatSchema {
		t.Errorf("format %d after a load", v)
	}
}

// A graph that an older release has made is marked by the first opening, and its edges are held to constraints from then on.
func TestAGraphOfAnOlderReleaseIsMarked(t *testing.T) {
	fs := newMem(t)
	db := openOn(t, fs)
	ids := addNodes(t, db, 1, "A")
	loseKeys(t, db, []string{string(freeKey)})
	addEdge(t, db, ids[0], ids[0], "R", nil) // without the mark it depends on the epoch
	closeDB(t, db)
	for range 2 {
		db = openOn(t, fs)
		if _, marked := rawKeys(t, db)[string(freeKey)]; !marked {
			t.Error("there is no mark")
		}
		view(t, db, func(tx *Txn) {
			if epoch, err := db.readEpoch(tx.kv); epoch != 1 || err != nil {
				t.Errorf("epoch %d, error %v: the mark was made again", epoch, err)
			}
		})
		closeDB(t, db)
	}
	db = openOn(t, fs)
	defer closeDB(t, db)
	constrain(t, db, EdgesJoin("S", "A", ""))
	if _, marked := rawKeys(t, db)[string(freeKey)]; marked {
		t.Error("the mark is there with a constraint on edges")
	}
	if err := db.DropConstraint(bg, EdgesJoin("S", "A", "")); err != nil {
		t.Fatal(err)
	}
	if _, marked := rawKeys(t, db)[string(freeKey)]; !marked {
		t.Error("there is no mark after the last constraint on edges")
	}
}

// someRules are constraints that steps keeps.
func someRules(create func(Constraint) error) error {
	return errors.Join(create(NodesHaveKind("A", "u", KindInt)), create(EdgesHaveKind("R", "u", KindBool)), create(NodesRequire("Z", "z")),
		create(EdgesRequire("T", "z")), create(EdgesJoin("T", "A", "B")))
}

// allowed makes two nodes that violate nothing, and an edge that does.
func allowed(t *testing.T, c creator) {
	t.Helper()
	for _, step := range []func() error{
		func() error { _, err := c.CreateNode([]string{"P"}, Props{"p": Int(1)}); return err },
		func() error { _, err := c.CreateNode([]string{"Q"}, nil); return err },
		func() error { _, err := c.CreateEdge(1, 2, "R", Props{"p": Int(1)}); return err },
	} {
		if err := step(); err != nil {
			t.Error(err)
		}
	}
}

// refusals makes what is refused, and returns the reasons without ids, of which transactions use some up.
func refusals(t *testing.T, c creator) (texts []string) {
	t.Helper()
	for _, step := range []func() error{
		func() error { _, err := c.CreateNode([]string{"P"}, nil); return err },
		func() error {
			_, _, err := c.CreateNodeAs("k", "x", []string{"P"}, Props{"p": Int(1), "q": Float(1)})
			return err
		},
		func() error { _, err := c.CreateEdge(1, 2, "R", nil); return err },
		func() error { _, err := c.CreateEdge(1, 2, "R", Props{"p": Int(1), "q": String("")}); return err },
		func() error { _, err := c.CreateEdge(2, 2, "R", Props{"p": Int(1)}); return err },
		func() error { _, err := c.CreateEdge(1, 1, "R", Props{"p": Int(1)}); return err },
		func() error { _, _, err := c.CreateEdgeAs("k", "x", 2, 1, "S", nil); return err },
	} {
		err := step()
		if !errors.Is(err, ErrConstraint) {
			t.Errorf("%v is no violation", err)
			continue
		}
		texts = append(texts, strings.Join(strings.Fields(err.Error())[3:], " "))
	}
	return texts
}

// What a load refuses, a transaction refuses with the same words.
func TestALoadIsHeldToConstraints(t *testing.T) {
	list := []Constraint{
		NodesRequire("P", "p"), NodesHaveKind("P", "q", KindInt), EdgesRequire("R", "p"), EdgesHaveKind("R", "q", KindInt),
		EdgesJoin("R", "P", "Q"), EdgesJoin("S", "P", ""),
	}
	var inLoad, inTxn []string
	loaded := mustLoad(t, newMem(t), func(l *Loader) error {
		for _, c := range list {
			if err := l.CreateConstraint(c); err != nil {
				return err
			}
		}
		wantErr(t, "again", l.CreateConstraint(list[0]), ErrConstraintExists, "every node :P has p")
		wantErr(t, "nonsense", l.CreateConstraint(Constraint{}), ErrInvalid, "no constraint")
		allowed(t, l)
		inLoad = refusals(t, l)
		wantErr(t, "after nodes", l.CreateConstraint(NodesRequire("A", "b")), ErrInvalid, "before its nodes")
		return nil
	})
	defer closeDB(t, loaded)
	check(t, loaded)
	db := openTest(t)
	constrain(t, db, list...)
	update(t, db, func(tx *Txn) error { allowed(t, tx); inTxn = refusals(t, tx); return nil })
	if !slices.Equal(inLoad, inTxn) || len(inLoad) != 7 {
		t.Errorf("a load refuses\n%s\na transaction\n%s", strings.Join(inLoad, "\n"), strings.Join(inTxn, "\n"))
	}
	err := loaded.Update(bg, func(tx *Txn) error { return tx.RemoveLabel(1, "P") })
	wantErr(t, "after the load", err, ErrConstraint, "node 1")
}

// Mend drops the constraints that what was lost has broken, and says why.
func TestMendDropsBrokenConstraints(t *testing.T) {
	fs := newMem(t)
	db := openOn(t, fs)
	kept := []Constraint{NodesRequire("B", "p"), EdgesHaveKind("R", "w", KindInt), NodesHaveKind("A", "p", KindInt)}
	constrain(t, db, append(kept, NodesRequire("A", "p"), EdgesRequire("R", "w"), EdgesJoin("R", "A", "B"))...)
	a, b := NodeID(0), NodeID(0)
	update(t, db, func(tx *Txn) (err error) {
		if a, err = tx.CreateNode([]string{"A"}, Props{"p": Int(1)}); err != nil {
			return err
		}
		if b, err = tx.CreateNode([]string{"B"}, Props{"p": Int(1)}); err != nil {
			return err
		}
		_, err = tx.CreateEdge(a, b, "R", Props{"w": Int(1)})
		return err
	})
	label, _ := db.labels.lookup("B")
	typ, _ := db.types.lookup("R")
	loseKeys(t, db, []string{
		string(appendNodeKey(nil, a)), string(appendNodeKey(nil, b)), string(appendLabelKey(nil, label, b)),
		string(appendOutKey(nil, place{src: a, dst: b, typ: typ, edge: 1})), string(counterKey(counterRules)), string(versionKey),
	})
	closeDB(t, db)
	report := mendOn(t, fs)
	var broken []string
	for _, e := range report.Broken {
		broken = append(broken, e.Error())
	}
	want := []string{
		"graph: node 1 cannot be without p: every node :A has p", "graph: edge 1 cannot be without w: every edge :R has w",
		"graph: edge 1 needs node 2 to have the label B: every edge :R goes from :A to :B",
	}
	if !slices.Equal(broken, want) || !strings.Contains(report.String(), "3 constraints dropped") || !slices.Contains(report.Counters, counterRules) {
		t.Errorf("report %v\nbroken %s", report, strings.Join(broken, "\n"))
	}
	if again := mendOn(t, fs); again.Changed() {
		t.Errorf("mended twice: %v", again)
	}
	db = openOn(t, fs)
	defer closeDB(t, db)
	if r := check(t, db); int(r.Constraints) != len(kept) || formatOf(t, db) != formatSchema {
		t.Errorf("%d constraints, format %d", r.Constraints, formatOf(t, db))
	}
	constrain(t, db, NodesRequire("C", "p")) // under an id that nobody has
	update(t, db, func(tx *Txn) error { _, err := tx.CreateEdge(b, a, "R", nil); return err })
	err := db.Update(bg, func(tx *Txn) error { return tx.SetEdgeProperty(1, "w", Bool(true)) })
	wantErr(t, "what is kept", err, ErrConstraint, "w of every edge :R is int")
}

// Check finds elements that violate a constraint in force, and definitions that say nothing.
func TestCheckFindsViolations(t *testing.T) {
	ready := func(r rule) *rule { r.state = ConstraintReady; return &r }
	for name, r := range map[string]*rule{
		"required":     ready(rule{id: 1, kind: RequiredProperty, on: 1, property: 2}),
		"kind":         ready(rule{id: 1, kind: PropertyKind, on: 1, property: 1, kinds: KindsOf(KindInt)}),
		"edge":         ready(rule{id: 1, kind: RequiredProperty, edges: true, on: 1, property: 1}),
		"edge's kind":  ready(rule{id: 1, kind: PropertyKind, edges: true, on: 1, property: 2, kinds: KindsOf(KindInt)}),
		"source":       ready(rule{id: 1, kind: EndpointLabels, edges: true, on: 1, ends: [2]uint64{2, 0}}),
		"destination":  ready(rule{id: 1, kind: EndpointLabels, edges: true, on: 1, ends: [2]uint64{1, 2}}),
		"label":        ready(rule{id: 1, kind: RequiredProperty, on: 9, property: 1}),
		"property":     ready(rule{id: 1, kind: RequiredProperty, on: 2, property: 9}),
		"type":         ready(rule{id: 1, kind: RequiredProperty, edges: true, on: 9, property: 1}),
		"counter":      ready(rule{id: 2, kind: RequiredProperty, on: 2, property: 1}),
		"not in force": {id: 1, kind: RequiredProperty, state: ConstraintVerifying, on: 1, property: 2},
	} {
		t.Run(name, func(t *testing.T) {
			db := openOn(t, newMem(t))
			defer closeDB(t, db)
			constrain(t, db, NodesHaveKind("B", "q", KindInt)) // uses up id 1
			if err := db.DropConstraint(bg, NodesHaveKind("B", "q", KindInt)); err != nil {
				t.Fatal(err)
			}
			update(t, db, func(tx *Txn) error {
				id, err := tx.CreateNode([]string{"A"}, Props{"p": String("x")})
				if err == nil {
					_, err = tx.CreateEdge(id, id, "R", Props{"p": String("x")})
				}
				return err
			})
			ids := func(d *dict, name string) uint64 { id, _ := d.lookup(name); return id }
			swap := map[uint64]uint64{1: ids(db.labels, "A"), 2: ids(db.labels, "B"), 9: 9}
			props := map[uint64]uint64{1: ids(db.properties, "p"), 2: ids(db.properties, "q"), 9: 9}
			now := *r
			if now.property = props[r.property]; !r.edges {
				now.on = swap[r.on]
			}
			if name == "edge" {
				now.property = props[2]
			} else if name == "edge's kind" {
				now.property = props[1]
			}
			now.ends = [2]uint64{swap[r.ends[0]], swap[r.ends[1]]}
			err := db.changeSchema(bg, func(kv *mvcc.Txn, _ *schema) error {
				return kv.Put(db.ks, appendRuleKey(nil, r.id), appendRule(nil, &now))
			})
			if err != nil {
				t.Fatal(err)
			}
			report, err := db.Check(bg)
			if want := 1; err != nil || (name == "not in force") != (len(report.Problems) == 0) || len(report.Problems) > want {
				t.Fatalf("%d problems, error %v: %v", len(report.Problems), err, report.Problems)
			}
			for _, p := range report.Problems {
				if !errors.Is(p, mvcc.ErrCorrupt) {
					t.Errorf("problem %v is not about corruption", p)
				}
			}
		})
	}
}
