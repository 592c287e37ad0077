package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// asNobody runs f with the file permissions of a user who owns nothing, so that
// the test says the same when root runs it. The ids belong to the thread, which
// f must not leave.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const nobody = 65534
	if os.Getuid() == 0 {
		if _, err := unix.SetfsuidRetUid(nobody); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if _, err := unix.SetfsuidRetUid(0); err != nil {
				t.Fatal(err)
			}
		}()
	}
	f()
}

func TestLocksWhereWritingIsRefused(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	present, missing := filepath.Join(dir, "PRESENT"), filepath.Join(dir, "MISSING")
	must(t, os.WriteFile(present, []byte("pid 7\n"), 0o444))
	must(t, os.Chmod(dir, 0o555))
	defer func() { must(t, os.Chmod(dir, 0o755)) }()

	asNobody(t, func() {
		_, err := OS.Lock(present, false)
		wantErr(t, "exclusive lock", err, fs.ErrPermission)
		none, err := OS.Lock(missing, true)
		must(t, err)
		must(t, none.Close())
		reader, err := OS.Lock(present, true)
		must(t, err)
		second, err := OS.Lock(present, true)
		must(t, err)
		must(t, second.Close())
		must(t, reader.Close())
	})
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lock file was made: %v", err)
	}
	if text, err := os.ReadFile(present); err != nil || string(text) != "pid 7\n" {
		t.Errorf("the lock file holds %q, %v", text, err)
	}
}

func TestReadersWithoutWriteAccessAndTheWriterExcludeEachOther(t *testing.T) {
	if os.Getuid() != 0 {
		return // one user cannot be both
	}
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	name := filepath.Join(dir, "LOCK")
	writer, err := OS.Lock(name, false)
	must(t, err)
	var reader io.Closer
	asNobody(t, func() {
		_, err := OS.Lock(name, true)
		wantLocked(t, err, name)
		must(t, writer.Close())
		reader, err = OS.Lock(name, true)
		must(t, err)
	})
	_, err = OS.Lock(name, false)
	wantErr(t, "exclusive lock beside a reader", err, ErrLocked)
	must(t, reader.Close())
}
