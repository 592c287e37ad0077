package vfs

import (
	"os"
	"syscall"
	"testing"
)

func TestReadOnlyRefusesEveryChange(t *testing.T) {
	mem := NewMem()
	must(t, mem.MkdirAll("d", 0o755))
	put(t, mem, "d/f", "text")
	ro := ReadOnly(mem)
	for _, flag := range []int{os.O_RDWR, os.O_WRONLY, os.O_RDONLY | os.O_CREATE, os.O_RDONLY | os.O_TRUNC} {
		_, err := ro.OpenFile("d/f", flag, 0o644)
		wantErr(t, "open for writing", err, syscall.EROFS)
	}
	wantErr(t, "removal", ro.Remove("d/f"), syscall.EROFS)
	wantErr(t, "rename", ro.Rename("d/f", "d/g"), syscall.EROFS)
	wantErr(t, "new directory", ro.MkdirAll("e", 0o755), syscall.EROFS)
	must(t, ro.MkdirAll("d", 0o755))
	must(t, ro.SyncDir("d"))
	if got := get(t, ro, "d/f"); got != "text" {
		t.Errorf("content %q", got)
	}
	verify(t, mem)
}

func TestReadOnlyGrantsSharedLocksOnly(t *testing.T) {
	mem := NewMem()
	ro := ReadOnly(mem)
	_, err := ro.Lock("LOCK", false)
	wantErr(t, "exclusive lock", err, syscall.EROFS)
	none, err := ro.Lock("LOCK", true)
	must(t, err)
	must(t, none.Close())
	_, err = mem.Stat("LOCK")
	wantErr(t, "the lock file", err, os.ErrNotExist)
	_, err = ro.Lock("missing/LOCK", true)
	wantErr(t, "lock in a missing directory", err, os.ErrNotExist)

	writer, err := mem.Lock("LOCK", false)
	must(t, err)
	_, err = ro.Lock("LOCK", true)
	wantErr(t, "shared lock beside a writer", err, ErrLocked)
	must(t, writer.Close())
	reader, err := ro.Lock("LOCK", true)
	must(t, err)
	_, err = mem.Lock("LOCK", false)
	wantErr(t, "exclusive lock beside a reader", err, ErrLocked)
	must(t, reader.Close())
	verify(t, mem)
}
