package mvcc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/pagestore"
)

const loadedRows = 15_000 // several runs with the least budget

// loadSome loads rows in the given order.
func loadSome(db *DB, name string, order []int) (*Keyspace, error) {
	return db.Load(bg, name, func(l *Loader) error {
		for _, i := range order {
			if err := l.Put(rowKey(i), rowValue(i, 1)); err != nil {
				return err
			}
		}
		return nil
	})
}

func ascendingRows(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

// wantRows verifies that the keyspace has exactly the rows.
func wantRows(t *testing.T, db *DB, ks *Keyspace, n int) {
	t.Helper()
	r := rows{t: t, ks: ks, gen: make([]int, n)}
	for i := range r.gen {
		r.gen[i] = 1
	}
	r.afterwards(db, ks.Name())
}

// Pairs in any order make the same keyspace, which is durable, and an ordinary one afterwards.
func TestLoadMakesAKeyspace(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	orders := map[string][]int{
		"ascending": ascendingRows(loadedRows), "random": random.Perm(loadedRows), "one": {0}, "none": nil,
		"ascending, then one that is not": append(ascendingRows(loadedRows)[1:], 0),
	}
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			fs := newMem(t)
			db := openOn(t, fs)
			other := keyspace(t, db, "other")
			set(t, db, other, "a", "1")
			before := db.log.End()
			ks, err := loadSome(db, "loaded", order)
			must(t, err)
			if logged := db.log.End() - before; logged > 4096 {
				t.Errorf("%d bytes of log", logged)
			}
			if n := db.runs.Bytes(); n != 0 {
				t.Errorf("%d bytes in temporary files", n)
			}
			if pace := &db.checkpoints.pace; len(order) > 0 && pace.merged.Load() != pace.total.Load() {
				t.Errorf("the checkpoint counted %d of %d keys", pace.merged.Load(), pace.total.Load())
			}
			image := fs.Crash(vfs.CrashConfig{Mode: vfs.LoseAll})
			wantRows(t, db, ks, len(order))
			set(t, db, ks, string(rowKey(0)), "changed")
			check(t, db)
			must(t, db.Close())
			db = openOn(t, image)
			wantRows(t, db, keyspace(t, db, "loaded"), len(order))
			must(t, db.Close())
		})
	}
}

// Of several pairs with one key the last one counts, whether they meet in one batch or in two.
func TestLoadKeepsTheLastOfEqualKeys(t *testing.T) {
	db := openTest(t)
	ks, err := db.Load(bg, "loaded", func(l *Loader) error {
		for generation := range 3 {
			for i := range loadedRows {
				if err := l.Put(rowKey(i/2), rowValue(i/2, i%2+generation-2+1)); err != nil {
					return err
				}
			}
		}
		if l.Count() != 3*loadedRows {
			t.Errorf("count is %d", l.Count())
		}
		return nil
	})
	must(t, err)
	r := rows{t: t, ks: ks, gen: make([]int, loadedRows/2)}
	for i := range r.gen {
		r.gen[i] = 2
	}
	r.afterwards(db, "loaded")
}

// A load that fails leaves nothing: no name, no keys, no note, no file.
func TestALoadThatFailsLeavesNothing(t *testing.T) {
	db := openTest(t)
	boom := errors.New("boom")
	fails := map[string]func(l *Loader) error{
		"at once": func(*Loader) error { return boom },
		"in the middle": func(l *Loader) error {
			for _, i := range rand.Perm(loadedRows) {
				if err := l.Put(rowKey(i), rowValue(i, 1)); err != nil {
					return err
				}
			}
			return boom
		},
		"because the name was taken meanwhile": func(l *Loader) error {
			must(t, l.Put([]byte("k"), []byte("v")))
			keyspace(t, db, "because the name was taken meanwhile")
			return nil
		},
	}
	for name, fn := range fails {
		_, err := db.Load(bg, name, fn)
		if !errors.Is(err, boom) && !errors.Is(err, ErrKeyspaceExists) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := db.findKeyspace(bg, name); err == nil != (name == "because the name was taken meanwhile") {
			t.Errorf("%s: looking for the name: %v", name, err)
		}
	}
	wantNoLoads(t, db)
	if _, err := loadSome(db, "because the name was taken meanwhile", nil); !errors.Is(err, ErrKeyspaceExists) {
		t.Errorf("a load of what exists: %v", err)
	}
	var kept *Loader
	_, err := db.Load(bg, "kept", func(l *Loader) error {
		kept = l
		return errors.Join(l.Put(make([]byte, MaxKeySize+1), nil))
	})
	wantErr(t, "a key that is too long", err, ErrInvalid)
	wantErr(t, "a put after the end", kept.Put(nil, nil), ErrTxnDone)
}

// wantNoLoads verifies that nothing is left of loads that did not end: every key in the trees has a keyspace with a name.
func wantNoLoads(t *testing.T, db *DB) {
	t.Helper()
	checkpoint(t, db)
	ids := map[string]bool{string(db.keyspaces.catalog.prefix[:]): true}
	must(t, db.View(bg, func(tx *Txn) error {
		for item, err := range tx.Scan(db.keyspaces.catalog, Range{}) {
			must(t, err)
			if bytes.HasPrefix(item.Key, []byte(catalogLoading)) {
				t.Errorf("the note %q is left", item.Key)
			}
			if bytes.HasPrefix(item.Key, []byte(catalogNames)) {
				ids[string(item.Value)] = true
			}
		}
		return nil
	}))
	must(t, walk(bg, db.state.Load().base, pagestore.DataTree, func(c *pagestore.Cursor) {
		if !ids[string(c.Key()[:prefixSize])] {
			t.Fatalf("key %q belongs to no keyspace", c.Key())
		}
	}))
	if n := db.runs.Bytes(); n != 0 {
		t.Errorf("%d bytes in temporary files", n)
	}
}

// A power cut at any moment of a load leaves the keyspace as a whole, or nothing of it; what others have committed
// stays.
func TestPowerCutsDuringALoad(t *testing.T) {
	mem := newMem(t)
	var mu sync.Mutex
	var images []*vfs.Mem
	armed, n := false, 0
	fs := vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
		mu.Lock()
		defer mu.Unlock()
		if armed && op.Changes {
			if n++; n%2 == 0 {
				images = append(images, mem.Crash(vfs.CrashConfig{Mode: vfs.Random, Seed: uint64(n)}))
			}
		}
		return vfs.Fault{}
	})
	db := openOn(t, fs)
	other := keyspace(t, db, "other")
	set(t, db, other, "a", "1")
	mu.Lock()
	armed = true
	mu.Unlock()
	_, err := loadSome(db, "loaded", rand.New(rand.NewPCG(7, 8)).Perm(loadedRows))
	must(t, err)
	mu.Lock()
	armed = false
	images = append(images, mem.Crash(vfs.CrashConfig{Mode: vfs.LoseAll}))
	mu.Unlock()
	must(t, db.Close())
	whole, absent := 0, 0
	for _, image := range images {
		db := openOn(t, image)
		want(t, "another keyspace", newestOf(t, db, keyspace(t, db, "other"), "a"), "1")
		if _, err := db.findKeyspace(bg, "loaded"); err == nil {
			wantRows(t, db, keyspace(t, db, "loaded"), loadedRows)
			whole++
		} else {
			wantErr(t, "an absent keyspace", err, ErrNotFound)
			absent++
		}
		wantNoLoads(t, db)
		check(t, db)
		must(t, db.Close())
	}
	if whole == 0 || absent < 10 {
		t.Errorf("%d images have the keyspace, %d have not", whole, absent)
	}
}

func newestOf(t *testing.T, db *DB, ks *Keyspace, key string) string {
	t.Helper()
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	return get(t, tx, ks, key)
}

// Others read, write, commit large transactions and load at the same time.
func TestLoadsBesideOthers(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	ctx, stop := context.WithCancel(bg)
	var others sync.WaitGroup
	for w := range 3 {
		others.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				err := db.UpdateWith(bg, &TxnOptions{Isolation: Serializable}, func(tx *Txn) error { return incrementPlain(tx, ks, fmt.Sprint("n", i%3)) })
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	others.Go(func() {
		tx := begin(t, db, Snapshot)
		defer tx.Rollback()
		for i := range largeRows {
			if err := tx.Put(ks, rowKey(i), rowValue(i, 1)); err != nil {
				t.Errorf("large transaction: %v", err)
				return
			}
		}
		if err := tx.Commit(); err != nil {
			t.Errorf("large commit: %v", err)
		}
	})
	var loads sync.WaitGroup
	for n := range 3 {
		loads.Go(func() {
			loaded, err := loadSome(db, fmt.Sprint("loaded", n), rand.Perm(loadedRows/(n+1)))
			if err != nil {
				t.Errorf("load %d: %v", n, err)
				return
			}
			wantRows(t, db, loaded, loadedRows/(n+1))
		})
	}
	loads.Wait()
	stop()
	others.Wait()
	check(t, db)
}
