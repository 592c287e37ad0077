package vfs_test

import (
	"errors"
	"fmt"
	"os"

	"github.com/sombradb/sombra/internal/vfs"
)

// appendLine writes a line at off and makes it durable.
func appendLine(fsys vfs.FS, line string, off int64) error {
	f, err := fsys.OpenFile("log", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte(line), off); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.SyncData(), f.Close()); err != nil {
		return err
	}
	return fsys.SyncDir("/")
}

// content returns what a file holds.
func content(fsys vfs.FS, name string) string {
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err.Error()
	}
	size, err := f.Size()
	buf := make([]byte, size)
	_, readErr := f.ReadAt(buf, 0)
	if err := errors.Join(err, readErr, f.Close()); err != nil {
		return err.Error()
	}
	return string(buf)
}

// A workload is run once for each of its changes, the power is cut before that
// change, and what was acknowledged must be in the image.
func ExampleFaulty_CutAt() {
	workload := func(fsys vfs.FS) (acknowledged int) {
		for i, line := range []string{"one\n", "two\n"} {
			if appendLine(fsys, line, int64(4*i)) != nil {
				return i
			}
		}
		return 2
	}
	count := vfs.NewFaulty(vfs.NewMem(), nil)
	workload(count)
	for k := range count.Changes() + 1 {
		mem := vfs.NewMem()
		disk := vfs.NewFaulty(mem, nil)
		disk.CutAt(k)
		acknowledged := workload(disk)
		image := mem.Crash(vfs.CrashConfig{Mode: vfs.LoseAll})
		fmt.Printf("cut before change %d: %d acknowledged, log %q\n", k, acknowledged, content(image, "log"))
	}
	// Output:
	// cut before change 0: 0 acknowledged, log "open log: file does not exist"
	// cut before change 1: 0 acknowledged, log "open log: file does not exist"
	// cut before change 2: 0 acknowledged, log "open log: file does not exist"
	// cut before change 3: 0 acknowledged, log "open log: file does not exist"
	// cut before change 4: 1 acknowledged, log "one\n"
	// cut before change 5: 1 acknowledged, log "one\n"
	// cut before change 6: 1 acknowledged, log "one\n"
	// cut before change 7: 1 acknowledged, log "one\ntwo\n"
	// cut before change 8: 2 acknowledged, log "one\ntwo\n"
}

// Unsynced data and directory entries are lost independently of each other.
func ExampleMem_Crash() {
	mem := vfs.NewMem()
	f, err := mem.OpenFile("new", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := f.WriteAt([]byte("data"), 0); err != nil {
		fmt.Println(err)
	}
	lost := func() string { return content(mem.Crash(vfs.CrashConfig{Mode: vfs.LoseAll}), "new") }
	if err := f.Sync(); err != nil {
		fmt.Println(err)
	}
	fmt.Println("after Sync:", lost())
	if err := mem.SyncDir("/"); err != nil {
		fmt.Println(err)
	}
	fmt.Println("after SyncDir:", lost())
	// Output:
	// after Sync: open new: file does not exist
	// after SyncDir: data
}

// The second sync of a log fails, as on a dying disk.
func ExampleNewFaulty() {
	disk := vfs.NewFaulty(vfs.NewMem(), vfs.FailNth(vfs.OpSyncData, 1, errors.New("input/output error")))
	fmt.Println(appendLine(disk, "one\n", 0))
	fmt.Println(appendLine(disk, "two\n", 4))
	// Output:
	// <nil>
	// syncdata log: input/output error
}

// Two opens of one lock file exclude each other within a process, too.
func ExampleLockedError() {
	mem := vfs.NewMem()
	lock, err := mem.Lock("LOCK", false)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = mem.Lock("LOCK", false)
	var locked *vfs.LockedError
	fmt.Println(errors.As(err, &locked), locked.PID == os.Getpid())
	fmt.Println(lock.Close())
	// Output:
	// true true
	// <nil>
}

// What is read-only can be read and locked shared.
func ExampleReadOnly() {
	mem := vfs.NewMem()
	if err := appendLine(mem, "one\n", 0); err != nil {
		fmt.Println(err)
	}
	ro := vfs.ReadOnly(mem)
	fmt.Printf("%q\n", content(ro, "log"))
	fmt.Println(ro.Remove("log"))
	// Output:
	// "one\n"
	// remove log: read-only file system
}

// A disk budget makes a full disk, which somebody may clean up.
func ExampleDiskBudget() {
	budget := vfs.NewDiskBudget(6)
	disk := vfs.NewFaulty(vfs.NewMem(), budget.Decide)
	fmt.Println(appendLine(disk, "one\n", 0))
	fmt.Println(appendLine(disk, "two\n", 4))
	budget.Add(100)
	fmt.Println(appendLine(disk, "two\n", 4))
	fmt.Printf("%q\n", content(disk, "log"))
	// Output:
	// <nil>
	// write log: no space left on device
	// <nil>
	// "one\ntwo\n"
}
