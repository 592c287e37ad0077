package pagestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// deltaCensus is what a tree has of deltas.
type deltaCensus struct {
	nodes  int // of level 1
	leaves []child
	pages  map[PageID]int // delta pages and how many leaves lead to each
}

func (d *deltaCensus) withDelta() (leaves []child) {
	for _, ch := range d.leaves {
		if ch.delta.page != 0 {
			leaves = append(leaves, ch)
		}
	}
	return leaves
}

func census(t fataler, v *View, tree TreeID) *deltaCensus {
	t.Helper()
	d := &deltaCensus{pages: map[PageID]int{}}
	root := v.sb.trees[tree]
	nodes := []child{{childRef: root.childRef}}
	for level := root.height - 1; level > 0; level-- {
		var below []child
		for _, ch := range nodes {
			p, err := v.s.fetch(v, ch.childRef, tree, level)
			if err != nil {
				t.Fatal(err)
			}
			nd := asNode(p.b)
			for i := range nd.n {
				below = append(below, nd.child(i))
			}
			p.release()
		}
		d.nodes, nodes = len(nodes), below
	}
	if root.height > 0 {
		d.leaves = nodes
	}
	for _, ch := range d.withDelta() {
		d.pages[ch.delta.page]++
	}
	return d
}

func (m model) edit(edits []Edit) {
	for _, e := range edits {
		if e.Delete {
			delete(m, string(e.Key))
		} else {
			m[string(e.Key)] = entry{string(e.Value), e.Timestamp}
		}
	}
}

// committed applies edits and compares everything with the model.
func committed(t *testing.T, s *Store, m model, edits []Edit) CheckpointStats {
	t.Helper()
	st := quietly(t, s, edits)
	m.edit(edits)
	mustCheck(t, s)
	compareScan(t, s.View(), DataTree, m)
	return st
}

func quietly(t fataler, s *Store, edits []Edit) CheckpointStats {
	t.Helper()
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	if err := c.Merge(context.Background(), DataTree, slices.Values(edits), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Commit(Meta{}); err != nil {
		t.Fatal(err)
	}
	return c.Stats()
}

// everyEdit picks each nth of the edits and gives it another value.
func everyEdit(edits []Edit, n int, seed uint64) (some []Edit) {
	for i := n / 2; i < len(edits); i += n {
		e := edits[i]
		e.Value, e.Timestamp = pattern(len(e.Value), seed*1_000_003+uint64(i)), seed
		some = append(some, e)
	}
	return some
}

// TestFewEditsOfALeafBecomeItsDelta changes two records of each leaf: no leaf is written.
func TestFewEditsOfALeafBecomeItsDelta(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	edits := sequentialEdits(20_000, 100)
	committed(t, s, m, edits)
	some := everyEdit(edits, 17, 2)
	st := committed(t, s, m, some)
	d := census(t, s.View(), DataTree)
	if st.LeavesRewritten != 0 || len(d.withDelta()) != len(d.leaves) || int(st.DeltaPages) != len(d.pages) {
		t.Fatalf("%+v: %d of %d leaves have deltas in %d pages", st, len(d.withDelta()), len(d.leaves), len(d.pages))
	}
	if st.BytesWritten > 3*rawBytes(some) {
		t.Fatalf("%d bytes written for %d changed ones", st.BytesWritten, rawBytes(some))
	}
}

// TestDeltasBoundWhatSparseEditsWrite goes on with random edits until leaves have been written anew several times, and
// compares with a store that makes no deltas.
func TestDeltasBoundWhatSparseEditsWrite(t *testing.T) {
	written := func(limit bool) float64 {
		s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
		if !limit {
			s.deltaLimit = 0
		}
		edits := sequentialEdits(15_000, 100)
		quietly(t, s, edits)
		m.edit(edits)
		rng := rand.New(rand.NewPCG(7, 7))
		var bytes, raw int64
		for round := range uint64(60) {
			var some []Edit
			for _, k := range rng.Perm(len(edits))[:150] {
				some = append(some, edits[k])
			}
			some = sortEdits(everyEdit(some, 1, round+2))
			if st := quietly(t, s, some); round >= 30 {
				bytes, raw = bytes+st.BytesWritten, raw+rawBytes(some)
			}
			m.edit(some)
		}
		mustCheck(t, s)
		compareScan(t, s.View(), DataTree, m)
		return float64(bytes) / float64(raw)
	}
	with, without := written(true), written(false)
	t.Logf("bytes written per changed byte: %.1f, %.1f without deltas", with, without)
	if with > without/2 {
		t.Fatal("deltas save less than a half")
	}
}

func TestReadsOfDeltasDoNotAllocate(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	edits := sequentialEdits(2000, 100)
	committed(t, s, m, edits)
	committed(t, s, m, everyEdit(edits, 15, 2))
	v, dst := s.View(), make([]byte, 0, 200)
	c := v.Cursor(DataTree)
	defer c.Close()
	warmUp(t, v, m)
	for _, images := range []bool{true, false} {
		if !images {
			withoutImages(t, v)
		}
		allocationsOf(t, v, c, edits, dst)
	}
}

func allocationsOf(t *testing.T, v *View, c *Cursor, edits []Edit, dst []byte) {
	t.Helper()
	n := testing.AllocsPerRun(3, func() { // the run in which buffers grow does not count
		for _, e := range edits[:200] {
			if _, _, found, err := v.Get(DataTree, e.Key, dst); !found || err != nil {
				t.Fatal(found, err)
			}
		}
		for ok := c.First(); ok; ok = c.Next() {
		}
		for ok := c.Last(); ok; ok = c.Prev() {
		}
	})
	if n > 0 {
		t.Fatalf("%v allocations", n)
	}
}

// TestTheLastLeafOfAGrowingTreeHasNoDelta appends a few records at a time.
func TestTheLastLeafOfAGrowingTreeHasNoDelta(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	edits := sequentialEdits(1000, 100)
	committed(t, s, m, edits[:800])
	for part := range slices.Chunk(edits[800:], 3) {
		committed(t, s, m, part)
		if len(census(t, s.View(), DataTree).pages) > 0 {
			t.Fatal("an appended record is in a delta")
		}
	}
}

// TestDeltasThatWaitTakeBoundedMemory lets a few deltas be too many.
func TestDeltasThatWaitTakeBoundedMemory(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	s.deltaMemory = 10_000
	edits := sequentialEdits(9000, 100)
	committed(t, s, m, edits)
	st := committed(t, s, m, everyEdit(edits, 17, 2))
	if st.LeavesRewritten == 0 || st.DeltaPages == 0 {
		t.Fatalf("%+v", st)
	}
}

// TestRecordsThatAlwaysChangeStayInTheDelta changes the same records again and again.
func TestRecordsThatAlwaysChangeStayInTheDelta(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	edits := sequentialEdits(3000, 100)
	committed(t, s, m, edits)
	for round := range uint64(12) {
		if st := committed(t, s, m, everyEdit(edits, 8, round+2)); st.LeavesRewritten != 0 {
			t.Fatalf("round %d: %+v", round, st)
		}
	}
}

// TestDeltasOfEveryKind puts and deletes in all places of the leaves: records that the leaf has, has not, that the delta
// has replaced, added or deleted, and large values among them.
func TestDeltasOfEveryKind(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	committed(t, s, m, sequentialEdits(2000, 60))
	rng := rand.New(rand.NewPCG(3, 3))
	rounds := uint64(60)
	if testing.Short() {
		rounds = 20
	}
	for round := range rounds {
		var edits []Edit
		for range 25 {
			e := Edit{Key: roundKey(rng.Uint64N(2000)), Value: pattern(60, rng.Uint64()), Timestamp: rng.Uint64N(1000)}
			switch rng.IntN(8) {
			case 0, 1:
				e.Key = append(e.Key, 'a'+byte(rng.IntN(3)))
			case 2:
				e.Value = pattern(3000, rng.Uint64())
			case 3, 4:
				e.Value, e.Delete = nil, true
			case 5:
				e.Key, e.Value, e.Delete = append(e.Key, 'a'+byte(rng.IntN(3))), nil, true
			}
			edits = append(edits, e)
		}
		committed(t, s, m, sortEdits(edits))
		if round%10 == 0 && len(census(t, s.View(), DataTree).withDelta()) == 0 {
			t.Fatal("no leaf has a delta")
		}
		readEach(t, s.View(), m)
	}
}

// readEach asks for every record, and for keys between them.
func readEach(t *testing.T, v *View, m model) {
	t.Helper()
	c := v.Cursor(DataTree)
	defer c.Close()
	for k := range uint64(2000) {
		for _, end := range []string{"", "a", "b", "c", "d"} {
			key := append(roundKey(k), end...)
			e, want := m[string(key)]
			got, ts, found, err := v.Get(DataTree, key, nil)
			if err != nil || found != want || string(got) != e.value || ts != e.ts {
				t.Fatalf("Get(%q) = %d bytes at %d, %v, %v", key, len(got), ts, found, err)
			}
			if c.Seek(key) != (c.Err() == nil && c.Key() != nil) || want && string(c.Key()) != string(key) {
				t.Fatalf("Seek(%q) is at %q, %v", key, c.Key(), c.Err())
			}
			if c.SeekLT(key) && c.Next() && want && string(c.Key()) != string(key) {
				t.Fatalf("the key behind SeekLT(%q) is %q", key, c.Key())
			}
		}
	}
}

// TestCursorsTurnAroundInDeltas walks to and fro across records of leaves and deltas.
func TestCursorsTurnAroundInDeltas(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	edits := sequentialEdits(600, 60)
	committed(t, s, m, edits)
	var some []Edit
	for i := 5; i+2 < len(edits); i += 9 {
		some = append(some, Edit{Key: edits[i].Key, Delete: true}, everyEdit(edits[i+1:i+2], 1, 4)[0],
			Edit{Key: append(slices.Clone(edits[i+2].Key), 'x'), Value: []byte("between"), Timestamp: 9})
	}
	committed(t, s, m, some)
	keys := m.keys()
	c := s.View().Cursor(DataTree)
	defer c.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	at := 0
	c.First()
	for range 20_000 {
		step := rng.IntN(2)*2 - 1
		if at+step < 0 || at+step >= len(keys) {
			step = -step
		}
		at += step
		if ok := step > 0 && c.Next() || step < 0 && c.Prev(); !ok {
			t.Fatalf("no move by %d to %q: %v", step, keys[at], c.Err())
		}
		compareRecord(t, c, keys, at, m)
	}
}

// TestSupersededSeesRecordsOfDeltas replaces and deletes records that lie in deltas, large ones too.
func TestSupersededSeesRecordsOfDeltas(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	edits := sequentialEdits(3000, 60)
	committed(t, s, m, edits)
	for round := range uint64(6) {
		some := everyEdit(edits, 13, round+2)
		for i := range some {
			switch (uint64(i) + round) % 4 {
			case 0:
				some[i].Value = pattern(2000, round)
			case 1:
				some[i].Value, some[i].Delete = nil, true
			}
		}
		c, err := s.Begin()
		if err != nil {
			t.Fatal(err)
		}
		want, seen := 0, map[string]bool{}
		for _, e := range some {
			if _, ok := m[string(e.Key)]; ok {
				want++
			}
		}
		err = c.Merge(t.Context(), DataTree, slices.Values(some), func(r Record) bool {
			e, ok := m[string(r.Key)]
			if seen[string(r.Key)] || !ok || e.ts != r.Timestamp || r.Ref.Size == 0 && string(r.Value) != e.value {
				t.Fatalf("saw %q at %d", r.Key, r.Timestamp)
			}
			seen[string(r.Key)] = true
			return false
		})
		if err != nil || len(seen) != want {
			t.Fatalf("saw %d records of %d: %v", len(seen), want, err)
		}
		if _, err := c.Commit(Meta{}); err != nil {
			t.Fatal(err)
		}
		m.edit(some)
		mustCheck(t, s)
		compareScan(t, s.View(), DataTree, m)
	}
}

// TestNewestTimestampIsExactBesideDeltas replaces the newest record of each leaf by an older one, so that ranges that
// Newer skipped or read before are to be told apart anew.
func TestNewestTimestampIsExactBesideDeltas(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	edits := sequentialEdits(3000, 100)
	for i := range edits {
		if i%16 == 8 {
			edits[i].Timestamp = 50 + uint64(i)
		}
	}
	committed(t, s, m, edits)
	some := everyEdit(edits, 16, 7)
	if some[0].Key[len(some[0].Key)-1] != '8' {
		t.Fatal("the newest records are not the changed ones")
	}
	committed(t, s, m, some)
	v := s.View()
	if v.MaxTimestamp(DataTree) != 7 {
		t.Fatalf("newest timestamp is %d", v.MaxTimestamp(DataTree))
	}
	for _, ch := range census(t, v, DataTree).withDelta() {
		if ch.maxTS != 7 {
			t.Fatalf("leaf %d: newest timestamp is %d", ch.page, ch.maxTS)
		}
	}
	if key, found, err := v.Newer(DataTree, nil, nil, 7); found || err != nil {
		t.Fatalf("found %q, %v", key, err)
	}
	for _, e := range some[:40] {
		after := append(slices.Clone(e.Key), 0)
		if key, found, err := v.Newer(DataTree, e.Key, after, 6); !found || err != nil || string(key) != string(e.Key) {
			t.Fatalf("%q: found %q, %v", e.Key, key, err)
		}
		if key, found, err := v.Newer(DataTree, after, append(slices.Clone(e.Key), 0xff), 0); found || err != nil {
			t.Fatalf("behind %q: found %q, %v", e.Key, key, err)
		}
	}
}

// TestALeafThatIsLeftAloneLosesItsDelta deletes all leaves but one, which has a delta: a root has none.
func TestALeafThatIsLeftAloneLosesItsDelta(t *testing.T) {
	for _, changed := range []bool{false, true} {
		s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
		edits := sequentialEdits(200, 60)
		committed(t, s, m, edits)
		committed(t, s, m, everyEdit(edits, 15, 2))
		first := census(t, s.View(), DataTree).leaves[0]
		if first.delta.page == 0 {
			t.Fatal("the first leaf has no delta")
		}
		var deletes []Edit
		if changed {
			deletes = append(deletes, everyEdit(edits[1:2], 1, 3)...)
		}
		for _, e := range edits[first.count:] {
			deletes = append(deletes, Edit{Key: e.Key, Delete: true})
		}
		committed(t, s, m, deletes)
		if root := s.View().sb.trees[DataTree]; root.height != 1 {
			t.Fatalf("height is %d", root.height)
		}
	}
}

// TestDeltasFollowTheirLeavesToOtherParents inserts so much that level-1 nodes are cut, and deletes so much that they
// are joined, where delta pages that belonged to one node are asked for by two.
func TestDeltasFollowTheirLeavesToOtherParents(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	edits := sequentialEdits(9000, 100)
	committed(t, s, m, edits)
	committed(t, s, m, everyEdit(edits, 17, 2))
	for round := range 8 {
		var some []Edit
		from, n := round*700, 600
		if round < 2 { // more than two nodes' worth of children, so that the first ones are written before the last ones are seen
			from, n = 1000+round*4000, 3500
		}
		for _, e := range edits[from : from+n] {
			if round%3 == 2 {
				some = append(some, Edit{Key: e.Key, Delete: true})
				continue
			}
			for c := range byte(3) {
				e.Key = append(slices.Clone(e.Key), 'a'+c)
				some = append(some, e)
			}
		}
		before := census(t, s.View(), DataTree)
		committed(t, s, m, sortEdits(some))
		after := census(t, s.View(), DataTree)
		if len(after.withDelta()) == 0 || len(before.withDelta()) == 0 {
			t.Fatal("no leaf has a delta")
		}
	}
}

// TestACutNodeSharesNoDeltaPage lets the first node of level 1 grow until it is cut, again and again, while all leaves
// behind keep their deltas: then one delta page would serve both halves.
func TestACutNodeSharesNoDeltaPage(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	edits := sequentialEdits(3000, 100)
	committed(t, s, m, edits)
	committed(t, s, m, everyEdit(edits, 17, 2))
	nodes, moved := census(t, s.View(), DataTree).nodes, 0
	for round := 0; census(t, s.View(), DataTree).nodes < nodes+2; round++ {
		if round > 60 {
			t.Fatal("no node was cut")
		}
		var some []Edit
		for i := range 150 {
			key := fmt.Appendf(nil, "key/000000/%03d/%03d", round, i)
			some = append(some, Edit{Key: key, Value: pattern(100, uint64(i)), Timestamp: 3})
		}
		if st := quietly(t, s, some); st.DeltaPages > 0 {
			moved++
		}
		m.edit(some)
		mustCheck(t, s)
	}
	compareScan(t, s.View(), DataTree, m)
	if moved == 0 {
		t.Fatal("no delta had to be copied: the test tests nothing")
	}
}

// TestClearFreesDeltas empties a tree with deltas and large values in them.
func TestClearFreesDeltas(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	edits := sequentialEdits(3000, 60)
	committed(t, s, m, edits)
	some := everyEdit(edits, 15, 2)
	for i := range some {
		if i%5 == 0 {
			some[i].Value = pattern(3000, uint64(i))
		}
	}
	committed(t, s, m, some)
	for i := range some { // some of the large values go, and lie in the leaves' deltas as dead cells or not at all
		some[i].Value = pattern(50, uint64(i))
	}
	committed(t, s, m, some[:len(some)/2])
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Clear(DataTree); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Commit(Meta{}); err != nil {
		t.Fatal(err)
	}
	if rep := mustCheck(t, s); rep.Pages > 4 {
		t.Fatalf("%d pages are in use", rep.Pages)
	}
}

// TestVacuumMovesDeltaPages makes the end of the file consist of delta pages.
func TestVacuumMovesDeltaPages(t *testing.T) {
	mem := vfs.NewMem()
	s, m := mustCreate(t, mem, 4096), model{}
	edits := sequentialEdits(20_000, 100)
	committed(t, s, m, edits)
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	c.alloc.low = 3000 // leaves a hole
	some := everyEdit(edits, 40, 2)
	if err := c.Merge(t.Context(), DataTree, slices.Values(some), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Commit(Meta{}); err != nil {
		t.Fatal(err)
	}
	m.edit(some)
	for range 6 {
		vacuumed(t, s, nil, 100)
		compareScan(t, s.View(), DataTree, m)
	}
	d := census(t, s.View(), DataTree)
	for page := range d.pages {
		if page >= 3000 {
			t.Fatalf("delta page %d was not moved", page)
		}
	}
	if len(d.withDelta()) < 400 {
		t.Fatalf("only %d leaves have kept their deltas", len(d.withDelta()))
	}
}

// TestSparseDeltaPagesAreEmptied changes ever other leaves, so that old delta pages are left with little in use.
func TestSparseDeltaPagesAreEmptied(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	edits := sequentialEdits(6000, 100)
	committed(t, s, m, edits)
	committed(t, s, m, everyEdit(edits, 34, 2))
	for round := range uint64(11) {
		var some []Edit
		for i := int(round); i < len(edits); i += 34 {
			if uint64(i/34)%12 == round {
				some = append(some, everyEdit(edits[i:i+1], 1, round+3)...)
			}
		}
		committed(t, s, m, some)
	}
	used, d := 0, census(t, s.View(), DataTree)
	for _, ch := range d.withDelta() {
		used += int(ch.delta.size)
	}
	if share := float64(used) / float64(len(d.pages)*4096); share < 0.4 {
		t.Fatalf("%.2f of %d delta pages are in use", share, len(d.pages))
	}
}

// TestAStaleViewNeverTakesAnotherDelta reads an old view whose delta pages were written again.
func TestAStaleViewNeverTakesAnotherDelta(t *testing.T) {
	mem := vfs.NewMem()
	s, m := mustCreate(t, mem, 4096), model{}
	edits := sequentialEdits(20_000, 100)
	committed(t, s, m, edits)
	committed(t, s, m, everyEdit(edits, 40, 2))
	old, was := s.View(), m.apply(nil)
	births, leaves := map[PageID]uint64{}, census(t, old, DataTree).withDelta()
	for _, ch := range leaves {
		births[ch.delta.page] = ch.delta.birth
	}
	reused := func() bool {
		return slices.ContainsFunc(census(t, s.View(), DataTree).withDelta(), func(ch child) bool {
			return births[ch.delta.page] > 0 && births[ch.delta.page] != ch.delta.birth
		})
	}
	for round := uint64(3); !reused(); round++ {
		if round > 20 {
			t.Fatal("no delta page was used again")
		}
		committed(t, s, m, everyEdit(edits, 40, round))
	}
	stale := 0
	for _, ch := range leaves {
		p, _, err := s.fetchDelta(old, ch.delta, DataTree, ch.page)
		if p.release(); errors.Is(err, ErrStale) {
			stale++
		} else if err != nil {
			t.Fatalf("delta page %d of an old view: %v", ch.delta.page, err)
		}
	}
	if stale == 0 {
		t.Fatal("no delta was stale: the test tests nothing")
	}
	for k := range was {
		got, ts, found, err := old.Get(DataTree, []byte(k), nil)
		switch {
		case errors.Is(err, ErrStale):
		case err != nil || !found || string(got) != was[k].value || ts != was[k].ts:
			t.Fatalf("Get(%q) of an old view: %v, %v", k, found, err)
		}
	}
}

// tamper changes a page and makes its checksum right.
func tamper(t *testing.T, mem vfs.FS, page PageID, change func(b []byte)) {
	t.Helper()
	b := slices.Clone(contents(t, mem)[page*4096 : (page+1)*4096])
	change(b)
	seal(b, checksumSeed(testID))
	damage(t, mem, int64(page)*4096, b)
}

// TestDeltasThatDoNotBelongToTheirLeafAreFound writes delta pages with good checksums and a wrong content.
func TestDeltasThatDoNotBelongToTheirLeafAreFound(t *testing.T) {
	block := func(b []byte, k int) []byte { return b[binary.LittleEndian.Uint16(b[headerSize+2*k:]):] }
	le := binary.LittleEndian
	for what, change := range map[string]func(b []byte){
		"place of another cell": func(b []byte) { d := asDelta(block(b, 0)); le.PutUint16(d.b[d.spots:], uint16(d.spot(0)-2)) },
		"added, not replaced":   func(b []byte) { d := asDelta(block(b, 0)); le.PutUint16(d.b[d.spots:], uint16(d.spot(0)-1)) },
		"behind the end": func(b []byte) {
			d := asDelta(block(b, 0))
			le.PutUint16(d.b[d.spots+2*(d.n-1):], 9999)
		},
		"leaf of another":     func(b []byte) { le.PutUint64(block(b, 1)[blockLeaf:], le.Uint64(block(b, 0)[blockLeaf:])) },
		"no deltas":           func(b []byte) { le.PutUint32(b[offCells:], 0) },
		"fewer than expected": func(b []byte) { le.PutUint32(b[offCells:], le.Uint32(b[offCells:])-1) },
		"shorter block":       func(b []byte) { o := b[headerSize+2:]; le.PutUint16(o, le.Uint16(o)-1) },
		"newest timestamp":    func(b []byte) { le.PutUint64(b[offMaxTS:], 77) },
		"level of a leaf":     func(b []byte) { b[offLevel] = 0 },
		"unknown flag":        func(b []byte) { b[offFlags] = 1 },
		"prefix":              func(b []byte) { b[offPrefix] = 1 },
	} {
		t.Run(what, func(t *testing.T) {
			mem := vfs.NewMem()
			s, m := mustCreate(t, mem, 4096), model{}
			edits := sequentialEdits(400, 60)
			committed(t, s, m, edits)
			committed(t, s, m, everyEdit(edits, 15, 2))
			page := census(t, s.View(), DataTree).withDelta()[0].delta.page
			_ = s.Close()
			tamper(t, mem, page, change)
			s = openAt(t, mem)
			defer func() { _ = s.Close() }()
			rep, err := s.Check(t.Context(), nil)
			if err != nil || len(rep.Problems) == 0 || !errors.Is(rep.Problems[0], ErrCorrupt) {
				t.Fatalf("Check found %v, %v", rep.Problems, err)
			}
			t.Log(rep.Problems[0])
			c := s.View().Cursor(DataTree) // it may find the damage or not, but it must come to an end
			defer c.Close()
			n := 0
			for ok := c.First(); ok && n < 2000; ok = c.Next() {
				n++
			}
			for ok := c.Last(); ok && n < 4000; ok = c.Prev() {
				n++
			}
			if n > 1000 {
				t.Fatalf("%d records", n)
			}
		})
	}
}

// TestCheckFindsADeltaPageWithTwoOwners lets another level-1 node lead to the delta of a leaf that is not its own.
func TestCheckFindsADeltaPageWithTwoOwners(t *testing.T) {
	mem := vfs.NewMem()
	s, m := mustCreate(t, mem, 4096), model{}
	edits := sequentialEdits(20_000, 100)
	committed(t, s, m, edits)
	committed(t, s, m, everyEdit(edits, 40, 2))
	v := s.View()
	root, leaves := v.sb.trees[DataTree], census(t, v, DataTree).withDelta()
	parts, err := v.expand(DataTree, []part{{ref: root.childRef}}, root.height-1)
	if err != nil || root.height != 3 {
		t.Fatal(root.height, err)
	}
	_ = s.Close()
	encode := func(ch child) []byte { return appendDeltaRef(nil, ch.delta, v.Sequence()) }
	to := leaves[len(leaves)-1]
	from := slices.IndexFunc(leaves, func(ch child) bool { return len(encode(ch)) == len(encode(to)) })
	tamper(t, mem, parts[len(parts)-1].ref.page, func(b []byte) {
		if n := copy(b, bytes.Replace(b, encode(to), encode(leaves[from]), 1)); n != 4096 {
			t.Fatal(n)
		}
	})
	s = openAt(t, mem)
	defer func() { _ = s.Close() }()
	rep, err := s.Check(t.Context(), nil)
	two := func(err error) bool { return strings.Contains(err.Error(), "reached from two places") }
	if err != nil || !slices.ContainsFunc(rep.Problems, two) {
		t.Fatalf("Check found %v, %v", rep.Problems, err)
	}
	key := []byte(m.keys()[len(m)-1])
	if _, _, _, err := s.View().Get(DataTree, key, nil); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("reading the last leaf: %v", err)
	}
}
