package fuzz

import (
	"errors"
	"flag"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

var faultEvery = flag.Bool("fault.every", false, "let every single call of the disk fail, not only some")

// faultKinds decide what happens to a call that is to fail; ok is false for calls that cannot fail that way.
var faultKinds = map[string]func(vfs.Op) (f vfs.Fault, ok bool){
	"EIO": func(vfs.Op) (vfs.Fault, bool) { return vfs.Fault{Err: syscall.EIO}, true },
	"ENOSPC": func(op vfs.Op) (vfs.Fault, bool) {
		switch op.Kind {
		case vfs.OpWrite, vfs.OpTruncate, vfs.OpMkdirAll, vfs.OpRename:
			return vfs.Fault{Err: syscall.ENOSPC}, true
		case vfs.OpOpen:
			return vfs.Fault{Err: syscall.ENOSPC}, op.Changes
		}
		return vfs.Fault{}, false
	},
	"short write": func(op vfs.Op) (vfs.Fault, bool) {
		return vfs.Fault{Err: syscall.EIO, Short: op.Length / 2}, op.Kind == vfs.OpWrite && op.Length > 1
	},
	"short read": func(op vfs.Op) (vfs.Fault, bool) {
		return vfs.Fault{Err: syscall.EIO, Short: op.Length / 2}, op.Kind == vfs.OpRead && op.Length > 1
	},
}

// faultRun is one run of a workload in which one call fails.
type faultRun struct {
	t     *testing.T
	mem   *vfs.Mem
	disk  *vfs.Faulty
	h     *history
	calls atomic.Int64           // that can fail this way
	hit   atomic.Pointer[vfs.Op] // the call that failed
	cause error                  // set before hit

	again atomic.Pointer[vfs.Op] // a sync of the file whose sync has failed, although nobody had made it anew
	anew  atomic.Bool            // that file was removed, renamed or created since
}

// watch notes what is done with a file after its sync has failed. To sync it once more proves nothing: the system may have
// dropped what it could not write.
func (r *faultRun) watch(op vfs.Op) {
	hit := r.hit.Load()
	if hit == nil || hit.Kind != vfs.OpSync && hit.Kind != vfs.OpSyncData || op.Name != hit.Name && op.NewName != hit.Name {
		return
	}
	switch op.Kind {
	case vfs.OpRemove, vfs.OpRename, vfs.OpOpen:
		r.anew.Store(true)
	case vfs.OpSync, vfs.OpSyncData:
		if !r.anew.Load() {
			r.again.Store(&op)
		}
	}
}

// neverAgain verifies that a failed sync was not repeated by the database that met it.
func (r *faultRun) neverAgain() {
	r.t.Helper()
	if op := r.again.Load(); op != nil {
		r.t.Fatalf("the %v of %s failed, and was repeated", r.hit.Load().Kind, op.Name)
	}
}

// newFaultRun prepares a run in which the call with that index fails, of those that can fail that way.
func newFaultRun(t *testing.T, mem *vfs.Mem, h *history, kind string, index int64) *faultRun {
	r := &faultRun{t: t, mem: mem, h: h}
	r.disk = vfs.NewFaulty(r.mem, func(op vfs.Op) vfs.Fault {
		r.watch(op)
		f, ok := faultKinds[kind](op)
		if !ok || r.calls.Add(1)-1 != index {
			return vfs.Fault{}
		}
		r.cause = f.Err
		r.hit.Store(&op)
		return f
	})
	return r
}

// clear fails the test for an error that a caller cannot make sense of.
func (r *faultRun) clear(err error) {
	r.t.Helper()
	var broken *violation
	switch {
	case err == nil:
	case errors.As(err, &broken), r.hit.Load() == nil:
		r.t.Fatalf("unexpected: %v", err)
	case !strings.Contains(err.Error(), r.cause.Error()) || !strings.Contains(err.Error(), ": "):
		r.t.Fatalf("the error does not say what failed: %v", err)
	}
}

// use runs the database with the fault in it.
func (r *faultRun) use(o *mvcc.Options, stage func(*mvcc.DB, *history) []error) {
	r.t.Helper()
	db, err := mvcc.Open(dbPath, o)
	r.clear(err)
	if err != nil {
		return
	}
	for _, err := range stage(db, r.h) {
		r.clear(err)
	}
	r.goesOn(db)
	r.clear(db.Close())
	r.neverAgain()
}

// goesOn verifies that reads go on, and that writes do unless the database says that it has failed.
func (r *faultRun) goesOn(db *mvcc.DB) {
	r.t.Helper()
	failure := db.Health().Err
	r.clear(failure)
	r.reads(db)
	for _, err := range after(99).run(bg, db, r.h) {
		if r.clear(err); failure != nil && !errors.Is(err, mvcc.ErrFailed) {
			r.t.Fatalf("a failed database answers a write with: %v", err)
		}
	}
	r.reads(db)
}

// reads audits what can be read. Only the one call that is to fail may prevent that, once.
func (r *faultRun) reads(db *mvcc.DB) {
	r.t.Helper()
	l, err := openLedger(bg, db)
	if err != nil {
		r.clear(err) // the fault came before the keyspaces were made, or it comes now
		return
	}
	waiting := r.hit.Load() == nil
	s, err := audit(bg, l)
	if err != nil && waiting {
		r.clear(err)
		s, err = audit(bg, l)
	}
	if err == nil {
		err = r.h.compare(s)
	}
	if err != nil {
		r.t.Fatalf("reading after the fault: %v", err)
	}
}

// heal verifies what is left: as the system shows it, and after a power cut.
func (r *faultRun) heal() {
	r.t.Helper()
	if left := r.mem.OpenHandles(); len(left) > 0 {
		r.t.Fatalf("left open: %q", left)
	}
	cut, h := r.mem.Crash(vfs.CrashConfig{}), r.h.clone()
	audited(r.t, cut, h)
	audited(r.t, r.mem, r.h)
	// What a failed sync left readable only must be durable once it was recovered.
	audited(r.t, r.mem.Crash(vfs.CrashConfig{}), r.h)
}

// usedDisk is a disk that a database was not closed on: with pages, and a log to replay.
func usedDisk(t *testing.T) (*vfs.Mem, *history) {
	t.Helper()
	mem, h := newDisk(t), newHistory()
	db, err := mvcc.Open(dbPath, options(mem))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range soloist(1).run(bg, db, h) {
		t.Fatal(err)
	}
	image := mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return image, h
}

func TestNoSingleFailingCallLosesAnything(t *testing.T) {
	used, past := usedDisk(t)
	newOne := func() (*vfs.Mem, *history) { return newDisk(t), newHistory() }
	usedOne := func() (*vfs.Mem, *history) { return used.Crash(vfs.CrashConfig{}), past.clone() }
	for name, f := range map[string]faulted{
		"new":      {start: newOne, stride: 7},
		"used":     {start: usedOne, stride: 7},
		"features": {start: newOne, stride: 31, features: true},
	} {
		for kind := range faultKinds {
			t.Run(name+" disk, "+kind, func(t *testing.T) { f.each(t, kind) })
		}
	}
}

// faulted is what calls fail for.
type faulted struct {
	start    func() (*vfs.Mem, *history)
	stride   int64 // of the short form
	features bool  // instead of one plain writer
}

// each lets one call after the other fail, in a run each.
func (f faulted) each(t *testing.T, kind string) {
	stride, hits := f.stride, map[string]int{}
	if *faultEvery {
		stride = 1
	}
	for index := int64(0); ; index += stride {
		leaks := goleak.IgnoreCurrent()
		mem, h := f.start()
		r := newFaultRun(t, mem, h, kind, index)
		if f.features {
			r.use(featureOptions(r.disk), func(db *mvcc.DB, h *history) []error {
				if err := runFeatures(db, 1, 30, h); err != nil {
					return []error{err}
				}
				return nil
			})
		} else {
			r.use(options(r.disk), func(db *mvcc.DB, h *history) []error { return soloist(uint64(index)).run(bg, db, h) })
		}
		r.heal()
		if err := goleak.Find(leaks); err != nil {
			t.Fatal(err)
		}
		op := r.hit.Load()
		if op == nil {
			break
		}
		hits[op.Kind.String()]++
	}
	t.Log("calls that failed: ", hits)
}
