package mvcc

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
)

// A long transaction reads all accounts and depends on them, while a storm of short
// ones changes accounts all the time. It commits after a few attempts, at both
// levels that can lose, and what it has read is consistent.
func TestALongTransactionDoesNotStarve(t *testing.T) {
	for _, iso := range []Isolation{Snapshot, Serializable} {
		t.Run(iso.String(), func(t *testing.T) {
			db := openTest(t)
			ks := fillBank(t, db)
			stop := make(chan struct{})
			var storm sync.WaitGroup
			for range 4 {
				storm.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						if err := db.UpdateWith(bg, &TxnOptions{Isolation: Serializable}, func(tx *Txn) error { return transfer(tx, ks) }); err != nil {
							t.Errorf("transfer: %v", err)
							return
						}
					}
				})
			}
			for range 10 {
				attempts := 0
				err := db.UpdateWith(bg, &TxnOptions{Isolation: iso, Label: "audit"}, func(tx *Txn) error {
					attempts++
					if iso == Snapshot {
						if err := tx.RequireUnchanged(ks, Prefix([]byte("account/"))); err != nil {
							return err
						}
					}
					sum, n, err := total(tx, ks)
					if err != nil {
						return err
					}
					if sum != accounts*1000 || n != accounts {
						return fmt.Errorf("%d accounts with %d", n, sum)
					}
					for before := db.Metrics().Committed; attempts <= protectAfter && db.Metrics().Committed < before+10; {
						runtime.Gosched() // until the storm has overtaken it
					}
					return tx.Put(ks, []byte("audited"), nil)
				})
				if err != nil {
					t.Errorf("audit: %v", err)
				}
				if attempts > protectAfter+1+2 { // a deadlock or two may cost an attempt
					t.Errorf("the audit needed %d attempts", attempts)
				}
			}
			close(stop)
			storm.Wait()
			if db.Metrics().Protected == 0 {
				t.Errorf("no transaction was ever protected")
			}
		})
	}
}

// Commits that would change what the protected transaction has read wait until
// it has ended, others do not; nothing that it does can fail.
func TestCommitsWaitForTheProtectedTransaction(t *testing.T) {
	reads := map[string]func(t tb, tx *Txn, ks *Keyspace){
		"key":        func(t tb, tx *Txn, ks *Keyspace) { get(t, tx, ks, "a") },
		"absent key": func(t tb, tx *Txn, ks *Keyspace) { _, _ = tx.Has(ks, []byte("a2")) },
		"range":      func(t tb, tx *Txn, ks *Keyspace) { show(t, tx, ks, Prefix([]byte("a"))) },
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := openOn(t, newMem(t))
				defer db.Close()
				ks := keyspace(t, db, "k")
				set(t, db, ks, "a", "0")
				tx := begin(t, db, Serializable)
				defer tx.Rollback()
				get(t, tx, ks, "z")
				must(t, tx.protect())
				set(t, db, ks, "a", "1") // its snapshot is older; it moves
				read(t, tx, ks)
				set(t, db, ks, "b", "1")
				done := make(chan error, 1)
				go func() {
					done <- db.Update(bg, func(w *Txn) error {
						return errors.Join(w.Put(ks, []byte("a"), []byte("2")), w.Put(ks, []byte("a2"), []byte("2")))
					})
				}()
				synctest.Wait()
				if len(done) != 0 {
					t.Errorf("a commit over protected reads did not wait: %v", <-done)
				}
				put(t, tx, ks, "own", "1")
				commit(t, tx)
				if err := <-done; err != nil {
					t.Errorf("the commit that waited: %v", err)
				}
				if m := db.Metrics(); m.HeldOff != 1 {
					t.Errorf("%d commits were held off", m.HeldOff)
				}
			})
		})
	}
}

// If the protected transaction needs a lock of a commit that waits for it, the commit is the victim.
func TestTheProtectedTransactionWinsADeadlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openOn(t, newMem(t))
		defer db.Close()
		ks := keyspace(t, db, "k")
		tx, err := db.begin(bg, &TxnOptions{Isolation: Serializable}, protectAfter, false)
		must(t, err)
		defer tx.Rollback()
		must(t, tx.protect())
		get(t, tx, ks, "a")
		other, err := db.begin(bg, nil, 0, false)
		must(t, err)
		defer other.Rollback()
		put(t, other, ks, "a", "1")
		done := make(chan error, 1)
		go func() { done <- other.Commit() }()
		synctest.Wait()
		put(t, tx, ks, "a", "2")
		wantErr(t, "the other", <-done, ErrDeadlock)
		commit(t, tx)
	})
}
