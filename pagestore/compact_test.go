package pagestore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// sparse is a database whose file is much longer than it had to be, and what it holds.
type sparse struct {
	s     *Store
	mem   *vfs.Mem
	trees [NumTrees]model
}

func newSparse(t *testing.T, pageSize, keys int) *sparse {
	sp := &sparse{mem: vfs.NewMem(), trees: [NumTrees]model{{}, {}}}
	sp.s = mustCreate(t, sp.mem, pageSize)
	random := rand.New(rand.NewPCG(7, uint64(keys)))
	for range 6 {
		var edits [NumTrees][]Edit
		for t := range edits {
			for range keys / 6 {
				n := []int{100, 100, 100, 100, 40, pageSize/4 + 1, 100, 100, 5 * pageSize}[random.IntN(9)]
				if random.IntN(keys/2) == 0 {
					n = runBytes + 300_000
				}
				k := random.IntN(keys)
				edits[t] = append(edits[t], Edit{Key: roundKey(uint64(k)), Value: pattern(n, uint64(k)), Timestamp: uint64(k)})
			}
		}
		sp.commit(t, edits, nil)
	}
	for from := 0; from < keys; from += keys/8 + 1 {
		var edits [NumTrees][]Edit
		for t := range edits {
			for k := from; k < min(keys, from+keys/8+1); k++ {
				if random.IntN(5) > 1 {
					edits[t] = append(edits[t], Edit{Key: roundKey(uint64(k)), Delete: true})
				}
			}
		}
		sp.commit(t, edits, nil)
	}
	return sp
}

// commit merges edits, lets step work, and commits.
func (sp *sparse) commit(t *testing.T, edits [NumTrees][]Edit, step func(*Checkpoint)) {
	t.Helper()
	c, err := sp.s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	next := sp.trees
	for tree := range TreeID(NumTrees) {
		some := sortEdits(edits[tree])
		next[tree] = next[tree].apply(some)
		if err := c.Merge(context.Background(), tree, slices.Values(some), nil); err != nil {
			t.Fatal(err)
		}
	}
	if step != nil {
		step(c)
	}
	if _, err := c.Commit(Meta{}); err != nil {
		t.Fatal(err)
	}
	sp.trees = next
}

func (sp *sparse) verify(t *testing.T) {
	t.Helper()
	mustCheck(t, sp.s)
	for tree := range TreeID(NumTrees) {
		compareScan(t, sp.s.View(), tree, sp.trees[tree])
	}
}

// freshBytes is what a new file with the same records needs.
func (sp *sparse) freshBytes(t *testing.T, pageSize int) int64 {
	s := mustCreate(t, vfs.NewMem(), pageSize)
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	for tree, m := range sp.trees {
		var puts []Edit
		for _, k := range m.keys() {
			puts = append(puts, Edit{Key: []byte(k), Value: []byte(m[k].value), Timestamp: m[k].ts})
		}
		if err := c.Merge(context.Background(), TreeID(tree), slices.Values(puts), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Commit(Meta{}); err != nil {
		t.Fatal(err)
	}
	return s.Metrics().LiveBytes
}

// compact runs a compaction to its end with checkpoints that edit as well.
func (sp *sparse) compact(t *testing.T, maxPages int, edits func(round int) [NumTrees][]Edit) {
	t.Helper()
	k := sp.s.NewCompaction()
	for round := 0; ; round++ {
		var p CompactProgress
		sp.commit(t, edits(round), func(c *Checkpoint) {
			before := c.w.pages
			var err error
			if p, err = k.Step(context.Background(), c, maxPages); err != nil {
				t.Fatal(err)
			}
			longest := int64(runBytes/sp.s.pageSize) * 3 // a value is moved as a whole
			if wrote := c.w.pages - before; wrote > 2*int64(maxPages)+2*repackWindow+longest+20 {
				t.Fatalf("a step for %d pages wrote %d", maxPages, wrote)
			}
			if p.Done < 0 || p.Left < 0 || p.Moved > p.Done {
				t.Fatalf("progress %+v", p)
			}
		})
		if p.Finished {
			return
		}
		if round > 1000 {
			t.Fatalf("no end: %+v", p)
		}
	}
}

func noEdits(int) (e [NumTrees][]Edit) { return e }

func TestCompactionReachesWhatAFreshLoadNeeds(t *testing.T) {
	sizes := []int{4096, 65536}
	if *long {
		sizes = []int{4096, 8192, 16384, 32768, 65536}
	}
	for _, pageSize := range sizes {
		for _, maxPages := range []int{64, 1 << 20} {
			t.Run(fmt.Sprintf("%d %d", pageSize, maxPages), func(t *testing.T) {
				sp := newSparse(t, pageSize, 4000*4096/pageSize)
				before := sp.s.Metrics().FileBytes
				sp.compact(t, maxPages, noEdits)
				sp.verify(t)
				fresh := sp.freshBytes(t, pageSize)
				after := fileSize(t, sp.s, sp.mem)
				// What is free is less than a run of the longest values, for such a run at the end has no other place.
				space := mustAddUp(t, sp.s)
				if after-space.Free > fresh*11/10+int64(8*pageSize) || space.Free >= runBytes {
					t.Errorf("%d bytes before, %d after, %d fresh; %+v", before, after, fresh, space)
				}
				t.Logf("%d bytes before, %d after, %d fresh: %.3f", before, after, fresh, float64(after)/float64(fresh))
			})
		}
	}
}

// TestCompactionBesideWriters edits a little in each step. The file gets short all the same, and nothing is lost.
func TestCompactionBesideWriters(t *testing.T) {
	sp := newSparse(t, 4096, 6000)
	sp.compact(t, 50, func(round int) (e [NumTrees][]Edit) {
		for tree := range e {
			for i := range 5 {
				k := uint64(round*37+i*911+tree) % 6000
				e[tree] = append(e[tree], Edit{Key: roundKey(k), Value: pattern(100+i*500, k), Timestamp: k, Delete: i == 3})
			}
		}
		return e
	})
	sp.verify(t)
	if after, fresh := sp.s.Metrics().FileBytes, sp.freshBytes(t, 4096); after > fresh*5/4 {
		t.Errorf("%d bytes after, %d fresh; %+v", after, fresh, mustAddUp(t, sp.s))
	}
}

func TestCompactionOfACompactFileMovesNothing(t *testing.T) {
	s := mustCreate(t, vfs.NewMem(), 4096)
	sp := &sparse{s: s, trees: [NumTrees]model{{}, {}}}
	sp.commit(t, [NumTrees][]Edit{sequentialEdits(5000, 100)}, nil)
	k, steps := s.NewCompaction(), 0
	for done := false; !done; steps++ {
		sp.commit(t, noEdits(0), func(c *Checkpoint) {
			p, err := k.Step(context.Background(), c, 100)
			if err != nil || p.Moved > 8 {
				t.Fatalf("%+v, %v", p, err)
			}
			done = p.Finished
		})
	}
	if steps > 8 {
		t.Fatalf("%d steps", steps)
	}
	empty := &sparse{s: mustCreate(t, vfs.NewMem(), 4096), trees: [NumTrees]model{{}, {}}}
	empty.compact(t, 10, noEdits)
	if n := empty.s.Metrics().FileBytes; n > 8*4096 {
		t.Fatalf("an empty file has %d bytes", n)
	}
}

// TestAbortedCompactionStepsAreRepeated aborts every other step, by the owner or by a context.
func TestAbortedCompactionStepsAreRepeated(t *testing.T) {
	sp := newSparse(t, 4096, 3000)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	k := sp.s.NewCompaction()
	for round, done := 0, false; !done; round++ {
		if round%2 == 1 {
			sp.abortedStep(t, k, cancelled, round%4 == 1)
		}
		sp.commit(t, noEdits(0), func(c *Checkpoint) {
			p, err := k.Step(context.Background(), c, 40)
			if err != nil {
				t.Fatal(err)
			}
			done = p.Finished
		})
	}
	sp.verify(t)
	if after, fresh := sp.s.Metrics().FileBytes, sp.freshBytes(t, 4096); after > fresh*11/10+8*4096 {
		t.Errorf("%d bytes after, %d fresh; %+v", after, fresh, mustAddUp(t, sp.s))
	}
}

func (sp *sparse) abortedStep(t *testing.T, k *Compaction, cancelled context.Context, cancel bool) {
	c, err := sp.s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	if !cancel {
		_, err = k.Step(context.Background(), c, 40)
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	if _, err = k.Step(cancelled, c, 40); err == nil {
		return // there was nothing to do
	}
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := c.Commit(Meta{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("commit after a cancelled step: %v", err)
	}
}

func TestCompactionRefusesForeignCheckpoints(t *testing.T) {
	a, b := mustCreate(t, vfs.NewMem(), 4096), mustCreate(t, vfs.NewMem(), 4096)
	c, err := a.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.NewCompaction().Step(context.Background(), c, 1); !errors.Is(err, ErrForeignCheckpoint) {
		t.Fatal(err)
	}
	c.Abort()
	if _, err := a.NewCompaction().Step(context.Background(), c, 1); !errors.Is(err, ErrCheckpointDone) {
		t.Fatal(err)
	}
}

// TestAnAbortedStepForgetsWhatItDid compares the state after a step that was aborted with that after its repetition.
func TestAnAbortedStepForgetsWhatItDid(t *testing.T) {
	sp := &sparse{s: mustCreate(t, vfs.NewMem(), 4096), trees: [NumTrees]model{{}, {}}}
	sp.commit(t, [NumTrees][]Edit{sequentialEdits(20_000, 100)}, nil)
	k := sp.s.NewCompaction()
	sp.abortedStep(t, k, context.Background(), false)
	first := k.state
	if first.seen == 0 || first.key == nil {
		t.Fatalf("the step did all or nothing: %+v", first)
	}
	sp.commit(t, noEdits(0), func(c *Checkpoint) {
		if _, err := k.Step(context.Background(), c, 40); err != nil {
			t.Fatal(err)
		}
	})
	if second := k.state; second.seen != first.seen || string(second.key) != string(first.key) {
		t.Fatalf("the step went on from %+v to %+v", first, second)
	}
}
