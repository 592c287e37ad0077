package runs

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

func TestAnEmptyRunHasNothing(t *testing.T) {
	d := openDir(t, vfs.NewMem())
	defer closeDir(t, d)
	r := build(t, d, Options{})
	if r.Len() != 0 || r.Bytes() != 0 || r.First() != nil || r.Last() != nil {
		t.Errorf("%d writes, %d bytes, from %q to %q", r.Len(), r.Bytes(), r.First(), r.Last())
	}
	wantAbsent(t, r, nil)
	wantAbsent(t, r, []byte("k"))
	for _, c := range []moves{r.Cursor(), Merge(r), Merge(r, r), Merge()} {
		wantWrites(t, c, nil)
		if c.Seek(nil) || c.SeekBefore([]byte("k")) || c.Next() || c.Prev() || c.Err() != nil {
			t.Errorf("a cursor stands somewhere: %v", c.Err())
		}
		c.Close()
	}
}

func TestKeysMustAscend(t *testing.T) {
	d := openDir(t, vfs.NewMem())
	defer closeDir(t, d)
	w, err := d.Create(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		key  string
		want error
	}{{"", nil}, {"", ErrOrder}, {"b", nil}, {"b", ErrOrder}, {"a", ErrOrder}, {"", ErrOrder}, {"b\x00", nil}, {"ba", nil}} {
		if err := w.Add(put(step.key, "value of "+step.key)); err != step.want {
			t.Errorf("Add(%q) is %v, want %v", step.key, err, step.want)
		}
	}
	r, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	c := r.Cursor()
	defer c.Close()
	wantWrites(t, c, []versions.Write{put("", "value of "), put("b", "value of b"), put("b\x00", "value of b\x00"), put("ba", "value of ba")})
	if string(r.First()) != "" || string(r.Last()) != "ba" {
		t.Errorf("from %q to %q", r.First(), r.Last())
	}
}

func TestTooLargeIsRefusedAndTheWriterGoesOn(t *testing.T) {
	d := openDir(t, vfs.NewMem())
	defer closeDir(t, d)
	w, err := d.Create(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(versions.Write{Key: make([]byte, MaxKeySize+1)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a key too long: %v", err)
	}
	if err := checkSizes(0, MaxValueSize+1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a value too long: %v", err)
	}
	if err := checkSizes(MaxKeySize, MaxValueSize); err != nil {
		t.Errorf("the longest key and value: %v", err)
	}
	if err := w.Add(put("a", "1")); err != nil {
		t.Fatal(err)
	}
	r, err := w.Finish()
	if err != nil || r.Len() != 1 {
		t.Fatal(r, err)
	}
	wantGet(t, r, put("a", "1"))
}

// The longest keys with values around the limit for far ones: blocks of their own, and in company.
func TestHugeKeysAndValues(t *testing.T) {
	long := strings.Repeat("k", MaxKeySize-1)
	var writes []versions.Write
	for i, size := range []int{0, 1, blockSize/2 - 1, blockSize / 2, blockSize/2 + 1, blockSize, windowSize, 3<<20 + 1} {
		writes = append(writes,
			versions.Write{Key: []byte{byte('a' + i)}, Value: pattern(i, size), Kind: versions.Put},
			versions.Write{Key: []byte(long + string(rune('a'+i))), Value: pattern(100+i, size), Kind: versions.Delete})
	}
	slices.SortFunc(writes, func(a, b versions.Write) int { return bytes.Compare(a.Key, b.Key) })
	d := openDir(t, vfs.NewMem())
	defer closeDir(t, d)
	r := build(t, d, Options{}, writes...)
	for _, w := range writes {
		wantGet(t, r, w)
	}
	for _, c := range []moves{r.Cursor(), Merge(r, r)} {
		wantWrites(t, c, writes)
		c.Close()
	}
	for _, at := range r.index.blocks {
		if at.length > maxBlock {
			t.Errorf("a block of %d bytes, at most %d", at.length, maxBlock)
		}
	}
}

func TestEveryKindIsKept(t *testing.T) {
	var writes []versions.Write
	for kind := range 256 {
		writes = append(writes, versions.Write{Key: []byte{byte(kind)}, Value: pattern(kind, kind), Kind: versions.Kind(kind)})
	}
	d := openDir(t, vfs.NewMem())
	defer closeDir(t, d)
	r := build(t, d, Options{block: 200}, writes...)
	for _, w := range writes {
		wantGet(t, r, w)
	}
	c := r.Cursor()
	defer c.Close()
	wantWrites(t, c, writes)
}

// Keys in sequence share most of their bytes, which are not stored again and again; index and filter are small.
func TestSizes(t *testing.T) {
	d := openDir(t, vfs.NewMem())
	defer closeDir(t, d)
	const n = 50_000
	r := build(t, d, Options{}, numbered(n, 16)...)
	if perWrite := float64(r.Bytes()) / n; perWrite > 16+3+4+4 {
		t.Errorf("%.1f bytes in the file for a value of 16 and a key of 12", perWrite)
	}
	if perWrite := float64(r.MemoryBytes()) / n; perWrite > 2.6 {
		t.Errorf("%.2f bytes of memory for each write", perWrite)
	}
	if r.MemoryBytes() < int64(r.filter.memoryBytes())+r.index.memoryBytes() {
		t.Errorf("%d bytes of memory, less than its parts", r.MemoryBytes())
	}
	for _, at := range r.index.blocks[:len(r.index.blocks)-1] {
		if at.length > blockSize || at.length < blockSize*3/4 {
			t.Errorf("a block of %d bytes", at.length)
		}
	}
}

// A writer holds a block or two, not the run, and no large value.
func TestAWriterNeedsNoMemoryForWhatItWrote(t *testing.T) {
	d := openDir(t, vfs.NewMem())
	defer closeDir(t, d)
	w, err := d.Create(Options{MaxFilterBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	long := strings.Repeat("k", MaxKeySize/2)
	value := pattern(0, 2<<20)
	for i := range 200 {
		write := versions.Write{Key: append([]byte(long), numberedKey(i)[4:]...)}
		if i%10 == 0 {
			write.Value = value
		}
		if err := w.Add(write); err != nil {
			t.Fatal(err)
		}
	}
	b := &w.builder
	if held := cap(b.entries) + cap(b.out) + cap(b.first) + 4*cap(b.starts); held > 6*blockSize {
		t.Errorf("the writer holds %d bytes", held)
	}
}

func TestWriterIsDoneAfterFinishAndAbort(t *testing.T) {
	mem := vfs.NewMem()
	d := openDir(t, mem)
	for _, end := range []func(*Writer) error{
		func(w *Writer) error { _, err := w.Finish(); return err },
		func(w *Writer) error { w.Abort(); return nil },
	} {
		w, err := d.Create(Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := end(w); err != nil {
			t.Fatal(err)
		}
		w.Abort()
		if err := w.Add(put("a", "b")); err != ErrClosed {
			t.Errorf("Add afterwards: %v", err)
		}
		if _, err := w.Finish(); err != ErrClosed {
			t.Errorf("Finish afterwards: %v", err)
		}
	}
	names, err := mem.ReadDir("runs")
	if err != nil || !slices.Equal(names, []string{"000001.run"}) {
		t.Errorf("files %q, %v; want that of the finished run", names, err)
	}
	closeDir(t, d)
	wantNothing(t, mem)
}

func TestAClosedCursorSaysSo(t *testing.T) {
	d := openDir(t, vfs.NewMem())
	defer closeDir(t, d)
	r := build(t, d, Options{}, put("a", "1"), put("b", "2"))
	for _, c := range []moves{r.Cursor(), Merge(r), Merge(r, r)} {
		if !c.SeekFirst() {
			t.Fatal(c.Err())
		}
		c.Close()
		c.Close()
		if c.Next() || c.Prev() || c.SeekFirst() || c.Seek(nil) || c.Err() != ErrClosed || c.Key() != nil {
			t.Errorf("at %q, %v", c.Key(), c.Err())
		}
		if value, err := c.Value(); value != nil || err != ErrClosed {
			t.Errorf("value %q, %v", value, err)
		}
	}
}

// What comes later in the list never shows, not even for keys that the newest run deletes.
func TestTheNewestRunWins(t *testing.T) {
	d := openDir(t, vfs.NewMem())
	defer closeDir(t, d)
	oldest := build(t, d, Options{}, put("a", "1"), put("b", "1"), put("c", "1"), put("d", "1"))
	middle := build(t, d, Options{}, put("b", "2"), put("c", "2"), put("e", "2"))
	newest := build(t, d, Options{}, put("c", "3"), versions.Write{Key: []byte("d"), Value: []byte{}, Kind: versions.Delete})
	c := Merge(newest, middle, oldest)
	defer c.Close()
	wantWrites(t, c, []versions.Write{
		put("a", "1"), put("b", "2"), put("c", "3"), {Key: []byte("d"), Kind: versions.Delete}, put("e", "2"),
	})
}
