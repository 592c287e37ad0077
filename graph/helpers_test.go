package graph

import (
	"context"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

var bg = context.Background()

var levels = []mvcc.Isolation{mvcc.ReadCommitted, mvcc.Snapshot, mvcc.Serializable}

// tb is what tests and rapid have in common.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

const testPath = "db/graph"

func newMem(t tb) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem()
	if err := m.MkdirAll("db", 0o755); err != nil {
		t.Fatalf("mkdir: %v", err)
	}
	if err := m.SyncDir("."); err != nil {
		t.Fatalf("syncdir: %v", err)
	}
	return m
}

func openOn(t tb, fs vfs.FS) *DB {
	t.Helper()
	db, err := Open(testPath, &Options{Options: mvcc.Options{FS: fs, MemoryBudget: mvcc.MinMemoryBudget, SegmentSize: 1 << 20}})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return db
}

// openTest opens a new database in memory, which is checked and closed after the test.
func openTest(t testing.TB) *DB {
	t.Helper()
	db := openOn(t, newMem(t))
	t.Cleanup(func() {
		check(t, db)
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

// check verifies the database and returns the report.
func check(t tb, db *DB) CheckReport {
	t.Helper()
	report, err := db.Check(bg)
	if err != nil {
		t.Fatalf("check: %v", err)
	}
	for _, p := range report.Problems {
		t.Errorf("check: %v", p)
	}
	if len(report.Problems) > 0 {
		t.Fatalf("check found %d problems", len(report.Problems))
	}
	return report
}

// update runs fn in a transaction that must succeed.
func update(t tb, db *DB, fn func(*Txn) error) {
	t.Helper()
	if err := db.Update(bg, fn); err != nil {
		t.Fatalf("update: %v", err)
	}
}

// view runs fn in a read-only transaction.
func view(t tb, db *DB, fn func(*Txn)) {
	t.Helper()
	if err := db.View(bg, func(tx *Txn) error { fn(tx); return nil }); err != nil {
		t.Fatalf("view: %v", err)
	}
}

// begin starts a transaction that is rolled back with the test at the latest.
func begin(t testing.TB, db *DB, level mvcc.Isolation) *Txn {
	t.Helper()
	tx, err := db.Begin(bg, &mvcc.TxnOptions{Isolation: level})
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	t.Cleanup(tx.Rollback)
	return tx
}

// addNodes creates n nodes with a label.
func addNodes(t tb, db *DB, n int, label string) []NodeID {
	t.Helper()
	var ids []NodeID
	update(t, db, func(tx *Txn) error {
		ids = ids[:0]
		for range n {
			id, err := tx.CreateNode([]string{label}, nil)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	return ids
}

// addEdge creates an edge.
func addEdge(t tb, db *DB, src, dst NodeID, typ string, props Props) EdgeID {
	t.Helper()
	var id EdgeID
	update(t, db, func(tx *Txn) (err error) {
		id, err = tx.CreateEdge(src, dst, typ, props)
		return err
	})
	return id
}
