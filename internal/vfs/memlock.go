package vfs

import (
	"io"
	"io/fs"
	"os"
)

// memLock is one held lock of a Mem.
type memLock struct {
	fs     *Mem
	node   *memNode
	name   string
	shared bool
}

// Lock implements FS. Locks live in the Mem, not in its files: a crash image
// has none.
func (m *Mem) Lock(name string, shared bool) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	node, err := m.openNodeLocked(name, os.O_RDWR|os.O_CREATE, lockFileMode)
	if err != nil {
		return nil, pathError("lock", name, err)
	}
	if node.exclusive || node.shared > 0 && !shared {
		return nil, &LockedError{Path: name, PID: readPID(&nodeReader{node})}
	}
	if shared {
		node.shared++
	} else {
		node.exclusive = true
	}
	text := pidText(os.Getpid())
	node.file.write(text, 0)
	node.file.truncate(int64(len(text)))
	lock := &memLock{fs: m, node: node, name: name, shared: shared}
	m.mu.locks[lock] = struct{}{}
	return lock, nil
}

// nodeReader reads a node's live content. REQUIRES: Mem.mu held.
type nodeReader struct{ node *memNode }

func (r *nodeReader) ReadAt(p []byte, off int64) (int, error) {
	n := r.node.file.live.readAt(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Close releases the lock.
func (l *memLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	if _, held := l.fs.mu.locks[l]; !held {
		return pathError("unlock", l.name, fs.ErrClosed)
	}
	delete(l.fs.mu.locks, l)
	if l.shared {
		l.node.shared--
		return nil
	}
	l.node.exclusive = false
	l.node.file.truncate(0)
	return nil
}
