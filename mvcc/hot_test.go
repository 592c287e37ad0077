package mvcc

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sombradb/sombra/internal/vfs"
)

// hangingSync makes a database whose syncs hang between arm and the returned release.
func hangingSync(t *testing.T) (db *DB, arm func() (release func())) {
	var mu sync.Mutex
	var hang chan struct{}
	fs := vfs.NewFaulty(newMem(t), func(op vfs.Op) vfs.Fault {
		mu.Lock()
		defer mu.Unlock()
		if hang != nil && op.Kind == vfs.OpSyncData {
			return vfs.Fault{Wait: hang}
		}
		return vfs.Fault{}
	})
	return openOn(t, fs), func() func() {
		mu.Lock()
		defer mu.Unlock()
		hang = make(chan struct{})
		return func() {
			mu.Lock()
			defer mu.Unlock()
			close(hang)
			hang = nil
		}
	}
}

// increment is a locked read-modify-write of one key.
func increment(tx *Txn, ks *Keyspace, key string) error {
	v, err := tx.GetForUpdate(ks, []byte(key))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return tx.Put(ks, []byte(key), append(v, 'x'))
}

// Successive writers of one key, at every level, all get into the log while
// the first sync is still running: none waits for the disk to take its lock. None is acknowledged or visible before it ends (R2).
func TestAHotKeyDoesNotWaitForTheDisk(t *testing.T) {
	for _, iso := range []Isolation{ReadCommitted, Snapshot, Serializable} {
		t.Run(iso.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db, arm := hangingSync(t)
				defer db.Close()
				ks := keyspace(t, db, "k")
				release := arm()
				done := make(chan error, 10)
				for range cap(done) {
					go func() {
						done <- db.UpdateWith(bg, &TxnOptions{Isolation: iso}, func(tx *Txn) error { return increment(tx, ks, "hot") })
					}()
				}
				synctest.Wait()
				if v := db.state.Load().active.Newest(append(ks.prefix[:], "hot"...)); v == nil || len(v.Value) != cap(done) {
					t.Errorf("not all writers got through before the sync: %v", v)
				}
				reader := begin(t, db, Snapshot)
				want(t, "before the sync", get(t, reader, ks, "hot"), "-")
				reader.Rollback()
				if len(done) != 0 {
					t.Errorf("%d commits were acknowledged before the sync", len(done))
				}
				release()
				for range cap(done) {
					if err := <-done; err != nil {
						t.Errorf("increment: %v", err)
					}
				}
				reader = begin(t, db, Snapshot)
				defer reader.Rollback()
				want(t, "after the sync", get(t, reader, ks, "hot"), "xxxxxxxxxx")
			})
		})
	}
}

// Who has seen a commit before it was durable, and writes nothing, is acknowledged after it all the same.
func TestAReaderOfAnUndurableCommitWaitsForIt(t *testing.T) {
	for _, iso := range []Isolation{ReadCommitted, Snapshot, Serializable} {
		t.Run(iso.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db, arm := hangingSync(t)
				defer db.Close()
				ks := keyspace(t, db, "k")
				release := arm()
				done := make(chan error, 2)
				go func() { done <- db.Update(bg, func(tx *Txn) error { return increment(tx, ks, "hot") }) }()
				synctest.Wait()
				seen := ""
				go func() {
					done <- db.UpdateWith(bg, &TxnOptions{Isolation: iso}, func(tx *Txn) error {
						v, err := tx.GetForUpdate(ks, []byte("hot"))
						seen = string(v)
						again := get(t, tx, ks, "hot")
						if again != seen {
							t.Errorf("%q under the lock, then %q", seen, again)
						}
						return err
					})
				}()
				synctest.Wait()
				want(t, "seen under the lock", seen, "x")
				if len(done) != 0 {
					t.Errorf("acknowledged before what it saw was durable")
				}
				release()
				if err := errors.Join(<-done, <-done); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A write moves the snapshot forward exactly when nothing that was read has changed.
func TestRefreshMovesTheSnapshotWhenNothingReadHasChanged(t *testing.T) {
	cases := []struct {
		name, changed string // besides w, which the transaction writes
		conflict      bool
	}{
		{"nothing", "", false}, {"a key that was not read", "c", false}, {"a key that was read", "a", true},
		{"an absent key that was read", "absent", true}, {"a key in a range that was read", "r1", true},
		{"a key behind where a scan stopped", "r9", false}, {"a required range", "q1", true},
	}
	for _, iso := range []Isolation{Snapshot, Serializable} {
		for _, c := range cases {
			t.Run(iso.String()+"/"+c.name, func(t *testing.T) {
				db := openTest(t)
				ks := keyspace(t, db, "k")
				for _, key := range []string{"a", "c", "r1", "r5", "w"} {
					set(t, db, ks, key, "0")
				}
				tx := begin(t, db, iso)
				defer tx.Rollback()
				get(t, tx, ks, "a")
				get(t, tx, ks, "absent")
				cur, err := tx.Cursor(ks, Range{Lo: []byte("r"), Hi: []byte("s")})
				must(t, err)
				cur.First()
				cur.Next()
				must(t, tx.RequireUnchanged(ks, Prefix([]byte("q"))))
				set(t, db, ks, "w", "1")
				if c.changed != "" {
					set(t, db, ks, c.changed, "1")
				}
				err = tx.Put(ks, []byte("w"), []byte("2"))
				if c.conflict {
					wantErr(t, "write", err, ErrConflict)
					return
				}
				if err != nil {
					t.Fatalf("write: %v", err)
				}
				want(t, "the cursor goes on where it stood", fmt1(cur.Next(), cur.Key()), fmt1(c.changed == "r9", cur.Key()))
				want(t, "own write", get(t, tx, ks, "w"), "2")
				commit(t, tx)
				if db.Metrics().Refreshes != 1 {
					t.Errorf("%d refreshes", db.Metrics().Refreshes)
				}
			})
		}
	}
}

func fmt1(ok bool, key []byte) string {
	if ok {
		return string(key)
	}
	return "end"
}

// While a snapshot moves forward both its places are known to checkpoints.
func TestAMovingSnapshotIsPinnedTwice(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	before, err := tx.Snapshot()
	must(t, err)
	set(t, db, ks, "a", "1")
	e := tx.session.pinNext(&db.commits.applied)
	if pins := db.snapshots.list(); len(pins) != 2 || pins[0] != before || pins[1] != e.ts {
		t.Errorf("pins: %v, want %d and %d", pins, before, e.ts)
	}
	for _, move := range []bool{false, true} {
		tx.session.pinNext(&db.commits.applied)
		tx.session.movePin(move)
		pins := db.snapshots.list()
		if len(pins) != 1 || (pins[0] == e.ts) != move {
			t.Errorf("after moving %v: %v", move, pins)
		}
	}
}
