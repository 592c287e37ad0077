package mvcc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"weak"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// linked takes the transaction to its place in the log, without applying it.
func linked(t tb, tx *Txn, mark *commitEntry) *commitEntry {
	t.Helper()
	e := tx.entry()
	rec, err := tx.db.stage(bg, e.writes)
	if err == nil {
		_, _, err = tx.append(e, rec, mark, nil)
	}
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return e
}

// applyEntry puts the versions into the store, if they are not there.
func applyEntry(e *commitEntry) {
	if !e.applied.Load() {
		e.table.Apply(uint64(e.ts), e.writes)
		e.applied.Store(true)
	}
}

func finish(t tb, tx *Txn, e *commitEntry) {
	t.Helper()
	applyEntry(e)
	if err := tx.await(e); err != nil {
		t.Fatalf("await: %v", err)
	}
	tx.end()
}

// readers make transactions whose commit depends on key in one of three ways.
var readers = map[string]func(t tb, tx *Txn, ks *Keyspace, key string){
	"point":       func(t tb, tx *Txn, ks *Keyspace, key string) { get(t, tx, ks, key) },
	"range":       func(t tb, tx *Txn, ks *Keyspace, key string) { show(t, tx, ks, Prefix([]byte(key))) },
	"requirement": func(t tb, tx *Txn, ks *Keyspace, key string) { _ = tx.RequireExists(ks, []byte(key)) },
}

// S3: a commit that is linked, but not in the store, is seen by validation.
func TestValidationSeesCommitsOnTheirWay(t *testing.T) {
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			db := openTest(t)
			ks := keyspace(t, db, "k")
			set(t, db, ks, "x", "0")
			a, b := begin(t, db, Serializable), begin(t, db, Serializable)
			defer b.Rollback()
			read(t, b, ks, "x")
			put(t, b, ks, "own", "1")
			if err := a.Delete(ks, []byte("x")); err != nil {
				t.Fatal(err)
			}
			e := linked(t, a, nil)
			_, err := b.validate()
			finish(t, a, e)
			wantErr(t, "validation beside a linked commit", err, ErrConflict)
		})
	}
}

// S3: of two that have validated, the second to be linked sees the first.
func TestASecondValidatorSeesTheFirstInTheCriticalSection(t *testing.T) {
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			db := openTest(t)
			ks := keyspace(t, db, "k")
			set(t, db, ks, "x", "0")
			a, b := begin(t, db, Serializable), begin(t, db, Serializable)
			defer b.Rollback()
			read(t, b, ks, "x")
			put(t, b, ks, "own", "1")
			if err := a.Delete(ks, []byte("x")); err != nil {
				t.Fatal(err)
			}
			mark, err := b.validate()
			if err != nil {
				t.Fatalf("validation before the other is linked: %v", err)
			}
			e := linked(t, a, nil)
			err = appendOnly(b, mark)
			finish(t, a, e)
			wantErr(t, "append after the other was linked", err, ErrConflict)
		})
	}
}

// S3: several commits come between, some applied before the ones ahead of them, and the one in the way is any of them or none: validation
// looks at all on their way, and the critical section at all that were linked since validation looked.
func TestAValidatorLooksAtEveryCommitOnItsWay(t *testing.T) {
	const n = 3
	for name, read := range readers {
		for inTheWay := range n + 1 { // the last one: none
			for applied := range n + 1 { // that many from the end on
				for _, before := range []bool{true, false} {
					t.Run(fmt.Sprintf("%s/%d in the way/%d applied/%v", name, inTheWay, applied, before), func(t *testing.T) {
						validateBeside(t, read, n, inTheWay, applied, before)
					})
				}
			}
		}
	}
}

// validateBeside validates before, or after, n commits are linked.
func validateBeside(t *testing.T, read func(tb, *Txn, *Keyspace, string), n, inTheWay, applied int, before bool) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	set(t, db, ks, "x", "0")
	b := begin(t, db, Serializable)
	defer b.Rollback()
	read(t, b, ks, "x")
	put(t, b, ks, "own", "1")
	var mark *commitEntry
	var err error
	if before {
		mark, err = b.validate()
		must(t, err)
	}
	entries, txns := linkSeveral(t, db, ks, n, inTheWay)
	for _, e := range entries[n-applied:] {
		applyEntry(e)
	}
	if !before {
		mark, err = b.validate()
	}
	if err == nil {
		err = appendOnly(b, mark)
	}
	if want := inTheWay < n; errors.Is(err, ErrConflict) != want || err != nil && !want {
		t.Errorf("%v, want a conflict: %v", err, want)
	}
	for i, tx := range txns {
		finish(t, tx, entries[i])
	}
}

// linkSeveral takes transactions to their places in the log; one of them deletes x, the others put other keys.
func linkSeveral(t *testing.T, db *DB, ks *Keyspace, n, deletes int) (entries []*commitEntry, txns []*Txn) {
	for i := range n {
		tx := begin(t, db, Snapshot)
		put(t, tx, ks, fmt.Sprint("other", i), "1")
		if i == deletes {
			must(t, tx.Delete(ks, []byte("x")))
		}
		entries, txns = append(entries, linked(t, tx, nil)), append(txns, tx)
	}
	return entries, txns
}

// appendOnly is the critical section of a commit that goes no further: what it adds is applied, so that nothing waits for it.
func appendOnly(tx *Txn, mark *commitEntry) error {
	e := tx.entry()
	e.sync = false
	rec, err := tx.db.stage(bg, e.writes)
	if err != nil {
		return err
	}
	isLinked, _, err := tx.append(e, rec, mark, nil)
	if isLinked {
		applyEntry(e)
	}
	return err
}

// Two that read each other's writes have validated, and are stopped before they get their places: by a protected
// transaction, whose end sets both free at the same time. They validate again, and one of them loses.
func TestValidatorsThatWereHeldOffValidateAgain(t *testing.T) {
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { holdOffTwo(t, read) })
		})
	}
}

func holdOffTwo(t *testing.T, read func(tb, *Txn, *Keyspace, string)) {
	db := openOn(t, newMem(t))
	defer db.Close()
	ks := keyspace(t, db, "k")
	set(t, db, ks, "x", "0")
	set(t, db, ks, "y", "0")
	guard := begin(t, db, Serializable)
	defer guard.Rollback()
	must(t, guard.protect())
	show(t, guard, ks, Range{})
	errs := make(chan error, 2)
	for _, keys := range [][2]string{{"x", "y"}, {"y", "x"}} {
		tx := begin(t, db, Serializable)
		read(t, tx, ks, keys[0])
		must(t, tx.Delete(ks, []byte(keys[1])))
		go func() { errs <- tx.Commit() }()
	}
	synctest.Wait()
	if n := db.Metrics().HeldOff; len(errs) != 0 || n != 2 {
		t.Errorf("%d commits have ended, %d were held off", len(errs), n)
	}
	guard.Rollback()
	first, second := <-errs, <-errs
	if first != nil {
		first, second = second, first
	}
	if first != nil || !errors.Is(second, ErrConflict) {
		t.Errorf("the two commits: %v, %v", first, second)
	}
}

// R2: a commit is not visible before one that comes before it in the log.
func TestCommitsBecomeVisibleInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openOn(t, newMem(t))
		defer db.Close()
		ks := keyspace(t, db, "k")
		a := begin(t, db, Snapshot)
		put(t, a, ks, "a", "1")
		e := linked(t, a, nil)
		var wg sync.WaitGroup
		wg.Go(func() { set(t, db, ks, "b", "1") })
		synctest.Wait()
		r := begin(t, db, Snapshot)
		before := show(t, r, ks, Range{})
		r.Rollback()
		finish(t, a, e)
		wg.Wait()
		want(t, "before the first is applied", before, "")
		r = begin(t, db, Snapshot)
		defer r.Rollback()
		want(t, "after", show(t, r, ks, Range{}), "a=1 b=1")
	})
}

// A checkpoint waits for commits that are linked and not yet applied.
func TestACheckpointWaitsForCommitsOnTheirWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openOn(t, newMem(t))
		defer db.Close()
		ks := keyspace(t, db, "k")
		a := begin(t, db, Snapshot)
		put(t, a, ks, "a", "1")
		e := linked(t, a, nil)
		done := make(chan error, 1)
		go func() { done <- db.Checkpoint(bg) }()
		synctest.Wait()
		if len(done) != 0 {
			t.Errorf("the checkpoint did not wait")
		}
		finish(t, a, e)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		r := begin(t, db, Snapshot)
		defer r.Rollback()
		want(t, "after the checkpoint", show(t, r, ks, Range{}), "a=1")
	})
}

// A commit whose caller has gone goes on, and its outcome is reported as unknown. The sync hangs until the test lets it go.
func TestACancelledCommitIsUnknownAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		var armed bool
		var mu sync.Mutex
		fs := vfs.NewFaulty(newMem(t), func(op vfs.Op) vfs.Fault {
			mu.Lock()
			defer mu.Unlock()
			if armed && op.Kind == vfs.OpSyncData {
				return vfs.Fault{Wait: hang}
			}
			return vfs.Fault{}
		})
		db := openOn(t, fs)
		defer db.Close()
		ks := keyspace(t, db, "k")
		mu.Lock()
		armed = true
		mu.Unlock()
		ctx, cancel := context.WithCancel(bg)
		tx, err := db.Begin(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		put(t, tx, ks, "a", "1")
		done := make(chan error, 1)
		go func() { done <- tx.Commit() }()
		synctest.Wait()
		go func() { // the first committer holds the device; a second one can leave
			tx2, err := db.Begin(ctx, nil)
			if err != nil {
				done <- err
				return
			}
			_ = tx2.Put(ks, []byte("b"), []byte("2"))
			done <- tx2.Commit()
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		wantErr(t, "cancelled commit", <-done, ErrCommitUnknown)
		mu.Lock()
		armed = false
		mu.Unlock()
		close(hang)
		synctest.Wait()
		r := begin(t, db, Snapshot)
		defer r.Rollback()
		want(t, "both are visible in the end", show(t, r, ks, Range{}), "a=1 b=2")
		put(t, r, ks, "b", "3")
	})
}

// R6: after a failed sync waiting commits are unknown, later ones refused, and reads go on.
func TestAFailedSyncIsFinal(t *testing.T) {
	var armed bool
	var mu sync.Mutex
	broken := errors.New("broken device")
	fs := vfs.NewFaulty(newMem(t), func(op vfs.Op) vfs.Fault {
		mu.Lock()
		defer mu.Unlock()
		if armed && op.Kind == vfs.OpSyncData {
			return vfs.Fault{Err: broken}
		}
		return vfs.Fault{}
	})
	failures := 0
	db := openOn(t, fs, func(o *Options) { o.Events.Failed = func(error) { failures++ } })
	ks := keyspace(t, db, "k")
	set(t, db, ks, "a", "1")
	mu.Lock()
	armed = true
	mu.Unlock()
	tx := begin(t, db, Snapshot)
	put(t, tx, ks, "a", "2")
	err := tx.Commit()
	for _, target := range []error{ErrCommitUnknown, ErrFailed, broken} {
		wantErr(t, "commit over a failing device", err, target)
	}
	tx = begin(t, db, Snapshot)
	defer tx.Rollback()
	wantErr(t, "write after the failure", tx.Put(ks, []byte("b"), nil), ErrFailed)
	want(t, "read after the failure", get(t, tx, ks, "a"), "1")
	wantErr(t, "checkpoint after the failure", db.Checkpoint(bg), ErrFailed)
	if h := db.Health(); h.State != "failed" || h.Err == nil || failures != 1 {
		t.Errorf("health %+v, %d failure events", h, failures)
	}
	tx.Rollback()
	_ = db.Close() // it reports the failure again
}

// Commits that do not fit one log record come back whole or not at all.
func TestLargeCommitsAreLoggedInChunks(t *testing.T) {
	mem := newMem(t)
	db := openOn(t, mem)
	ks := keyspace(t, db, "k")
	long := bytes.Repeat([]byte("k"), MaxKeySize)
	huge := bytes.Repeat([]byte("0123456789abcdef"), 5<<16)
	err := db.Update(bg, func(tx *Txn) error {
		for i := range 3 {
			if err := tx.Put(ks, fmt.Appendf(nil, "huge%d", i), huge); err != nil {
				return err
			}
			if err := tx.Delete(ks, append(long[:MaxKeySize-1:MaxKeySize-1], byte(i))); err != nil {
				return err
			}
		}
		return tx.Put(ks, long, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	unfinished := db.startChain(8 << 10)
	unfinished.buf = appendWriteHead(unfinished.buf, versions.Write{Key: []byte("huge0"), Kind: versions.Put, Value: huge})
	if err := unfinished.write(bg, huge); err != nil {
		t.Fatal(err)
	}
	set(t, db, ks, "after", "1")
	image := mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll})
	db.dropChain(unfinished.id)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openOn(t, image)
	defer db.Close()
	ks = keyspace(t, db, "k")
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	for i := range 3 {
		want(t, "huge value", get(t, tx, ks, fmt.Sprint("huge", i)), string(huge))
	}
	want(t, "longest key", get(t, tx, ks, string(long)), "")
	want(t, "commit between chunks", get(t, tx, ks, "after"), "1")
}

// The log is kept back to a chunked commit that was under way when a checkpoint sealed.
func TestACheckpointKeepsTheLogOfAChunkedCommitUnderWay(t *testing.T) {
	mem := newMem(t)
	db := openOn(t, mem)
	ks := keyspace(t, db, "k")
	huge := strings.Repeat("x", 100<<10)
	tx := begin(t, db, Snapshot)
	put(t, tx, ks, "huge", huge)
	e := tx.entry()
	rec, err := db.stage(bg, e.writes)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		set(t, db, ks, fmt.Sprint("a", i), "1")
		checkpoint(t, db)
	}
	if _, _, err := tx.append(e, rec, nil, nil); err != nil {
		t.Fatal(err)
	}
	finish(t, tx, e)
	image := mem.Crash(vfs.CrashConfig{Mode: vfs.LoseAll})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openOn(t, image)
	defer db.Close()
	r := begin(t, db, Snapshot)
	defer r.Rollback()
	want(t, "chunked commit", get(t, r, keyspace(t, db, "k"), "huge"), huge)
	want(t, "the others", get(t, r, keyspace(t, db, "k"), "a2"), "1")
}

// A log longer than memory is replayed in parts; a crash right after, and a second replay over
// trees that already have newer versions, give the same state.
func TestRecoveryOfALogLongerThanMemory(t *testing.T) {
	mem := newMem(t)
	big := func(o *Options) { o.MemoryBudget = 1 << 30 }
	db := openOn(t, mem, big)
	ks := keyspace(t, db, "k")
	for i := range 3000 {
		set(t, db, ks, fmt.Sprintf("key%03d", i%500), fmt.Sprint(i, strings.Repeat("v", 900)))
	}
	remove(t, db, ks, "key000")
	if n := db.Metrics().Checkpoints; n != 0 {
		t.Fatalf("%d checkpoints ran, the log is not long", n)
	}
	expect := func(db *DB) {
		t.Helper()
		tx := begin(t, db, Snapshot)
		defer tx.Rollback()
		want(t, "deleted at the end", get(t, tx, keyspace(t, db, "k"), "key000"), "-")
		for i := 2501; i < 3000; i++ {
			want(t, "newest value", get(t, tx, keyspace(t, db, "k"), fmt.Sprintf("key%03d", i%500)), fmt.Sprint(i, strings.Repeat("v", 900)))
		}
	}
	image := mem.Crash(vfs.CrashConfig{Mode: vfs.LoseAll})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openOn(t, image)
	if db.state.Load().baseTS == 0 {
		t.Fatalf("nothing was merged during the replay")
	}
	expect(db)
	image = image.Crash(vfs.CrashConfig{Mode: vfs.LoseAll})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openOn(t, image, big)
	expect(db)
	check(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// Others validate against a commit when its transaction may be that of somebody else already.
func TestACommitKeepsItsWritesWhenItsTransactionIsUsedAgain(t *testing.T) {
	for _, n := range []int{1, 2, fewWrites, fewWrites + 1} {
		db := openTest(t)
		ks := keyspace(t, db, "k")
		tx := begin(t, db, Serializable)
		for i := range n {
			put(t, tx, ks, fmt.Sprintf("key %02d", i), "1")
		}
		e := linked(t, tx, nil)
		finish(t, tx, e)
		if len(e.writes) != n {
			t.Fatalf("the commit of %d writes has %d", n, len(e.writes))
		}
		for i, w := range e.writes {
			want(t, "key", string(w.Key[prefixSize:]), fmt.Sprintf("key %02d", i))
		}
	}
}

// A transaction that has seen a commit before it was durable, and stays open, does not keep the commits after it.
func TestAnOpenTransactionKeepsNoCommits(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	tx := begin(t, db, ReadCommitted)
	defer tx.Rollback()
	entry := func() weak.Pointer[commitEntry] {
		writer := begin(t, db, Snapshot)
		put(t, writer, ks, "written", "1")
		e := linked(t, writer, nil)
		applyEntry(e)
		db.commits.advanceApplied()
		_, err := tx.GetForUpdate(ks, []byte("locked"))
		wantErr(t, "a key that is not there", err, ErrNotFound)
		if tx.floor == nil || tx.floor.ts != e.ts {
			t.Fatal("the transaction has not seen the commit")
		}
		reader := begin(t, db, ReadCommitted)
		_, err = reader.GetForUpdate(ks, []byte("another"))
		wantErr(t, "a key that is not there", err, ErrNotFound)
		must(t, reader.Commit()) // S5
		if db.log.Durable() < e.end || Timestamp(db.watermark.Load()) < e.ts {
			t.Error("who has seen the commit has ended before it is durable and visible")
		}
		finish(t, writer, e)
		return weak.Make(e)
	}()
	for i := range 3 {
		set(t, db, ks, fmt.Sprint("later ", i), "1")
	}
	runtime.GC()
	if entry.Value() != nil {
		t.Error("the commit that it has seen is still in memory, and so is all that was committed since")
	}
	must(t, tx.Commit())
}
