package graph

import (
	"errors"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

// FuzzKeyspace: whatever stands in the graph's keyspace, opening, reading, checking and changing it end with an answer or
// with an error.
func FuzzKeyspace(f *testing.F) {
	mem := newMem(f)
	db := openOn(f, mem)
	fillForFuzzing(f, db)
	type pair struct{ key, value []byte }
	var all []pair
	err := db.store.View(bg, func(tx *mvcc.Txn) error {
		for item, err := range tx.Scan(db.ks, mvcc.Range{}) {
			if err != nil {
				return err
			}
			all = append(all, pair{append([]byte{}, item.Key...), append([]byte{}, item.Value...)})
		}
		return nil
	})
	if err = errors.Join(err, db.Close()); err != nil {
		f.Fatal(err)
	}
	tags := map[string]bool{}
	for _, p := range all {
		if tag := string(p.key[:min(2, len(p.key))]); !tags[tag] {
			tags[tag] = true
			f.Add(p.key, append(p.value, 1), p.key[:len(p.key)-1], p.value)
			f.Add(append(p.key, 7), p.value, p.key, []byte{})
		}
	}
	f.Add([]byte{keyNode, 200}, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, []byte{keyOut, 1, 1, 1}, []byte{})
	f.Fuzz(func(t *testing.T, key1, value1, key2, value2 []byte) {
		if len(key1) > mvcc.MaxKeySize || len(key2) > mvcc.MaxKeySize {
			return
		}
		image := mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll})
		store, err := mvcc.Open(testPath, &mvcc.Options{FS: image, MemoryBudget: mvcc.MinMemoryBudget, SegmentSize: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		ks, err := store.Keyspace(bg, keyspaceName)
		if err == nil {
			err = store.Update(bg, func(tx *mvcc.Txn) error {
				return errors.Join(tx.Put(ks, key1, value1), tx.Put(ks, key2, value2))
			})
		}
		if err = errors.Join(err, store.Close()); err != nil {
			t.Fatal(err)
		}
		useStrangeGraph(t, image)
	})
}

// fillForFuzzing makes keys of every kind.
func fillForFuzzing(f *testing.F, db *DB) {
	err := errors.Join(db.CreateIndex(bg, "A", "p", true), db.CreateIndex(bg, "B", "q", false))
	err = errors.Join(err, db.CreateConstraint(bg, EdgesJoin("R", "A", "B")), db.CreateConstraint(bg, NodesHaveKind("A", "p", KindInt)),
		db.CreateConstraint(bg, EdgesRequire("R", "r")), db.CreateCompositeIndex(bg, "A", []string{"p", "r"}, true),
		db.CreateCompositeIndex(bg, "B", []string{"q", "q2"}, false))
	if err == nil {
		err = db.Update(bg, func(tx *Txn) error {
			a, err := tx.CreateNode([]string{"A"}, Props{"p": Int(1), "r": Bytes([]byte{0})})
			if err != nil {
				return err
			}
			b, _, err := tx.CreateNodeAs("import", "b", []string{"B"}, Props{"q": String("x\x00"), "q2": List(Int(1))})
			if err != nil {
				return err
			}
			_, _, err = tx.CreateEdgeAs("import", "e", a, b, "R", Props{"r": Float(2.5)})
			return err
		})
	}
	if err != nil {
		f.Fatal(err)
	}
}

// useStrangeGraph does with a database what can be done with one. Nothing may panic or go on for ever.
func useStrangeGraph(t *testing.T, fs vfs.FS) {
	db, err := Open(testPath, &Options{Options: mvcc.Options{FS: fs, MemoryBudget: mvcc.MinMemoryBudget, SegmentSize: 1 << 20}})
	if err != nil {
		return
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	_, _ = db.Check(bg)
	_ = db.View(bg, func(tx *Txn) error {
		for id := range NodeID(4) {
			_, _ = tx.Node(id)
			for range tx.Edges(id, Both) {
			}
			for range tx.BFS(id, Traversal{Direction: Both}) {
			}
		}
		for range tx.Nodes() {
		}
		for range tx.AllEdges() {
		}
		for range tx.Find("A", "p", Int(1)) {
		}
		for range tx.FindRange("B", "q", Range{}) {
		}
		for range tx.FindComposite("A", []string{"p", "r"}, []Value{Int(1)}, Range{Lo: Bytes(nil)}) {
		}
		for range tx.FindComposite("B", []string{"q", "q2"}, nil, Range{Reverse: true}) {
		}
		_, _ = tx.Indexes()
		_, _ = tx.Constraints()
		_, _ = tx.LookupNode("import", "b")
		return nil
	})
	_ = db.Update(bg, func(tx *Txn) error {
		_, _ = tx.CreateNode([]string{"A"}, Props{"p": Int(2)})
		_, _ = tx.CreateEdge(1, 2, "R", nil)
		_ = tx.RemoveLabel(1, "A")
		_ = tx.SetEdgeProperty(1, "r", Null())
		return tx.DetachDelete(1)
	})
	_ = db.DropIndex(bg, "A", "p")
	_ = db.DropIndex(bg, "A", "p", "r")
	_ = db.CreateConstraint(bg, EdgesHaveKind("R", "r", KindInt))
	_ = db.DropConstraint(bg, EdgesJoin("R", "A", "B"))
}
