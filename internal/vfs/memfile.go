package vfs

import (
	"io"
	"io/fs"
	"os"
	"syscall"
)

// maxFileSize keeps sums of offsets far from overflow.
const maxFileSize = 1 << 52

// memFile is one open file of a Mem.
type memFile struct {
	fs            *Mem
	node          *memNode
	name          string
	reads, writes bool
}

// knownFlags are those of package os without O_APPEND, which WriteAt of
// package os refuses as well.
const knownFlags = os.O_RDONLY | os.O_WRONLY | os.O_RDWR | os.O_CREATE | os.O_EXCL | os.O_TRUNC | os.O_SYNC

// OpenFile implements FS. O_APPEND is an error; O_SYNC has no effect.
func (m *Mem) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if flag&^knownFlags != 0 {
		return nil, pathError("open", name, syscall.EINVAL)
	}
	node, err := m.openNodeLocked(name, flag, perm)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	access := flag & (os.O_WRONLY | os.O_RDWR)
	f := &memFile{
		fs:     m,
		node:   node,
		name:   name,
		reads:  access != os.O_WRONLY,
		writes: access != os.O_RDONLY,
	}
	if flag&os.O_TRUNC != 0 && node.file.live.size > 0 {
		node.file.truncate(0)
	}
	m.mu.open[f] = struct{}{}
	return f, nil
}

// openNodeLocked finds or creates the file. REQUIRES: m.mu held for writing.
func (m *Mem) openNodeLocked(name string, flag int, perm fs.FileMode) (*memNode, error) {
	if len(elements(name)) == 0 {
		return nil, syscall.EISDIR
	}
	at, err := m.placeLocked(name)
	switch {
	case err != nil:
		return nil, err
	case at.node == nil && flag&os.O_CREATE == 0:
		return nil, fs.ErrNotExist
	case at.node == nil:
		return m.createLocked(at, perm), nil
	case flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, fs.ErrExist
	case at.node.dir != nil:
		return nil, syscall.EISDIR
	}
	return at.node, nil
}

func (m *Mem) createLocked(at place, perm fs.FileMode) *memNode {
	node := m.newNodeLocked(perm.Perm())
	m.applyLocked(newDirOp([]*memNode{at.parent}, entryChange{at.parent, at.elem, node}))
	return node
}

// checkLocked returns why the file cannot be used. REQUIRES: f.fs.mu held.
func (f *memFile) checkLocked(op string, wanted bool) error {
	if _, open := f.fs.mu.open[f]; !open {
		return pathError(op, f.name, fs.ErrClosed)
	}
	if !wanted {
		return pathError(op, f.name, syscall.EBADF)
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.RLock()
	defer f.fs.mu.RUnlock()
	if err := f.checkLocked("read", f.reads); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, pathError("read", f.name, syscall.EINVAL)
	}
	n := f.node.file.live.readAt(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.checkLocked("write", f.writes); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, pathError("write", f.name, syscall.EINVAL)
	}
	if off > maxFileSize-int64(len(p)) {
		return 0, pathError("write", f.name, syscall.EFBIG)
	}
	if len(p) > 0 {
		f.node.file.write(p, off)
	}
	return len(p), nil
}

func (f *memFile) Size() (int64, error) {
	f.fs.mu.RLock()
	defer f.fs.mu.RUnlock()
	if err := f.checkLocked("stat", true); err != nil {
		return 0, err
	}
	return f.node.file.live.size, nil
}

func (f *memFile) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.checkLocked("truncate", f.writes); err != nil {
		return err
	}
	if size < 0 {
		return pathError("truncate", f.name, syscall.EINVAL)
	}
	if size > maxFileSize {
		return pathError("truncate", f.name, syscall.EFBIG)
	}
	if size != f.node.file.live.size {
		f.node.file.truncate(size)
	}
	return nil
}

func (f *memFile) Sync() error { return f.sync("sync") }

func (f *memFile) SyncData() error { return f.sync("fdatasync") }

// sync makes content and size durable, whoever wrote them. The directory entry
// has to be synced on its own (M2).
func (f *memFile) sync(op string) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.checkLocked(op, true); err != nil {
		return err
	}
	f.node.file.sync()
	return nil
}

// failSync does to the file what a failed fsync does on Linux: the unsynced
// writes stay readable, but no later sync will write them (M6).
func (f *memFile) failSync() {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.node.file.forget()
}

func (f *memFile) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.checkLocked("close", true); err != nil {
		return err
	}
	delete(f.fs.mu.open, f)
	return nil
}
