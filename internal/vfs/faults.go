package vfs

import (
	"sync/atomic"
	"syscall"
)

// FailAt decides that the operation with that index fails, and no other: run
// the workload for index 0, 1, 2, ... until Ops says that it was not reached.
func FailAt(index int64, err error) func(Op) Fault {
	return func(op Op) Fault {
		if op.Index == index {
			return Fault{Err: err}
		}
		return Fault{}
	}
}

// FailFrom decides that the operation with that index and all later ones fail,
// as on a device that died. Closing goes on working.
func FailFrom(index int64, err error) func(Op) Fault {
	return func(op Op) Fault {
		if op.Index >= index && op.Kind != OpClose {
			return Fault{Err: err}
		}
		return Fault{}
	}
}

// FailNth decides that the n-th operation of a kind fails, from 0. It counts on
// its own, so it serves one Faulty only.
func FailNth(kind OpKind, n int64, err error) func(Op) Fault {
	var seen atomic.Int64
	return func(op Op) Fault {
		if op.Kind == kind && seen.Add(1)-1 == n {
			return Fault{Err: err}
		}
		return Fault{}
	}
}

// DiskBudget is a disk that gets full: its Decide lets a number of bytes be
// written, overwritten ones included as on a copy-on-write file system, and
// then fails with ENOSPC. The write that crosses the limit is short. It is safe
// for concurrent use.
type DiskBudget struct{ left atomic.Int64 }

// NewDiskBudget returns a budget of so many bytes.
func NewDiskBudget(bytes int64) *DiskBudget {
	b := &DiskBudget{}
	b.left.Store(bytes)
	return b
}

// Add gives more bytes, as when somebody cleaned up.
func (b *DiskBudget) Add(bytes int64) { b.left.Add(bytes) }

// Decide is the function for NewFaulty.
func (b *DiskBudget) Decide(op Op) Fault {
	if op.Kind != OpWrite {
		return Fault{}
	}
	for {
		left := b.left.Load()
		granted := min(left, int64(op.Length))
		if !b.left.CompareAndSwap(left, left-granted) {
			continue
		}
		if granted == int64(op.Length) {
			return Fault{}
		}
		return Fault{Err: syscall.ENOSPC, Short: int(granted)}
	}
}
