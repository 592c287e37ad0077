//go:build unix

package vfs

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

var errWouldBlock error = unix.EWOULDBLOCK

// flockFile uses flock, which belongs to the open file: two opens in one
// process exclude each other, and closing an unrelated open of the same file
// does not release it, as it would with fcntl locks.
func flockFile(f *os.File, shared bool) error {
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	return flock(f, how|unix.LOCK_NB)
}

func unlockFile(f *os.File) error { return flock(f, unix.LOCK_UN) }

func flock(f *os.File, how int) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var lockErr error
	err = raw.Control(func(fd uintptr) {
		lockErr = retryInterrupted(func() error { return unix.Flock(int(fd), how) })
	})
	if err != nil {
		return err
	}
	return lockErr
}

func refusesWriting(err error) bool {
	return errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrPermission)
}
