package mvcc

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sombradb/sombra/internal/invariants"
)

// TestAHandleDoesNotOutliveItsView keeps what a View has handed out and uses it inside of later ones, which have the same
// transaction behind their handles.
func TestAHandleDoesNotOutliveItsView(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "ks")
	set(t, db, ks, "a", "1")
	var kept *Txn
	var cursor *Cursor
	var items func(func(Item, error) bool)
	var savepoint Savepoint
	must(t, db.View(bg, func(tx *Txn) (err error) {
		kept, items = tx, tx.Scan(ks, Range{})
		if cursor, err = tx.Cursor(ks, Range{}); err != nil || !cursor.First() {
			return errors.Join(err, cursor.Err())
		}
		savepoint, err = tx.Savepoint()
		return err
	}))
	uses := func(what string) {
		t.Helper()
		_, err := kept.Get(ks, []byte("a"))
		wantErr(t, what+": Get", err, ErrTxnDone)
		wantErr(t, what+": Put", kept.Put(ks, []byte("a"), nil), ErrTxnDone)
		wantErr(t, what+": Commit", kept.Commit(), ErrTxnDone)
		wantErr(t, what+": RollbackTo", kept.RollbackTo(savepoint), ErrTxnDone)
		_, err = kept.Cursor(ks, Range{})
		wantErr(t, what+": Cursor", err, ErrTxnDone)
		if cursor.Next() || cursor.First() || cursor.Key() != nil {
			t.Errorf("%s: the cursor is at %q", what, cursor.Key())
		}
		wantErr(t, what+": the cursor", cursor.Err(), ErrTxnDone)
		for _, err := range items {
			wantErr(t, what+": Scan", err, ErrTxnDone)
		}
		kept.Rollback()
		cursor.Close()
	}
	uses("after the end")
	reused := false
	for range 3 {
		must(t, db.View(bg, func(tx *Txn) error {
			reused = reused || tx.txn == kept.txn
			if tx == kept {
				t.Error("the handle was given out again")
			}
			uses("inside another View")
			want(t, "the other View", get(t, tx, ks, "a"), "1")
			want(t, "its scan", show(t, tx, ks, Range{}), "a=1")
			return nil
		}))
	}
	if !reused && !invariants.Enabled { // under the race detector pools forget at random
		t.Error("no transaction was used again")
	}
}

// TestAKilledViewIsNotUsedAgain: who has killed it may still hold it.
func TestAKilledViewIsNotUsedAgain(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "ks")
	set(t, db, ks, "a", "1")
	var killed *txn
	err := db.View(bg, func(tx *Txn) error {
		killed = tx.txn
		if !db.Kill(tx.ID()) {
			t.Error("there was nothing to kill")
		}
		_, err := tx.Get(ks, []byte("a"))
		return err
	})
	wantErr(t, "the killed view", err, ErrKilled)
	for range 3 {
		must(t, db.View(bg, func(tx *Txn) error {
			if tx.txn == killed {
				t.Error("it is used again")
			}
			return nil
		}))
	}
	if m := db.Metrics(); m.Active != 0 || m.Begun != m.Committed+m.RolledBack {
		t.Errorf("%d run, %d began, %d committed, %d rolled back", m.Active, m.Begun, m.Committed, m.RolledBack)
	}
}

// TestViewsAreListedWithIDs gives those ids that have none yet.
func TestViewsAreListedWithIDs(t *testing.T) {
	db := openTest(t)
	seen := map[uint64]bool{}
	for range 3 {
		must(t, db.View(bg, func(tx *Txn) error {
			all := db.Transactions()
			if len(all) != 1 || all[0].ID == 0 || all[0].ID != tx.ID() || seen[tx.ID()] || !all[0].ReadOnly {
				t.Errorf("listed as %v", all)
			}
			seen[tx.ID()] = true
			return nil
		}))
	}
}

// TestReadsDoNotAllocate counts allocations of whole transactions; handles are allocated once for many Views.
func TestReadsDoNotAllocate(t *testing.T) {
	if invariants.Enabled {
		t.Log("pools forget at random under the race detector; only the reads are made")
	}
	db := openTest(t)
	ks := keyspace(t, db, "ks")
	must(t, db.Update(bg, func(tx *Txn) error {
		for n := range 1000 {
			if err := tx.Put(ks, []byte(aheadKey(n)), []byte("value")); err != nil {
				return err
			}
		}
		return nil
	}))
	measure := func(where string) {
		var buf []byte
		key := []byte(aheadKey(77))
		get := func(tx *Txn) (err error) {
			buf, err = tx.Append(ks, buf[:0], key)
			return err
		}
		scan := func(tx *Txn) error {
			n := 0
			for _, err := range tx.Scan(ks, Range{}) {
				if err != nil {
					return err
				}
				n++
			}
			if n != 1000 {
				t.Errorf("%s: scanned %d keys", where, n)
			}
			return nil
		}
		for what, fn := range map[string]func(*Txn) error{"get": get, "scan": scan} {
			allocs := testing.AllocsPerRun(200, func() { must(t, db.View(bg, fn)) })
			if allocs > 0 && !invariants.Enabled {
				t.Errorf("%s, %s: %v allocations", where, what, allocs)
			}
		}
	}
	measure("in memory")
	checkpoint(t, db)
	measure("in trees")
	for n := 0; n < 1000; n += 2 {
		if n%100 == 0 {
			set(t, db, ks, aheadKey(n), "newer")
		}
	}
	measure("in both")
}

// TestTheCheapClockTellsTheTime lets time pass between turns, across those that look at the wall clock.
func TestTheCheapClockTellsTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cheapClock
		for turn := range uint64(3 * clockTurns) {
			if got, want := c.now(turn*stateTurn), time.Now(); !got.Equal(want) || time.Since(got) != 0 {
				t.Fatalf("turn %d: it is %v, not %v", turn, got, want)
			}
			time.Sleep(time.Minute)
		}
		if age := time.Since(c.base); age > clockTurns*time.Minute {
			t.Errorf("the wall clock was looked at %v ago", age)
		}
	})
}
