package graph

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
	"pgregory.net/rapid"
)

func mendOn(t tb, fs vfs.FS) *MendReport {
	t.Helper()
	report, err := Mend(bg, testPath, mendOptions(fs))
	if err != nil {
		t.Fatalf("mend: %v", err)
	}
	return report
}

func mendOptions(fs vfs.FS) *Options {
	return &Options{Options: mvcc.Options{FS: fs, MemoryBudget: mvcc.MinMemoryBudget, SegmentSize: 1 << 20}}
}

func closeDB(t tb, db *DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// rawKeys returns all entries of the graph.
func rawKeys(t tb, db *DB) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := db.store.View(bg, func(kv *mvcc.Txn) error {
		for item, err := range kv.Scan(db.ks, mvcc.Range{}) {
			if err != nil {
				return err
			}
			all[string(item.Key)] = string(item.Value)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	return all
}

// loseKeys removes entries as a repair of the store does that could not save them.
func loseKeys(t tb, db *DB, keys []string) {
	t.Helper()
	err := db.store.Update(bg, func(kv *mvcc.Txn) error {
		for _, key := range keys {
			if err := kv.Delete(db.ks, []byte(key)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("delete: %v", err)
	}
}

// someGraph makes a small graph with labels, indexes, edges, loops and external ids.
func someGraph(rt *rapid.T, db *DB) {
	rt.Helper()
	for _, ix := range []Index{{Label: "A", Properties: []string{"p"}, Unique: true}, {Label: "A", Properties: []string{"q"}}, {Label: "B", Properties: []string{"q"}},
		{Label: "A", Properties: []string{"q", "p"}}, {Label: "B", Properties: []string{"p", "r"}, Unique: true}} {
		if err := db.CreateCompositeIndex(bg, ix.Label, ix.Properties, ix.Unique); err != nil {
			rt.Fatalf("index: %v", err)
		}
	}
	constrain(rt, db, NodesRequire("A", "p"), NodesHaveKind("B", "p", KindInt), EdgesHaveKind("R", "s", KindInt))
	update(rt, db, func(tx *Txn) error {
		var ids []NodeID
		for i := range rapid.IntRange(1, 12).Draw(rt, "nodes") {
			labels := rapid.SliceOfN(rapid.SampledFrom(modelLabels), 0, 3).Draw(rt, "labels")
			value := rapid.SampledFrom(modelValues)
			id, err := tx.CreateNode(labels, Props{"p": Int(int64(i)), "q": value.Draw(rt, "q"), "r": value.Draw(rt, "r")})
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		end := rapid.SampledFrom(ids)
		for range rapid.IntRange(0, 16).Draw(rt, "edges") {
			props := Props{"r": rapid.SampledFrom(modelValues).Draw(rt, "weight")}
			if _, err := tx.CreateEdge(end.Draw(rt, "src"), end.Draw(rt, "dst"), rapid.SampledFrom(modelTypes).Draw(rt, "type"), props); err != nil {
				return err
			}
		}
		_, _, err := tx.CreateNodeAs("import", "ext", []string{"C"}, nil)
		return err
	})
}

// content is the graph as its users see it.
func content(t tb, db *DB) (nodes map[NodeID]Node, edges map[EdgeID]Edge) {
	t.Helper()
	nodes, edges = map[NodeID]Node{}, map[EdgeID]Edge{}
	err := db.View(bg, func(tx *Txn) error {
		for n, err := range tx.Nodes() {
			if err != nil {
				return err
			}
			nodes[n.ID] = n
		}
		for e, err := range tx.AllEdges() {
			if err != nil {
				return err
			}
			edges[e.ID] = e
		}
		return nil
	})
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return nodes, edges
}

// evidence is what the entries that are left tell of the graph.
type evidence struct {
	nodes map[NodeID]*nodeRec // known of nodes without a record
	edges map[EdgeID]bool     // their records are there
}

func evidenceIn(t tb, s *schema, left map[string]string) evidence {
	t.Helper()
	ev := evidence{nodes: map[NodeID]*nodeRec{}, edges: map[EdgeID]bool{}}
	node := func(id NodeID) *nodeRec {
		if ev.nodes[id] == nil {
			ev.nodes[id] = &nodeRec{}
		}
		return ev.nodes[id]
	}
	edge := func(p place, record bool) {
		node(p.src)
		node(p.dst)
		ev.edges[p.edge] = ev.edges[p.edge] || record
	}
	for k, v := range left {
		key, value := []byte(k), []byte(v)
		switch key[0] {
		case keyNode:
			id, _ := parseNodeKey(key)
			node(id)
		case keyOut, keyIn:
			p, _ := parseAdjacency(key)
			edge(p, key[0] == keyOut)
		case keyEdge:
			f, _ := cutUints(key[1:], 1)
			p, _ := parsePlace(EdgeID(f[0]), value)
			edge(p, false)
		case keyLabel:
			label, id, _ := parseLabelKey(key)
			node(id).addLabel(label)
		case keyIndex, keyUnique:
			number, v, id, _ := parseIndexKey(key)
			if id == 0 {
				f, _ := cutUints(value, 1)
				id = NodeID(f[0])
			}
			s.byID[number].fill(node(id), v)
		}
	}
	return ev
}

func TestMendRestoresWhatEntriesTell(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fs := newMem(rt)
		db := openOn(rt, fs)
		someGraph(rt, db)
		nodes, edges := content(rt, db)
		left := rawKeys(rt, db)
		share := rapid.IntRange(0, 100).Draw(rt, "share lost")
		var lost []string
		for _, key := range slices.Sorted(maps.Keys(left)) {
			if key[0] != keyCatalog && rapid.IntRange(0, 99).Draw(rt, "lose") < share {
				lost = append(lost, key)
				delete(left, key)
			}
		}
		loseKeys(rt, db, lost)
		ev := evidenceIn(rt, db.schema.Load(), left)
		closeDB(rt, db)

		report := mendOn(rt, fs)
		if again := mendOn(rt, fs); again.Changed() {
			rt.Errorf("mended twice: %v, then %v", report, again)
		}
		db = openOn(rt, fs)
		defer closeDB(rt, db)
		check(rt, db)
		gotNodes, gotEdges := content(rt, db)
		for id, known := range ev.nodes {
			want := nodes[id]
			record := left[string(appendNodeKey(nil, id))] != ""
			if !record {
				want.Labels, want.Props = nil, nil
				for _, label := range known.labels {
					want.Labels = append(want.Labels, db.labels.describe(label))
				}
				want.Props, _ = (&Txn{db: db}).publicProps(known.props)
			}
			if got, ok := gotNodes[id]; !ok || !sameContent(got, want) {
				rt.Errorf("node %d: %+v, want %+v", id, got, want)
			}
			if slices.Contains(report.Nodes, id) == record {
				rt.Errorf("node %d, whose record is there: %v, in the report: %v", id, record, report.Nodes)
			}
		}
		for id, record := range ev.edges {
			want := edges[id]
			if !record {
				want.Props = nil
			}
			if got, ok := gotEdges[id]; !ok || !sameEdgeContent(got, want) {
				rt.Errorf("edge %d: %+v, want %+v", id, got, want)
			}
			if slices.Contains(report.Edges, id) == record {
				rt.Errorf("edge %d, whose record is there: %v, in the report: %v", id, record, report.Edges)
			}
		}
		if len(gotNodes) != len(ev.nodes) || len(gotEdges) != len(ev.edges) {
			rt.Errorf("%d nodes and %d edges, want %d and %d", len(gotNodes), len(gotEdges), len(ev.nodes), len(ev.edges))
		}
	})
}

func sameContent(a, b Node) bool {
	return a.ID == b.ID && slices.Equal(a.Labels, b.Labels) && maps.EqualFunc(a.Props, b.Props, Value.Equal)
}

func sameEdgeContent(a, b Edge) bool {
	return a.ID == b.ID && a.Src == b.Src && a.Dst == b.Dst && a.Type == b.Type && maps.EqualFunc(a.Props, b.Props, Value.Equal)
}

func TestMendMakesALostCatalogAnew(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fs := newMem(rt)
		db := openOn(rt, fs)
		someGraph(rt, db)
		nodes, edges := content(rt, db)
		var lost []string
		for _, key := range slices.Sorted(maps.Keys(rawKeys(rt, db))) {
			if key[0] == keyCatalog && rapid.Bool().Draw(rt, "lose") {
				lost = append(lost, key)
			}
		}
		loseKeys(rt, db, lost)
		closeDB(rt, db)

		report := mendOn(rt, fs)
		if again := mendOn(rt, fs); again.Changed() {
			rt.Errorf("mended twice: %v, then %v", report, again)
		}
		db = openOn(rt, fs)
		defer closeDB(rt, db)
		check(rt, db)
		gotNodes, gotEdges := content(rt, db)
		if len(gotNodes) != len(nodes) || len(gotEdges) != len(edges) {
			rt.Errorf("%d nodes and %d edges, want %d and %d", len(gotNodes), len(gotEdges), len(nodes), len(edges))
		}
		for id, n := range gotNodes {
			if len(n.Labels) != len(nodes[id].Labels) || len(n.Props) != len(nodes[id].Props) {
				rt.Errorf("node %d is %+v, want %+v but for names", id, n, nodes[id])
			}
		}
		rules, err := db.Constraints(bg)
		if err != nil {
			rt.Fatalf("constraints: %v", err)
		}
		for _, c := range rules { // they may want properties now whose names were made up
			if err := db.DropConstraint(bg, c); err != nil {
				rt.Errorf("drop %v: %v", c, err)
			}
		}
		update(rt, db, func(tx *Txn) error {
			id, err := tx.CreateNode([]string{"A", "new label"}, Props{"p": Int(1 << 40), "new property": Int(1)})
			if _, used := nodes[id]; used {
				rt.Errorf("node id %d was given twice", id)
			}
			if err == nil {
				var e EdgeID
				e, err = tx.CreateEdge(id, id, "new type", nil)
				if _, used := edges[e]; used {
					rt.Errorf("edge id %d was given twice", e)
				}
			}
			return err
		})
		check(rt, db)
	})
}

// An id that an external id still leads to must not be given to another node.
func TestMendKeepsIDsOfDeletedElements(t *testing.T) {
	fs := newMem(t)
	db := openOn(t, fs)
	var deleted NodeID
	update(t, db, func(tx *Txn) (err error) {
		deleted, _, err = tx.CreateNodeAs("import", "gone", nil, nil)
		return err
	})
	update(t, db, func(tx *Txn) error { return tx.DeleteNode(deleted) })
	loseKeys(t, db, []string{string(counterKey(counterNodes))})
	closeDB(t, db)
	if report := mendOn(t, fs); !slices.Equal(report.Counters, []string{counterNodes}) {
		t.Errorf("report: %+v", report)
	}
	db = openOn(t, fs)
	defer closeDB(t, db)
	update(t, db, func(tx *Txn) error {
		id, err := tx.CreateNode(nil, nil)
		if id <= deleted {
			t.Errorf("id %d after %d", id, deleted)
		}
		if _, err := tx.LookupNode("import", "gone"); !errors.Is(err, ErrNodeNotFound) {
			t.Errorf("the external id of a deleted node leads to another: %v", err)
		}
		return err
	})
}

// Commits that are lost from the middle of the log leave entries that contradict each other.
func TestMendRemovesWhatRecordsContradict(t *testing.T) {
	fs := newMem(t)
	db := openOn(t, fs)
	if err := db.CreateIndex(bg, "P", "mail", true); err != nil {
		t.Fatal(err)
	}
	if err := db.CreateIndex(bg, "P", "age", false); err != nil {
		t.Fatal(err)
	}
	var ann, bob NodeID
	update(t, db, func(tx *Txn) (err error) {
		if ann, err = tx.CreateNode([]string{"P"}, Props{"mail": String("ann"), "age": Int(1)}); err != nil {
			return err
		}
		bob, err = tx.CreateNode([]string{"P"}, Props{"mail": String("bob"), "age": Int(1)})
		return err
	})
	s := db.schema.Load()
	p, _ := db.labels.lookup("P")
	mail, _ := db.properties.lookup("mail")
	age, _ := db.properties.lookup("age")
	put := func(key, value []byte) {
		t.Helper()
		if err := db.store.Update(bg, func(kv *mvcc.Txn) error { return kv.Put(db.ks, key, value) }); err != nil {
			t.Fatal(err)
		}
	}
	put(appendLabelKey(nil, p+1, ann), nil)                                                // ann does not have the label
	put(appendIndexKey(nil, s.find(p, age), Int(7), bob), nil)                             // bob has another age
	put(appendIndexKey(nil, s.find(p, mail), String("old"), 0), appendUint(nil, 99))       // a node that is nowhere else
	put(appendIndexKey(nil, &index{id: 77}, Int(7), bob), nil)                             // there is no such index
	put(appendIndexKey(nil, &index{id: 78, unique: true}, Int(7), bob), []byte{byte(bob)}) // nor such
	var knows EdgeID
	update(t, db, func(tx *Txn) (err error) {
		knows, err = tx.CreateEdge(ann, bob, "KNOWS", nil)
		return err
	})
	put(appendEdgeKey(nil, knows), appendPlace(nil, place{src: bob, dst: ann, typ: 1})) // the edge is elsewhere
	closeDB(t, db)
	report := mendOn(t, fs)
	if report.Removed != 4 || report.Added != 2 || len(report.Edges) != 0 || !slices.Equal(report.Nodes, []NodeID{99}) || len(report.Dropped) != 0 {
		t.Errorf("report: %v %+v", report, report)
	}

	// Two nodes with one value: the index goes, no value does.
	db = openOn(t, fs)
	check(t, db)
	put(appendNodeKey(nil, bob), appendNode(nil, &nodeRec{labels: []uint64{p}, props: propList{{mail, String("ann")}, {age, Int(1)}}}))
	closeDB(t, db)
	report = mendOn(t, fs)
	if len(report.Dropped) != 1 || report.Dropped[0].Property != "mail" || report.Dropped[0].Node != bob || report.Dropped[0].Existing != ann {
		t.Errorf("report: %v %v", report, report.Dropped)
	}
	db = openOn(t, fs)
	defer closeDB(t, db)
	check(t, db)
	indexes, err := db.Indexes(bg)
	if err != nil || !reflect.DeepEqual(indexes, []Index{{Label: "P", Properties: []string{"age"}, State: IndexReady}}) {
		t.Errorf("indexes: %v, %v", indexes, err)
	}
	nodes, _ := content(t, db)
	if !nodes[bob].Props["mail"].Equal(String("ann")) || !nodes[ann].Props["mail"].Equal(String("ann")) || !nodes[99].Props["mail"].Equal(String("old")) {
		t.Errorf("nodes: %v", nodes)
	}
}

func TestMendMakesUpNamesThatNobodyHas(t *testing.T) {
	fs := newMem(t)
	db := openOn(t, fs)
	update(t, db, func(tx *Txn) error {
		_, err := tx.CreateNode([]string{"lost"}, nil)
		return err
	})
	update(t, db, func(tx *Txn) error {
		_, err := tx.CreateNode([]string{"recovered-1"}, nil)
		return err
	})
	loseKeys(t, db, []string{string(appendNameKey(nil, dictLabels, "lost"))})
	closeDB(t, db)
	if report := mendOn(t, fs); !slices.Equal(report.Names, []string{"label recovered-1'"}) {
		t.Errorf("names: %q", report.Names)
	}
	db = openOn(t, fs)
	defer closeDB(t, db)
	check(t, db)
	nodes, _ := content(t, db)
	if !nodes[1].HasLabel("recovered-1'") || !nodes[2].HasLabel("recovered-1") {
		t.Errorf("nodes: %v", nodes)
	}
}

func TestMendFindsAGraphWithoutItsName(t *testing.T) {
	fs := newMem(t)
	db := openOn(t, fs)
	update(t, db, func(tx *Txn) error {
		_, err := tx.CreateNode([]string{"A"}, nil)
		return err
	})
	other, err := db.store.Keyspace(bg, "recovered-15") // of the application
	if err != nil {
		t.Fatal(err)
	}
	err = db.store.Update(bg, func(kv *mvcc.Txn) error {
		return errors.Join(kv.Put(other, appendNodeKey(nil, 1), nil), kv.Put(other, []byte("Name"), nil))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.store.RenameKeyspace(bg, keyspaceName, "recovered-16"); err != nil {
		t.Fatal(err)
	}
	closeDB(t, db)
	if report := mendOn(t, fs); report.Keyspace != "recovered-16" || !report.Changed() {
		t.Errorf("report: %+v", report)
	}
	db = openOn(t, fs)
	defer closeDB(t, db)
	if report := check(t, db); report.Nodes != 1 {
		t.Errorf("%d nodes", report.Nodes)
	}
	if names, err := db.store.Keyspaces(bg); err != nil || !slices.Equal(names, []string{"graph", "recovered-15"}) {
		t.Errorf("keyspaces: %q, %v", names, err)
	}
}

func TestMendLeavesAGoodGraphAlone(t *testing.T) {
	fs := newMem(t)
	closeDB(t, openOn(t, fs))
	if report := mendOn(t, fs); report.Changed() || report.String() != "nothing to mend" {
		t.Errorf("an empty graph: %+v", report)
	}
}

func TestMendRefuses(t *testing.T) {
	fs := newMem(t)
	if _, err := Mend(bg, testPath, mendOptions(fs)); !errors.Is(err, mvcc.ErrNotExist) {
		t.Errorf("no database: %v", err)
	}
	store, err := mvcc.Open(testPath, &mendOptions(fs).Options)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Mend(bg, testPath, mendOptions(fs)); !errors.Is(err, ErrNotGraph) {
		t.Errorf("no graph: %v", err)
	}
	db := openOn(t, fs)
	update(t, db, func(tx *Txn) error {
		_, err := tx.CreateNode([]string{"A"}, nil)
		return err
	})
	loseKeys(t, db, []string{string(appendNodeKey(nil, 1)), string(counterKey(counterNodes))})
	closeDB(t, db)

	readOnly := mendOptions(fs)
	readOnly.ReadOnly = true
	if _, err := Mend(bg, testPath, readOnly); !errors.Is(err, mvcc.ErrReadOnly) {
		t.Errorf("read-only: %v", err)
	}
	cancelled, cancel := context.WithCancel(bg)
	cancel()
	if _, err := Mend(cancelled, testPath, mendOptions(fs)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	db = openOn(t, fs)
	report, err := db.Check(bg)
	if err != nil || len(report.Problems) == 0 {
		t.Errorf("what was refused has changed something: %v, %v", report.Problems, err)
	}
	if err := db.store.Update(bg, func(kv *mvcc.Txn) error { return kv.Put(db.ks, versionKey, appendUint(nil, 9)) }); err != nil {
		t.Fatal(err)
	}
	closeDB(t, db)
	if _, err := Mend(bg, testPath, mendOptions(fs)); !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "9") {
		t.Errorf("another format: %v", err)
	}
}
