package runs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

func writeFile(t *testing.T, fsys vfs.FS, name, text string) {
	t.Helper()
	if err := fsys.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := fsys.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func wantNames(t *testing.T, fsys vfs.FS, want ...string) {
	t.Helper()
	names, err := fsys.ReadDir("runs")
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("the directory has %q, %v; want %q", names, err, want)
	}
}

func TestOpenDirRemovesLeftoversAndNothingElse(t *testing.T) {
	mem := vfs.NewMem()
	foreign := []string{".run", "1.run.bak", "12a.run", "README", "x.run"}
	for _, name := range append([]string{"000001.run", "12345678.run", "7.run"}, foreign...) {
		writeFile(t, mem, "runs/"+name, "old")
	}
	d := openDir(t, mem)
	wantNames(t, mem, foreign...)
	r := build(t, d, Options{}, put("a", "1"))
	wantGet(t, r, put("a", "1"))
	closeDir(t, d)
	wantNames(t, mem, foreign...)
}

func TestTheDirectoryIsMadeByTheFirstCreateAndRemovedByClose(t *testing.T) {
	mem := vfs.NewMem()
	d := openDir(t, mem)
	wantNothing(t, mem)
	closeDir(t, d)

	d = openDir(t, mem)
	build(t, d, Options{}, put("a", "1")).Drop()
	wantNames(t, mem)
	build(t, d, Options{}, put("a", "1"))
	w, err := d.Create(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(put("a", "1")); err != nil {
		t.Fatal(err)
	}
	wantNames(t, mem, "000002.run", "000003.run")
	closeDir(t, d)
	wantNothing(t, mem)
	if _, err := d.Create(Options{}); err != ErrClosed {
		t.Errorf("Create after Close: %v", err)
	}
	if _, err := w.Finish(); err != ErrClosed {
		t.Errorf("Finish after Close: %v", err)
	}
	closeDir(t, d)
}

func TestOnTheRealFileSystem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "database", "runs")
	d, err := OpenDir(vfs.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	writes := numbered(3000, 100)
	writes[1000].Value = pattern(1, 1<<20)
	r := build(t, d, Options{}, writes...)
	c := r.Cursor()
	wantWrites(t, c, writes)
	c.Close()
	info, err := os.Stat(filepath.Join(path, "000001.run"))
	if err != nil || info.Size() != r.Bytes() || d.Bytes() != r.Bytes() {
		t.Errorf("the file is %v, %v, the run has %d bytes, the directory %d", info, err, r.Bytes(), d.Bytes())
	}
	closeDir(t, d)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Close: %v", err)
	}
}

func TestBytesAreWhatIsOnTheDisk(t *testing.T) {
	mem := vfs.NewMem()
	d := openDir(t, mem)
	onDisk := func() (sum int64) {
		names, _ := mem.ReadDir("runs")
		for _, name := range names {
			info, err := mem.Stat("runs/" + name)
			if err != nil {
				t.Fatal(err)
			}
			sum += info.Size()
		}
		return sum
	}
	check := func(when string) {
		t.Helper()
		if d.Bytes() != onDisk() {
			t.Errorf("%s: %d bytes, on disk %d", when, d.Bytes(), onDisk())
		}
	}
	r := build(t, d, Options{}, numbered(1000, 100)...)
	check("after a run")
	w, err := d.Create(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, write := range numbered(1000, 500) {
		if err := w.Add(write); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			check("while writing")
		}
	}
	if d.Bytes() <= r.Bytes() {
		t.Error("nothing was written on the way")
	}
	r.Drop()
	check("after Drop")
	w.Abort()
	check("after Abort")
	closeDir(t, d)
}

// A full disk is an error that says where, and Abort gives everything back.
func TestAFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	d := openDir(t, vfs.NewFaulty(mem, vfs.NewDiskBudget(100_000).Decide))
	small := build(t, d, Options{}, put("a", "1"))
	w, err := d.Create(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	for _, write := range numbered(2000, 100) {
		if failed = w.Add(write); failed != nil {
			break
		}
	}
	if !errors.Is(failed, syscall.ENOSPC) || !strings.Contains(failed.Error(), "000002.run") {
		t.Fatalf("Add on a full disk: %v", failed)
	}
	if d.Bytes() != 100_000 {
		t.Errorf("%d bytes on a full disk of 100000", d.Bytes())
	}
	if err := w.Add(put("z", "")); err != failed {
		t.Errorf("the next Add: %v", err)
	}
	if _, err := w.Finish(); err != failed {
		t.Errorf("Finish: %v", err)
	}
	wantNames(t, mem, "000001.run")
	w.Abort()
	wantGet(t, small, put("a", "1"))
	closeDir(t, d)
	wantNothing(t, mem)
}

// A large value, which is written on its own, fails in the Add that wrote it.
func TestALargeValueOnAFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	d := openDir(t, vfs.NewFaulty(mem, vfs.NewDiskBudget(100_000).Decide))
	w, err := d.Create(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(put("a", strings.Repeat("v", 100_001))); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Add on a full disk: %v", err)
	}
	w.Abort()
	closeDir(t, d)
	wantNothing(t, mem)
}

// A removal that fails is tried again by the next Create, or by Close.
func TestARemovalThatFailsIsTriedAgain(t *testing.T) {
	mem := vfs.NewMem()
	failing := true
	d := openDir(t, vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
		if failing && op.Kind == vfs.OpRemove {
			return vfs.Fault{Err: syscall.EBUSY}
		}
		return vfs.Fault{}
	}))
	r := build(t, d, Options{}, put("a", "1"))
	r.Drop()
	wantNames(t, mem, "000001.run")
	if d.Bytes() != r.Bytes() {
		t.Errorf("%d bytes, want the %d that are still there", d.Bytes(), r.Bytes())
	}
	if _, err := r.Has([]byte("a")); err != ErrDropped {
		t.Errorf("Has after Drop: %v", err)
	}
	failing = false
	r = build(t, d, Options{}, put("a", "1"))
	wantNames(t, mem, "000002.run")

	failing = true
	r.Drop()
	if err := d.Close(); !errors.Is(err, syscall.EBUSY) || !strings.Contains(err.Error(), "000002.run") {
		t.Errorf("Close: %v", err)
	}
	wantNames(t, mem, "000002.run")
	failing = false
	closeDir(t, openDir(t, mem)) // what the next process does
	wantNothing(t, mem)
}

// every runs a workload with each operation failing once, until one run is through without.
func every(t *testing.T, workload func(fsys vfs.FS) error, after func(mem *vfs.Mem)) {
	t.Helper()
	injected := errors.New("injected")
	failures := 0
	for index := int64(0); ; index++ {
		mem := vfs.NewMem()
		fsys := vfs.NewFaulty(mem, vfs.FailAt(index, injected))
		err := workload(fsys)
		if err != nil && !errors.Is(err, injected) {
			t.Fatalf("operation %d failed, the error is %v", index, err)
		}
		if err != nil {
			failures++
		}
		after(mem)
		if fsys.Ops() <= index {
			if err != nil || failures < 8 {
				t.Fatalf("%v after %d failures in %d operations", err, failures, index)
			}
			return
		}
	}
}

// Whatever call fails, the caller hears of it or it does no harm: no file is left open, and after the next OpenDir
// and Close nothing is left at all.
func TestEveryCallFailingOnce(t *testing.T) {
	writes := numbered(300, 100)
	writes[7].Value = pattern(7, 1000)
	every(t, func(fsys vfs.FS) error {
		d, err := OpenDir(fsys, "runs")
		if err != nil {
			return err
		}
		err = writeAndRead(t, d, writes)
		return errors.Join(err, d.Close())
	}, func(mem *vfs.Mem) {
		closeDir(t, openDir(t, mem))
		wantNothing(t, mem)
	})
}

// writeAndRead uses everything that does I/O, with every other write in either of two runs.
func writeAndRead(t *testing.T, d *Dir, writes []versions.Write) error {
	var halves [2]*Run
	for half := range halves {
		r, err := writeHalf(d, writes[half:])
		if err != nil {
			return err
		}
		defer r.Drop()
		halves[half] = r
	}
	for _, i := range []int{0, 7, len(writes) / 2} {
		got, found, err := halves[i%2].Get(nil, writes[i].Key)
		if err != nil {
			return err
		}
		if !found || string(got.Value) != string(writes[i].Value) {
			t.Errorf("write %d: found %v", i, found)
		}
	}
	return readAll(t, Merge(halves[:]...), writes)
}

func writeHalf(d *Dir, writes []versions.Write) (*Run, error) {
	w, err := d.Create(Options{block: 1000})
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	for i := 0; i < len(writes); i += 2 {
		if err := w.Add(writes[i]); err != nil {
			return nil, err
		}
	}
	return w.Finish()
}

// readAll reads the writes in both directions.
func readAll(t *testing.T, c moves, writes []versions.Write) error {
	defer c.Close()
	i := 0
	for ok := c.SeekFirst(); ok; ok = c.Next() {
		value, err := c.Value()
		if err != nil {
			return err
		}
		if string(c.Key()) != string(writes[i].Key) || string(value) != string(writes[i].Value) {
			t.Fatalf("write %d is at %q", i, c.Key())
		}
		i++
	}
	if c.Err() != nil {
		return c.Err()
	}
	if i != len(writes) {
		t.Errorf("%d writes, want %d", i, len(writes))
	}
	for ok := c.SeekLast(); ok; ok = c.Prev() {
		if i--; string(c.Key()) != string(writes[i].Key) {
			t.Fatalf("backward, write %d is at %q", i, c.Key())
		}
	}
	return c.Err()
}
