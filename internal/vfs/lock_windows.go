package vfs

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

var errWouldBlock error = windows.ERROR_LOCK_VIOLATION

// The locked byte lies far behind the text: Windows locks are mandatory, and
// whoever is refused must still be able to read the holder's id.
const (
	lockOffsetHigh = 0x40000000
	lockBytes      = 1
)

func lockRange() *windows.Overlapped { return &windows.Overlapped{OffsetHigh: lockOffsetHigh} }

func flockFile(f *os.File, shared bool) error {
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if !shared {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	return control(f, func(h windows.Handle) error {
		return windows.LockFileEx(h, flags, 0, lockBytes, 0, lockRange())
	})
}

func unlockFile(f *os.File) error {
	return control(f, func(h windows.Handle) error {
		return windows.UnlockFileEx(h, 0, lockBytes, 0, lockRange())
	})
}

func control(f *os.File, call func(windows.Handle) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	err = raw.Control(func(fd uintptr) { callErr = call(windows.Handle(fd)) })
	if err != nil {
		return err
	}
	return callErr
}

func refusesWriting(err error) bool {
	return errors.Is(err, windows.ERROR_WRITE_PROTECT) || errors.Is(err, fs.ErrPermission)
}
