package pagestore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// readable is a store with a cache for everything.
func readable(t testing.TB) *Store {
	t.Helper()
	s, err := Create("db", testID, Options{FS: vfs.NewMem(), PageSize: 4096, CacheBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// imagesOf counts the leaves of a view that have a delta, and those that have an image.
func imagesOf(t fataler, v *View) (deltas, images int) {
	t.Helper()
	for _, ch := range census(t, v, DataTree).withDelta() {
		deltas++
		if p, ok := v.s.image(ch.childRef, ch.delta, DataTree, nil); ok {
			images++
			p.release()
		}
	}
	return deltas, images
}

// withoutImages has a view's deltas read beside their leaves from now on, as long as these stay in the cache.
func withoutImages(t fataler, v *View) {
	t.Helper()
	c := v.s.cache
	setReads(t, v, undrawn)
	for _, ch := range census(t, v, DataTree).withDelta() {
		if i := c.findLocked(ch.page | imageBit); i != 0 && c.frames[i].state.CompareAndSwap(c.frames[i].state.Load(), frameBusy) {
			c.detach(i)
			c.giveBack(i)
		}
	}
	if _, images := imagesOf(t, v); images > 0 {
		t.Fatalf("%d images are left", images)
	}
}

// setReads sets how often the leaves that have deltas were read beside them.
func setReads(t fataler, v *View, reads uint64) {
	t.Helper()
	for _, ch := range census(t, v, DataTree).withDelta() {
		p, err := v.s.fetch(v, ch.childRef, DataTree, 0)
		if err != nil {
			t.Fatal(err)
		}
		p.f.reads.Store(ch.delta.birth<<readsBits | reads)
		p.release()
	}
}

// mixedEdits changes, deletes and adds records, with values short, long and in overflow pages.
func mixedEdits(rng *rand.Rand, n int, ts uint64) (edits []Edit) {
	for range n {
		k := rng.Uint64N(4000)
		e := Edit{Key: roundKey(k), Value: pattern(rng.IntN(60), k*ts), Timestamp: ts}
		switch rng.IntN(8) {
		case 0:
			e.Delete, e.Value = true, nil
		case 1:
			e.Key = fmt.Appendf(e.Key, "/%d", ts)
		case 2:
			e.Value = pattern(2000, k*ts)
		}
		edits = append(edits, e)
	}
	return sortEdits(edits)
}

// TestAnImageIsItsLeafAndDelta draws the images of random deltas, and compares them with the overlay, record by record.
func TestAnImageIsItsLeafAndDelta(t *testing.T) {
	s := readable(t)
	rng := rand.New(rand.NewPCG(1, 2))
	commit(t, s, mixedEdits(rng, 3000, 1))
	drawn := 0
	for ts := uint64(2); ts < 12; ts++ {
		v := commit(t, s, mixedEdits(rng, 100, ts*1000))
		for _, ch := range census(t, v, DataTree).withDelta() {
			if drawImage(t, v, ch) {
				drawn++
			}
		}
	}
	if drawn < 100 {
		t.Fatalf("%d images", drawn)
	}
}

func drawImage(t *testing.T, v *View, ch child) bool {
	t.Helper()
	p, err := v.s.fetch(v, ch.childRef, DataTree, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer p.release()
	b := make([]byte, v.s.pageSize)
	for i := range b {
		b[i] = 0xdb
	}
	if !v.s.draw(v, b, asNode(p.b), ch.childRef, ch.delta, DataTree) {
		return false
	}
	if !isImage(b, ch.childRef, ch.delta, DataTree) {
		t.Fatalf("the image of page %d says that it is another's", ch.page)
	}
	// Large values may be younger than the leaf.
	binary.LittleEndian.PutUint64(b[offBirth:], v.Sequence())
	if what := verifyNode(b, DataTree, 0, len(b)); what != "" {
		t.Fatalf("the image of page %d: %s", ch.page, what)
	}
	d, o, err := v.s.overlayOf(v, asNode(p.b), ch.childRef, ch.delta, DataTree)
	if err != nil {
		t.Fatal(err)
	}
	defer d.release()
	image := asNode(b)
	for i := 0; ; i++ {
		want, from, at, ok := o.rest()
		if !ok {
			if i != image.n {
				t.Fatalf("the image has %d records, not %d", image.n, i)
			}
			return true
		}
		got := image.cell(i)
		if !bytes.Equal(image.appendKey(nil, i), from.appendKey(nil, at)) || !bytes.Equal(got.val, want.val) ||
			got.ts != want.ts || got.flags&cellOverflow != want.flags&cellOverflow {
			t.Fatalf("record %d of the image is %+v, want %+v", i, got, want)
		}
	}
}

// TestReadersMakeImages lets searches and scans find deltas, and compares what they read with and without images. A view of
// before keeps its own.
func TestReadersMakeImages(t *testing.T) {
	s, m := readable(t), model{}
	edits := sequentialEdits(5000, 60)
	commit(t, s, edits)
	m.edit(edits)
	old, oldModel := s.View(), m.apply(nil)
	for round := uint64(2); round < 6; round++ {
		some := everyEdit(edits, 40, round)
		v := commit(t, s, some)
		m.edit(some)
		if deltas, images := imagesOf(t, v); deltas < 50 || images > 0 {
			t.Fatalf("%d images of %d deltas that nobody has read", images, deltas)
		}
		for pass := range 3 {
			if round%2 == 0 || pass == 1 {
				compareScan(t, v, DataTree, m)
			}
			compareGets(t, v, m)
		}
		deltas, images := imagesOf(t, v)
		if images < deltas*3/4 {
			t.Fatalf("%d images of %d deltas", images, deltas)
		}
		if round == 2 { // the view before is still protected
			compareScan(t, old, DataTree, oldModel)
			compareGets(t, old, oldModel)
		}
	}
	s.cache.verify(t)
	mustCheck(t, s)
}

func compareGets(t *testing.T, v *View, m model) {
	t.Helper()
	var dst []byte
	for key, want := range m {
		got, ts, found, err := v.Get(DataTree, []byte(key), dst[:0])
		if err != nil || !found || string(got) != want.value || ts != want.ts {
			t.Fatalf("%q: %d bytes at %d, %v, %v; want %d at %d", key, len(got), ts, found, err, len(want.value), want.ts)
		}
		if _, _, found, err = v.Get(DataTree, []byte(key+"!"), dst[:0]); found || err != nil {
			t.Fatalf("%q!: %v, %v", key, found, err)
		}
	}
}

// TestTwoViewsReadTheirOwnImages reads by turns in two protected views whose leaves have the same pages and other deltas.
func TestTwoViewsReadTheirOwnImages(t *testing.T) {
	s, m := readable(t), model{}
	edits := sequentialEdits(2000, 60)
	m.edit(edits)
	commit(t, s, edits)
	var views [2]*View
	var models [2]model
	for i := range views {
		some := everyEdit(edits, 40, uint64(i+2))
		m.edit(some)
		views[i], models[i] = commit(t, s, some), m.apply(nil)
	}
	for range 3 {
		for i, v := range views {
			compareScan(t, v, DataTree, models[i])
			compareGets(t, v, models[i])
			compareGets(t, v, models[i])
			if deltas, images := imagesOf(t, v); images < deltas/2 {
				t.Fatalf("view %d: %d images of %d deltas", i, images, deltas)
			}
		}
	}
}

// TestAnImageThatDoesNotFitIsTriedOnce has leaves without room, to which records come.
func TestAnImageThatDoesNotFitIsTriedOnce(t *testing.T) {
	s, m := readable(t), model{}
	edits := sequentialEdits(3000, 60)
	commit(t, s, edits)
	m.edit(edits)
	var more []Edit
	for k := uint64(10); k < 2900; k += 25 {
		for i := range 3 {
			more = append(more, Edit{Key: fmt.Appendf(roundKey(k), "/%d", i), Value: pattern(60, k), Timestamp: 2})
		}
	}
	v := commit(t, s, more)
	m.edit(more)
	for range 3 {
		compareScan(t, v, DataTree, m)
		compareGets(t, v, m)
	}
	tried := 0
	for _, ch := range census(t, v, DataTree).withDelta() {
		p, err := s.fetch(v, ch.childRef, DataTree, 0)
		if err != nil {
			t.Fatal(err)
		}
		if p.f.reads.Load() == ch.delta.birth<<readsBits|undrawn {
			tried++
		}
		p.release()
	}
	if deltas, images := imagesOf(t, v); deltas < 30 || tried < deltas/2 || tried+images != deltas {
		t.Fatalf("%d deltas, %d images, %d that cannot be drawn", deltas, images, tried)
	}
}

// TestImagesTakeFramesOfOthersSeldom reads deltas in a cache without a spare frame.
func TestImagesTakeFramesOfOthersSeldom(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	edits := sequentialEdits(20_000, 100)
	commit(t, s, edits)
	some := everyEdit(edits, 30, 2)
	v := commit(t, s, some)
	m.edit(edits)
	m.edit(some)
	compareScan(t, v, DataTree, m)
	if s.cache.unused() != 0 {
		t.Fatal("there is room")
	}
	key := roundKey(9000)
	pl, err := v.leaf(DataTree, key)
	if err != nil || pl.delta.page == 0 {
		t.Fatal(pl, err)
	}
	for n := range 2 * readsForOther {
		if p, ok := s.image(pl.ref, pl.delta, DataTree, nil); ok {
			if p.release(); n < readsForOther {
				t.Fatalf("an image after %d reads", n)
			}
			return
		}
		if _, _, found, err := v.Get(DataTree, key, nil); !found || err != nil {
			t.Fatal(found, err)
		}
	}
	t.Fatal("no image")
}

// TestAnImageIsOfOneLeafAndDelta asks for it by other names.
func TestAnImageIsOfOneLeafAndDelta(t *testing.T) {
	s := readable(t)
	edits := sequentialEdits(2000, 60)
	commit(t, s, edits)
	v := commit(t, s, everyEdit(edits, 40, 2))
	compareScan(t, v, DataTree, model{}.apply(edits).apply(everyEdit(edits, 40, 2)))
	ch := census(t, v, DataTree).withDelta()[0]
	ask := func(leaf childRef, d deltaRef, tree TreeID) bool {
		p, ok := s.image(leaf, d, tree, nil)
		p.release()
		return ok
	}
	if !ask(ch.childRef, ch.delta, DataTree) || ask(ch.childRef, ch.delta, HistoryTree) {
		t.Fatal("an image is not where it must be, or in another tree")
	}
	for i, change := range []func(*childRef, *deltaRef){
		func(l *childRef, _ *deltaRef) { l.birth++ }, func(_ *childRef, d *deltaRef) { d.birth++ },
		func(_ *childRef, d *deltaRef) { d.page++ }, func(_ *childRef, d *deltaRef) { d.slot++ },
	} {
		leaf, d := ch.childRef, ch.delta
		change(&leaf, &d)
		if ask(leaf, d, DataTree) {
			t.Errorf("change %d leads to the same image", i)
		}
	}
}

// TestAnImageEndsBeforeTheTrailer has a record that grows until the image does not fit.
func TestAnImageEndsBeforeTheTrailer(t *testing.T) {
	least, most := 0, 0
	for n := range 800 {
		var d changes
		d.add(nil, []byte("key0019x"), pattern(n, 1), change{ts: 1, spot: 40})
		leaf := strangeLeaves()[1]
		if fuzzImage(t, &overlay{nd: leaf, dn: asDelta(d.encode(nil, 2))}, int64(leaf.n)+1, 800) {
			most = n
		} else if least == 0 {
			least = n
		}
	}
	if most == 0 || least != most+1 {
		t.Fatalf("values of %d bytes do not fit, and of %d fit", least, most)
	}
}

// TestARecordOutsideOfTheLeafsPrefixHasNoImage puts a record before all others, where the first leaf's prefix is long.
func TestARecordOutsideOfTheLeafsPrefixHasNoImage(t *testing.T) {
	s, m := readable(t), model{}
	edits := sequentialEdits(500, 60)
	commit(t, s, edits)
	some := []Edit{{Key: []byte("before everything else"), Value: []byte("first"), Timestamp: 2},
		{Key: edits[3].Key, Delete: true, Timestamp: 2}, everyEdit(edits, 300, 2)[0]}
	v := commit(t, s, some)
	m.edit(edits)
	m.edit(some)
	for range 3 {
		compareScan(t, v, DataTree, m)
		compareGets(t, v, m)
	}
	if deltas, images := imagesOf(t, v); deltas != 2 || images != 1 {
		t.Fatalf("%d deltas, %d images", deltas, images)
	}
}
