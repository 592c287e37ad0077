package mvcc

import (
	"encoding/binary"
	"errors"
	"fmt"
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

// A transaction that is used again depends on nothing that an earlier turn has read, required or lost on.
func TestATurnForgetsWhatEarlierTurnsHaveDone(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	var last *txn
	reused := false
	turn := func(level Isolation, fn func(tx *Txn)) {
		attempts := 0
		must(t, db.UpdateWith(bg, &TxnOptions{Isolation: level}, func(tx *Txn) error {
			attempts++
			reused, last = reused || tx.txn == last, tx.txn
			if n := len(tx.reads.points) + len(tx.reads.spans) + len(tx.guards.spans) + len(tx.guards.required); n > 0 || tx.reads.overflow {
				t.Fatalf("%d reads are left of the turn before", n)
			}
			if locks := db.Locks(true); len(locks) > 0 {
				t.Fatalf("it begins with the locks %v", locks)
			}
			fn(tx)
			return tx.Put(ks, []byte("written"), nil)
		}))
		if attempts != 1 {
			t.Errorf("%d attempts", attempts)
		}
	}
	set(t, db, ks, "read", "1")
	for i := range 3 {
		turn(Serializable, func(tx *Txn) {
			get(t, tx, ks, "read")
			must(t, tx.RequireExists(ks, []byte("read")))
			must(t, tx.RequireUnchanged(ks, Prefix([]byte("re"))))
		})
		turn(Serializable, func(*Txn) { // what the last one read changes under it
			remove := begin(t, db, Snapshot)
			must(t, remove.Delete(ks, []byte("read")))
			must(t, remove.Commit())
			set(t, db, ks, "read", fmt.Sprint(i))
		})
		turn(Snapshot, func(tx *Txn) {
			get(t, tx, ks, "read")
			set(t, db, ks, "read", "changed")
			wantErr(t, "a write after a change", tx.Put(ks, []byte("read"), nil), ErrConflict)
		})
	}
	if !reused && !invariants.Enabled { // under the race detector pools forget at random
		t.Error("no transaction was used again")
	}
}

// A transaction that writes one key allocates what stays of it, its commit and little else.
func TestASmallUpdateAllocatesLittle(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	n := 0
	key := make([]byte, 8)
	put := func(tx *Txn) error { return tx.Put(ks, key, key) }
	allocs := testing.AllocsPerRun(2000, func() {
		n++
		binary.BigEndian.PutUint64(key, uint64(n))
		must(t, db.UpdateWith(bg, nil, put))
	})
	if allocs > 5 && !invariants.Enabled { // 3 and, now and then, room in the version store, handles, and what the log allocates
		t.Errorf("%v allocations for a transaction of one write, want at most 5", allocs)
	}
}
