package vfs

import (
	"io/fs"
	"os"
)

// OS is the file system of the operating system. It is safe for concurrent
// use, as are its files.
var OS FS = osFS{}

type osFS struct{}

func (osFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) Remove(name string) error { return os.Remove(name) }

func (osFS) Rename(oldname, newname string) error { return rename(oldname, newname) }

func (osFS) MkdirAll(dir string, perm fs.FileMode) error { return os.MkdirAll(dir, perm) }

func (osFS) ReadDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (osFS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

func (osFS) SyncDir(dir string) error { return syncDir(dir) }

// osFile takes ReadAt, WriteAt, Truncate, Sync and Close from *os.File. Its
// Sync is fsync on Linux, F_FULLFSYNC on macOS and FlushFileBuffers on Windows.
type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) SyncData() error { return syncData(f.File) }

func (f osFile) startWrite(off, n int64) { startWrite(f.File, off, n) }

// StartWrite asks the system to begin writing a part of a file to the device, so that a later sync has less to wait for.
// It promises nothing: an error of the device is reported by that sync, and files other than those of OS on Linux
// do nothing.
func StartWrite(f File, off, n int64) {
	if s, ok := f.(interface{ startWrite(off, n int64) }); ok {
		s.startWrite(off, n)
	}
}
