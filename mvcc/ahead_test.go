package mvcc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
)

// aheadKeys are the keys that TestCursorReadsAheadAcrossAllSources uses: every tenth of them is long.
func aheadKey(n int) string {
	if n%10 == 0 {
		return fmt.Sprintf("%04d%s", n, strings.Repeat("-", 300))
	}
	return fmt.Sprintf("%04d", n)
}

// aheadLayers fills a database so that a transaction at the returned snapshot finds keys in each kind of source: the data
// tree with deltas and large values, the history tree, a frozen and the active table.
func aheadLayers(t *testing.T, db *DB, ks *Keyspace, keys int) *Txn {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	change := func(every int, what string) {
		must(t, db.Update(bg, func(tx *Txn) error {
			for n := range keys {
				var err error
				switch key := []byte(aheadKey(n)); {
				case rng.IntN(every) > 0:
				case rng.IntN(5) == 0:
					err = tx.Delete(ks, key)
				case rng.IntN(20) == 0:
					err = tx.Put(ks, key, []byte(what+strings.Repeat("large", 1000)))
				default:
					err = tx.Put(ks, key, []byte(what))
				}
				if err != nil {
					return err
				}
			}
			return nil
		}))
	}
	change(1, "tree")
	checkpoint(t, db)
	change(20, "delta")
	checkpoint(t, db)
	change(6, "frozen")
	db.checkpoints.run.Lock() // the caller unlocks it
	db.freeze()
	change(6, "active")
	old := begin(t, db, Snapshot)
	if _, err := old.Snapshot(); err != nil {
		t.Fatal(err)
	}
	change(9, "newer")
	return old
}

// aheadWants returns what point reads say about all keys, in order.
func aheadWants(t *testing.T, tx *Txn, ks *Keyspace, keys int) (names []string, values map[string]string) {
	t.Helper()
	values = map[string]string{}
	for n := range keys {
		v, err := tx.Get(ks, []byte(aheadKey(n)))
		if errors.Is(err, ErrNotFound) {
			continue
		}
		must(t, err)
		names = append(names, aheadKey(n))
		values[aheadKey(n)] = string(v)
	}
	slices.Sort(names)
	return names, values
}

// TestCursorReadsAheadAcrossAllSources walks to and fro over keys of all sources at once, and compares with
// point reads. Later the layers are merged behind the cursor's back, so that its snapshot needs the history tree, too.
func TestCursorReadsAheadAcrossAllSources(t *testing.T) {
	const keys = 600
	db := openTest(t)
	ks := keyspace(t, db, "ks")
	tx := aheadLayers(t, db, ks, keys)
	defer tx.Rollback()
	release := sync.OnceFunc(db.checkpoints.run.Unlock)
	defer release()
	if len(db.state.Load().frozen) != 1 {
		t.Fatal("no table is frozen")
	}
	aheadWants(t, tx, ks, keys) // what was read holds the snapshot where it is
	for n := 3; n < keys; n += 7 {
		if err := tx.Put(ks, []byte(aheadKey(n)), []byte("own")); err != nil && !errors.Is(err, ErrConflict) {
			t.Fatal(err)
		}
	}
	names, values := aheadWants(t, tx, ks, keys)
	w := aheadWalker{names: names, values: values, rng: rand.New(rand.NewPCG(3, 4))}
	w.open(t, tx, ks)
	defer w.c.Close()
	for range 3000 {
		w.step(t)
	}
	release()
	checkpoint(t, db) // what was frozen
	checkpoint(t, db)
	if st := db.state.Load(); len(st.frozen) != 0 || st.historyEnd <= tx.snapshot {
		t.Fatal("the snapshot does not need the history tree")
	}
	for range 3000 {
		w.step(t)
	}
}

// aheadWalker moves a cursor at random.
type aheadWalker struct {
	c      *Cursor
	names  []string
	values map[string]string
	at     int // -1 without a position
	rng    *rand.Rand
}

func (w *aheadWalker) open(t *testing.T, tx *Txn, ks *Keyspace) {
	t.Helper()
	c, err := tx.Cursor(ks, Range{})
	must(t, err)
	w.c, w.at = c, -1
}

// step seeks, or makes some moves in one direction.
func (w *aheadWalker) step(t *testing.T) {
	t.Helper()
	if w.at < 0 || w.rng.IntN(10) == 0 {
		key := aheadKey(w.rng.IntN(620))
		i := sort.SearchStrings(w.names, key)
		if w.rng.IntN(2) == 0 {
			w.moved(t, "Seek", w.c.Seek([]byte(key)), i)
		} else {
			w.moved(t, "SeekBefore", w.c.SeekBefore([]byte(key)), i-1)
		}
		return
	}
	forward := w.rng.IntN(2) == 0
	for range w.rng.IntN(100) {
		if w.at < 0 {
			return
		}
		if forward {
			w.moved(t, "Next", w.c.Next(), w.at+1)
		} else {
			w.moved(t, "Prev", w.c.Prev(), w.at-1)
		}
	}
}

// moved compares the cursor's place with the i-th key, if there is one.
func (w *aheadWalker) moved(t *testing.T, what string, ok bool, i int) {
	t.Helper()
	if w.at = i; i < 0 || i >= len(w.names) {
		if w.at = -1; ok || w.c.Err() != nil {
			t.Fatalf("%s behind the last key is at %.20q: %v", what, w.c.Key(), w.c.Err())
		}
		return
	}
	if !ok || string(w.c.Key()) != w.names[i] {
		t.Fatalf("%s is at %.20q (%v), want %.20q", what, w.c.Key(), w.c.Err(), w.names[i])
	}
	if w.rng.IntN(3) == 0 { // mostly the value is not asked for
		v, err := w.c.Value()
		if err != nil || string(v) != w.values[w.names[i]] {
			t.Fatalf("%.20q has %.20q (%v), want %.20q", w.names[i], v, err, w.values[w.names[i]])
		}
	}
}

// inTablesAndPages runs a test with keys in the active table, and with keys that settle has brought into the data tree.
func inTablesAndPages(t *testing.T, test func(t *testing.T, settle func(*DB))) {
	t.Run("tables", func(t *testing.T) { test(t, func(*DB) {}) })
	t.Run("pages", func(t *testing.T) { test(t, func(db *DB) { checkpoint(t, db) }) })
}

// TestUndoneWritesAreNotReadAhead rolls back to a savepoint while a cursor has what is undone at hand.
func TestUndoneWritesAreNotReadAhead(t *testing.T) { inTablesAndPages(t, undoneWritesAreNotReadAhead) }

func undoneWritesAreNotReadAhead(t *testing.T, settle func(*DB)) {
	db := openTest(t)
	ks := keyspace(t, db, "ks")
	for _, k := range []string{"a", "b", "c", "d"} {
		set(t, db, ks, k, "old")
	}
	settle(db)
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	sp, err := tx.Savepoint()
	must(t, err)
	put(t, tx, ks, "b", "undone")
	put(t, tx, ks, "b2", "undone")
	must(t, tx.Delete(ks, []byte("d")))
	var seen []string
	for item, err := range tx.Scan(ks, Range{}) {
		must(t, err)
		seen = append(seen, fmt.Sprintf("%s=%s", item.Key, item.Value))
		if len(seen) == 1 {
			must(t, tx.RollbackTo(sp))
		}
	}
	want(t, "the scan", strings.Join(seen, " "), "a=old b=old c=old d=old")
}

// TestARefreshDropsWhatWasReadAhead moves the snapshot forward inside a loop: from then on the loop shows the new one, like
// everything else in the transaction.
func TestARefreshDropsWhatWasReadAhead(t *testing.T) {
	inTablesAndPages(t, aRefreshDropsWhatWasReadAhead)
}

func aRefreshDropsWhatWasReadAhead(t *testing.T, settle func(*DB)) {
	db := openTest(t)
	ks := keyspace(t, db, "ks")
	for _, k := range []string{"a", "b", "c", "d"} {
		set(t, db, ks, k, "old")
	}
	settle(db)
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	var seen []string
	for item, err := range tx.Scan(ks, Range{}) {
		must(t, err)
		seen = append(seen, fmt.Sprintf("%s=%s", item.Key, item.Value))
		if len(seen) == 1 {
			set(t, db, ks, "c", "new")
			set(t, db, ks, "x", "new")
			put(t, tx, ks, "x", "own") // meets the newer version
		}
	}
	if db.Metrics().Refreshes != 1 {
		t.Fatal("the snapshot did not move")
	}
	want(t, "the scan", strings.Join(seen[:4], " "), "a=old b=old c=new d=old")
}

// TestAKilledScanEndsAtTheNextKey although more keys are at hand.
func TestAKilledScanEndsAtTheNextKey(t *testing.T) { inTablesAndPages(t, aKilledScanEndsAtTheNextKey) }

func aKilledScanEndsAtTheNextKey(t *testing.T, settle func(*DB)) {
	db := openTest(t)
	ks := keyspace(t, db, "ks")
	for _, k := range []string{"a", "b", "c", "d"} {
		set(t, db, ks, k, "old")
	}
	settle(db)
	var seen int
	kill := func(tx *Txn) {
		if seen++; !db.Kill(tx.ID()) {
			t.Error("there was nothing to kill")
		}
	}
	for what, scan := range map[string]func(*Txn) error{
		"Scan": func(tx *Txn) error {
			for _, err := range tx.Scan(ks, Range{}) {
				if err != nil {
					return err
				}
				kill(tx)
			}
			return nil
		},
		"Keys": func(tx *Txn) error {
			for _, err := range tx.Keys(ks, Range{}) {
				if err != nil {
					return err
				}
				kill(tx)
			}
			return nil
		},
	} {
		seen = 0
		wantErr(t, what, db.View(bg, scan), ErrKilled)
		if seen != 1 {
			t.Errorf("%s saw %d keys", what, seen)
		}
	}
}

// TestAScanNoticesItsContext at the latest when it reads ahead again.
func TestAScanNoticesItsContext(t *testing.T) { inTablesAndPages(t, aScanNoticesItsContext) }

func aScanNoticesItsContext(t *testing.T, settle func(*DB)) {
	db := openTest(t)
	ks := keyspace(t, db, "ks")
	must(t, db.Update(bg, func(tx *Txn) error {
		for n := range 500 {
			if err := tx.Put(ks, []byte(aheadKey(n)), nil); err != nil {
				return err
			}
		}
		return nil
	}))
	settle(db)
	ctx, cancel := context.WithCancel(bg)
	seen := 0
	err := db.View(ctx, func(tx *Txn) error {
		for _, err := range tx.Keys(ks, Range{}) {
			if err != nil {
				return err
			}
			seen++
			cancel()
		}
		return nil
	})
	wantErr(t, "the scan", err, ctx.Err())
	if seen == 0 || seen > maxRun {
		t.Errorf("saw %d keys", seen)
	}
}
