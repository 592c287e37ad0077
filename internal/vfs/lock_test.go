package vfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLockConflictsWithinOneProcess(t *testing.T) {
	for _, c := range []struct{ first, second, conflict bool }{
		{false, false, true}, {false, true, true}, {true, false, true}, {true, true, false},
	} {
		t.Run(fmt.Sprintf("shared=%v,%v", c.first, c.second), func(t *testing.T) {
			onEach(t, func(t *testing.T, fsys FS, dir string) {
				name := filepath.Join(dir, "LOCK")
				first, err := fsys.Lock(name, c.first)
				must(t, err)
				second, err := fsys.Lock(name, c.second)
				if c.conflict {
					wantLocked(t, err, name)
				} else {
					must(t, err)
					must(t, second.Close())
				}
				must(t, first.Close())
				again, err := fsys.Lock(name, false)
				must(t, err)
				must(t, again.Close())
			})
		})
	}
}

func wantLocked(t *testing.T, err error, name string) {
	t.Helper()
	var locked *LockedError
	if !errors.As(err, &locked) || !errors.Is(err, ErrLocked) {
		t.Fatalf("got %v, want a *LockedError", err)
	}
	if locked.PID != os.Getpid() || locked.Path != name {
		t.Errorf("LockedError{%q, %d}", locked.Path, locked.PID)
	}
	if !strings.Contains(err.Error(), "this process") {
		t.Errorf("the text does not say who holds the lock: %v", err)
	}
}

func TestLockFileNamesTheHolderAndStays(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "LOCK")
		lock, err := fsys.Lock(name, false)
		must(t, err)
		if got, want := get(t, fsys, name), fmt.Sprintf("pid %d\n", os.Getpid()); got != want {
			t.Errorf("lock file holds %q, want %q", got, want)
		}
		must(t, lock.Close())
		if err := lock.Close(); err == nil {
			t.Error("a lock was closed twice without an error")
		}
		if got := get(t, fsys, name); got != "" {
			t.Errorf("released lock file holds %q", got)
		}
	})
}

func TestSharedLockKeepsExclusiveOutUntilTheLastIsClosed(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "LOCK")
		a, err := fsys.Lock(name, true)
		must(t, err)
		b, err := fsys.Lock(name, true)
		must(t, err)
		must(t, a.Close())
		if text := get(t, fsys, name); parsePID([]byte(text)) != os.Getpid() {
			t.Errorf("one holder is left and the file holds %q", text)
		}
		_, err = fsys.Lock(name, false)
		wantErr(t, "exclusive lock beside a shared one", err, ErrLocked)
		must(t, b.Close())
		c, err := fsys.Lock(name, false)
		must(t, err)
		must(t, c.Close())
	})
}

func TestLockNeedsItsDirectory(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		for _, shared := range []bool{false, true} {
			_, err := fsys.Lock(filepath.Join(dir, "missing", "LOCK"), shared)
			wantErr(t, "lock in a missing directory", err, os.ErrNotExist)
		}
		if _, err := fsys.Lock(dir, false); err == nil {
			t.Error("a directory was locked")
		}
	})
}

func TestParsePID(t *testing.T) {
	for text, want := range map[string]int{
		"pid 123\n":                     123,
		"pid 99\n45\n":                  99, // two shared holders wrote at once
		"":                              0,
		"pid 123":                       0, // cut short
		"pid -5\n":                      0,
		"pid x\n":                       0,
		"123\n":                         0,
		"pid 99999999999999999999999\n": 0,
	} {
		if got := parsePID([]byte(text)); got != want {
			t.Errorf("parsePID(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestLockedErrorSaysWhatToDo(t *testing.T) {
	for pid, want := range map[int]string{
		0:           "another process",
		os.Getpid(): "this process",
		1:           "process 1:",
	} {
		if text := (&LockedError{Path: "x", PID: pid}).Error(); !strings.Contains(text, want) {
			t.Errorf("pid %d: %q lacks %q", pid, text, want)
		}
	}
}
