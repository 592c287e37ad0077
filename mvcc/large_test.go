package mvcc

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/sombradb/sombra/internal/vfs"
)

// largeRows is several times what the least budget has for write sets.
const largeRows = 20_000

func rowKey(i int) []byte { return fmt.Appendf(nil, "row%08d", i) }

func rowValue(i, generation int) []byte {
	return fmt.Appendf(bytes.Repeat([]byte{'.'}, 60), "%d/%d", i, generation)
}

// rows is what a large transaction should see.
type rows struct {
	t   *testing.T
	ks  *Keyspace
	gen []int // of each row; 0: absent
}

func (r *rows) put(tx *Txn, i, generation int) {
	r.t.Helper()
	must(r.t, tx.Put(r.ks, rowKey(i), rowValue(i, generation)))
	r.gen[i] = generation
}

func (r *rows) remove(tx *Txn, i int) {
	r.t.Helper()
	must(r.t, tx.Delete(r.ks, rowKey(i)))
	r.gen[i] = 0
}

// verify compares point reads, and scans both ways.
func (r *rows) verify(tx *Txn, what string) {
	r.t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	for range min(500, 10*len(r.gen)) {
		i := random.IntN(len(r.gen))
		v, err := tx.Get(r.ks, rowKey(i))
		has, herr := tx.Has(r.ks, rowKey(i))
		must(r.t, herr)
		if r.gen[i] == 0 && (!errors.Is(err, ErrNotFound) || has) || r.gen[i] > 0 && (err != nil || !has || !bytes.Equal(v, rowValue(i, r.gen[i]))) {
			r.t.Fatalf("%s: row %d is %q, %v, %v, want generation %d", what, i, v, has, err, r.gen[i])
		}
	}
	i := 0
	for item, err := range tx.Scan(r.ks, Prefix([]byte("row"))) {
		must(r.t, err)
		for i < len(r.gen) && r.gen[i] == 0 {
			i++
		}
		if i == len(r.gen) || !bytes.Equal(item.Key, rowKey(i)) || !bytes.Equal(item.Value, rowValue(i, r.gen[i])) {
			r.t.Fatalf("%s: scan has %q=%q at row %d", what, item.Key, item.Value, i)
		}
		i++
	}
	for item, err := range tx.Reverse(r.ks, Prefix([]byte("row"))) {
		must(r.t, err)
		for i--; i >= 0 && r.gen[i] == 0; i-- {
		}
		if i < 0 || !bytes.Equal(item.Key, rowKey(i)) || !bytes.Equal(item.Value, rowValue(i, r.gen[i])) {
			r.t.Fatalf("%s: reverse scan has %q at row %d", what, item.Key, i)
		}
	}
}

// fill makes a large transaction with everything in it: new rows in random order, rows that are overwritten and
// deleted after they were spilled, rows of the trees that are changed.
func (r *rows) fill(tx *Txn) {
	r.t.Helper()
	for n, i := range rand.New(rand.NewPCG(3, 4)).Perm(largeRows) {
		r.put(tx, i, 2)
		if n%10 == 9 {
			r.put(tx, (i+n)%largeRows, 3)
		}
		if n%17 == 16 {
			r.remove(tx, (i+2*n)%largeRows)
		}
	}
}

func newRows(t *testing.T, db *DB) *rows {
	r := &rows{t: t, ks: keyspace(t, db, "k"), gen: make([]int, largeRows+100)}
	must(t, db.Update(bg, func(tx *Txn) error {
		for i := 0; i < len(r.gen); i += 7 {
			r.put(tx, i, 1)
		}
		return nil
	}))
	checkpoint(t, db)
	return r
}

// A transaction that writes several times the memory for write sets sees what it wrote, and so does everybody after
// its commit: while its run is a layer, after the checkpoint, and after a crash at any of these moments.
func TestALargeTransactionIsLikeAnyOther(t *testing.T) {
	levels := []Isolation{Serializable, Snapshot, ReadCommitted}
	if testing.Short() {
		levels = levels[:1]
	}
	for _, iso := range levels {
		t.Run(iso.String(), func(t *testing.T) {
			fs := newMem(t)
			db := openOn(t, fs)
			r := newRows(t, db)
			old := begin(t, db, Snapshot)
			want(t, "before", get(t, old, r.ks, string(rowKey(7))), string(rowValue(7, 1)))
			tx := begin(t, db, iso)
			r.fill(tx)
			if n := db.Metrics().Spills; n < 4 {
				t.Fatalf("%d spills", n)
			}
			r.verify(tx, "own writes")
			db.checkpoints.run.Lock() // the layer stays for a while
			commit(t, tx)
			if n := len(db.state.Load().frozen); n != 2 {
				t.Fatalf("%d layers", n)
			}
			r.afterwards(db, "layer")
			want(t, "an old snapshot", get(t, old, r.ks, string(rowKey(7))), string(rowValue(7, 1)))
			image := fs.Crash(vfs.CrashConfig{Mode: vfs.LoseAll})
			db.checkpoints.run.Unlock()
			checkpoint(t, db)
			r.afterwards(db, "trees")
			want(t, "an old snapshot after the checkpoint", get(t, old, r.ks, string(rowKey(7))), string(rowValue(7, 1)))
			old.Rollback()
			check(t, db)
			must(t, db.Close())
			if names, err := fs.ReadDir(testPath + tempSuffix); err == nil {
				t.Errorf("temporary files are left: %v", names)
			}
			for _, readOnly := range []bool{true, false} {
				again := openOn(t, image, func(o *Options) { o.ReadOnly = readOnly })
				r.ks = keyspace(t, again, "k")
				r.afterwards(again, fmt.Sprint("recovered, read-only ", readOnly))
				must(t, again.Close())
			}
		})
	}
}

func (r *rows) afterwards(db *DB, what string) {
	r.t.Helper()
	must(r.t, db.View(bg, func(tx *Txn) error {
		r.verify(tx, what)
		return nil
	}))
}

// Savepoints work on spilled data, also one from before the first spill; a rollback leaves nothing behind.
func TestSavepointsOfALargeTransaction(t *testing.T) {
	db := openTest(t)
	r := newRows(t, db)
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	r.put(tx, 3, 2)
	type mark struct {
		sp  Savepoint
		gen []int
	}
	var marks []mark
	for range 3 {
		sp, err := tx.Savepoint()
		must(t, err)
		marks = append(marks, mark{sp, append([]int(nil), r.gen...)})
		r.fill(tx)
	}
	r.verify(tx, "before any rollback")
	for _, i := range []int{2, 0, 1, 2} {
		must(t, tx.RollbackTo(marks[i].sp))
		r.gen = append(r.gen[:0], marks[i].gen...)
		r.verify(tx, fmt.Sprint("rolled back to savepoint ", i))
	}
	other := begin(t, db, Snapshot)
	wantErr(t, "a key of a rolled back write", other.Put(r.ks, rowKey(5), nil), ErrLockNotAvailable)
	other.Rollback()
	r.put(tx, 5, 9) // which is still its own
	tx.Rollback()
	r.gen = newGenerations(len(r.gen))
	r.afterwards(db, "after the rollback")
	if n := db.runs.Bytes(); n != 0 {
		t.Errorf("%d bytes in temporary files", n)
	}
	set(t, db, r.ks, string(rowKey(5)), "free")
}

// newGenerations is what newRows commits.
func newGenerations(n int) []int {
	gen := make([]int, n)
	for i := 0; i < n; i += 7 {
		gen[i] = 1
	}
	return gen
}

// The run stands for the locks of its keys, in every mode and way of waiting, and for nothing else.
func TestSpilledKeysStayLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openOn(t, newMem(t))
		defer db.Close()
		r := newRows(t, db)
		tx := begin(t, db, Snapshot, func(o *TxnOptions) { o.Label = "bulk" })
		defer tx.Rollback()
		r.fill(tx)
		must(t, tx.spill())
		if n := db.locks.Metrics().Keys; n > 10 {
			t.Errorf("%d locks are left", n)
		}
		spilled, free := rowKey(11), rowKey(largeRows+50)
		for name, use := range map[string]func(*Txn, []byte) error{
			"put":   func(o *Txn, key []byte) error { return o.Put(r.ks, key, nil) },
			"add":   func(o *Txn, key []byte) error { return o.Add(r.ks, append(key, "counter"...), 1) },
			"share": func(o *Txn, key []byte) error { _, err := o.GetForShare(r.ks, key); return err },
		} {
			if name == "add" {
				put(t, tx, r.ks, string(spilled)+"counter", string(EncodeInt64(1)))
				must(t, tx.spill())
			}
			other := begin(t, db, Snapshot)
			wantErr(t, name, use(other, bytes.Clone(spilled)), ErrLockNotAvailable)
			if err := use(other, bytes.Clone(free)); err != nil && !errors.Is(err, ErrNotFound) {
				t.Errorf("%s of a free key: %v", name, err)
			}
			other.Rollback()
		}
		waiter := begin(t, db, ReadCommitted, func(o *TxnOptions) { o.NoWait = false })
		defer waiter.Rollback()
		done := make(chan error, 1)
		go func() { done <- waiter.Put(r.ks, spilled, []byte("after")) }()
		synctest.Wait()
		if info := db.Transactions(); len(info) != 2 || info[1].Waiting == nil || info[1].Waiting.Key != fmt.Sprint("keys of large transaction ", tx.ID()) {
			t.Errorf("transactions: %v", info)
		}
		commit(t, tx)
		must(t, <-done)
		commit(t, waiter)
		reader := begin(t, db, Snapshot)
		defer reader.Rollback()
		want(t, "the key", get(t, reader, r.ks, string(spilled)), "after")
	})
}

// Two large transactions that want each other's keys are a deadlock like any other.
func TestLargeTransactionsCanDeadlock(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	db.larges.always = true
	wait := func(o *TxnOptions) { o.NoWait = false }
	a, b := begin(t, db, Snapshot, wait), begin(t, db, Snapshot, wait)
	defer a.Rollback()
	defer b.Rollback()
	put(t, a, ks, "x", "a")
	put(t, b, ks, "y", "b")
	done := make(chan error, 1)
	go func() { done <- a.Put(ks, []byte("y"), nil) }()
	err := b.Put(ks, []byte("x"), nil)
	if err == nil {
		err = <-done
	} else {
		b.Rollback()
		must(t, <-done)
	}
	wantErr(t, "one of them", err, ErrDeadlock)
}

// Additions stay additions beside a spill, and a counter that was put and spilled is put.
func TestCountersInALargeTransaction(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	db.larges.always = true
	set(t, db, ks, "n", string(EncodeInt64(100)))
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	must(t, tx.Add(ks, []byte("n"), 1))
	put(t, tx, ks, "filler", "x")
	other := begin(t, db, Snapshot)
	must(t, other.Add(ks, []byte("n"), 10))
	commit(t, other)
	must(t, tx.Add(ks, []byte("n"), 1))
	put(t, tx, ks, "m", string(EncodeInt64(5)))
	must(t, tx.Add(ks, []byte("m"), 2))
	commit(t, tx)
	r := begin(t, db, Snapshot)
	defer r.Rollback()
	if n, m := counter(t, r, ks, "n"), counter(t, r, ks, "m"); n != 112 || m != 7 {
		t.Errorf("n is %d, m is %d", n, m)
	}
}

// Serializable readers see a large commit that came between, whether it is validated as a layer, in the trees, or in
// the critical section.
// The checkpoint that merges a large commit has its additions, too: the log that holds them is not read again.
func TestAdditionsOfALargeTransactionSurviveACrash(t *testing.T) {
	mem := newMem(t)
	db := openOn(t, mem)
	ks := keyspace(t, db, "k")
	for range 3 {
		tx := begin(t, db, Snapshot)
		db.larges.always = true
		put(t, tx, ks, "row", "v")
		must(t, tx.Add(ks, []byte("n"), 7))
		db.larges.always = false
		commit(t, tx)
		must(t, db.awaitMerged(bg)) // by the one checkpoint that the commit asks for
	}
	if db.Metrics().Spills == 0 {
		t.Fatal("nothing was spilled")
	}
	image := mem.Crash(vfs.CrashConfig{Mode: vfs.LoseAll})
	must(t, db.Close())
	db = openOn(t, image)
	defer db.Close()
	must(t, db.View(bg, func(tx *Txn) error {
		if n := counter(t, tx, keyspace(t, db, "k"), "n"); n != 21 {
			t.Errorf("the counter is %d, want 21", n)
		}
		return nil
	}))
}

func TestValidationSeesLargeCommits(t *testing.T) {
	for _, merged := range []bool{false, true} {
		t.Run(fmt.Sprint("merged ", merged), func(t *testing.T) {
			db := openTest(t)
			ks := keyspace(t, db, "k")
			set(t, db, ks, "x", "1")
			db.larges.always = true
			reads := map[string]func(tx *Txn){
				"key":    func(tx *Txn) { get(t, tx, ks, "x") },
				"range":  func(tx *Txn) { show(t, tx, ks, Prefix([]byte("x"))) },
				"absent": func(tx *Txn) { get(t, tx, ks, "xx") },
			}
			for name, read := range reads {
				tx := begin(t, db, Serializable)
				read(tx)
				large := begin(t, db, Snapshot)
				put(t, large, ks, "x", name)
				put(t, large, ks, "xx", name)
				if !merged {
					checkpoint(t, db)
					db.checkpoints.run.Lock()
				}
				commit(t, large)
				if merged {
					checkpoint(t, db)
				}
				db.larges.always = false
				put(t, tx, ks, "own", "1")
				err := tx.Commit()
				db.larges.always = true
				if !merged {
					db.checkpoints.run.Unlock()
				}
				wantErr(t, name, err, ErrConflict)
			}
		})
	}
}

// The versions of a key go through the run of a large commit.
func TestHistoryGoesThroughLargeCommits(t *testing.T) {
	db := openTest(t, func(o *Options) { o.Retain.Duration = 1 << 40 })
	ks := keyspace(t, db, "k")
	p := &past{}
	for i := range 12 {
		db.larges.always = i%3 == 1
		tx := begin(t, db, Snapshot)
		writes := map[string]string{"a": fmt.Sprint("a", i)}
		put(t, tx, ks, "a", writes["a"])
		if writes["b"] = fmt.Sprint("b", i); i%4 == 1 {
			writes["b"] = ""
			must(t, tx.Delete(ks, []byte("b")))
		} else {
			put(t, tx, ks, "b", writes["b"])
		}
		commit(t, tx)
		p.commit(tx.CommitTimestamp(), writes)
	}
	if pruned := p.verify(t, db, ks, []string{"a", "b"}); pruned > 0 {
		t.Errorf("%d moments are pruned", pruned)
	}
	checkpoint(t, db)
	p.verify(t, db, ks, []string{"a", "b"})
}

// A spill that fails leaves the transaction as it was before the write.
func TestASpillOnAFullDiskFailsTheWrite(t *testing.T) {
	full := false
	fs := vfs.NewFaulty(newMem(t), func(op vfs.Op) vfs.Fault {
		if full && op.Kind == vfs.OpWrite && strings.Contains(op.Name, tempSuffix) {
			return vfs.Fault{Err: syscall.ENOSPC}
		}
		return vfs.Fault{}
	})
	db := openOn(t, fs)
	defer db.Close()
	ks := keyspace(t, db, "k")
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	put(t, tx, ks, "a", "1")
	tx.writes.bytes, full = db.budget().writes, true
	err := tx.Put(ks, []byte("b"), []byte("2"))
	wantErr(t, "put", err, syscall.ENOSPC)
	want(t, "a", get(t, tx, ks, "a"), "1")
	want(t, "b", get(t, tx, ks, "b"), "-")
	full = false
	put(t, tx, ks, "b", "2")
	commit(t, tx)
	reader := begin(t, db, Snapshot)
	defer reader.Rollback()
	want(t, "content", show(t, reader, ks, Range{}), "a=1 b=2")
}

// The checkpoint that merges a large commit says that it has all of it, so a replay skips it, and its additions with it.
func TestAdditionsOfALargeTransactionSurviveItsCheckpoint(t *testing.T) {
	mem := newMem(t)
	merged := make(chan *vfs.Mem, 10)
	db := openOn(t, mem, func(o *Options) {
		o.Events.CheckpointDone = func(c CheckpointInfo) {
			if c.Keys >= largeRows {
				merged <- mem.Crash(vfs.CrashConfig{})
			}
		}
	})
	ks, err := db.Keyspace(bg, "rows")
	must(t, err)
	must(t, db.Update(bg, func(tx *Txn) error { return tx.Add(ks, []byte("count"), 3) }))
	must(t, db.Update(bg, func(tx *Txn) error {
		for i := range largeRows {
			if err := tx.Put(ks, rowKey(i), rowValue(i, 1)); err != nil {
				return err
			}
		}
		return tx.Add(ks, []byte("count"), 4)
	}))
	for name, db := range map[string]*DB{"running": db, "after a power cut": openOn(t, <-merged)} {
		ks, err := db.Keyspace(bg, "rows")
		must(t, err)
		must(t, db.View(bg, func(tx *Txn) error {
			value, err := tx.Get(ks, []byte("count"))
			if n, _ := DecodeInt64(value); n != 7 {
				t.Errorf("%s: the counter is %d, want 7 (%v)", name, n, err)
			}
			return err
		}))
		must(t, db.Close())
	}
}
