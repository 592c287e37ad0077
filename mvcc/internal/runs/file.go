package runs

import (
	"errors"
	"hash/crc32"
	"io"
	"sync/atomic"

	crdb "github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/internal/vfs"
)

// file is one run file, from its creation to its removal.
type file struct {
	dir    *Dir
	inner  vfs.File
	name   string
	number uint64 // unique in the Dir
	size   int64  // bytes written; changed by the writer, under a lease
	lease  lease
}

// lease counts the uses of a file that are under way, and knows whether it was dropped.
type lease struct {
	state atomic.Int64 // 2 x uses, + 1 when dropped
	ended atomic.Bool
}

// enter begins a use, which leave must end, unless the file was dropped.
func (f *file) enter() bool {
	if f.lease.state.Add(2)&1 == 0 {
		return true
	}
	f.leave()
	return false
}

// leave ends a use. The last one after the drop removes the file (F4).
func (f *file) leave() {
	if f.lease.state.Add(-2) == 1 {
		f.end()
	}
}

func (f *file) dropped() bool { return f.lease.state.Load()&1 != 0 }

// drop removes the file now, or lets the last user do so.
func (f *file) drop() {
	if f.lease.state.Or(1) == 0 {
		f.end()
	}
}

// end closes and removes the file. An enter that comes too late counts up and down again, and so gets here once more.
func (f *file) end() {
	if f.lease.ended.Swap(true) {
		return
	}
	_ = f.inner.Close() // nobody needs the content
	f.dir.remove(f)
}

// write appends to the file.
func (f *file) write(p []byte) error {
	if !f.enter() {
		return ErrClosed
	}
	defer f.leave()
	n, err := f.inner.WriteAt(p, f.size)
	f.size += int64(n)
	f.dir.bytes.Add(int64(n))
	if err != nil {
		return crdb.Wrapf(err, "runs: cannot write %d bytes to the temporary file %s at offset %d", len(p), f.name, f.size-int64(n))
	}
	return nil
}

// read fills p from off. REQUIRES: between enter and leave.
func (f *file) read(p []byte, off int64) error {
	n, err := f.inner.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return f.corrupt(off, "the file ends before what was written there")
	}
	return crdb.Wrapf(err, "runs: cannot read %d bytes of the temporary file %s at offset %d", len(p), f.name, off)
}

func (f *file) corrupt(off int64, reason string) error {
	return &CorruptionError{File: f.name, Offset: off, Reason: reason}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the CRC32C of bytes at an offset of this run. The place is what the computation starts with, so that the
// same bytes elsewhere do not match (F2).
func (f *file) checksum(off int64, p []byte) uint32 {
	place := (f.number<<40 ^ uint64(off)) * 0x9e3779b97f4a7c15
	return crc32.Update(uint32(place>>32), castagnoli, p)
}
