package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ReadOnly returns inner as a medium that refuses every change with EROFS. A
// shared lock can be taken when the lock file exists; when it does not, it is
// granted without one, as by OS. It is as safe for concurrent use as inner.
func ReadOnly(inner FS) FS { return readOnlyFS{inner} }

type readOnlyFS struct{ FS }

const changingFlags = os.O_WRONLY | os.O_RDWR | os.O_CREATE | os.O_TRUNC | os.O_APPEND

func (r readOnlyFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	if flag&changingFlags != 0 {
		return nil, pathError("open", name, syscall.EROFS)
	}
	return r.FS.OpenFile(name, flag, perm)
}

func (r readOnlyFS) Remove(name string) error { return pathError("remove", name, syscall.EROFS) }

func (r readOnlyFS) Rename(oldname, newname string) error {
	return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: syscall.EROFS}
}

// MkdirAll succeeds, as everywhere, where there is nothing to make.
func (r readOnlyFS) MkdirAll(dir string, _ fs.FileMode) error {
	if info, err := r.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	return pathError("mkdir", dir, syscall.EROFS)
}

func (r readOnlyFS) Lock(name string, shared bool) (io.Closer, error) {
	if !shared {
		return nil, pathError("lock", name, syscall.EROFS)
	}
	if _, err := r.Stat(filepath.Dir(name)); err != nil {
		return nil, err
	}
	_, err := r.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return noLock{}, nil
	}
	if err != nil {
		return nil, err
	}
	return r.FS.Lock(name, true)
}
