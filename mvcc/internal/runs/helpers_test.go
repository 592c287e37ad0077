package runs

import (
	"bytes"
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/sombradb/sombra/internal/invariants"
	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// TestMain keeps the models short unless somebody asks for more.
func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if !asked {
		checks := "150"
		if invariants.RaceEnabled {
			checks = "15"
		}
		if err := flag.Set("rapid.checks", checks); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// tb is what *testing.T, *testing.B and *rapid.T have in common.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

var (
	_ tb = (*testing.T)(nil)
	_ tb = (*rapid.T)(nil)
)

// wantNothing fails the test unless nothing is open and the directory is gone.
func wantNothing(t tb, mem *vfs.Mem) {
	t.Helper()
	if open := mem.OpenHandles(); len(open) > 0 {
		t.Errorf("still open: %q", open)
	}
	if names, err := mem.ReadDir("runs"); err == nil {
		t.Errorf("the directory is still there, with %q", names)
	}
}

func openDir(t tb, fsys vfs.FS) *Dir {
	t.Helper()
	d, err := OpenDir(fsys, "runs")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func closeDir(t tb, d *Dir) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if n := d.Bytes(); n != 0 {
		t.Errorf("%d bytes are left after Close", n)
	}
}

func put(key, value string) versions.Write {
	return versions.Write{Key: []byte(key), Value: []byte(value), Kind: versions.Put}
}

// build writes a run, and verifies it.
func build(t tb, d *Dir, opts Options, writes ...versions.Write) *Run {
	t.Helper()
	w, err := d.Create(opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, write := range writes {
		if err := w.Add(write); err != nil {
			t.Fatalf("Add(%.20q): %v", write.Key, err)
		}
	}
	r, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	return r
}

// numbered returns n writes with keys and values of their own.
func numbered(n, valueSize int) []versions.Write {
	writes := make([]versions.Write, n)
	for i := range writes {
		writes[i] = versions.Write{Key: numberedKey(i), Value: pattern(i, valueSize), Kind: versions.Put}
	}
	return writes
}

func numberedKey(i int) []byte { return binary.BigEndian.AppendUint64([]byte("key:"), uint64(i)*2) }

// pattern is a value that belongs to i.
func pattern(i, size int) []byte {
	v := binary.BigEndian.AppendUint64(nil, uint64(i)*0x9e3779b97f4a7c15)
	return bytes.Repeat(v, size/len(v)+1)[:size]
}

// wantWrites fails unless the cursor shows these writes, in both directions.
func wantWrites(t tb, c moves, writes []versions.Write) {
	t.Helper()
	i := 0
	for ok := c.SeekFirst(); ok; ok = c.Next() {
		if i == len(writes) {
			t.Fatalf("more than %d writes: %q", i, c.Key())
		}
		wantWrite(t, c, writes[i])
		i++
	}
	if c.Err() != nil || i < len(writes) {
		t.Fatalf("ended after %d of %d writes: %v", i, len(writes), c.Err())
	}
	for ok := c.SeekLast(); ok; ok = c.Prev() {
		i--
		wantWrite(t, c, writes[i])
	}
	if c.Err() != nil || i > 0 {
		t.Fatalf("ended %d writes before the first: %v", i, c.Err())
	}
}

func wantWrite(t tb, c moves, want versions.Write) {
	t.Helper()
	value, err := c.Value()
	if err != nil {
		t.Fatalf("value of %.20q: %v", c.Key(), err)
	}
	if !bytes.Equal(c.Key(), want.Key) || c.Kind() != want.Kind || !bytes.Equal(value, want.Value) ||
		c.ValueSize() != int64(len(want.Value)) {
		t.Fatalf("at %.40q kind %d with %d bytes %.20q, want %.40q kind %d with %d bytes %.20q",
			c.Key(), c.Kind(), len(value), value, want.Key, want.Kind, len(want.Value), want.Value)
	}
}

// moves is what Cursor and Merged have in common.
type moves interface {
	SeekFirst() bool
	SeekLast() bool
	Seek(key []byte) bool
	SeekBefore(key []byte) bool
	Next() bool
	Prev() bool
	Key() []byte
	Kind() versions.Kind
	ValueSize() int64
	Value() ([]byte, error)
	Err() error
	Close()
}

var (
	_ moves = (*Cursor)(nil)
	_ moves = (*Merged)(nil)
)

// wantGet fails unless the run has exactly this write of the key.
func wantGet(t tb, r *Run, want versions.Write) {
	t.Helper()
	got, found, err := r.Get([]byte("before "), want.Key)
	if err != nil || !found || got.Kind != want.Kind || !bytes.Equal(got.Key, want.Key) ||
		!bytes.Equal(got.Value, append([]byte("before "), want.Value...)) {
		t.Fatalf("Get(%.40q) is kind %d with %d bytes, %v, %v; want kind %d with %d bytes",
			want.Key, got.Kind, len(got.Value), found, err, want.Kind, len(want.Value))
	}
	if found, err := r.Has(want.Key); !found || err != nil {
		t.Fatalf("Has(%.40q) is %v, %v", want.Key, found, err)
	}
}

func wantAbsent(t tb, r *Run, key []byte) {
	t.Helper()
	if got, found, err := r.Get(nil, key); found || err != nil || got.Value != nil {
		t.Fatalf("Get(%.40q) is %v, %v, %v; want nothing", key, got, found, err)
	}
	if found, err := r.Has(key); found || err != nil {
		t.Fatalf("Has(%.40q) is %v, %v; want nothing", key, found, err)
	}
}

// runFile is the path of the newest file in the directory "runs".
func runFile(t tb, fsys vfs.FS) string {
	t.Helper()
	names, err := fsys.ReadDir("runs")
	if err != nil || len(names) == 0 {
		t.Fatalf("no run file: %v", err)
	}
	return filepath.Join("runs", names[len(names)-1])
}

func openForChange(t tb, fsys vfs.FS, name string) vfs.File {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
