package runs

import (
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// filterOf returns the filter of the first n numbered keys.
func filterOf(n int, maxBytes int64) *filter {
	f := newFilter(maxBytes)
	for i := range n {
		f.add(numberedKey(i))
	}
	f.finish()
	return &f
}

func TestTheFilterDeniesAlmostAllOtherKeysAndNoneOfItsOwn(t *testing.T) {
	for _, n := range []int{1, 2, 50, 52, 500, 816, 817, 5_000, 100_000} {
		f := filterOf(n, defaultFilterBytes)
		passed, asked := 0, 0
		for i := range n {
			key := numberedKey(i)
			if f.excludes(key) {
				t.Fatalf("of %d keys the filter denies number %d", n, i)
			}
			key[len(key)-1]++ // odd: no key of its own
			asked++
			if !f.excludes(key) {
				passed++
			}
		}
		if limit := 20 + asked/60; passed > limit {
			t.Errorf("of %d keys that are not there %d pass, want at most %d", asked, passed, limit)
		}
		if bytes := f.memoryBytes(); bytes > int64(n)*27/10+2*lineBytes {
			t.Errorf("%d bytes for %d keys", bytes, n)
		}
	}
}

func TestAFilterThatGetsTooLargeIsDropped(t *testing.T) {
	const limit = 10 * lineBytes
	if f := filterOf(10*keysPerLine, limit); f.off || f.memoryBytes() > limit+20 {
		t.Errorf("off %v, %d bytes", f.off, f.memoryBytes())
	}
	f := filterOf(10*keysPerLine+1, limit)
	if !f.off || f.memoryBytes() != 0 || f.excludes([]byte("not there")) {
		t.Errorf("off %v, %d bytes", f.off, f.memoryBytes())
	}
	for _, none := range []int64{-1, 0, lineBytes - 1} {
		if f := filterOf(1, none); f.memoryBytes() != 0 || f.excludes([]byte("not there")) {
			t.Errorf("a filter of at most %d bytes takes %d", none, f.memoryBytes())
		}
	}
}

// A read that the filter or the bounds of the run deny does no I/O, and one of a key that is there reads once.
func TestReadsPerLookup(t *testing.T) {
	disk := vfs.NewFaulty(vfs.NewMem(), nil)
	d := openDir(t, disk)
	defer closeDir(t, d)
	r := build(t, d, Options{}, numbered(2000, 100)...)
	reads := func(lookup func()) int64 {
		before := disk.Ops()
		lookup()
		return disk.Ops() - before
	}
	denied := 0
	for i := range 1999 {
		key := numberedKey(i)
		key[len(key)-1]++
		if r.excludes(key) {
			denied++
			if n := reads(func() { wantAbsent(t, r, key) }); n != 0 {
				t.Fatalf("%d reads of a key that the filter denies", n)
			}
		}
	}
	if denied < 1900 {
		t.Errorf("the filter denies %d of 1999 keys", denied)
	}
	if n := reads(func() { wantAbsent(t, r, []byte("a")); wantAbsent(t, r, []byte("z")) }); n != 0 {
		t.Errorf("%d reads of keys outside the run", n)
	}
	if n := reads(func() { _, _, _ = r.Get(nil, numberedKey(1000)) }); n != 1 {
		t.Errorf("%d reads of a key that is there", n)
	}
	c := r.Cursor()
	defer c.Close()
	if n := reads(func() { c.SeekBefore(r.index.separator(3)) }); n != 1 {
		t.Errorf("%d reads for the last key before a block", n)
	}
	n := reads(func() {
		for ok := c.SeekFirst(); ok; ok = c.Next() {
		}
	})
	if blocks := int64(len(r.index.blocks)); n > blocks/2+1 {
		t.Errorf("%d reads for a scan of %d blocks", n, blocks)
	}
}
