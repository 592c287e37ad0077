package pagestore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// vacuumed commits edits and lets the checkpoint move pages.
func vacuumed(t *testing.T, s *Store, edits []Edit, pages int) (moved int64) {
	t.Helper()
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	if err := c.Merge(context.Background(), DataTree, slices.Values(edits), nil); err != nil {
		t.Fatal(err)
	}
	if moved, err = c.Vacuum(context.Background(), pages); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Commit(Meta{}); err != nil {
		t.Fatal(err)
	}
	mustCheck(t, s)
	return moved
}

func fileSize(t *testing.T, s *Store, fs vfs.FS) int64 {
	t.Helper()
	size := int64(len(contents(t, fs)))
	if m := s.Metrics(); m.FileBytes != size || m.FreeBytes+m.LiveBytes != size {
		t.Fatalf("file has %d bytes, metrics say %d: %d live and %d free", size, m.FileBytes, m.LiveBytes, m.FreeBytes)
	}
	return size
}

// TestFileShrinksAfterDeletes deletes 95 % of the records, of which the survivors lie first, last, or spread.
func TestFileShrinksAfterDeletes(t *testing.T) {
	for name, survives := range map[string]func(k int) bool{
		"first":  func(k int) bool { return k < 1000 },
		"last":   func(k int) bool { return k >= 19_000 },
		"spread": func(k int) bool { return k%20 == 0 },
		"middle": func(k int) bool { return k >= 15_000 && k < 16_000 },
	} {
		t.Run(name, func(t *testing.T) { testShrink(t, survives) })
	}
}

func testShrink(t *testing.T, survives func(k int) bool) {
	mem := vfs.NewMem()
	s := mustCreate(t, mem, 4096)
	m := model{}
	var puts, deletes []Edit
	for k := range 20_000 {
		n := 100
		if k%1000 == 999 {
			n = 20_000
		}
		if k == 19_999 {
			n = runBytes + 5000 // two runs, the last thing in the file
		}
		e := Edit{Key: roundKey(uint64(k)), Value: pattern(n, uint64(k)), Timestamp: uint64(k)}
		puts = append(puts, e)
		if survives(k) {
			m = model(m)
			m[string(e.Key)] = entry{string(e.Value), e.Timestamp}
		} else {
			deletes = append(deletes, Edit{Key: e.Key, Delete: true})
		}
	}
	old := commit(t, s, puts)
	full := fileSize(t, s, mem)
	vacuumed(t, s, deletes, 200)
	compareScan(t, s.View(), DataTree, m)
	for range 8 {
		vacuumed(t, s, nil, 200)
		compareScan(t, s.View(), DataTree, m)
	}
	met := s.Metrics()
	if now := fileSize(t, s, mem); now > full/3 || now > met.LiveBytes*5/4+100*4096 {
		t.Fatalf("file has %d bytes, %d of them live; it had %d", now, met.LiveBytes, full)
	}
	c := old.Cursor(DataTree)
	defer c.Close()
	for ok := c.First(); ok; ok = c.Next() {
	}
	if !errors.Is(c.Err(), ErrStale) {
		t.Fatalf("a view of pages that were cut off: %v", c.Err())
	}
}

func TestVacuumLeavesADenseFileAlone(t *testing.T) {
	s := mustCreate(t, vfs.NewMem(), 4096)
	var puts []Edit
	for k := range uint64(5000) {
		puts = append(puts, Edit{Key: roundKey(k), Value: pattern(100, k)})
	}
	commit(t, s, puts)
	for range 3 {
		if moved := vacuumed(t, s, nil, 1000); moved != 0 {
			t.Fatalf("moved %d pages", moved)
		}
	}
}

func TestVacuumMovesNoMoreThanAsked(t *testing.T) {
	s := mustCreate(t, vfs.NewMem(), 4096)
	var puts, deletes []Edit
	for k := range uint64(20_000) {
		puts = append(puts, Edit{Key: roundKey(k), Value: pattern(100, k)})
		if k < 15_000 {
			deletes = append(deletes, Edit{Key: roundKey(k), Delete: true})
		}
	}
	commit(t, s, puts)
	commit(t, s, deletes)
	commit(t, s, nil)
	for range 5 {
		if moved := vacuumed(t, s, nil, 20); moved == 0 || moved > 20 {
			t.Fatal(fmt.Sprint("moved ", moved, " pages"))
		}
	}
}

// TestDamageEndsVacuumButNotCheckpoints damages a value at the end of a file from which much was deleted.
func TestDamageEndsVacuumButNotCheckpoints(t *testing.T) {
	mem := vfs.NewMem()
	s := mustCreate(t, mem, 4096)
	var puts, deletes []Edit
	for k := range uint64(5000) {
		puts = append(puts, Edit{Key: roundKey(k), Value: pattern(100, k)})
		if k%10 > 0 {
			deletes = append(deletes, Edit{Key: roundKey(k), Delete: true})
		}
	}
	commit(t, s, append(puts, Edit{Key: []byte("z"), Value: pattern(9000, 1)}))
	ref := overflowRefOf(t, s, "z")
	damage(t, mem, int64(ref.Page)*4096+5000, []byte("damage"))
	commit(t, s, deletes)
	commit(t, s, nil)
	failed := 0
	for range 4 {
		c, err := s.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if _, err = c.Vacuum(context.Background(), AutoVacuum); err != nil {
			if failed++; !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			c.Abort()
			continue
		}
		if _, err = c.Commit(Meta{}); err != nil {
			t.Fatal(err)
		}
	}
	if failed != 1 {
		t.Fatalf("%d checkpoints failed", failed)
	}
	k := s.NewCompaction() // who asks for it is told
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	if _, err = k.Step(context.Background(), c, 1000); !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
}

// overflowRefOf returns where the value of a key lies.
func overflowRefOf(t *testing.T, s *Store, key string) (ref OverflowRef) {
	t.Helper()
	p, c, found, err := s.View().find(DataTree, []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	if !found || c.flags&cellOverflow == 0 {
		t.Fatalf("no overflow value at %q", key)
	}
	defer p.release()
	return parseRef(c.val)
}

func TestVacuumBudgetFollowsWhatIsFree(t *testing.T) {
	for _, c := range []struct{ end, free, written, want int64 }{
		{1000, 10, 0, 512},                  // 4 MiB of 8 KiB
		{1 << 20, 1 << 18, 0, 512},          // a quarter is free: no hurry
		{1 << 20, 1<<18 + 4, 0, 1<<16 + 1},  // more than a quarter
		{1 << 20, 900_000, 100, 131_072},    // at most 1 GiB
		{1 << 20, 900_000, 90_000, 180_000}, // at most twice what was written
		{1 << 20, 0, 100_000, 25_000},       // a quarter of what was written
	} {
		if got := vacuumBudget(8192, c.end, c.free, c.written); int64(got) != c.want {
			t.Errorf("%+v: got %d", c, got)
		}
	}
}

// TestBitmapPagesAtTheEndAreMoved has bitmap pages far behind everything else, with bits that do not change.
func TestBitmapPagesAtTheEndAreMoved(t *testing.T) {
	s := mustCreate(t, vfs.NewMem(), 4096)
	const far = 9000
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Merge(context.Background(), DataTree, slices.Values(sequentialEdits(100, 100)), nil); err != nil {
		t.Fatal(err)
	}
	if c.err = c.w.flush(); c.err != nil {
		t.Fatal(c.err)
	}
	c.alloc.low = far
	if _, err := c.Commit(Meta{}); err != nil {
		t.Fatal(err)
	}
	if at := s.mu.durable.chunks[0].page; at < far {
		t.Fatalf("the bitmap is at page %d", at)
	}
	for range 3 {
		c, err := s.Begin()
		if err != nil {
			t.Fatal(err)
		}
		c.moving = &vacuum{c: c, from: far}
		if _, err := c.Commit(Meta{}); err != nil {
			t.Fatal(err)
		}
	}
	mustCheck(t, s)
	v := s.mu.durable
	if v.chunks[0].page >= far || v.sb.index[0].page >= far || v.sb.end >= far {
		t.Fatalf("bitmap at %v, index at %v, end at %d", v.chunks, v.sb.index, v.sb.end)
	}
}
