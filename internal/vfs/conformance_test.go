package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// onEach runs a test on every kind of file system, which must behave alike.
// Names start in dir.
func onEach(t *testing.T, test func(t *testing.T, fsys FS, dir string)) {
	t.Run("OS", func(t *testing.T) { test(t, OS, t.TempDir()) })
	t.Run("Mem", func(t *testing.T) {
		mem := NewMem()
		test(t, mem, memDirOf(t, mem))
		verify(t, mem)
	})
	t.Run("Faulty", func(t *testing.T) {
		mem := NewMem()
		test(t, NewFaulty(mem, nil), memDirOf(t, mem))
		verify(t, mem)
	})
}

func memDirOf(t *testing.T, mem *Mem) string {
	t.Helper()
	must(t, mem.MkdirAll("/base", 0o755))
	return "/base"
}

func verify(t *testing.T, mem *Mem) {
	t.Helper()
	must(t, mem.Check())
	if names := mem.OpenHandles(); len(names) > 0 {
		t.Errorf("not closed: %q", names)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

func create(t testing.TB, fsys FS, name string) File {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	must(t, err)
	return f
}

func put(t testing.TB, fsys FS, name, text string) {
	t.Helper()
	f := create(t, fsys, name)
	must(t, f.Truncate(0))
	writeAt(t, f, text, 0)
	must(t, f.Close())
}

func writeAt(t testing.TB, f File, text string, off int64) {
	t.Helper()
	n, err := f.WriteAt([]byte(text), off)
	if err != nil || n != len(text) {
		t.Fatalf("WriteAt of %d bytes at %d: %d, %v", len(text), off, n, err)
	}
}

// get returns the content of a file, or the error as text.
func get(t testing.TB, fsys FS, name string) string {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "no such file"
	}
	must(t, err)
	defer func() { must(t, f.Close()) }()
	return contentOf(t, f)
}

func contentOf(t testing.TB, f File) string {
	t.Helper()
	size, err := f.Size()
	must(t, err)
	buf := make([]byte, size)
	if n, err := f.ReadAt(buf, 0); int64(n) != size || err != nil && err != io.EOF {
		t.Fatalf("ReadAt of %d bytes: %d, %v", size, n, err)
	}
	return string(buf)
}

func TestWritesAreReadBack(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "f")
		f := create(t, fsys, name)
		writeAt(t, f, "hello", 3)
		writeAt(t, f, "XY", 5)
		if got, want := contentOf(t, f), "\x00\x00\x00heXYo"; got != want {
			t.Errorf("content %q, want %q", got, want)
		}
		must(t, f.Sync())
		must(t, f.SyncData())
		must(t, f.Close())
		info, err := fsys.Stat(name)
		must(t, err)
		if info.Size() != 8 || info.IsDir() || info.Name() != "f" {
			t.Errorf("Stat: size %d, dir %v, name %q", info.Size(), info.IsDir(), info.Name())
		}
	})
}

func TestReadAtTheEndSaysEOF(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		f := create(t, fsys, filepath.Join(dir, "f"))
		defer func() { must(t, f.Close()) }()
		writeAt(t, f, "abc", 0)
		for _, c := range []struct {
			off  int64
			size int
			n    int
			err  error
		}{{0, 3, 3, nil}, {0, 4, 3, io.EOF}, {3, 1, 0, io.EOF}, {1 << 40, 1, 0, io.EOF}, {1 << 40, 0, 0, nil}, {1, 1, 1, nil}} {
			n, err := f.ReadAt(make([]byte, c.size), c.off)
			if n != c.n || err != c.err {
				t.Errorf("ReadAt(%d bytes, %d) = %d, %v, want %d, %v", c.size, c.off, n, err, c.n, c.err)
			}
		}
	})
}

func TestTruncateCutsAndGrowsWithZeros(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		f := create(t, fsys, filepath.Join(dir, "f"))
		defer func() { must(t, f.Close()) }()
		long := bytes.Repeat([]byte("abcdefgh"), 2048) // several chunks
		writeAt(t, f, string(long), 0)
		must(t, f.Truncate(5000))
		must(t, f.Truncate(9000))
		want := append(append([]byte(nil), long[:5000]...), make([]byte, 4000)...)
		if got := contentOf(t, f); got != string(want) {
			t.Errorf("content differs after shrinking and growing")
		}
		must(t, f.Truncate(0))
		if size, err := f.Size(); size != 0 || err != nil {
			t.Errorf("size %d, %v", size, err)
		}
	})
}

func TestOpenFlags(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "f")
		_, err := fsys.OpenFile(name, os.O_RDWR, 0)
		wantErr(t, "open of a missing file", err, fs.ErrNotExist)
		put(t, fsys, name, "text")
		_, err = fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		wantErr(t, "exclusive creation of an existing file", err, fs.ErrExist)

		f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
		must(t, err)
		if _, err := f.WriteAt([]byte("x"), 0); err == nil {
			t.Error("a file open for reading took a write")
		}
		if err := f.Truncate(0); err == nil {
			t.Error("a file open for reading was truncated")
		}
		must(t, f.Close())

		f, err = fsys.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
		must(t, err)
		if _, err := f.ReadAt(make([]byte, 1), 0); err == nil || err == io.EOF {
			t.Errorf("a file open for writing was read: %v", err)
		}
		must(t, f.Close())
		if got := get(t, fsys, name); got != "" {
			t.Errorf("O_TRUNC left %q", got)
		}
	})
}

func TestBadArgumentsAreErrors(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		f := create(t, fsys, filepath.Join(dir, "f"))
		if _, err := f.ReadAt(make([]byte, 1), -1); err == nil || err == io.EOF {
			t.Errorf("read at -1: %v", err)
		}
		if _, err := f.WriteAt(make([]byte, 1), -1); err == nil {
			t.Error("write at -1 went through")
		}
		if err := f.Truncate(-1); err == nil {
			t.Error("truncation to -1 went through")
		}
		must(t, f.Close())
		wantErr(t, "second close", f.Close(), fs.ErrClosed)
		_, err := f.ReadAt(make([]byte, 1), 0)
		wantErr(t, "read of a closed file", err, fs.ErrClosed)
		_, err = f.WriteAt(make([]byte, 1), 0)
		wantErr(t, "write to a closed file", err, fs.ErrClosed)
		wantErr(t, "sync of a closed file", f.Sync(), fs.ErrClosed)
		if err := f.SyncData(); err == nil {
			t.Error("data sync of a closed file went through")
		}
	})
}

func TestDirectories(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		deep := filepath.Join(dir, "a", "b")
		must(t, fsys.MkdirAll(deep, 0o755))
		must(t, fsys.MkdirAll(deep, 0o755))
		for _, name := range []string{"z", "m", "c"} {
			put(t, fsys, filepath.Join(deep, name), name)
		}
		names, err := fsys.ReadDir(deep)
		if err != nil || fmt.Sprint(names) != "[c m z]" {
			t.Errorf("ReadDir = %v, %v", names, err)
		}
		if err := fsys.Remove(deep); err == nil {
			t.Error("a directory with files was removed")
		}
		for _, name := range names {
			must(t, fsys.Remove(filepath.Join(deep, name)))
		}
		must(t, fsys.Remove(deep))
		wantErr(t, "second removal", fsys.Remove(deep), fs.ErrNotExist)
		_, err = fsys.ReadDir(deep)
		wantErr(t, "listing of a removed directory", err, fs.ErrNotExist)
		must(t, fsys.SyncDir(dir))
		wantErr(t, "sync of a missing directory", fsys.SyncDir(deep), fs.ErrNotExist)
	})
}

func TestFilesAreNoDirectories(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		file := filepath.Join(dir, "f")
		put(t, fsys, file, "")
		if _, err := fsys.OpenFile(filepath.Join(file, "x"), os.O_RDWR|os.O_CREATE, 0o644); err == nil {
			t.Error("a file was created below a file")
		}
		if err := fsys.MkdirAll(file, 0o755); err == nil {
			t.Error("a directory was made over a file")
		}
		if err := fsys.MkdirAll(filepath.Join(file, "x"), 0o755); err == nil {
			t.Error("a directory was made below a file")
		}
		if _, err := fsys.ReadDir(file); err == nil {
			t.Error("a file was listed")
		}
		if _, err := fsys.OpenFile(dir, os.O_RDWR, 0); err == nil {
			t.Error("a directory was opened for writing")
		}
		if runtime.GOOS != "linux" {
			return // elsewhere a sync of a file as a directory may go through
		}
		if err := fsys.SyncDir(filepath.Join(file, "x")); err == nil {
			t.Error("a name below a file was synced")
		}
	})
}

func TestRenameReplaces(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
		wantErr(t, "rename of a missing file", fsys.Rename(a, b), fs.ErrNotExist)
		put(t, fsys, a, "new")
		put(t, fsys, b, "old")
		must(t, fsys.Rename(a, b))
		must(t, fsys.Rename(b, b))
		if got := get(t, fsys, b); got != "new" {
			t.Errorf("content %q after rename", got)
		}
		wantErr(t, "the old name", fsys.Remove(a), fs.ErrNotExist)

		sub := filepath.Join(dir, "sub")
		must(t, fsys.MkdirAll(sub, 0o755))
		if err := fsys.Rename(b, sub); err == nil {
			t.Error("a file replaced a directory")
		}
		if err := fsys.Rename(sub, b); err == nil && runtime.GOOS != "windows" {
			t.Error("a directory replaced a file")
		}
		if err := fsys.Rename(sub, filepath.Join(sub, "x")); err == nil {
			t.Error("a directory was moved into itself")
		}
		must(t, fsys.Rename(b, filepath.Join(sub, "c")))
		if got := get(t, fsys, filepath.Join(sub, "c")); got != "new" {
			t.Errorf("content %q after a move to another directory", got)
		}
	})
}

func TestErrorsNameTheFile(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "missing")
		_, err := fsys.OpenFile(name, os.O_RDONLY, 0)
		var path *fs.PathError
		if !errors.As(err, &path) || path.Path != name {
			t.Errorf("OpenFile: %v", err)
		}
		var link *os.LinkError
		if err := fsys.Rename(name, name+"2"); !errors.As(err, &link) || link.Old != name {
			t.Errorf("Rename: %v", err)
		}
	})
}

func TestOpenFileOutlivesItsRemoval(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("runtime.GOOS == windows: open files cannot be removed there")
	}
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "f")
		f := create(t, fsys, name)
		writeAt(t, f, "still here", 0)
		must(t, fsys.Remove(name))
		put(t, fsys, name, "another")
		if got := contentOf(t, f); got != "still here" {
			t.Errorf("content %q", got)
		}
		must(t, f.Close())
	})
}

func TestMemRefusesWhatItCannotDo(t *testing.T) {
	mem := NewMem()
	_, err := mem.OpenFile("f", os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	wantErr(t, "O_APPEND", err, syscall.EINVAL)
	f := create(t, mem, "f")
	wantErr(t, "huge truncation", f.Truncate(1<<62), syscall.EFBIG)
	_, err = f.WriteAt([]byte("x"), 1<<62)
	wantErr(t, "write far out", err, syscall.EFBIG)
	wantErr(t, "removal of the root", mem.Remove("/"), syscall.EINVAL)
}
