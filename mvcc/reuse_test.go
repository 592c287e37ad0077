package mvcc

import (
	"errors"
	"testing"
	"time"

	"github.com/sombradb/sombra/internal/invariants"
)

// TestAHandleDoesNotOutliveItsUpdate keeps the handle of an Update and uses it inside of later ones, which have the same
// transaction behind their handles.
func TestAHandleDoesNotOutliveItsUpdate(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "ks")
	var kept *Txn
	must(t, db.Update(bg, func(tx *Txn) error {
		kept = tx
		return tx.Put(ks, []byte("a"), []byte("1"))
	}))
	first := kept.CommitTimestamp()
	uses := func(what string) {
		t.Helper()
		_, err := kept.Get(ks, []byte("a"))
		wantErr(t, what+": Get", err, ErrTxnDone)
		wantErr(t, what+": Put", kept.Put(ks, []byte("b"), nil), ErrTxnDone)
		wantErr(t, what+": Commit", kept.Commit(), ErrTxnDone)
		if kept.CommitTimestamp() != first || first == 0 {
			t.Errorf("%s: its timestamp was %d and is %d", what, first, kept.CommitTimestamp())
		}
		kept.Rollback()
	}
	uses("after the end")
	reused := false
	for _, iso := range []Isolation{Serializable, ReadCommitted, Snapshot, Serializable} {
		must(t, db.UpdateWith(bg, &TxnOptions{Isolation: iso}, func(tx *Txn) error {
			reused = reused || tx.txn == kept.txn
			if tx == kept || tx.CommitTimestamp() != 0 || tx.Isolation() != iso {
				t.Errorf("a handle of %v with timestamp %d", tx.Isolation(), tx.CommitTimestamp())
			}
			put(t, tx, ks, "a", iso.String())
			uses("inside another Update")
			if locks := db.Locks(true); len(locks) != 1 || locks[0].Holders[0].Owner != tx.ID() {
				t.Errorf("locks of transaction %d: %v", tx.ID(), locks)
			}
			want(t, "its own write", get(t, tx, ks, "a"), iso.String())
			return nil
		}))
	}
	if !reused && !invariants.Enabled { // under the race detector pools forget at random
		t.Error("no transaction was used again")
	}
	if m := db.Metrics(); m.Active != 0 || m.Begun != m.Committed+m.RolledBack {
		t.Errorf("%d run, %d began, %d committed, %d rolled back", m.Active, m.Begun, m.Committed, m.RolledBack)
	}
}

// TestAnUpdateThatIsKnownElsewhereIsNotUsedAgain lists who may still know a transaction after its end.
func TestAnUpdateThatIsKnownElsewhereIsNotUsedAgain(t *testing.T) {
	failure := errors.New("failure")
	for name, run := range map[string]func(*DB, *Keyspace, *Txn) error{
		"a savepoint": func(_ *DB, _ *Keyspace, tx *Txn) error { _, err := tx.Savepoint(); return err },
		"an iteration": func(_ *DB, ks *Keyspace, tx *Txn) error {
			for _, err := range tx.Scan(ks, Range{}) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"a look into the registry": func(db *DB, _ *Keyspace, _ *Txn) error {
			db.snapshots.each(func(s *session) { s.keepHolder() })
			return nil
		},
		"an error": func(*DB, *Keyspace, *Txn) error { return failure },
		"a kill":   func(db *DB, _ *Keyspace, tx *Txn) error { db.Kill(tx.ID()); return nil },
	} {
		db := openTest(t)
		ks := keyspace(t, db, "ks")
		var known *txn
		err := db.Update(bg, func(tx *Txn) error {
			known = tx.txn
			put(t, tx, ks, "a", "1")
			return run(db, ks, tx)
		})
		if name != "a kill" && err != nil && !errors.Is(err, failure) {
			t.Errorf("%s: %v", name, err)
		}
		wantNotUsedAgain(t, db, ks, name, known)
	}
}

func TestAnUpdateWithTimersIsNotUsedAgain(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "ks")
	var known *txn
	must(t, db.UpdateWith(bg, &TxnOptions{Timeout: time.Hour}, func(tx *Txn) error {
		known = tx.txn
		return tx.Put(ks, []byte("a"), nil)
	}))
	wantNotUsedAgain(t, db, ks, "a timer", known)
}

func wantNotUsedAgain(t *testing.T, db *DB, ks *Keyspace, what string, known *txn) {
	t.Helper()
	for range 5 {
		must(t, db.Update(bg, func(tx *Txn) error {
			if tx.txn == known {
				t.Errorf("used again after %s", what)
			}
			return tx.Put(ks, []byte("b"), nil)
		}))
	}
}
