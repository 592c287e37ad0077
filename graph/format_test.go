package graph

import (
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

// goldenGraph makes a database of the entries in a golden file: hexadecimal key = value, one a line. It was written by a
// release of that format, and never changes.
func goldenGraph(t *testing.T, name string) *vfs.Mem {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	fs := newMem(t)
	store, err := mvcc.Open(testPath, &mendOptions(fs).Options)
	if err != nil {
		t.Fatal(err)
	}
	ks, err := store.Keyspace(bg, keyspaceName)
	if err != nil {
		t.Fatal(err)
	}
	err = store.Update(bg, func(kv *mvcc.Txn) error {
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " = ")
			k, err := hex.DecodeString(key)
			v, err2 := hex.DecodeString(value)
			if err = errors.Join(err, err2, kv.Put(ks, k, v)); err != nil {
				return err
			}
		}
		return nil
	})
	if err = errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	return fs
}

// A graph that a release without constraints has made is read as it is, stays of its format while it can, and gets
// constraints like any other.
func TestGraphsOfFormat1AreOpened(t *testing.T) {
	fs := goldenGraph(t, "testdata/format1.txt")
	opts := mendOptions(fs)
	opts.ReadOnly = true
	db, err := Open(testPath, opts)
	if err != nil {
		t.Fatal(err)
	}
	wantGolden(t, db)
	closeDB(t, db)
	db = openOn(t, fs)
	wantGolden(t, db)
	addEdge(t, db, 1, 2, "KNOWS", nil)
	addNodes(t, db, 1, "Person")
	if v := formatOf(t, db); v != formatPlain {
		t.Errorf("format %d", v)
	}
	wantErr(t, "violated", db.CreateConstraint(bg, EdgesRequire("KNOWS", "since")), ErrConstraint, "without since")
	constrain(t, db, EdgesJoin("KNOWS", "Admin", "Person"))
	closeDB(t, db)
	db = openOn(t, fs)
	defer closeDB(t, db)
	if v := formatOf(t, db); v != formatSchema {
		t.Errorf("format %d", v)
	}
	err = db.Update(bg, func(tx *Txn) error { _, err := tx.CreateEdge(2, 1, "KNOWS", nil); return err })
	wantErr(t, "an edge", err, ErrConstraint, "label Admin")
	check(t, db)
}

func wantGolden(t *testing.T, db *DB) {
	t.Helper()
	r := check(t, db)
	if r.Nodes != 2 || r.Edges != 2 || r.Indexes != 2 || r.IndexEntries != 3 || r.ExternalIDs != 1 {
		t.Errorf("report %+v", r)
	}
	view(t, db, func(tx *Txn) {
		ann := collect(t, tx.Find("Person", "email", String("ann@x.org")))
		if len(ann) != 1 || !ann[0].HasLabel("Admin") || ann[0].Props["age"] != Int(41) {
			t.Fatalf("found %v", ann)
		}
		edges := collect(t, tx.Edges(ann[0].ID, Out, "KNOWS"))
		if len(edges) != 1 || edges[0].Props["since"] != Date(2019, 5, 1) {
			t.Fatalf("edges %v", edges)
		}
		bob, err := tx.Node(edges[0].Dst)
		if err != nil || !bob.Props["tags"].Equal(List(String("x"), Float(2.5))) {
			t.Errorf("node %v, error %v", bob, err)
		}
		if id, err := tx.LookupNode("crm", "a1"); id != ann[0].ID || err != nil {
			t.Errorf("node %d, error %v", id, err)
		}
	})
}
