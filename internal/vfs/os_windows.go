package vfs

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// rename asks for write-through, because syncDir has nothing to offer here: the
// call returns when the change is on disk.
func rename(oldname, newname string) error {
	err := moveFile(oldname, newname)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	return nil
}

func moveFile(oldname, newname string) error {
	from, err := windows.UTF16PtrFromString(oldname)
	if err != nil {
		return err
	}
	to, err := windows.UTF16PtrFromString(newname)
	if err != nil {
		return err
	}
	return windows.MoveFileEx(from, to, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
}

// syncDir checks that dir is one. Windows has no call that syncs a directory;
// NTFS journals its entries.
func syncDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "syncdir", Path: dir, Err: syscall.ENOTDIR}
	}
	return nil
}
