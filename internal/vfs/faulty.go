package vfs

import (
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Faulty shows every operation to a function that decides whether it fails, and
// can cut the power. It is safe for concurrent use. Operations are numbered in
// the order in which they start, so a workload in one goroutine has the same
// numbers in every run.
type Faulty struct {
	inner  FS
	decide func(Op) Fault

	ops     atomic.Int64
	changes atomic.Int64
	cutAt   atomic.Int64 // a change number, or -1
	// dark is closed when the power is cut, so that nothing stays held up.
	dark chan struct{}

	// power is held shared by each operation on inner, so that after PowerOff
	// none is under way any more: whatever is acknowledged is in inner, and
	// inner does not change again (M7).
	power struct {
		sync.RWMutex
		off bool
	}
}

// NewFaulty wraps inner. decide is called before each operation, by the
// goroutine that wants it; it must be safe for concurrent use if the workload
// is concurrent. A nil decide lets everything pass.
func NewFaulty(inner FS, decide func(op Op) Fault) *Faulty {
	if decide == nil {
		decide = func(Op) Fault { return Fault{} }
	}
	x := &Faulty{inner: inner, decide: decide, dark: make(chan struct{})}
	x.cutAt.Store(-1)
	return x
}

// Ops returns how many operations have started.
func (x *Faulty) Ops() int64 { return x.ops.Load() }

// Changes returns how many of them may have changed what a crash leaves.
func (x *Faulty) Changes() int64 { return x.changes.Load() }

// CutAt makes the power go off just before the change with that number, from 0.
// All states that a crash of the inner Mem can leave are reached by cutting
// before each change: one that is under way when the power fails leaves the
// same images as one that is finished but not synced, and a sync under way
// leaves what Random leaves before it. Reads need no cuts of their own.
func (x *Faulty) CutAt(change int64) { x.cutAt.Store(change) }

// PowerOff makes all operations fail with ErrPowerOff from now on, those that
// wait in a fault included. It returns when none is at work on the inner file
// system any more.
func (x *Faulty) PowerOff() {
	x.power.Lock()
	defer x.power.Unlock()
	if !x.power.off {
		x.power.off = true
		close(x.dark)
	}
}

// IsOff reports whether the power is cut.
func (x *Faulty) IsOff() bool {
	x.power.RLock()
	defer x.power.RUnlock()
	return x.power.off
}

// admit numbers the operation and lets the fault hold it up.
func (x *Faulty) admit(op Op) Fault {
	op.Index = x.ops.Add(1) - 1
	op.Change = x.changes.Load()
	if op.Changes {
		op.Change = x.changes.Add(1) - 1
	}
	fault := x.decide(op)
	cut := x.cutAt.Load()
	if fault.PowerOff || op.Changes && cut >= 0 && op.Change >= cut {
		x.PowerOff()
	}
	x.holdUp(fault)
	return fault
}

func (x *Faulty) holdUp(fault Fault) {
	if fault.Delay > 0 {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-x.dark:
		}
	}
	if fault.Wait != nil {
		select {
		case <-fault.Wait:
		case <-x.dark:
		}
	}
}

// do carries the operation out as the fault says. call is not run when it fails
// or the power is off.
func (x *Faulty) do(op Op, call func() error) error {
	fault := x.admit(op)
	x.power.RLock()
	defer x.power.RUnlock()
	if x.power.off {
		return op.fail(ErrPowerOff)
	}
	if fault.Err != nil {
		return op.fail(fault.Err)
	}
	return call()
}

// transfer carries a read or write out.
func (x *Faulty) transfer(op Op, p []byte, cutShort error, call func(p []byte, off int64) (int, error)) (int, error) {
	fault := x.admit(op)
	x.power.RLock()
	defer x.power.RUnlock()
	if x.power.off {
		return 0, op.fail(ErrPowerOff)
	}
	if fault.Err == nil && fault.Short <= 0 {
		return call(p, op.Offset)
	}
	n, err := 0, fault.Err
	if fault.Short > 0 {
		n, _ = call(p[:min(fault.Short, len(p))], op.Offset)
	}
	if err == nil {
		err = cutShort
	}
	return n, op.fail(err)
}

func (op Op) fail(err error) error {
	return &fs.PathError{Op: op.Kind.String(), Path: op.Name, Err: err}
}

// OpenFile implements FS.
func (x *Faulty) OpenFile(name string, flag int, perm fs.FileMode) (file File, err error) {
	op := Op{Kind: OpOpen, Name: name, Changes: flag&(os.O_CREATE|os.O_TRUNC) != 0}
	err = x.do(op, func() error {
		inner, err := x.inner.OpenFile(name, flag, perm)
		if err == nil {
			file = &faultyFile{x: x, inner: inner, name: name}
		}
		return err
	})
	return file, err
}

// Remove implements FS.
func (x *Faulty) Remove(name string) error {
	return x.do(Op{Kind: OpRemove, Name: name, Changes: true}, func() error { return x.inner.Remove(name) })
}

// Rename implements FS.
func (x *Faulty) Rename(oldname, newname string) error {
	op := Op{Kind: OpRename, Name: oldname, NewName: newname, Changes: true}
	return x.do(op, func() error { return x.inner.Rename(oldname, newname) })
}

// MkdirAll implements FS.
func (x *Faulty) MkdirAll(dir string, perm fs.FileMode) error {
	return x.do(Op{Kind: OpMkdirAll, Name: dir, Changes: true}, func() error { return x.inner.MkdirAll(dir, perm) })
}

// ReadDir implements FS.
func (x *Faulty) ReadDir(dir string) (names []string, err error) {
	err = x.do(Op{Kind: OpReadDir, Name: dir}, func() error {
		names, err = x.inner.ReadDir(dir)
		return err
	})
	return names, err
}

// Stat implements FS.
func (x *Faulty) Stat(name string) (info fs.FileInfo, err error) {
	err = x.do(Op{Kind: OpStat, Name: name}, func() error {
		info, err = x.inner.Stat(name)
		return err
	})
	return info, err
}

// SyncDir implements FS.
func (x *Faulty) SyncDir(dir string) error {
	return x.do(Op{Kind: OpSyncDir, Name: dir, Changes: true}, func() error { return x.inner.SyncDir(dir) })
}

// Lock implements FS.
func (x *Faulty) Lock(name string, shared bool) (lock io.Closer, err error) {
	err = x.do(Op{Kind: OpLock, Name: name, Changes: true}, func() error {
		inner, err := x.inner.Lock(name, shared)
		if err == nil {
			lock = &faultyCloser{x: x, inner: inner, name: name}
		}
		return err
	})
	return lock, err
}

// faultyFile is an open file of a Faulty.
type faultyFile struct {
	x     *Faulty
	inner File
	name  string
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	op := Op{Kind: OpRead, Name: f.name, Offset: off, Length: len(p)}
	return f.x.transfer(op, p, io.ErrUnexpectedEOF, f.inner.ReadAt)
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	op := Op{Kind: OpWrite, Name: f.name, Offset: off, Length: len(p), Changes: true}
	return f.x.transfer(op, p, io.ErrShortWrite, f.inner.WriteAt)
}

func (f *faultyFile) Size() (size int64, err error) {
	err = f.x.do(Op{Kind: OpSize, Name: f.name}, func() error {
		size, err = f.inner.Size()
		return err
	})
	return size, err
}

func (f *faultyFile) Truncate(size int64) error {
	op := Op{Kind: OpTruncate, Name: f.name, Offset: size, Changes: true}
	return f.x.do(op, func() error { return f.inner.Truncate(size) })
}

func (f *faultyFile) Sync() error { return f.sync(OpSync, f.inner.Sync) }

func (f *faultyFile) SyncData() error { return f.sync(OpSyncData, f.inner.SyncData) }

// sync tells a Mem's file when it failed (M6). Without power nothing can be
// told: what is unsynced then is for the crash image to decide.
func (f *faultyFile) sync(kind OpKind, call func() error) error {
	op := Op{Kind: kind, Name: f.name, Changes: true}
	fault := f.x.admit(op)
	f.x.power.RLock()
	defer f.x.power.RUnlock()
	switch {
	case f.x.power.off:
		return op.fail(ErrPowerOff)
	case fault.Err != nil:
		if mem, ok := f.inner.(interface{ failSync() }); ok {
			mem.failSync()
		}
		return op.fail(fault.Err)
	}
	return call()
}

func (f *faultyFile) Close() error { return f.x.close(f.name, f.inner) }

// faultyCloser is a lock of a Faulty.
type faultyCloser struct {
	x     *Faulty
	inner io.Closer
	name  string
}

func (c *faultyCloser) Close() error { return c.x.close(c.name, c.inner) }

// close always closes the inner file or lock, as the system does when close
// reports an error, but without power reports ErrPowerOff.
func (x *Faulty) close(name string, inner io.Closer) error {
	op := Op{Kind: OpClose, Name: name}
	fault := x.admit(op)
	err := inner.Close()
	if x.IsOff() {
		return op.fail(ErrPowerOff)
	}
	if fault.Err != nil {
		return op.fail(fault.Err)
	}
	return err
}
