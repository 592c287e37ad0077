package mvcc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	dl "github.com/sombradb/sombra/deadlock"
)

func TestEmptyKeysAndValues(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	for _, key := range [][]byte{nil, {}, {0}} {
		err := db.Update(bg, func(tx *Txn) error { return tx.Put(ks, key, nil) })
		if err != nil {
			t.Fatal(err)
		}
		checkpoint(t, db)
		tx := begin(t, db, Snapshot)
		v, err := tx.Get(ks, key)
		if err != nil || v == nil || len(v) != 0 {
			t.Errorf("get %q: %v, %v", key, v, err)
		}
		tx.Rollback()
	}
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	want(t, "nil and empty are one key", show(t, tx, ks, Range{}), "= \x00=")
}

func TestKeysAndValuesAboveTheLimitAreRefused(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	longest := bytes.Repeat([]byte{0}, MaxKeySize)
	if err := tx.Put(ks, longest, nil); err != nil {
		t.Fatal(err)
	}
	err := tx.Put(ks, append(longest, 0), nil)
	wantErr(t, "a key that is too long", err, ErrInvalid)
	if !strings.Contains(err.Error(), "32768") {
		t.Errorf("%q does not name the limit", err)
	}
	wantErr(t, "get of a key that is too long", tx.Delete(ks, append(longest, 0)), ErrInvalid)
	wantErr(t, "a keyspace of another database", tx.Put(&Keyspace{}, nil, nil), ErrInvalid)
	wantErr(t, "no keyspace", tx.Put(nil, nil, nil), ErrInvalid)
	_, err = tx.Cursor(ks, Range{[]byte("b"), []byte("a")})
	wantErr(t, "a range upside down", err, ErrInvalid)
	commit(t, tx)
	old := begin(t, db, Snapshot)
	defer old.Rollback()
	old.Snapshot()
	remove(t, db, ks, string(longest))
	checkpoint(t, db) // the longest key of zeros fits the history tree, too
	want(t, "the longest key in history", get(t, old, ks, string(longest)), "")
}

func TestAnEndedTransactionRefusesEverything(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	for _, end := range []func(*Txn){func(tx *Txn) { _ = tx.Commit() }, (*Txn).Rollback} {
		tx := begin(t, db, Serializable)
		c, err := tx.Cursor(ks, Range{})
		if err != nil {
			t.Fatal(err)
		}
		c.First()
		sp, _ := tx.Savepoint()
		end(tx)
		_, getErr := tx.Get(ks, nil)
		_, lockErr := tx.GetForUpdate(ks, nil)
		_, spErr := tx.Savepoint()
		c.First()
		var scanErr error
		for _, scanErr = range tx.Scan(ks, Range{}) {
		}
		for i, err := range []error{getErr, lockErr, spErr, c.Err(), scanErr, tx.Put(ks, nil, nil), tx.Commit(), tx.RollbackTo(sp), tx.RequireExists(ks, nil)} {
			if !errors.Is(err, ErrTxnDone) {
				t.Errorf("operation %d: %v", i, err)
			}
		}
		tx.Rollback()
		c.Close()
	}
}

func TestAPanicInUpdateRollsBackAndPasses(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	func() {
		defer func() {
			if recover() != "boom" {
				t.Errorf("the panic did not pass")
			}
		}()
		_ = db.Update(bg, func(tx *Txn) error {
			put(t, tx, ks, "a", "1")
			panic("boom")
		})
	}()
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	want(t, "after the panic", get(t, tx, ks, "a"), "-")
	put(t, tx, ks, "a", "2") // its lock is free
}

func TestUpdateRetriesConflictsUntilTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openOn(t, newMem(t))
		defer db.Close()
		ks := keyspace(t, db, "k")
		attempts := 0
		err := db.Update(bg, func(tx *Txn) error {
			attempts++
			key := fmt.Sprint("a", attempts) // what an attempt lost on is locked in the next one
			get(t, tx, ks, key)
			if attempts <= 3 {
				set(t, db, ks, key, "other")
			}
			return tx.Put(ks, []byte(key), []byte("mine"))
		})
		if err != nil || attempts != 4 || db.Metrics().Retries != 3 {
			t.Errorf("%v after %d attempts", err, attempts)
		}
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		err = db.Update(ctx, func(tx *Txn) error {
			return &ConflictError{}
		})
		wantErr(t, "endless conflict", err, context.DeadlineExceeded)
		wantErr(t, "endless conflict", err, ErrConflict)
	})
}

func TestLockWaitsEndWithTimeoutGrantOrDeadlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openOn(t, newMem(t))
		defer db.Close()
		ks := keyspace(t, db, "k")
		waiting := func(o *TxnOptions) { o.NoWait = false; o.LockTimeout = time.Second; o.Label = "waiter" }

		a, b := begin(t, db, Snapshot, waiting), begin(t, db, Snapshot, waiting)
		put(t, a, ks, "x", "1")
		start := time.Now()
		err := b.Put(ks, []byte("x"), nil)
		var timeout *LockTimeoutError
		if !errors.As(err, &timeout) || time.Since(start) != time.Second || timeout.Holders[0] != a.ID() || !strings.Contains(err.Error(), `k/"x"`) {
			t.Errorf("timeout: %v after %v", err, time.Since(start))
		}
		done := make(chan error, 1)
		go func() { done <- b.Put(ks, []byte("x"), nil) }()
		synctest.Wait()
		if locks := db.Locks(false); len(locks) != 1 || len(locks[0].Queue) != 1 {
			t.Errorf("locks: %+v", locks)
		}
		commit(t, a)
		if err := <-done; err != nil { // the snapshot is taken after the lock
			t.Errorf("granted after the holder's commit: %v", err)
		}
		b.Rollback()

		a, b = begin(t, db, Snapshot, waiting), begin(t, db, Snapshot, waiting)
		put(t, a, ks, "x", "1")
		put(t, b, ks, "y", "1")
		go func() { done <- a.Put(ks, []byte("y"), nil) }()
		go func() { done <- b.Put(ks, []byte("x"), nil) }()
		err = <-done
		var deadlock *DeadlockError
		if !errors.As(err, &deadlock) || len(deadlock.Report.Cycle) != 2 || !strings.Contains(err.Error(), `k/"y"`) {
			t.Errorf("deadlock: %v", err)
		}
		if len(db.Deadlocks()) != 1 {
			t.Errorf("%d reports kept", len(db.Deadlocks()))
		}
		victim, survivor := a, b
		if deadlock.Report.Cycle[0].ID == dl.TxnID(b.ID()) {
			victim, survivor = b, a
		}
		victim.Rollback()
		if err := <-done; err != nil {
			t.Errorf("the survivor: %v", err)
		}
		survivor.Rollback()
	})
}

func TestCancellingEndsALockWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openOn(t, newMem(t))
		defer db.Close()
		ks := keyspace(t, db, "k")
		a := begin(t, db, Snapshot)
		defer a.Rollback()
		put(t, a, ks, "x", "1")
		ctx, cancel := context.WithCancel(bg)
		b, err := db.Begin(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Rollback()
		done := make(chan error, 1)
		go func() { done <- b.Put(ks, []byte("x"), nil) }()
		synctest.Wait()
		cancel()
		wantErr(t, "cancelled wait", <-done, context.Canceled)
		_, err = b.Get(ks, []byte("x"))
		wantErr(t, "operation after the end of the context", err, context.Canceled)
		wantErr(t, "commit after the end of the context", b.Commit(), context.Canceled)
	})
}

func TestCloseWaitsForTransactionsAndEndsLockWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openOn(t, newMem(t))
		ks := keyspace(t, db, "k")
		a, b := begin(t, db, Snapshot), begin(t, db, Snapshot, func(o *TxnOptions) { o.NoWait = false })
		put(t, a, ks, "x", "1")
		waited := make(chan error, 1)
		go func() { waited <- b.Put(ks, []byte("x"), nil) }()
		synctest.Wait()
		closed := make(chan error, 2)
		go func() { closed <- db.Close() }()
		go func() { closed <- db.Close() }()
		synctest.Wait()
		wantErr(t, "lock wait", <-waited, ErrClosed)
		b.Rollback()
		_, err := db.Begin(bg, nil)
		wantErr(t, "begin while closing", err, ErrClosed)
		commit(t, a)
		if err := errors.Join(<-closed, <-closed); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

func TestKeyspacesAreApartAndPersist(t *testing.T) {
	mem := newMem(t)
	db := openOn(t, mem)
	a, b := keyspace(t, db, "a"), keyspace(t, db, "b")
	set(t, db, a, "x", "in a")
	set(t, db, b, "x", "in b")
	if again := keyspace(t, db, "a"); again != a {
		t.Errorf("the same name gave another keyspace")
	}
	must(t, db.Close())
	db = openOn(t, mem)
	defer db.Close()
	names, err := db.Keyspaces(bg)
	must(t, err)
	want(t, "names", strings.Join(names, ","), "a,b")
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	want(t, "b", show(t, tx, keyspace(t, db, "b"), Range{}), "x=in b")
	want(t, "a", show(t, tx, keyspace(t, db, "a"), Range{}), "x=in a")
	for _, name := range []string{"", strings.Repeat("n", 256)} {
		_, err := db.Keyspace(bg, name)
		wantErr(t, "bad name", err, ErrInvalid)
	}
}
