package pagestore

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// mustAddUp demands that the parts of the file are its length.
func mustAddUp(t fataler, s *Store) Space {
	t.Helper()
	sp, err := s.Space(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	sum := sp.Superblocks + sp.Bitmaps + sp.Free + sp.Protected + sp.Tail
	for _, tree := range sp.Trees {
		sum += tree.Leaves + tree.Deltas + tree.Inner + tree.Overflow
	}
	if sum != sp.File || min(sp.Bitmaps, sp.Free, sp.Protected, sp.Tail) < 0 {
		t.Fatalf("parts add up to %d bytes of %d: %+v", sum, sp.File, sp)
	}
	return sp
}

func TestSpaceFollowsPagesThroughTheirLife(t *testing.T) {
	mem := vfs.NewMem()
	s := mustCreate(t, mem, 4096)
	empty := mustAddUp(t, s)
	if want := (Space{File: 8192, Superblocks: 8192}); empty != want {
		t.Fatalf("an empty file has %+v", empty)
	}
	edits := append(sequentialEdits(2000, 100), Edit{Key: []byte("z"), Value: pattern(2*runBytes, 1)})
	commit(t, s, edits)
	full := mustAddUp(t, s)
	data := full.Trees[DataTree]
	if data.Overflow != (2*256+1)*4096 || data.Inner < 4096 || data.Leaves < 2000*100 || full.Trees[HistoryTree] != (TreeSpace{}) ||
		full.Bitmaps != 2*4096 || full.Free != 0 || full.Protected != 0 || full.Tail == 0 {
		t.Fatalf("%+v", full)
	}
	for i := range edits {
		edits[i] = Edit{Key: edits[i].Key, Delete: true}
	}
	commit(t, s, edits)
	deleted := mustAddUp(t, s)
	if deleted.Trees[DataTree] != (TreeSpace{}) || deleted.Protected < data.Leaves+data.Inner+data.Overflow {
		t.Fatalf("pages of the older version are not counted as protected: %+v", deleted)
	}
	commit(t, s, nil)
	if freed := mustAddUp(t, s); freed.Protected > 4*4096 || freed.Free+freed.Tail < 4*4096 {
		t.Fatalf("pages are protected for ever: %+v", freed)
	}
}

func TestCheckFindsStalePageCounts(t *testing.T) {
	for part := range 4 * NumTrees { // the counts of delta pages follow the others
		mem := vfs.NewMem()
		data, history := goldenEdits()
		s := mustCreate(t, mem, 4096)
		goldenCheckpoint(t, s, data, history)
		slot := s.mu.durable.slot
		_ = s.Close()
		super := contents(t, mem)[slot*4096:][:superSize]
		at := super[sbSpace+8*part:]
		binary.LittleEndian.PutUint64(at, binary.LittleEndian.Uint64(at)+1)
		seal(super, 0)
		damage(t, mem, int64(slot)*4096, super)
		s = openAt(t, mem)
		rep, err := s.Check(context.Background(), nil)
		if err != nil || len(rep.Problems) != 1 || !errors.Is(rep.Problems[0], ErrCorrupt) {
			t.Fatalf("part %d: %v, %v", part, rep.Problems, err)
		}
		_ = s.Close()
	}
}

// TestUncountedFilesAreCounted reads a file whose superblocks do not count pages: by a walk at first, and from the
// superblock after the next checkpoint, which must not have taken the walk's place at the wrong moment.
func TestUncountedFilesAreCounted(t *testing.T) {
	mem := memWith(t, readGzip(t, "testdata/v1-uncounted.db.gz"))
	s := openAt(t, mem)
	defer func() { _ = s.Close() }()
	if s.View().sb.counted(DataTree) {
		t.Fatal("the file says how many pages its trees have")
	}
	walked := mustAddUp(t, s)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Space(cancelled); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	commit(t, s, nil)
	counted := mustAddUp(t, s)
	if counted.Trees != walked.Trees || !s.View().sb.counted(DataTree) || !s.View().sb.counted(HistoryTree) {
		t.Fatalf("walk says %+v, the superblock %+v", walked.Trees, counted.Trees)
	}
	mustCheck(t, s)
}

func TestUncountedTreesThatAreEmptied(t *testing.T) {
	for name, empty := range map[string]func(*Checkpoint) error{
		"merge": func(c *Checkpoint) error {
			data, _ := goldenEdits()
			return c.Merge(context.Background(), DataTree, func(yield func(Edit) bool) {
				for _, e := range data {
					if !yield(Edit{Key: e.Key, Delete: true}) {
						return
					}
				}
			}, nil)
		},
		"clear": func(c *Checkpoint) error { return c.Clear(DataTree) },
	} {
		t.Run(name, func(t *testing.T) {
			s := openAt(t, memWith(t, readGzip(t, "testdata/v1-uncounted.db.gz")))
			defer func() { _ = s.Close() }()
			c, err := s.Begin()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Abort()
			if err := empty(c); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Commit(Meta{}); err != nil {
				t.Fatal(err)
			}
			mustCheck(t, s)
			if sp := mustAddUp(t, s); sp.Trees[DataTree] != (TreeSpace{}) || sp.Trees[HistoryTree] == (TreeSpace{}) {
				t.Fatalf("%+v", sp)
			}
		})
	}
}

func TestSpaceOfAReadOnlyAndOfAClosedStore(t *testing.T) {
	mem := vfs.NewMem()
	s := mustCreate(t, mem, 4096)
	commit(t, s, sequentialEdits(500, 100))
	commit(t, s, sequentialEdits(200, 90))
	want := mustAddUp(t, s)
	_ = s.Close()
	if _, err := s.Space(context.Background()); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	r, err := Open("db", Options{FS: mem, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if got := mustAddUp(t, r); got != want {
		t.Fatalf("a read-only store says %+v, the writer said %+v", got, want)
	}
}
