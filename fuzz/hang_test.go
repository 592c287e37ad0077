package fuzz

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

// hang is a run in which one sync does not return until it is released, in virtual time.
type hang struct {
	t       *testing.T
	disk    *vfs.Faulty
	h       *history
	release chan struct{}
	calls   atomic.Int64 // syncs
	hung    atomic.Pointer[vfs.Op]
	cause   error // what the sync returns in the end
}

// patience is the time limit of all commits, and twice what a sync may take before the log is stalled.
const patience = 20 * time.Second

func isSync(kind vfs.OpKind) bool {
	return kind == vfs.OpSync || kind == vfs.OpSyncData || kind == vfs.OpSyncDir
}

// inLog reports whether the log's service depends on the call.
func inLog(op *vfs.Op) bool { return op.Kind == vfs.OpSyncData && strings.Contains(op.Name, ".wal") }

func newHang(t *testing.T, mem *vfs.Mem, h *history, index int64, cause error) *hang {
	x := &hang{t: t, h: h, release: make(chan struct{}), cause: cause}
	x.disk = vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
		if !isSync(op.Kind) || x.calls.Add(1)-1 != index {
			return vfs.Fault{}
		}
		x.hung.Store(&op)
		return vfs.Fault{Wait: x.release, Err: cause}
	})
	return x
}

// unbounded calls f, which has no time limit. If it hangs, the sync is released after a minute, and then it must end.
func (x *hang) unbounded(f func() error) (err error, waited bool) {
	x.t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err, false
	case <-time.After(time.Minute):
	}
	if x.hung.Load() == nil {
		x.t.Fatal("it hangs, and no sync does")
	}
	x.free()
	return <-done, true
}

// free releases the sync.
func (x *hang) free() {
	select {
	case <-x.release:
	default:
		close(x.release)
	}
}

// clear fails the test for an error that neither the hanging sync nor its end explains.
func (x *hang) clear(err error) {
	x.t.Helper()
	var broken *violation
	switch {
	case err == nil:
	case errors.As(err, &broken), x.hung.Load() == nil:
		x.t.Fatalf("unexpected: %v", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, mvcc.ErrStalled):
	case x.cause == nil || !errors.Is(err, x.cause) && !strings.Contains(err.Error(), x.cause.Error()):
		x.t.Fatalf("the error does not tell of the device: %v", err)
	}
}

// run uses the database with the hanging sync in it.
func (x *hang) run() (blocked, late bool) {
	x.t.Helper()
	var db *mvcc.DB
	err, _ := x.unbounded(func() (err error) {
		db, err = mvcc.Open(dbPath, options(x.disk))
		return err
	})
	if x.clear(err); err != nil {
		return false, false
	}
	blocked = x.commits(db)
	x.reads(db)
	err, late = x.unbounded(db.Close)
	x.free()
	x.clear(err)
	return blocked, late
}

// commits runs writers whose contexts end: they must come back by then. It reports whether the device held them up.
func (x *hang) commits(db *mvcc.DB) (blocked bool) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(bg, patience)
	defer cancel()
	begin := time.Now()
	w := &workload{writers: 3, commits: 8, cells: 20, valueBytes: 4000, largeBytes: 40 << 10, largeEvery: 7, checkpoint: 3, seed: 5}
	for _, err := range w.run(ctx, db, x.h) {
		x.clear(err)
		blocked = true
	}
	if took := time.Since(begin); took > patience+time.Second {
		x.t.Fatalf("commits with a limit of %v took %v", patience, took)
	}
	if op := x.hung.Load(); blocked && x.cause == nil && inLog(op) {
		if state := db.Health().State; state != "stalled" {
			x.t.Errorf("a %v of %s hangs, and the database is %q", op.Kind, op.Name, state)
		}
	}
	return blocked
}

// reads verifies that reads go on without waiting for the device.
func (x *hang) reads(db *mvcc.DB) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(bg, patience)
	defer cancel()
	l, err := openLedger(ctx, db)
	if err != nil {
		x.clear(err) // it hung before there were keyspaces
		return
	}
	begin := time.Now()
	s, err := audit(ctx, l)
	if err == nil {
		err = x.h.compare(s)
	}
	if err != nil || time.Since(begin) > 0 {
		x.t.Fatalf("reading beside a hanging sync: %v after %v", err, time.Since(begin))
	}
}

// Each sync in turn does not return. Commits end with their contexts, health says that the log is stalled, reads go on, Open
// and Close wait for the device; and when it answers, well or with an error, nothing is lost.
func TestAHangingSyncBoundsNobodyAndLosesNothing(t *testing.T) {
	stride := int64(4)
	if *faultEvery {
		stride = 1
	}
	used, past := usedDisk(t)
	for name, cause := range map[string]error{"succeeds": nil, "fails": syscall.EIO} {
		t.Run(name, func(t *testing.T) {
			hits, blocked, late := map[string]int{}, 0, 0
			for index, more := int64(0), true; more; index += stride {
				synctest.Test(t, func(t *testing.T) {
					mem, h := newDisk(t), newHistory()
					if index%3 == 1 {
						mem, h = used.Crash(vfs.CrashConfig{}), past.clone()
					}
					x := newHang(t, mem, h, index, cause)
					wasBlocked, wasLate := x.run()
					(&faultRun{t: t, mem: mem, h: h}).heal()
					op := x.hung.Load()
					if more = op != nil; !more {
						return
					}
					hits[op.Kind.String()]++
					if wasBlocked {
						blocked++
					}
					if wasLate {
						late++
					}
				})
			}
			t.Logf("syncs that hung: %v; %d held commits up, %d Close", hits, blocked, late)
			if blocked == 0 || late == 0 {
				t.Error("no sync held up a commit, or none held up Close")
			}
		})
	}
}
