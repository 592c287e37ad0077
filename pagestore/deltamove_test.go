package pagestore

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// withDeltas returns a store whose leaves have deltas in both trees, large values in some of them and instead of others.
func withDeltas(t *testing.T, mem *vfs.Mem) *sparse {
	sp := &sparse{mem: mem, s: mustCreate(t, mem, 4096), trees: [NumTrees]model{{}, {}}}
	edits := sequentialEdits(3000, 100)
	for i := 7; i < len(edits); i += 75 {
		edits[i].Value = pattern(3000, uint64(i))
	}
	some := everyEdit(edits, 15, 2) // the large ones among them
	for i := range some {
		switch i % 5 {
		case 0:
			some[i].Value = pattern(50, uint64(i))
		case 2:
			some[i].Value = pattern(5000, uint64(i))
		case 3:
			some[i].Value, some[i].Delete = nil, true
		}
	}
	sp.commit(t, [NumTrees][]Edit{edits, edits[:1000]}, nil)
	sp.commit(t, [NumTrees][]Edit{some, some[:66]}, nil)
	for tree := range TreeID(NumTrees) {
		if len(census(t, sp.s.View(), tree).withDelta()) < 20 {
			t.Fatalf("few leaves of tree %d have deltas", tree)
		}
	}
	return sp
}

// TestSpaceCountsDeltaPages follows them from checkpoint to checkpoint, and counts them in a file that does not say how
// many there are.
func TestSpaceCountsDeltaPages(t *testing.T) {
	mem := vfs.NewMem()
	sp := withDeltas(t, mem)
	counted := mustAddUp(t, sp.s).Trees
	for tree := range TreeID(NumTrees) {
		if want := int64(len(census(t, sp.s.View(), tree).pages)) * 4096; counted[tree].Deltas != want || want == 0 {
			t.Fatalf("tree %d has %d bytes of delta pages, %d are counted", tree, want, counted[tree].Deltas)
		}
	}
	slot := sp.s.mu.durable.slot
	_ = sp.s.Close()
	super := contents(t, mem)[slot*4096:][:superSize]
	clear(super[sbSpace : sbDeltas+8*NumTrees])
	seal(super, 0)
	damage(t, mem, int64(slot)*4096, super)
	sp.s = openAt(t, mem)
	defer func() { _ = sp.s.Close() }()
	if sp.s.View().sb.counted(DataTree) {
		t.Fatal("the file says how many pages its trees have")
	}
	if walked := mustAddUp(t, sp.s).Trees; walked != counted {
		t.Fatalf("walk says %+v, the superblock said %+v", walked, counted)
	}
	sp.commit(t, noEdits(0), nil)
	if again := mustAddUp(t, sp.s).Trees; again != counted || !sp.s.View().sb.counted(DataTree) {
		t.Fatalf("counted anew: %+v, were %+v", again, counted)
	}
	sp.verify(t)
}

// TestVacuumMovesLargeValuesOfDeltas leaves a hole in front of values to which only deltas lead.
func TestVacuumMovesLargeValuesOfDeltas(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	edits := sequentialEdits(20_000, 100)
	committed(t, s, m, edits)
	const far = 3000
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	c.alloc.low, c.alloc.lowRun = far, map[int]PageID{3: far}
	some := everyEdit(edits, 40, 2)
	for i := range some {
		if i%9 == 0 {
			some[i].Value = pattern(9000, uint64(i))
		}
	}
	if err := c.Merge(t.Context(), DataTree, slices.Values(some), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Commit(Meta{}); err != nil {
		t.Fatal(err)
	}
	m.edit(some)
	end := func() (pages PageID) {
		for i := range some {
			if i%9 == 0 {
				pages = max(pages, overflowRefOf(t, s, string(some[i].Key)).Page)
			}
		}
		return pages
	}
	if end() < far {
		t.Fatal("the values are not at the end")
	}
	for range 6 {
		vacuumed(t, s, nil, 300)
		compareScan(t, s.View(), DataTree, m)
	}
	if end() >= far {
		t.Fatalf("a value is still at page %d", end())
	}
	if n := len(census(t, s.View(), DataTree).withDelta()); n < 300 {
		t.Fatalf("only %d leaves have kept their deltas", n)
	}
}

// TestRowsWithDeltaPagesAreEmptied makes room for a long value where delta pages lie, one in each possible row.
func TestRowsWithDeltaPagesAreEmptied(t *testing.T) {
	sp := withDeltas(t, vfs.NewMem())
	for tree := range TreeID(NumTrees) {
		for page := range census(t, sp.s.View(), tree).pages {
			births := func() (births []uint64) {
				for _, ch := range census(t, sp.s.View(), tree).withDelta() {
					if ch.delta.page == page {
						births = append(births, ch.delta.birth)
					}
				}
				return births
			}
			before := births()
			if len(before) == 0 {
				continue // it has moved with another one
			}
			sp.commit(t, noEdits(0), func(c *Checkpoint) {
				v := &vacuum{c: c, from: c.alloc.next.end(), room: 100, rows: []keptRow{{page, 1}}}
				if v.findNodes() || len(v.nodes) != 1 || v.nodes[0].task.delta != page {
					t.Fatalf("page %d is taken for %+v", page, v.nodes)
				}
				v.placeNodes()
				if err := c.moveTree(t.Context(), tree, v.tasks[tree], false); err != nil || c.leaves > 0 {
					t.Fatalf("%d leaves were written with a delta page: %v", c.leaves, err)
				}
			})
			if now := births(); len(now) > 0 {
				t.Fatalf("page %d is in use with births %v, had %v", page, now, before)
			}
			sp.verify(t)
		}
	}
}

// TestCompactionLeavesNoDeltas compares with a fresh load.
func TestCompactionLeavesNoDeltas(t *testing.T) {
	for _, maxPages := range []int{20, 1 << 20} {
		sp := withDeltas(t, vfs.NewMem())
		sp.compact(t, maxPages, noEdits)
		sp.verify(t)
		space := mustAddUp(t, sp.s)
		for tree := range space.Trees {
			if space.Trees[tree].Deltas > 0 {
				t.Fatalf("tree %d has deltas: %+v", tree, space)
			}
		}
		after, fresh := fileSize(t, sp.s, sp.mem), sp.freshBytes(t, 4096)
		if after > fresh*21/20+8*4096 {
			t.Fatalf("%d bytes after, %d fresh; %+v", after, fresh, space)
		}
	}
}

// TestFileWithDeltasShrinks deletes nine tenths of a file all of whose leaves have deltas, while edits make new ones.
func TestFileWithDeltasShrinks(t *testing.T) {
	for name, survives := range map[string]func(k int) bool{
		"first":     func(k int) bool { return k < 2000 },
		"last":      func(k int) bool { return k >= 18_000 },
		"clustered": func(k int) bool { return k/1000%10 == 7 },
	} {
		t.Run(name, func(t *testing.T) {
			s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
			edits := sequentialEdits(20_000, 100)
			autoVacuumed(t, s, edits)
			autoVacuumed(t, s, everyEdit(edits, 15, 2))
			m.edit(edits)
			m.edit(everyEdit(edits, 15, 2))
			var left, deletes []Edit
			for k, e := range edits {
				if survives(k) {
					left = append(left, e)
				} else {
					deletes = append(deletes, Edit{Key: e.Key, Delete: true})
				}
			}
			autoVacuumed(t, s, deletes)
			m.edit(deletes)
			full := s.Metrics().FileBytes
			for round := range 6 {
				some := everyEdit(left, 300+round, uint64(round+3))
				autoVacuumed(t, s, some)
				m.edit(some)
				mustCheck(t, s)
			}
			compareScan(t, s.View(), DataTree, m)
			if len(census(t, s.View(), DataTree).pages) == 0 {
				t.Fatal("no leaf has a delta")
			}
			if met := s.Metrics(); met.FileBytes > met.LiveBytes*3/2+16*4096 {
				t.Fatalf("file had %d bytes and has %d with %d live; %+v", full, met.FileBytes, met.LiveBytes, mustAddUp(t, s))
			}
		})
	}
}

// scribbled yields edits through one buffer each for keys and values, and overwrites them before the next edit.
func scribbled(edits []Edit) iter.Seq[Edit] {
	var key, value []byte
	return func(yield func(Edit) bool) {
		for _, e := range edits {
			key, value = append(key[:0], e.Key...), append(value[:0], e.Value...)
			ok := yield(Edit{Key: key, Value: value, Timestamp: e.Timestamp, Delete: e.Delete, Ref: e.Ref})
			for _, b := range [][]byte{key, value} {
				for i := range b {
					b[i] = 0xdd
				}
			}
			if !ok {
				return
			}
		}
	}
}

// TestMergeKeepsNothingOfAnEditBehindTheNext hands edits over in buffers that are used again: edits that become deltas,
// that join deltas, that are too many for one, and that build leaves anew. Who replaces or deletes a record shows it once,
// whether it lies in a leaf or a delta, and before the next edit is asked for.
func TestMergeKeepsNothingOfAnEditBehindTheNext(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	edits := sequentialEdits(4000, 70)
	committed(t, s, m, edits)
	deltas, leaves := int64(0), int64(0)
	for round, stride := range []int{20, 20, 7, 31, 3, 20, 2, 29, 1, 20} {
		some := everyEdit(edits, stride, uint64(round+2))
		for i := range some {
			switch (i + round) % 6 {
			case 0:
				some[i].Value = pattern(1500, uint64(i))
			case 2:
				some[i].Value, some[i].Delete = nil, true
			case 4:
				some[i].Key = append(bytes.Clone(some[i].Key), fmt.Sprint("/", round)...)
			}
		}
		st := supersededOnce(t, s, m, sortEdits(some))
		deltas, leaves = deltas+st.DeltaPages, leaves+st.LeavesRewritten
		m.edit(some)
		mustCheck(t, s)
		compareScan(t, s.View(), DataTree, m)
	}
	if deltas == 0 || leaves == 0 {
		t.Fatalf("%d delta pages and %d leaves were written", deltas, leaves)
	}
}

// supersededOnce merges scribbled edits and compares what superseded sees.
func supersededOnce(t *testing.T, s *Store, m model, some []Edit) CheckpointStats {
	t.Helper()
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	at, shown := -1, 0
	pulled := func(yield func(Edit) bool) {
		for e := range scribbled(some) {
			at++
			if before := shown; !yield(e) {
				return
			} else if _, ok := m[string(some[at].Key)]; ok != (shown == before+1) || shown > before+1 {
				t.Fatalf("edit %d of %q showed %d records, there is one: %v", at, some[at].Key, shown-before, ok)
			}
		}
	}
	err = c.Merge(context.Background(), DataTree, pulled, func(r Record) bool {
		shown++
		e, ok := m[string(r.Key)]
		if !ok || !bytes.Equal(r.Key, some[at].Key) || e.ts != r.Timestamp || r.Ref.Size == 0 && string(r.Value) != e.value {
			t.Fatalf("edit %d of %q showed %q at %d", at, some[at].Key, r.Key, r.Timestamp)
		}
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Commit(Meta{}); err != nil {
		t.Fatal(err)
	}
	return c.Stats()
}
