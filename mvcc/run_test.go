package mvcc

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// runKeys is how many keys the tests of runs have, in some leaves.
const runKeys = 160

func runKey(n int) string { return fmt.Sprintf("key/%04d", n) }

// runModel has keys in the data tree only, all in cells of the usual form but for some long ones.
func runModel(t *testing.T, db *DB, ks *Keyspace) map[string]string {
	t.Helper()
	model := map[string]string{}
	must(t, db.Update(bg, func(tx *Txn) error {
		for n := range runKeys {
			value := strings.Repeat("v", 90+n%3)
			if n%40 == 39 {
				value = strings.Repeat("large", 1000)
			}
			model[runKey(n)] = value
			if err := tx.Put(ks, []byte(runKey(n)), []byte(value)); err != nil {
				return err
			}
		}
		return nil
	}))
	checkpoint(t, db)
	if keys := db.state.Load().active.Keys(); keys > 0 {
		t.Fatalf("%d keys are not in the tree", keys)
	}
	return model
}

// wantRange compares a range, in both directions and by each kind of iteration, with the model.
func wantRange(t *testing.T, tx *Txn, ks *Keyspace, model map[string]string, r Range) {
	t.Helper()
	var names []string
	for name := range model {
		if name >= string(r.Lo) && (r.Hi == nil || name < string(r.Hi)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	n := 0
	for key, err := range tx.Keys(ks, r) {
		must(t, err)
		if n == len(names) || string(key) != names[n] {
			t.Fatalf("key %d of [%s, %s) is %.20q, want %d keys", n, r.Lo, r.Hi, key, len(names))
		}
		n++
	}
	if n != len(names) {
		t.Fatalf("[%s, %s) has %d keys, want %d", r.Lo, r.Hi, n, len(names))
	}
	for i, items := range []func(func(Item, error) bool){tx.Scan(ks, r), tx.Reverse(ks, r)} {
		n := 0
		for item, err := range items {
			must(t, err)
			if n == len(names) || string(item.Key) != names[n] || string(item.Value) != model[names[n]] {
				t.Fatalf("item %d of [%s, %s) in direction %d is %.20q with %d bytes, want %d items", n, r.Lo, r.Hi, i, item.Key, len(item.Value), len(names))
			}
			n++
		}
		if n != len(names) {
			t.Fatalf("[%s, %s) has %d items in direction %d, want %d", r.Lo, r.Hi, n, i, len(names))
		}
		slices.Reverse(names)
	}
}

// TestARunEndsAtEachKeyOfAnotherLayer puts one key of the transaction's own at every place among those of the tree, so also at
// the first and last of each leaf: in place of a key, as its deletion, and behind it.
func TestARunEndsAtEachKeyOfAnotherLayer(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "ks")
	model := runModel(t, db, ks)
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	sp, err := tx.Savepoint()
	must(t, err)
	all := Range{}
	for n := range runKeys {
		name, old := runKey(n), model[runKey(n)]
		must(t, tx.Put(ks, []byte(name), []byte("own")))
		model[name] = "own"
		wantRange(t, tx, ks, model, all)
		must(t, tx.Delete(ks, []byte(name)))
		delete(model, name)
		wantRange(t, tx, ks, model, all)
		must(t, tx.RollbackTo(sp))
		model[name] = old
		must(t, tx.Put(ks, []byte(name+"+"), []byte("own")))
		model[name+"+"] = "own"
		wantRange(t, tx, ks, model, all)
		must(t, tx.RollbackTo(sp))
		delete(model, name+"+")
	}
}

// TestARunEndsAtNewerVersions has versions in the tables that one snapshot sees and another does not. Later they are in the tree, and the
// older snapshot needs the history.
func TestARunEndsAtNewerVersions(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "ks")
	before := runModel(t, db, ks)
	after := map[string]string{}
	for k, v := range before {
		after[k] = v
	}
	old := begin(t, db, Snapshot)
	defer old.Rollback()
	wantRange(t, old, ks, before, Range{})
	for n := range runKeys {
		name := []byte(runKey(n))
		switch {
		case n%9 == 0:
			must(t, db.Update(bg, func(tx *Txn) error { return tx.Put(ks, name, []byte("new")) }))
			after[string(name)] = "new"
		case n%9 == 4:
			must(t, db.Update(bg, func(tx *Txn) error { return tx.Delete(ks, name) }))
			delete(after, string(name))
		default:
			continue
		}
		if n%3 == 0 {
			wantRange(t, old, ks, before, Range{})
		}
	}
	for range 3 {
		tx := begin(t, db, Snapshot)
		wantRange(t, tx, ks, after, Range{})
		wantRange(t, old, ks, before, Range{})
		tx.Rollback()
		checkpoint(t, db)
	}
}

// TestARunEndsAtTheRange begins and ends ranges at every key and between any two, in a keyspace that has others on both sides.
func TestARunEndsAtTheRange(t *testing.T) {
	db := openTest(t)
	for _, name := range []string{"before", "ks", "behind"} {
		ks := keyspace(t, db, name)
		model := runModel(t, db, ks)
		if name != "behind" {
			continue
		}
		ks = keyspace(t, db, "ks")
		must(t, db.View(bg, func(tx *Txn) error {
			for n := range runKeys {
				at := []byte(runKey(n))
				for _, key := range [][]byte{at, append(slices.Clone(at), 0)} {
					wantRange(t, tx, ks, model, Range{Lo: key})
					wantRange(t, tx, ks, model, Range{Hi: key})
					wantRange(t, tx, ks, model, Range{Lo: key, Hi: []byte(runKey(n + 1 + n%7))})
					wantRange(t, tx, ks, model, Range{Lo: key, Hi: key})
				}
			}
			return nil
		}))
	}
}

// TestARunSurvivesCheckpoints changes everything and makes checkpoints while a loop stands in a leaf, in a cache that has no
// room for both: what the loop shows is what its snapshot sees.
func TestARunSurvivesCheckpoints(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "ks")
	model := runModel(t, db, ks)
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	n := 0
	for item, err := range tx.Scan(ks, Range{}) {
		must(t, err)
		if want := model[runKey(n)]; string(item.Key) != runKey(n) || string(item.Value) != want {
			t.Fatalf("item %d is %.20q with %d bytes", n, item.Key, len(item.Value))
		}
		if n++; n%20 != 5 {
			continue
		}
		for round := range 3 {
			must(t, db.Update(bg, func(tx *Txn) error {
				for i := range runKeys {
					value := []byte(strings.Repeat(fmt.Sprint(round), 300))
					if err := tx.Put(ks, []byte(runKey(i)), value); err != nil {
						return err
					}
				}
				return nil
			}))
			checkpoint(t, db)
		}
	}
	if n != runKeys {
		t.Fatalf("saw %d items", n)
	}
}
