package pagestore

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/sombradb/sombra/internal/vfs"
)

// aheadWalk reads a tree ahead, from the first key on in its direction, and compares with a model.
type aheadWalk struct {
	back   bool
	bound  []byte // nil: none
	newest uint64
	limit  func() int // entries of one reading
	turn   int        // runs so far
	leaves int        // that runs have gone on in
}

// maxTestRun is how many cells of the next leaf a run goes on to.
const maxTestRun = 7

// wanted returns the keys that the walk must give.
func (w *aheadWalk) wanted(m model) (keys []string) {
	for _, k := range m.keys() {
		if m[k].ts <= w.newest && w.before([]byte(k)) {
			keys = append(keys, k)
		}
	}
	if w.back {
		slices.Reverse(keys)
	}
	return keys
}

func (w *aheadWalk) before(key []byte) bool {
	return w.bound == nil || !w.back && string(key) < string(w.bound) || w.back && string(key) > string(w.bound)
}

func (w *aheadWalk) run(t fataler, v *View, tree TreeID, m model) {
	t.Helper()
	c := v.Cursor(tree)
	defer c.Close()
	first, next, inLeaf := c.First, c.Next, c.NextInLeaf
	if w.back {
		first, next, inLeaf = c.Last, c.Prev, c.PrevInLeaf
	}
	keys := w.wanted(m)
	var a Ahead
	for ok := first(); ok && w.before(c.Key()); {
		if c.Timestamp() > w.newest {
			ok = next()
			continue
		}
		a.Reset()
		limit := w.limit()
		more := c.ReadAhead(&a, w.back, w.bound, w.newest, limit)
		if a.Run.Active() {
			if more || len(a.Entries) > 0 || limit < leastRun {
				t.Fatalf("a run beside %d entries with limit %d", len(a.Entries), limit)
			}
			keys = w.compareRun(t, &a.Run, keys, m)
			for w.turn%3 > 0 && a.Run.IntoNext(w.bound, maxTestRun) {
				if w.back {
					t.Fatal("a descending run goes on in the next leaf")
				}
				keys = w.compareRun(t, &a.Run, keys, m)
				w.leaves++
			}
			a.Reset()
			ok = next()
			continue
		}
		if len(a.Entries) == 0 || len(a.Entries) > limit || len(a.Entries) > len(keys) {
			t.Fatalf("read %d records with limit %d, %d are left", len(a.Entries), limit, len(keys))
		}
		if !more && len(a.Entries) < limit && !a.Lazy && inLeaf() {
			t.Fatalf("%q is in the leaf and was left out", c.Key())
		}
		w.compare(t, c, &a, keys, m)
		keys = keys[len(a.Entries):]
		if !more {
			ok = next()
		}
	}
	if c.Err() != nil || len(keys) > 0 {
		t.Fatalf("%d records are missing: %v", len(keys), c.Err())
	}
}

// compareRun goes through a run, part of it by Next and the rest by Each, and returns the keys that must follow.
func (w *aheadWalk) compareRun(t fataler, r *Run, keys []string, m model) []string {
	t.Helper()
	check := func(key, value []byte) {
		if len(keys) == 0 || string(key) != keys[0] || string(value) != m[keys[0]].value {
			t.Fatalf("a run gives %q with %d bytes, before %d keys that were not read", key, len(value), len(keys))
		}
		keys = keys[1:]
	}
	w.turn++
	for n := w.turn % 5; ; n-- {
		if n == 0 && w.turn%2 == 0 {
			Each(r, 0, new(atomic.Pointer[error]), func(e Entry, _ error) bool {
				check(e.Key, e.Value)
				return true
			})
			break
		}
		check(r.Key(), r.Value())
		if !r.Next() {
			break
		}
	}
	if limit := w.limit(); limit >= leastRun {
		for pause := r.i; r.GoOn(limit); pause = r.i {
			for check(r.Key(), r.Value()); r.Next(); {
				check(r.Key(), r.Value())
			}
			if got := (r.i - pause) * r.step; got > limit {
				t.Fatalf("a run read %d cells of %d", got, limit)
			}
		}
	} else {
		r.Cut()
	}
	if r.Next() {
		t.Fatalf("a run goes on behind its end with %q", r.Key())
	}
	return keys
}

func (w *aheadWalk) compare(t fataler, c *Cursor, a *Ahead, keys []string, m model) {
	t.Helper()
	for i, e := range a.Entries {
		if a.Lazy && i == len(a.Entries)-1 {
			var err error
			if e.Value, err = c.Value(); err != nil || string(c.Key()) != string(e.Key) {
				t.Fatalf("the large value of %q, the cursor is at %q: %v", e.Key, c.Key(), err)
			}
		}
		if string(e.Key) != keys[i] || string(e.Value) != m[keys[i]].value {
			t.Fatalf("read %q ahead with %d bytes, want %q with %d", e.Key, len(e.Value), keys[i], len(m[keys[i]].value))
		}
	}
}

func (m *machine) readAhead(t *rapid.T) {
	tree := TreeID(rapid.IntRange(0, NumTrees-1).Draw(t, "tree"))
	w := aheadWalk{
		back: rapid.Bool().Draw(t, "back"), newest: rapid.SampledFrom([]uint64{^uint64(0), m.ts, m.ts / 2}).Draw(t, "newest"),
		limit: func() int { return rapid.IntRange(1, 70).Draw(t, "limit") },
	}
	if rapid.Bool().Draw(t, "bounded") {
		w.bound = drawKey(t)
	}
	w.run(t, m.s.View(), tree, m.now[tree])
}

// TestReadAheadAcrossDeltas reads leaves with puts, deletes, large values and several timestamps in their deltas, with
// bounds at and between all kinds of keys.
func TestReadAheadAcrossDeltas(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	edits := sequentialEdits(600, 60)
	committed(t, s, m, edits)
	some := []Edit{{Key: append(slices.Clone(edits[len(edits)-1].Key), 'z'), Value: []byte("last"), Timestamp: 8}}
	for i := 5; i+4 < len(edits); i += 18 {
		some = append(some, Edit{Key: edits[i].Key, Delete: true}, everyEdit(edits[i+1:i+2], 1, 4)[0],
			Edit{Key: append(slices.Clone(edits[i+2].Key), 'x'), Value: []byte("between"), Timestamp: 9})
		if i%36 == 5 {
			some = append(some, Edit{Key: edits[i+3].Key, Value: pattern(5000, 1), Timestamp: 5})
		}
	}
	committed(t, s, m, sortEdits(some))
	if len(census(t, s.View(), DataTree).withDelta()) == 0 {
		t.Fatal("no leaf has a delta")
	}
	rng := rand.New(rand.NewPCG(1, 1))
	keys := m.keys()
	leaves := 0
	for n := range 600 {
		if n < 300 {
			withoutImages(t, s.View())
		} else {
			setReads(t, s.View(), 0)
		}
		w := aheadWalk{back: n%2 == 0, newest: []uint64{^uint64(0), 4, 8}[n%3], limit: func() int { return 1 + rng.IntN(40) }}
		if n > 5 {
			w.bound = []byte(keys[rng.IntN(len(keys))])
			if n%5 == 0 {
				w.bound = append(w.bound, 0)
			}
		}
		w.run(t, s.View(), DataTree, m)
		leaves += w.leaves
	}
	if leaves == 0 {
		t.Fatal("no run went on in the next leaf")
	}
	s.cache.verify(t)
}

// TestARunDoesNotLeaveOutWhatIsBehindTheLastCell has a delta of one such record at every second leaf.
func TestARunDoesNotLeaveOutWhatIsBehindTheLastCell(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	committed(t, s, m, sequentialEdits(900, 60))
	var some []Edit
	leaves := census(t, s.View(), DataTree).leaves
	for i := 0; i+1 < len(leaves); i += 2 {
		p, err := s.fetch(s.View(), leaves[i].childRef, DataTree, 0)
		if err != nil {
			t.Fatal(err)
		}
		nd := asNode(p.b)
		key := append(nd.appendKey(nil, nd.n-1), 'y')
		some = append(some, Edit{Key: key, Value: []byte("behind"), Timestamp: 4})
		p.release()
	}
	committed(t, s, m, some)
	withoutImages(t, s.View())
	for turn := range 6 {
		w := aheadWalk{newest: 4, turn: turn, limit: func() int { return 64 }}
		w.run(t, s.View(), DataTree, m)
	}
}

// TestARunDoesNotGoOnInALeafThatIsNewer has leaves whose oldest record is newer than what is read.
func TestARunDoesNotGoOnInALeafThatIsNewer(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	edits := sequentialEdits(900, 60)
	for i := range edits {
		if i/150%2 == 1 {
			edits[i].Timestamp = 9
		}
	}
	committed(t, s, m, edits)
	for turn := range 6 { // some go on in the next leaf
		w := aheadWalk{newest: 4, turn: turn, limit: func() int { return 64 }}
		w.run(t, s.View(), DataTree, m)
	}
}

// TestReadAheadTakesCellsOfEveryForm reads keys and values of all lengths around those where their encoding changes, with
// timestamps that are a leaf's base and others, and a delta that is older than all of its leaf.
func TestReadAheadTakesCellsOfEveryForm(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 8192), model{}
	var edits []Edit
	for i := range 3000 {
		key := roundKey(uint64(i))
		key = append(key, pattern([]int{0, 1, 7, 8, 15, 16, 17, 30, 31, 32, 60, 200}[i%12], uint64(i))...)
		e := Edit{Key: key, Value: pattern([]int{0, 1, 126, 127, 128, 129, 255, 256, 1000, 2047}[i%10], uint64(i)), Timestamp: 9}
		if i/300%2 == 0 && i%5 == 0 {
			e.Timestamp = 12
		}
		edits = append(edits, e)
	}
	committed(t, s, m, sortEdits(edits))
	var some []Edit
	for i := 7; i < len(edits); i += 60 {
		some = append(some, Edit{Key: edits[i].Key, Value: pattern(140, 3), Timestamp: 3})
	}
	committed(t, s, m, sortEdits(some))
	if len(census(t, s.View(), DataTree).withDelta()) == 0 {
		t.Fatal("no leaf has a delta")
	}
	for pass, newest := range []uint64{3, 8, 9, 12, 3, 8, 9, 12} {
		if pass < 4 {
			withoutImages(t, s.View())
		} else {
			setReads(t, s.View(), 0)
		}
		for _, limit := range []int{1, 3, 64, 1000} {
			for _, back := range []bool{false, true} {
				w := aheadWalk{back: back, newest: newest, limit: func() int { return limit }}
				w.run(t, s.View(), DataTree, m)
			}
		}
	}
}
