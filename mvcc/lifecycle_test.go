package mvcc

import (
	"errors"
	"iter"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTimeLimitsEndTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openOn(t, newMem(t), func(o *Options) { o.TxnTimeout = 10 * time.Second })
		defer db.Close()
		ks := keyspace(t, db, "k")
		total := begin(t, db, Snapshot)
		idle := begin(t, db, Snapshot, func(o *TxnOptions) { o.IdleTimeout = time.Second; o.Label = "dozing" })
		for range 3 { // operations keep it alive
			time.Sleep(900 * time.Millisecond)
			put(t, idle, ks, "x", "1")
		}
		time.Sleep(1200 * time.Millisecond)
		put(t, total, ks, "x", "1") // its lock is free
		err := idle.Put(ks, []byte("x"), nil)
		wantErr(t, "idle for too long", err, ErrTxnTimeout)
		if !strings.Contains(err.Error(), "dozing") || !strings.Contains(err.Error(), "idle for 1s") {
			t.Errorf("error: %v", err)
		}
		idle.Rollback()
		waiter := begin(t, db, Snapshot, func(o *TxnOptions) { o.NoWait = false; o.LockTimeout = time.Minute; o.Timeout = 2 * time.Second })
		start := time.Now()
		wantErr(t, "total limit inside a lock wait", waiter.Put(ks, []byte("x"), nil), ErrTxnTimeout)
		if waited := time.Since(start); waited != 2*time.Second {
			t.Errorf("waited %v", waited)
		}
		time.Sleep(10 * time.Second)
		wantErr(t, "total limit", total.Commit(), ErrTxnTimeout)
		if m := db.Metrics(); m.TimedOut != 3 || m.Active != 0 {
			t.Errorf("%d timed out, %d active", m.TimedOut, m.Active)
		}
	})
}

func TestKillEndsATransactionInALockWaitOrBetweenOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openOn(t, newMem(t))
		defer db.Close()
		ks := keyspace(t, db, "k")
		holder := begin(t, db, Serializable, func(o *TxnOptions) { o.Label = "holder" })
		put(t, holder, ks, "x", "1")
		waiter := begin(t, db, Snapshot, func(o *TxnOptions) { o.NoWait = false; o.Label = "waiter" })
		done := make(chan error, 1)
		go func() { done <- waiter.Put(ks, []byte("x"), nil) }()
		synctest.Wait()
		all := db.Transactions()
		if len(all) != 2 || all[0].Label != "holder" || all[0].Bytes == 0 || all[1].Waiting == nil || all[1].Waiting.For[0] != holder.ID() {
			t.Errorf("transactions: %v", all)
		}
		if text := all[1].String(); !strings.Contains(text, `"waiter"`) || !strings.Contains(text, `waits`) || !strings.Contains(text, `k/"x"`) {
			t.Errorf("text: %s", text)
		}
		if !strings.Contains(all[0].Stack, "TestKillEnds") {
			t.Errorf("stack: %s", all[0].Stack)
		}
		if !db.Kill(waiter.ID()) || db.Kill(12345) {
			t.Errorf("kill reports the wrong thing")
		}
		wantErr(t, "killed in a lock wait", <-done, ErrKilled)
		if !db.Kill(holder.ID()) || db.Kill(holder.ID()) {
			t.Errorf("a second kill reports success")
		}
		wantErr(t, "killed between operations", holder.Commit(), ErrKilled)
		next := begin(t, db, Snapshot)
		put(t, next, ks, "x", "2")
		commit(t, next)
	})
}

// A transaction that is dropped without Commit or Rollback is rolled back and reported with its origin.
func TestAnAbandonedTransactionIsFound(t *testing.T) {
	found := make(chan *AbandonedError, 1)
	db := openTest(t, func(o *Options) { o.Events.Abandoned = func(e *AbandonedError) { found <- e } })
	ks := keyspace(t, db, "k")
	leakTransaction(t, db, ks)
	for len(found) == 0 {
		runtime.GC()
		runtime.Gosched()
	}
	e := <-found
	if e.Label != "leaked" || !strings.Contains(e.Stack, "leakTransaction") || !errors.Is(e, ErrAbandoned) {
		t.Errorf("report: %v", e)
	}
	tx := begin(t, db, Snapshot, func(o *TxnOptions) { o.NoWait = false })
	defer tx.Rollback()
	put(t, tx, ks, "x", "2")
}

//go:noinline
func leakTransaction(t *testing.T, db *DB, ks *Keyspace) {
	tx := begin(t, db, Snapshot, func(o *TxnOptions) { o.Label = "leaked" })
	put(t, tx, ks, "x", "1")
	c, err := tx.Cursor(ks, Range{}) // an open cursor does not hide it
	must(t, err)
	c.First()
}

// A scan whose transaction ends under it fails; it must not look as if the range had ended.
func TestAScanOfAnEndedTransactionFails(t *testing.T) {
	ends := map[string]struct {
		end  func(db *DB, tx *Txn)
		want error
	}{
		"killed":      {func(db *DB, tx *Txn) { db.Kill(tx.ID()) }, ErrKilled},
		"committed":   {func(db *DB, tx *Txn) { _ = tx.Commit() }, ErrTxnDone},
		"rolled back": {func(db *DB, tx *Txn) { tx.Rollback() }, ErrTxnDone},
	}
	for name, c := range ends {
		for _, iso := range []Isolation{ReadCommitted, Snapshot, Serializable} {
			t.Run(name+"/"+iso.String(), func(t *testing.T) {
				db := openTest(t)
				ks := keyspace(t, db, "k")
				for _, key := range []string{"a", "b", "c"} {
					set(t, db, ks, key, "0")
				}
				checkpoint(t, db)
				scans := map[string]func(*Txn) iter.Seq2[Item, error]{
					"scan":    func(tx *Txn) iter.Seq2[Item, error] { return tx.Scan(ks, Range{}) },
					"reverse": func(tx *Txn) iter.Seq2[Item, error] { return tx.Reverse(ks, Range{}) },
				}
				for name, scan := range scans {
					tx := begin(t, db, iso)
					n, failed := 0, error(nil)
					for item, err := range scan(tx) {
						if failed = err; err != nil {
							break
						}
						key := string(item.Key)
						if n++; n == 1 {
							c.end(db, tx)
						}
						want(t, "the key that was yielded, after the end", string(item.Key), key)
					}
					if n != 1 {
						t.Errorf("%s: %d keys", name, n)
					}
					wantErr(t, name, failed, c.want)
					tx.Rollback()
				}
			})
		}
	}
}
