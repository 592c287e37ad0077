package pagestore

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// routersOf returns the routers of a view, and the bytes that they take.
func routersOf(v *View) (list []*router, bytes int64) {
	for t := range v.routers {
		if r := v.routers[t].router.Load(); r != nil {
			list = append(list, r)
		}
	}
	for i := 0; i < len(list); i++ {
		for k := range list[i].below {
			if r := list[i].below[k].router.Load(); r != nil {
				list = append(list, r)
			}
		}
	}
	for _, r := range list {
		_, size := newRouter(r.nd.b, len(r.below)) // a level above 1 has children with routers
		bytes += size
	}
	return list, bytes
}

// warmUp reads until everything has a router that may have one.
func warmUp(t *testing.T, v *View, m model) {
	t.Helper()
	for range 2 {
		compareGets(t, v, m)
	}
}

func TestReadsGoThroughRouters(t *testing.T) {
	s, m := readable(t), model{}
	edits := sequentialEdits(20_000, 60)
	v := commit(t, s, edits)
	m.edit(edits)
	warmUp(t, v, m)
	list, bytes := routersOf(v)
	d := census(t, v, DataTree)
	if v.sb.trees[DataTree].height != 3 || len(list) != d.nodes+1 || bytes != v.routing.Load() {
		t.Fatalf("%d routers of %d nodes, %d bytes, %d are counted", len(list), d.nodes+1, bytes, v.routing.Load())
	}
	hints := 0
	for _, r := range list {
		for i := range r.ways {
			if r.below == nil && r.ways[i].frame.Load() != 0 {
				hints++
			}
		}
	}
	if hints != len(d.leaves) {
		t.Fatalf("the frames of %d of %d leaves are known", hints, len(d.leaves))
	}
	compareScan(t, v, DataTree, m)
}

// TestWrongHintsChangeNothing leads all ways to frames of other leaves, of no page, and of pages that were evicted.
func TestWrongHintsChangeNothing(t *testing.T) {
	s, m := readable(t), model{}
	edits := sequentialEdits(5000, 60)
	commit(t, s, edits)
	some := everyEdit(edits, 100, 2)
	v := commit(t, s, some)
	m.edit(edits)
	m.edit(some)
	warmUp(t, v, m)
	rng := rand.New(rand.NewPCG(3, 4))
	for range 4 {
		list, _ := routersOf(v)
		for _, r := range list {
			for i := range r.ways {
				r.ways[i].frame.Store(rng.Uint32N(uint32(len(s.cache.frames))))
			}
		}
		compareScan(t, v, DataTree, m)
		compareGets(t, v, m)
		for range 200 { // what a hint leads to is then in the table no more, or another page's
			if i := s.cache.evict(); i != 0 {
				s.cache.giveBack(i)
			}
		}
		compareGets(t, v, m)
		compareScan(t, v, DataTree, m)
		s.cache.verify(t)
	}
}

// TestRoutersKeepToTheirMemory has a cache of which the routers' share is less than one of them takes, and one for a few.
func TestRoutersKeepToTheirMemory(t *testing.T) {
	s, m := readable(t), model{}
	edits := sequentialEdits(20_000, 60)
	commit(t, s, edits)
	m.edit(edits)
	for _, limit := range []int64{0, 20_000} {
		s.cache.routing = limit
		v := commit(t, s, nil)
		warmUp(t, v, m)
		compareScan(t, v, DataTree, m)
		_, bytes := routersOf(v)
		if most := limit + 10_000; bytes > most || limit == 0 && bytes > 0 || limit > 0 && bytes == 0 {
			t.Fatalf("routers take %d bytes where %d are allowed", bytes, limit)
		}
	}
}

// TestRoutersOfAnOldViewNeverAnswerWrongly keeps views through checkpoints that rewrite everything, in a cache that is too small to
// hide it.
func TestRoutersOfAnOldViewNeverAnswerWrongly(t *testing.T) {
	s := mustCreate(t, vfs.NewMem(), 4096)
	const n = 6000
	write := func(seed uint64) *View {
		edits := sequentialEdits(n, 0)
		for k := range edits {
			edits[k].Value = pattern(150, seed*n+uint64(k))
		}
		return commit(t, s, edits)
	}
	read := func(v *View, seed uint64) (stale int) {
		for k := range uint64(n) {
			got, _, found, err := v.Get(DataTree, roundKey(k), nil)
			switch {
			case errors.Is(err, ErrStale):
				stale++
			case err != nil || !found || string(got) != string(pattern(150, seed*n+k)):
				t.Fatalf("record %d of view %d: %d bytes, %v, %v", k, seed, len(got), found, err)
			}
		}
		return stale
	}
	v := write(0)
	read(v, 0)
	if list, _ := routersOf(v); len(list) == 0 {
		t.Fatal("no routers")
	}
	for seed := uint64(1); seed < 5; seed++ {
		now := write(seed)
		read(now, seed)
		if stale := read(v, 0); (stale > 0) != (seed >= 3) {
			t.Fatalf("%d reads are stale after %d checkpoints", stale, seed)
		}
	}
}

// TestDamageBehindARouterIsCorruption damages a leaf after its view has got routers.
func TestDamageBehindARouterIsCorruption(t *testing.T) {
	mem := vfs.NewMem()
	s := mustCreate(t, mem, 4096)
	commit(t, s, sequentialEdits(3000, 100))
	_ = s.Close()
	s = openAt(t, mem)
	defer func() { _ = s.Close() }()
	v := s.View()
	key := roundKey(1500)
	for range 2 * passesForRouter {
		if _, _, found, err := v.Get(DataTree, key, nil); !found || err != nil {
			t.Fatal(found, err)
		}
	}
	pl, err := v.leaf(DataTree, key)
	if err != nil || pl.frame == nil || pl.frame.Load() == 0 {
		t.Fatalf("%+v, %v", pl, err)
	}
	damage(t, mem, int64(pl.ref.page)*4096+200, []byte{1, 2, 3})
	for i := range s.cache.frames[1:] {
		f := &s.cache.frames[i+1]
		if st := f.state.Load(); st&frameValid != 0 && f.state.CompareAndSwap(st, frameBusy) {
			s.cache.detach(uint32(i + 1))
			s.cache.giveBack(uint32(i + 1))
		}
	}
	c := v.Cursor(DataTree)
	defer c.Close()
	if _, _, _, err := v.Get(DataTree, key, nil); !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
	if c.Seek(key) || !errors.Is(c.Err(), ErrCorrupt) {
		t.Fatal(c.Err())
	}
	_ = s.Close()
	if _, _, _, err := v.Get(DataTree, key, nil); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if c.Seek(key) || !errors.Is(c.Err(), ErrClosed) {
		t.Fatal(c.Err())
	}
}

// Views that are kept keep no routers, however many there are.
func TestTheSecondCheckpointTakesTheRoutersOfAView(t *testing.T) {
	s, m := readable(t), model{}
	edits := sequentialEdits(20_000, 60)
	v := commit(t, s, edits)
	m.edit(edits)
	warmUp(t, v, m)
	commit(t, s, sequentialEdits(1, 61))
	if list, _ := routersOf(v); len(list) == 0 {
		t.Fatal("the first checkpoint took the routers of a view that is still protected")
	}
	c := v.Cursor(DataTree)
	if !c.First() { // through a router
		t.Fatal(c.Err())
	}
	commit(t, s, sequentialEdits(1, 62))
	for range 2 * passesForRouter { // it may be stale by now, and says so then
		if _, _, _, err := v.Get(DataTree, edits[0].Key, nil); err != nil && !errors.Is(err, ErrStale) {
			t.Fatal(err)
		}
	}
	if list, _ := routersOf(v); len(list) != 0 {
		t.Errorf("a view before the last two has %d routers", len(list))
	}
	if c.Next(); c.Err() != nil && !errors.Is(c.Err(), ErrStale) {
		t.Error(c.Err())
	}
}
