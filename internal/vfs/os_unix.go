//go:build unix

package vfs

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

func rename(oldname, newname string) error { return os.Rename(oldname, newname) }

// syncDir syncs the directory's own file. File systems that cannot do this
// answer EINVAL or ENOTSUP; they write directories through, or offer nothing
// better, so this is not an error.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }() // opened for reading: nothing is lost
	err = d.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return requireDir(d)
	}
	return err
}

func requireDir(d *os.File) error {
	info, err := d.Stat()
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "syncdir", Path: d.Name(), Err: unix.ENOTDIR}
	}
	return err
}

// retryInterrupted repeats call while a signal interrupts it. The Go runtime
// preempts goroutines with signals, so this happens in practice.
func retryInterrupted(call func() error) error {
	for {
		err := call()
		if err != unix.EINTR {
			return err
		}
	}
}
