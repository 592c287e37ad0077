package vfs

import (
	"io"
	"io/fs"
)

// FS is the set of file system operations that the engine performs. All
// implementations are safe for concurrent use. Errors wrap the io/fs
// sentinels (fs.ErrNotExist, fs.ErrExist, fs.ErrPermission), and on a real
// file system the syscall errors (ENOSPC, EROFS, EIO).
type FS interface {
	// OpenFile opens a file with the flags of package os.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// Remove deletes a file or an empty directory.
	Remove(name string) error
	// Rename replaces newname atomically. It is durable only after SyncDir.
	Rename(oldname, newname string) error
	// MkdirAll creates a directory and its missing parents.
	MkdirAll(dir string, perm fs.FileMode) error
	// ReadDir returns the base names in a directory, sorted.
	ReadDir(dir string) ([]string, error)
	// Stat describes a file or directory.
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes creations, renames and removals in dir durable.
	SyncDir(dir string) error
	// Lock takes an advisory lock on the named file, creating it when it is
	// missing, without waiting. Shared locks exclude exclusive ones only. The
	// holder's process id is stored in the file. If another open holds a
	// conflicting lock, in this process or another, the error is a
	// *LockedError. Closing the result releases the lock.
	Lock(name string, shared bool) (io.Closer, error)
}

// File is one open file. Methods may be called concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size returns the current length in bytes.
	Size() (int64, error)
	// Truncate sets the length.
	Truncate(size int64) error
	// Sync makes data and all metadata durable.
	Sync() error
	// SyncData makes data durable, with the metadata needed to read it back.
	SyncData() error
}
