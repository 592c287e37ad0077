package runs

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// damaged is a small run of several blocks with far values, and its file.
func damaged(t testing.TB) (*Dir, *Run, []versions.Write, vfs.File) {
	t.Helper()
	mem := vfs.NewMem()
	d := openDir(t, mem)
	writes := numbered(12, 30)
	writes[3].Value, writes[8].Value = pattern(3, 150), pattern(8, 101)
	r := build(t, d, Options{block: 200}, writes...)
	if len(r.index.blocks) < 3 {
		t.Fatalf("%d blocks", len(r.index.blocks))
	}
	f := openForChange(t, mem, runFile(t, mem))
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		closeDir(t, d)
	})
	return d, r, writes, f
}

// readDamaged reads everything in each way. What is returned without an error must be right, and something
// must be an error.
func readDamaged(t *testing.T, r *Run, writes []versions.Write, what string, at int64) {
	t.Helper()
	failures := 0
	fails := func(err error) bool {
		var corruption *CorruptionError
		if err != nil && (!errors.Is(err, ErrCorrupt) || !errors.As(err, &corruption) || corruption.File != r.file.name) {
			t.Fatalf("%s %d: %v", what, at, err)
		}
		if err != nil {
			failures++
		}
		return err != nil
	}
	for _, want := range writes {
		if got, found, err := r.Get(nil, want.Key); !fails(err) && (!found || string(got.Value) != string(want.Value)) {
			t.Fatalf("%s %d: Get(%q) is %q, %v", what, at, want.Key, got.Value, found)
		}
	}
	for _, c := range []moves{r.Cursor(), Merge(r, r)} {
		before := failures
		i := 0
		for ok := c.SeekFirst(); ok; ok = c.Next() {
			if value, err := c.Value(); !fails(err) && string(value) != string(writes[i].Value) {
				t.Fatalf("%s %d: write %d is %q", what, at, i, value)
			}
			i++
		}
		if !fails(c.Err()) && i != len(writes) {
			t.Fatalf("%s %d: %d writes", what, at, i)
		}
		c.Close()
		if failures == before {
			t.Errorf("%s %d is not noticed by %T", what, at, c)
		}
	}
	if err := r.Check(); !fails(err) {
		t.Errorf("%s %d is not noticed by Check", what, at)
	}
}

func TestEveryFlippedByteIsNoticed(t *testing.T) {
	_, r, writes, f := damaged(t)
	for at := range r.Bytes() {
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		original := b
		b[0] ^= 1 << (at % 8)
		if _, err := f.WriteAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		readDamaged(t, r, writes, "flipped byte", at)
		if _, err := f.WriteAt(original[:], at); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Check(); err != nil {
		t.Errorf("after all is as it was: %v", err)
	}
}

func TestATruncatedFileIsNoticed(t *testing.T) {
	_, r, writes, f := damaged(t)
	for size := r.Bytes() - 1; size >= 0; size -= 13 {
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		readDamaged(t, r, writes, "end at", size)
	}
}

// A block that is whole, but stands in the place of another, or in another run, is damage.
func TestABlockInTheWrongPlaceIsNoticed(t *testing.T) {
	mem := vfs.NewMem()
	d := openDir(t, mem)
	defer closeDir(t, d)
	writes := numbered(40, 30)
	build(t, d, Options{block: 200}, writes...)
	other := openForChange(t, mem, runFile(t, mem))
	r := build(t, d, Options{block: 200}, writes...)
	f := openForChange(t, mem, runFile(t, mem))
	copyBlock := func(to span, from span, source vfs.File) {
		b := make([]byte, from.length)
		if _, err := source.ReadAt(b, from.offset); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(b, to.offset); err != nil {
			t.Fatal(err)
		}
	}
	blocks := r.index.blocks
	copyBlock(blocks[1], blocks[1], other)
	readDamaged(t, r, writes, "block of another run", blocks[1].offset)
	copyBlock(blocks[1], blocks[2], f)
	readDamaged(t, r, writes, "block of another place", blocks[1].offset)
	for _, file := range []vfs.File{f, other} {
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A reference that leads out of the file is noticed before memory is taken for what it promises.
func TestAReferenceOutOfTheFileIsNoticed(t *testing.T) {
	_, r, _, _ := damaged(t)
	for _, e := range []entry{
		{size: r.Bytes() + 1},
		{size: 1, far: far{offset: r.Bytes()}},
		{size: MaxValueSize, far: far{offset: 1<<63 - 1}},
		{size: 1, far: far{offset: -1}},
	} {
		if err := r.checkFar(&e); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d bytes at %d of %d: %v", e.size, e.far.offset, r.Bytes(), err)
		}
	}
	if err := r.checkFar(&entry{size: r.Bytes()}); err != nil {
		t.Errorf("the whole file: %v", err)
	}
}

// FuzzBlock decodes bytes as a block: no panic, no slice outside of it, no memory but for what it points to.
func FuzzBlock(f *testing.F) {
	_, r, writes, file := damaged(f)
	for _, at := range r.index.blocks {
		b := make([]byte, at.length)
		if _, err := file.ReadAt(b, at.offset); err != nil {
			f.Fatal(err)
		}
		f.Add(b, writes[5].Key)
	}
	f.Add([]byte{}, []byte{})
	f.Add(forged(1<<30, 0, 16), []byte("k"))         // 4n wraps to 0
	f.Add(forged(1, 1<<32-1, 16), []byte("k"))       // headSize+p wraps
	f.Add(forged(1, 0, 1<<32-1), []byte("k"))        // entry outside
	f.Add(forged(1, 0, 16, 1, 0x7f, 0), []byte("k")) // key too long
	f.Add(forged(1, 0, 16, 1, 1, 0x7e, 'k'), []byte("k"))
	f.Add(forged(1, 0, 16, 1, 1, 1, 'k'), []byte("k")) // far, without the reference
	f.Add(forged(1, 0, 16, 1, 0xff, 0xff), []byte("k"))
	f.Fuzz(func(t *testing.T, data, key []byte) {
		b, ok := decodeBlock(data)
		if !ok {
			return
		}
		if b.n < 1 || b.n > len(data)/4 {
			t.Fatalf("%d entries in %d bytes", b.n, len(data))
		}
		sum := 0
		for i := range b.n {
			e, ok := b.entry(i)
			if ok && (e.size < 0 || e.size > MaxValueSize || !e.isFar && e.size != int64(len(e.value))) {
				t.Fatalf("entry %d has a value of %d bytes", i, e.size)
			}
			sum += len(e.suffix) + len(e.value)
		}
		if i, _, ok := b.search(key); ok && (i < 0 || i > b.n) {
			t.Fatalf("search found %d of %d", i, b.n)
		}
		readForged(t, data, key)
	})
}

// forged is a block of n entries, a prefix of p bytes, and one offset.
func forged(n, p, offset uint32, entry ...byte) []byte {
	b := binary.LittleEndian.AppendUint32(make([]byte, 4), n)
	b = binary.LittleEndian.AppendUint32(b, p)
	b = binary.LittleEndian.AppendUint32(b, offset)
	return append(b, entry...)
}

// readForged reads a run whose only block are these bytes, with a checksum that is right: what a defect of the writer
// could leave. All reads end, with an error or without.
func readForged(t *testing.T, data, key []byte) {
	d := openDir(t, vfs.NewMem())
	defer closeDir(t, d)
	inner, err := d.create()
	if err != nil {
		t.Fatal(err)
	}
	data = append([]byte(nil), data...)
	binary.LittleEndian.PutUint32(data, inner.checksum(0, data[4:]))
	if err := inner.write(data); err != nil {
		t.Fatal(err)
	}
	r := &Run{file: inner, count: 1, bytes: int64(len(data)), last: append([]byte(nil), key...), filter: filter{off: true}}
	r.index.add(0, len(data), nil, nil)
	if w, _, err := r.Get(nil, key); err == nil && len(w.Value) > len(data) {
		t.Fatalf("a value of %d bytes in a file of %d", len(w.Value), len(data))
	}
	c := r.Cursor()
	defer c.Close()
	for ok := c.SeekFirst(); ok; ok = c.Next() {
		if value, err := c.Value(); err == nil && len(value) > len(data) {
			t.Fatalf("a value of %d bytes in a file of %d", len(value), len(data))
		}
	}
	c.Seek(key)
	c.SeekBefore(key)
	_ = r.Check()
}
