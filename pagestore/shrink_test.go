package pagestore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// shrinkCase is a database of which most is deleted while edits go on.
type shrinkCase struct {
	records  int
	value    func(k int) int // bytes
	survives func(k int) bool
	batches  int // the deletion comes in that many checkpoints
}

func (sc *shrinkCase) put(k, round int) Edit {
	return Edit{Key: fmt.Appendf(nil, "key/%08d", k), Value: pattern(sc.value(k), uint64(k+round)), Timestamp: uint64(round)}
}

func (sc *shrinkCase) load(t *testing.T, s *Store) {
	for from := 0; from < sc.records; from += 100_000 {
		var puts []Edit
		for k := from; k < min(from+100_000, sc.records); k++ {
			puts = append(puts, sc.put(k, 0))
		}
		autoVacuumed(t, s, puts)
	}
}

func (sc *shrinkCase) delete(t *testing.T, s *Store) {
	for batch := range sc.batches {
		var deletes []Edit
		for k := range sc.records {
			if !sc.survives(k) && k%sc.batches == batch {
				deletes = append(deletes, Edit{Key: fmt.Appendf(nil, "key/%08d", k), Delete: true})
			}
		}
		autoVacuumed(t, s, deletes)
	}
}

// edit changes a few survivors, near each other, as a running program does.
func (sc *shrinkCase) edit(t *testing.T, s *Store, round int) {
	var edits []Edit
	for k := round * 500; len(edits) < 20 && k < sc.records; k++ {
		if sc.survives(k) {
			edits = append(edits, sc.put(k, round))
		}
	}
	autoVacuumed(t, s, edits)
}

// autoVacuumed commits edits and what Vacuum chooses. What it moves must be in proportion.
func autoVacuumed(t *testing.T, s *Store, edits []Edit) {
	t.Helper()
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	if err := c.Merge(context.Background(), DataTree, slices.Values(edits), nil); err != nil {
		t.Fatal(err)
	}
	free, end, before := c.alloc.reusable(), int64(c.alloc.next.end()), c.w.pages
	moved, err := c.Vacuum(context.Background(), AutoVacuum)
	if err != nil {
		t.Fatal(err)
	}
	if most := max(vacuumLeast/int64(s.pageSize), free/4, before/4); moved > most+runBytes/int64(s.pageSize) {
		t.Fatalf("moved %d pages of a file of %d with %d free", moved, end, free)
	}
	if c.w.pages-before > 2*moved+20 {
		t.Fatalf("wrote %d pages to move %d", c.w.pages-before, moved)
	}
	if _, err := c.Commit(Meta{}); err != nil {
		t.Fatal(err)
	}
}

// TestFileShrinksWithinFiveCheckpoints deletes nine tenths and demands that the file is cut to less than one and a half
// of what it holds while edits go on.
func TestFileShrinksWithinFiveCheckpoints(t *testing.T) {
	n := 30_000
	if *long {
		n = 1_000_000
	}
	random := rand.New(rand.NewPCG(1, 2))
	chosen := make([]bool, n)
	for range n / 10 {
		chosen[random.IntN(n)] = true
	}
	small := func(int) int { return 100 }
	mixed := func(k int) int { return []int{100, 3000, 100, 20_000, 150, 100, 90_000, 5, 4000, 12_345, 100}[k%11] }
	large := func(k int) int { return []int{2*runBytes + 5, 100, 400_000}[k%3] }
	for name, sc := range map[string]shrinkCase{
		"spread":     {n, small, func(k int) bool { return k%10 == 3 }, 1},
		"random":     {n, small, func(k int) bool { return chosen[k] }, 1},
		"by parts":   {n, small, func(k int) bool { return k%10 == 3 }, 7},
		"first":      {n, small, func(k int) bool { return k < n/10 }, 1},
		"last":       {n, small, func(k int) bool { return k >= n-n/10 }, 1},
		"clustered":  {n, small, func(k int) bool { return k/1000%10 == 7 }, 1},
		"values":     {min(n, 200_000) / 20, mixed, func(k int) bool { return k%10 == 3 }, 1},
		"large":      {60, large, func(k int) bool { return k%10 == 3 }, 1},
		"nodes stay": {min(n, 100_000) / 2, func(k int) int { return max(100, 30_000*(1-k%20)) }, func(k int) bool { return k%20 > 0 && k%3 == 0 }, 1},
	} {
		sizes := []int{4096}
		if *long || name == "spread" || name == "values" {
			sizes = []int{4096, 8192, 65536}
		}
		for _, pageSize := range sizes {
			t.Run(fmt.Sprintf("%s %d", name, pageSize), func(t *testing.T) { sc.test(t, pageSize) })
		}
	}
}

func (sc *shrinkCase) test(t *testing.T, pageSize int) {
	mem := vfs.NewMem()
	s := mustCreate(t, mem, pageSize)
	sc.load(t, s)
	full := s.Metrics().FileBytes
	sc.delete(t, s)
	var sizes []string
	for round := range 5 {
		sc.edit(t, s, round)
		m := s.Metrics()
		sizes = append(sizes, fmt.Sprintf("%.2f", float64(m.FileBytes)/float64(m.LiveBytes)))
	}
	sp := mustAddUp(t, s)
	mustCheck(t, s)
	// Two checkpoints' worth of the path to a leaf and of bitmap pages are always free or protected.
	if m := s.Metrics(); m.FileBytes > m.LiveBytes*3/2+int64(8*pageSize) {
		t.Errorf("file had %d bytes and has %d with %d live: %v of live after each checkpoint; %+v",
			full, m.FileBytes, m.LiveBytes, sizes, sp)
	}
	t.Log(full, s.Metrics().LiveBytes, sizes)
}
