package pagestore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// FuzzPage: whatever stands in one page of a file, with a checksum that is right, reading, checking and writing on end with
// an answer or with ErrCorrupt, and take no memory in proportion to numbers in the page. The file has every kind
// of page: leaves, inner nodes, deltas, overflow runs with a directory, bitmaps and their index.
func FuzzPage(f *testing.F) {
	mem := everyKind(f)
	whole := contents(f, mem)
	var starts []int // pages that a node, or another row of pages, begins with
	kinds := map[byte]bool{}
	for p := 2; p < len(whole)/4096; p++ {
		b := whole[p*4096 : (p+1)*4096]
		kind, pages := b[offKind], int(binary.LittleEndian.Uint32(b[offPages:]))
		starts = append(starts, p)
		if !kinds[kind] {
			kinds[kind] = true
			f.Add(uint16(len(starts)-1), uint16(headerSize), []byte{}, uint16(offCells), byte(1))
			f.Add(uint16(len(starts)-1), uint16(headerSize), b[headerSize:headerSize+64], uint16(offPages), byte(0xff))
			f.Add(uint16(len(starts)-1), uint16(offMaxTS), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, uint16(headerSize), byte(3))
		}
		p += max(pages, 1) - 1
	}
	if len(kinds) < 6 {
		f.Fatalf("the file has pages of the kinds %v only", kinds)
	}
	f.Fuzz(func(t *testing.T, page, at uint16, content []byte, at2 uint16, x byte) {
		p := starts[int(page)%len(starts)]
		pages := max(int(binary.LittleEndian.Uint32(whole[p*4096+offPages:])), 1)
		b := slices.Clone(whole[p*4096 : (p+pages)*4096])
		copy(b[int(at)%len(b):], content)
		b[int(at2)%len(b)] ^= x
		seal(b, checksumSeed(testID))
		image := mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll})
		damage(t, image, int64(p)*4096, b)
		useHostile(t, image, int64(len(whole)))
	})
}

// everyKind makes a file with every kind of page, and a value with a directory of runs.
func everyKind(t testing.TB) *vfs.Mem {
	mem := vfs.NewMem()
	s := mustCreate(t, mem, 4096)
	var edits []Edit
	for i := range 300 {
		edits = append(edits, Edit{Key: fmt.Appendf(nil, "key%04d", i), Value: pattern(60, uint64(i)), Timestamp: uint64(i)})
	}
	edits = append(edits, Edit{Key: []byte("huge"), Value: pattern(runBytes+5000, 9), Timestamp: 3}, Edit{Key: []byte("large"), Value: pattern(5000, 9), Timestamp: 3})
	commit(t, s, sortEdits(edits))
	commit(t, s, []Edit{{Key: []byte("key0001"), Value: []byte("new"), Timestamp: 400}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return mem
}

// useHostile does with a file what can be done with one.
func useHostile(t *testing.T, fs vfs.FS, size int64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	corrupt := func(what string, err error) bool {
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%s: %v", what, err)
		}
		return err != nil
	}
	s, err := Open("db", Options{FS: fs, CacheBytes: minCache})
	if corrupt("open", err) {
		return
	}
	defer func() { _ = s.Close() }()
	walkHostile(s.View(), corrupt)
	_, err = s.Check(t.Context(), nil)
	corrupt("check", err)
	writeHostile(t, s, corrupt)
	runtime.ReadMemStats(&after)
	if used, most := after.TotalAlloc-before.TotalAlloc, uint64(64<<20+20*size); used > most {
		t.Fatalf("%d bytes of memory for a file of %d", used, size)
	}
}

// walkHostile reads both ways. Steps are bounded by what a file of this size can hold.
func walkHostile(v *View, corrupt func(string, error) bool) {
	c := v.Cursor(DataTree)
	defer c.Close()
	for ok := c.First(); ok; ok = c.Next() {
		_, err := c.Value()
		corrupt("value", err)
	}
	corrupt("forward", c.Err())
	for ok := c.Last(); ok; ok = c.Prev() {
		c.Timestamp()
	}
	corrupt("backward", c.Err())
	_, _, _, err := v.Get(DataTree, []byte("key0077"), nil)
	corrupt("get", err)
	_, _, err = v.Newer(DataTree, nil, nil, 350)
	corrupt("newer", err)
	_, err = v.Separators(DataTree, 8)
	corrupt("separators", err)
}

// writeHostile makes two checkpoints, in which pages are taken, freed and moved.
func writeHostile(t *testing.T, s *Store, corrupt func(string, error) bool) {
	for i := range 2 {
		c, err := s.Begin()
		if err != nil {
			t.Fatal(err)
		}
		edits := []Edit{
			{Key: []byte("huge"), Delete: true}, {Key: []byte("key0001"), Value: []byte{byte(i)}, Timestamp: 500},
			{Key: []byte("key0100"), Delete: true}, {Key: []byte("large"), Delete: true},
		}
		err = c.Merge(context.Background(), DataTree, slices.Values(edits), func(Record) bool { return false })
		if corrupt("merge", err) {
			c.Abort()
			return
		}
		if _, err = c.Vacuum(context.Background(), AutoVacuum); corrupt("vacuum", err) {
			c.Abort()
			return
		}
		if _, err = c.Commit(Meta{Timestamp: 500}); corrupt("commit", err) {
			return
		}
	}
}
