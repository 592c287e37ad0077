package vfs

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// syncData uses fdatasync, which leaves out what reading back does not need,
// such as the modification time. A preallocated log is synced without a
// journal commit that way.
func syncData(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var syncErr error
	err = raw.Control(func(fd uintptr) {
		syncErr = retryInterrupted(func() error { return unix.Fdatasync(int(fd)) })
	})
	if err != nil {
		return err
	}
	if syncErr != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: syncErr}
	}
	return nil
}

// startWrite hands pages of a file to the device, without a wait for their end.
func startWrite(f *os.File, off, n int64) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SyncFileRange(int(fd), off, n, unix.SYNC_FILE_RANGE_WRITE)
	})
}
