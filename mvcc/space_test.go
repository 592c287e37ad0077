package mvcc

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// sums verifies that the space adds up to the files.
func (s Space) sums(t tb, db *DB) {
	t.Helper()
	info, err := db.opts.FS.Stat(db.path)
	if err != nil {
		t.Fatalf("stat: %v", err)
	}
	if s.File != info.Size() || s.Data+s.History+s.Overhead+s.Free != s.File {
		t.Errorf("a file of %d bytes is accounted for as %+v", info.Size(), s)
	}
}

func space(t tb, db *DB) Space {
	t.Helper()
	s, err := db.Space(bg)
	if err != nil {
		t.Fatalf("space: %v", err)
	}
	s.sums(t, db)
	return s
}

// loadRows puts n rows of 100 bytes and some large values.
func loadRows(t tb, db *DB, ks *Keyspace, n int) {
	t.Helper()
	for from := 0; from < n; from += 1000 {
		err := db.Update(bg, func(tx *Txn) error {
			for i := from; i < min(from+1000, n); i++ {
				size := 100
				if i%500 == 0 {
					size = 20_000
				}
				if err := tx.Put(ks, rowKey(i), make([]byte, size)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("load: %v", err)
		}
	}
}

// deleteRows deletes all but every tenth row.
func deleteRows(t tb, db *DB, ks *Keyspace, n int) {
	t.Helper()
	for from := 0; from < n; from += 1000 {
		err := db.Update(bg, func(tx *Txn) error {
			for i := from; i < min(from+1000, n); i++ {
				if i%10 != 0 {
					if err := tx.Delete(ks, rowKey(i)); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("delete: %v", err)
		}
	}
}

// After most was deleted, the file is below 1.5 times of what it needs within a few checkpoints, while writers go on.
func TestTheFileShrinksWhileWritersGoOn(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	const n = 40_000
	loadRows(t, db, ks, n)
	checkpoint(t, db)
	before := space(t, db)
	deleteRows(t, db, ks, n)
	// Mostly it takes three checkpoints; where places for large values must be made first, about ten.
	after, live := before, int64(0)
	for i := 0; i < 16 && after.File*2 > live*3; i++ {
		set(t, db, ks, fmt.Sprintf("row%08d", i*10), "changed")
		checkpoint(t, db)
		after = space(t, db)
		live = after.Data + after.History + after.Overhead
	}
	if after.File*2 > live*3 {
		t.Errorf("a file of %d bytes, before %d, for %d live ones", after.File, before.File, live)
	}
	check(t, db)
}

// Compact leaves almost no free space, in steps that report, beside readers and writers.
func TestCompactMakesTheFileDense(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	const n = 40_000
	loadRows(t, db, ks, n)
	checkpoint(t, db)
	old := begin(t, db, Snapshot)
	defer old.Rollback()
	want(t, "an old snapshot", get(t, old, ks, string(rowKey(1))), string(make([]byte, 100)))
	deleteRows(t, db, ks, n)
	steps := 0
	var last CompactProgress
	err := db.Compact(bg, func(p CompactProgress) {
		steps++
		p.Space.sums(t, db)
		last = p
		set(t, db, ks, "beside", fmt.Sprint(steps))
	})
	must(t, err)
	if last.Left != 0 || steps == 0 {
		t.Errorf("after %d steps: %+v", steps, last)
	}
	if last.Space.Free > last.Space.File/8 {
		t.Errorf("%d of %d bytes are free", last.Space.Free, last.Space.File)
	}
	want(t, "the old snapshot", get(t, old, ks, string(rowKey(1))), string(make([]byte, 100)))
	check(t, db)
	must(t, db.Compact(bg, nil)) // a dense file is compacted at once
}

// A compaction that is cancelled says so, and the database goes on.
func TestCompactCanBeCancelled(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	loadRows(t, db, ks, 40_000)
	checkpoint(t, db)
	deleteRows(t, db, ks, 40_000)
	ctx, cancel := context.WithCancelCause(bg)
	stop := errors.New("enough")
	err := db.Compact(ctx, func(CompactProgress) { cancel(stop) })
	wantErr(t, "compact", err, stop)
	set(t, db, ks, "a", "1")
	checkpoint(t, db)
	check(t, db)
}

// When the last snapshot that needed history has ended, a checkpoint drops it though nothing else has changed.
func TestACheckpointOfAnIdleDatabaseDropsHistory(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	set(t, db, ks, "a", "1")
	tx := begin(t, db, Snapshot)
	want(t, "a", get(t, tx, ks, "a"), "1")
	set(t, db, ks, "a", "2")
	checkpoint(t, db)
	checkpoint(t, db)
	if n := db.Metrics().HistoryRecords; n != 1 {
		t.Fatalf("%d history records", n)
	}
	tx.Rollback()
	checkpoint(t, db)
	if n := db.Metrics().HistoryRecords; n != 0 {
		t.Errorf("%d history records that nobody needs", n)
	}
	before := db.Metrics().Pages.Sequence
	checkpoint(t, db)
	if after := db.Metrics().Pages.Sequence; after != before {
		t.Errorf("a checkpoint with nothing to do went from sequence %d to %d", before, after)
	}
}
