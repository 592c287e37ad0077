package mvcc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

var bg = context.Background()

// tb is what tests and rapid have in common.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

const testPath = "db/test.sombra"

func testOptions(fs vfs.FS) *Options {
	return &Options{FS: fs, MemoryBudget: MinMemoryBudget, PageSize: 4096, SegmentSize: 64 << 10}
}

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

func openOn(t tb, fs vfs.FS, change ...func(*Options)) *DB {
	t.Helper()
	o := testOptions(fs)
	for _, c := range change {
		c(o)
	}
	db, err := Open(testPath, o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return db
}

// openTest opens a new database in memory that is closed with the test.
func openTest(t *testing.T, change ...func(*Options)) *DB {
	t.Helper()
	db := openOn(t, newMem(t), change...)
	t.Cleanup(func() {
		for _, tx := range db.Transactions() { // a test that failed has left them
			db.Kill(tx.ID)
		}
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

func keyspace(t tb, db *DB, name string) *Keyspace {
	t.Helper()
	ks, err := db.Keyspace(bg, name)
	if err != nil {
		t.Fatalf("keyspace %q: %v", name, err)
	}
	return ks
}

func begin(t tb, db *DB, iso Isolation, change ...func(*TxnOptions)) *Txn {
	t.Helper()
	o := &TxnOptions{Isolation: iso, NoWait: true}
	for _, c := range change {
		c(o)
	}
	tx, err := db.Begin(bg, o)
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	return tx
}

func put(t tb, tx *Txn, ks *Keyspace, key, value string) {
	t.Helper()
	if err := tx.Put(ks, []byte(key), []byte(value)); err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
}

func commit(t tb, tx *Txn) {
	t.Helper()
	if err := tx.Commit(); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

// set commits one value.
func set(t tb, db *DB, ks *Keyspace, key, value string) {
	t.Helper()
	err := db.Update(bg, func(tx *Txn) error { return tx.Put(ks, []byte(key), []byte(value)) })
	if err != nil {
		t.Fatalf("set %q: %v", key, err)
	}
}

func remove(t tb, db *DB, ks *Keyspace, key string) {
	t.Helper()
	err := db.Update(bg, func(tx *Txn) error { return tx.Delete(ks, []byte(key)) })
	if err != nil {
		t.Fatalf("delete %q: %v", key, err)
	}
}

// get returns the value, or "-" when there is none.
func get(t tb, tx *Txn, ks *Keyspace, key string) string {
	t.Helper()
	v, err := tx.Get(ks, []byte(key))
	if errors.Is(err, ErrNotFound) {
		return "-"
	}
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	return string(v)
}

// show renders a scan as "a=1 b=2".
func show(t tb, tx *Txn, ks *Keyspace, r Range) string {
	t.Helper()
	var parts []string
	for item, err := range tx.Scan(ks, r) {
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
		parts = append(parts, fmt.Sprintf("%s=%s", item.Key, item.Value))
	}
	return strings.Join(parts, " ")
}

func want(t tb, what, got, want string) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

func wantErr(t tb, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("%s: got error %v, want %v", what, err, target)
	}
}

func checkpoint(t tb, db *DB) {
	t.Helper()
	if err := db.Checkpoint(bg); err != nil {
		t.Fatalf("checkpoint: %v", err)
	}
}

func check(t tb, db *DB) {
	t.Helper()
	report, err := db.Check(bg, nil)
	if err != nil {
		t.Fatalf("check: %v", err)
	}
	for _, p := range report.Problems {
		t.Errorf("check: %v", p)
	}
}

func exampleFS() vfs.FS { return vfs.NewMem() }
