package fuzz

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

var bg = context.Background()

const dbPath = "db/test.sombra"

// options are as small as they can be, so that segments and pages change often.
func options(fs vfs.FS) *mvcc.Options {
	return &mvcc.Options{FS: fs, MemoryBudget: mvcc.MinMemoryBudget, PageSize: 4096, SegmentSize: 64 << 10}
}

// newDisk returns an empty disk with the database's directory.
func newDisk(t testing.TB) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem()
	if err := errors.Join(m.MkdirAll(filepath.Dir(dbPath), 0o755), m.SyncDir(".")); err != nil {
		t.Fatal(err)
	}
	return m
}

// allowed fails the test for an error that a database may not return after a
// power cut: a broken promise, or one that does not tell of the power.
func allowed(t testing.TB, err error) {
	t.Helper()
	var broken *violation
	if errors.As(err, &broken) || !errors.Is(err, vfs.ErrPowerOff) {
		t.Fatalf("not an error of a power cut: %v", err)
	}
}

// system is a database as the crash tests see it. Each function opens it and closes it again.
type system struct {
	// run works on a database, and after on one that has recovered; they return all errors.
	run, after func(disk vfs.FS, seed uint64, h *history) []error
	// audit verifies everything, settles the history, and returns the number of commits.
	audit func(t testing.TB, disk vfs.FS, h *history) int
	// glance is audit, and leaves the disk without power instead of closing the database.
	glance func(t testing.TB, disk vfs.FS, h *history) int
	// stride is how many changes lie between two crash points of the short form.
	stride int64
}

// runUntilCut runs on a disk whose power goes off before a change, and reports
// whether the run ended before that.
func runUntilCut(t testing.TB, mem *vfs.Mem, cut int64, run func(vfs.FS) []error) (finished bool) {
	t.Helper()
	disk := vfs.NewFaulty(mem, nil)
	disk.CutAt(cut)
	for _, err := range run(disk) {
		allowed(t, err)
	}
	if left := mem.OpenHandles(); len(left) > 0 {
		t.Fatalf("left open: %q", left)
	}
	return !disk.IsOff()
}

// openAndRun runs the workload on the database on a disk.
func (w *workload) openAndRun(disk vfs.FS, h *history) []error {
	db, err := mvcc.Open(dbPath, options(disk))
	if err != nil {
		return []error{err}
	}
	errs := w.run(bg, db, h)
	if err := db.Close(); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// audited opens the database, compares it with the history and settles that.
func audited(t testing.TB, fs vfs.FS, h *history) *survivors {
	t.Helper()
	return auditedAt(t, dbPath, options(fs), h)
}

func auditedAt(t testing.TB, path string, o *mvcc.Options, h *history) *survivors {
	t.Helper()
	db, err := mvcc.Open(path, o)
	if err != nil {
		t.Fatalf("reopening: %v", err)
	}
	s := examined(t, db, h, nil)
	if err := db.Close(); err != nil {
		t.Fatalf("closing: %v", err)
	}
	h.settle(s)
	return s
}

// examined verifies an open database, and more than the ledger if more is not nil.
func examined(t testing.TB, db *mvcc.DB, h *history, more func(*mvcc.DB, *survivors) error) *survivors {
	t.Helper()
	s, err := auditAll(bg, db)
	if err == nil {
		err = h.compare(s)
	}
	if err == nil && more != nil {
		err = more(db, s)
	}
	if err != nil {
		t.Fatalf("after reopening: %v", err)
	}
	return s
}

// auditedWith is audited with other options. quick ends with a power cut instead of closing, which saves a checkpoint.
func auditedWith(t testing.TB, fs vfs.FS, o func(vfs.FS) *mvcc.Options, h *history, quick bool, more func(*mvcc.DB, *survivors) error) *survivors {
	t.Helper()
	disk := vfs.NewFaulty(fs, nil)
	db, err := mvcc.Open(dbPath, o(disk))
	if err != nil {
		t.Fatalf("reopening: %v", err)
	}
	s := examined(t, db, h, more)
	if quick {
		disk.PowerOff()
	}
	if err := db.Close(); err != nil && !quick {
		t.Fatalf("closing: %v", err)
	}
	h.settle(s)
	return s
}
