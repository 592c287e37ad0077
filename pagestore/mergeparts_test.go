package pagestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// A rangedSource deals out edits by range and notes what it was asked for and what superseded saw.
type rangedSource struct {
	edits  []Edit
	splits [][]byte
	mu     sync.Mutex
	asked  [][2][]byte
	seen   map[string]entry
	twice  []string // keys that superseded saw more than once
}

func (r *rangedSource) source(from, to []byte) (iter.Seq[Edit], func(Record) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, [2][]byte{from, to})
	in := func(e Edit) bool {
		return bytes.Compare(e.Key, from) >= 0 && (to == nil || bytes.Compare(e.Key, to) < 0)
	}
	some := slices.DeleteFunc(slices.Clone(r.edits), func(e Edit) bool { return !in(e) })
	return reusing(some), func(old Record) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if _, again := r.seen[string(old.Key)]; again {
			r.twice = append(r.twice, string(old.Key))
		}
		r.seen[string(old.Key)] = entry{string(old.Value), old.Timestamp}
		return false
	}
}

// mergeRanges merges with several workers, commits, and compares everything with the model.
func mergeRanges(t *testing.T, s *Store, m model, edits []Edit) *rangedSource {
	t.Helper()
	r := &rangedSource{edits: edits, seen: map[string]entry{}}
	mergeSource(t, s, m, r)
	return r
}

func mergeSource(t *testing.T, s *Store, m model, r *rangedSource) {
	t.Helper()
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	if err := c.MergeRanges(t.Context(), DataTree, Ranges{Edits: r.source, Splits: r.splits}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Commit(Meta{}); err != nil {
		t.Fatal(err)
	}
	r.mustHaveSeen(t, m)
	m.edit(r.edits)
	mustCheck(t, s)
	compareScan(t, s.View(), DataTree, m)
}

func (r *rangedSource) mustHaveSeen(t *testing.T, m model) {
	t.Helper()
	want := 0
	for _, e := range r.edits {
		old, ok := m[string(e.Key)]
		if ok {
			want++
		}
		if seen, saw := r.seen[string(e.Key)]; saw != ok || seen.ts != old.ts ||
			len(old.value) <= r.smallest() && seen.value != old.value {
			t.Fatalf("superseded saw %.20q of %.20q: %v", seen.value, e.Key, saw)
		}
	}
	if len(r.seen) != want || len(r.twice) > 0 {
		t.Fatalf("superseded saw %d records, want %d; twice %d", len(r.seen), want, len(r.twice))
	}
	slices.SortFunc(r.asked, func(a, b [2][]byte) int { return bytes.Compare(a[0], b[0]) })
	for i, a := range r.asked {
		next := []byte(nil)
		if i+1 < len(r.asked) {
			next = r.asked[i+1][0]
		}
		if i == 0 && a[0] != nil || !bytes.Equal(a[1], next) {
			t.Fatalf("range %d of %d is [%q, %q), the next one starts at %q", i, len(r.asked), a[0], a[1], next)
		}
	}
}

// smallest is the length up to which superseded sees values.
func (r *rangedSource) smallest() int { return 1024 }

// partKey and values of nearly a quarter of a page make trees of three levels from few records.
func partKey(i int) []byte { return fmt.Appendf(nil, "%06d", i) }

func partEdits(from, to, step, size int, ts uint64) (edits []Edit) {
	for i := from; i < to; i += step {
		edits = append(edits, Edit{Key: partKey(i), Value: pattern(size+i%7, ts+uint64(i)), Timestamp: ts})
	}
	return edits
}

func deletions(from, to, step int) (edits []Edit) {
	for i := from; i < to; i += step {
		edits = append(edits, Edit{Key: partKey(i), Delete: true})
	}
	return edits
}

// TestPartsMakeTheTreeOfOneMerge merges edits of every shape with one to four workers.
func TestPartsMakeTheTreeOfOneMerge(t *testing.T) {
	const n = 5000
	all := partEdits(0, n, 2, 900, 1)
	half := slices.Concat(deletions(0, n/2, 2), partEdits(n, 2*n, 3, 900, 2))
	for name, edits := range map[string][]Edit{
		"one":                        partEdits(n/2, n/2+1, 1, 900, 2),
		"each leaf a little":         partEdits(0, n, 34, 900, 2),
		"all":                        partEdits(0, n, 2, 700, 2),
		"between":                    partEdits(1, n, 2, 900, 2),
		"behind the end":             partEdits(n, 2*n, 1, 900, 2),
		"delete all":                 deletions(0, n, 2),
		"delete all but one":         deletions(2, n, 2),
		"delete all but the last":    deletions(0, n-2, 2),
		"delete the middle":          deletions(100, n-100, 2),
		"delete nine of ten":         slices.DeleteFunc(deletions(0, n, 2), func(e Edit) bool { return e.Key[len(e.Key)-2] == '4' }),
		"delete what is not there":   deletions(1, n, 2),
		"delete half, grow":          half,
		"large values":               partEdits(0, n, 500, 5000, 2),
		"leave one in a few of them": slices.DeleteFunc(deletions(0, n, 2), func(e Edit) bool { return bytes.HasSuffix(e.Key, []byte("000")) }),
	} {
		t.Run(name, func(t *testing.T) {
			nodes := map[int]int{} // above the leaves
			for _, workers := range []int{1, 3} {
				s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
				s.mergers = workers
				committed(t, s, m, all)
				r := mergeRanges(t, s, m, edits)
				if parts := len(r.asked) > 2; parts != (workers > 1) {
					t.Fatalf("%d workers asked for %d ranges", workers, len(r.asked))
				}
				nodes[workers] = census(t, s.View(), DataTree).nodes
				mergeRanges(t, s, m, partEdits(0, n, 39, 910, 3))
				committed(t, s, m, partEdits(0, n, 41, 910, 4))
			}
			if nodes[3] > 2*nodes[1] {
				t.Fatalf("%d nodes above the leaves, and %d after one merge", nodes[3], nodes[1])
			}
		})
	}
}

// TestPartsAgainAndAgain goes on with random edits, so that parts meet deltas, large values and thin nodes of others.
func TestPartsAgainAndAgain(t *testing.T) {
	const n = 2500
	random := rand.New(rand.NewPCG(1, 2))
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	s.mergers = 3
	committed(t, s, m, partEdits(0, n, 1, 900, 1))
	for round := range 15 {
		var edits []Edit
		from := random.IntN(n)
		to, step := from+random.IntN(n-from)+1, 1+random.IntN(90)
		switch random.IntN(5) {
		case 0:
			edits = deletions(from, to, max(1, step/30))
		case 1:
			edits = partEdits(from, to, step, 1500, uint64(round+2))
		default:
			edits = partEdits(0, n, step, 900, uint64(round+2))
		}
		mergeRanges(t, s, m, edits)
		if round%5 == 0 {
			vacuumed(t, s, nil, 50)
		}
	}
}

// TestPartsLeaveNothingBehindWhenTheyFail ends a merge in all ways: the next one finds every page.
func TestPartsLeaveNothingBehindWhenTheyFail(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	s.mergers = 3
	committed(t, s, m, partEdits(0, 2500, 1, 900, 1))
	edits := partEdits(0, 2500, 3, 900, 2)
	reason := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	all := func([]byte, []byte) (iter.Seq[Edit], func(Record) bool) { return slices.Values(edits), nil }
	unsorted := func(from, to []byte) (iter.Seq[Edit], func(Record) bool) {
		return slices.Values([]Edit{{Key: to}, {Key: from}}), nil
	}
	for _, bad := range []struct {
		name   string
		ctx    context.Context
		source func(from, to []byte) (iter.Seq[Edit], func(Record) bool)
		full   bool
		want   error
	}{
		{"cancelled", ctx, (&rangedSource{edits: edits, seen: map[string]entry{}}).source, false, reason},
		{"edits of another range", t.Context(), all, false, ErrEditOrder},
		{"edits out of order", t.Context(), unsorted, false, ErrEditOrder},
		{"no page left", t.Context(), (&rangedSource{edits: edits, seen: map[string]entry{}}).source, true, ErrFull},
	} {
		c, err := s.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if bad.full {
			c.alloc.low = pageLimit(4096) - 5
		}
		if err := c.MergeRanges(bad.ctx, DataTree, Ranges{Edits: bad.source}); !errors.Is(err, bad.want) {
			t.Fatalf("%s: %v", bad.name, err)
		}
		if _, err := c.Commit(Meta{}); !errors.Is(err, bad.want) {
			t.Fatalf("%s, commit: %v", bad.name, err)
		}
		c.Abort()
		mustCheck(t, s)
	}
	mergeRanges(t, s, m, edits)
}

// TestManyRecordsBehindASmallTree loads ranges of every kind behind trees of none to two levels.
func TestManyRecordsBehindASmallTree(t *testing.T) {
	for _, before := range []int{0, 1, 3, 30, 400} {
		for name, edits := range map[string][]Edit{
			"many":                    partEdits(1000, 4000, 1, 200, 2),
			"few in each":             partEdits(1000, 4000, 100, 20, 2),
			"nothing in most":         partEdits(1990, 2010, 1, 20, 2),
			"large values":            partEdits(1000, 4000, 50, 3000, 2),
			"nothing":                 nil,
			"with changes in front":   slices.Concat(partEdits(0, 400, 7, 30, 2), partEdits(1000, 4000, 1, 90, 2)),
			"all in front goes":       slices.Concat(deletions(0, 400, 1), partEdits(1000, 4000, 1, 90, 2)),
			"only deletions, nothing": deletions(1000, 4000, 1),
		} {
			t.Run(fmt.Sprint(name, " behind ", before), func(t *testing.T) {
				s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
				s.mergers = 3
				committed(t, s, m, slices.Concat(partEdits(0, before, 1, 100, 1), partEdits(before, before+before/300, 1, 2000, 1)))
				r := &rangedSource{edits: edits, seen: map[string]entry{}}
				for i := 1000; i < 4000; i += 290 {
					r.splits = append(r.splits, partKey(i))
				}
				mergeSource(t, s, m, r)
				if len(r.asked) != len(r.splits)+1 {
					t.Fatalf("asked for %d ranges, want %d", len(r.asked), len(r.splits)+1)
				}
				mergeRanges(t, s, m, partEdits(0, 5000, 31, 50, 3))
				committed(t, s, m, partEdits(0, 5000, 41, 50, 4))
				vacuumed(t, s, nil, 50)
				compareScan(t, s.View(), DataTree, m)
				mustCheck(t, s)
			})
		}
	}
}

// thinSource leaves little of the second part but deltas, and changes one record of each other part. It holds back the
// worker that has the first part until another one has taken all others, one after the other.
type thinSource struct {
	rangedSource
	others chan struct{} // closed when the last part is asked for
}

func (r *thinSource) source(from, to []byte) (iter.Seq[Edit], func(Record) bool) {
	if from == nil {
		<-r.others
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	part := slices.DeleteFunc(partEdits(0, 60_000, 2, 100, 2), func(e Edit) bool {
		return bytes.Compare(e.Key, from) < 0 || to != nil && bytes.Compare(e.Key, to) >= 0
	})
	edits := part[:1]
	if len(r.asked) == 0 {
		edits = nil
		for i, e := range part {
			switch left := len(part) - i; {
			case left > 400:
				edits = append(edits, Edit{Key: e.Key, Delete: true})
			case left%40 == 0:
				edits = append(edits, e)
			}
		}
	}
	r.asked = append(r.asked, [2][]byte{from, to})
	r.edits = append(r.edits, edits...)
	if to == nil {
		close(r.others)
	}
	return reusing(edits), nil
}

// A delta page of a node that joins its neighbour is free, or belongs to one of the new nodes, whatever else the worker
// has merged that made it: what it knows of delta pages is that of one part.
func TestDeltaPagesOfAThinPartAreNotLost(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	s.mergers = 2
	committed(t, s, m, partEdits(0, 60_000, 2, 100, 1))
	r := &thinSource{others: make(chan struct{})}
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	if err := c.MergeRanges(t.Context(), DataTree, Ranges{Edits: r.source}); err != nil {
		t.Fatal(err)
	}
	if c.Stats().DeltaPages < 3 || len(r.asked) < 4 {
		t.Fatalf("%d deltas in %d parts", c.Stats().DeltaPages, len(r.asked))
	}
	if _, err := c.Commit(Meta{}); err != nil {
		t.Fatal(err)
	}
	m.edit(r.edits)
	mustCheck(t, s)
	compareScan(t, s.View(), DataTree, m)
}

// What comes in bulk behind a small tree is read from the file when it is first needed.
func TestLeavesOfManyRecordsBehindASmallTreeAreNotCached(t *testing.T) {
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	s.mergers = 3
	r := &rangedSource{edits: partEdits(1000, 4000, 1, 200, 2), seen: map[string]entry{}}
	for i := 1000; i < 4000; i += 290 {
		r.splits = append(r.splits, partKey(i))
	}
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	if err := c.MergeRanges(t.Context(), DataTree, Ranges{Edits: r.source, Splits: r.splits}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Commit(Meta{}); err != nil {
		t.Fatal(err)
	}
	m.edit(r.edits)
	before := s.Metrics().CacheMisses
	compareScan(t, s.View(), DataTree, m)
	leaves := c.Stats().LeavesRewritten
	if misses := s.Metrics().CacheMisses - before; misses < leaves*9/10 {
		t.Errorf("%d pages were not in the cache, of %d leaves", misses, leaves)
	}
}
