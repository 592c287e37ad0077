package fuzz

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

var crashEvery = flag.Bool("crash.every", false, "crash at every change of the disk, in every kind of image")

// images are what a power cut may leave, for a seed.
func images(seed uint64) []vfs.CrashConfig {
	return []vfs.CrashConfig{
		{Mode: vfs.LoseAll},
		{Mode: vfs.KeepAll},
		{Mode: vfs.Random, Seed: seed, SectorSize: 512},
		{Mode: vfs.Random, Seed: seed, SectorSize: 4096},
	}
}

// crowd is four writers, a reader, two or three checkpoints, and some commits of several log records.
func crowd(seed uint64) *workload {
	return &workload{
		writers: 4, commits: 12, cells: 40, valueBytes: 4000, largeBytes: 40 << 10, largeEvery: 9,
		checkpoint: 3, reader: true, seed: seed,
	}
}

// soloist is one writer, so that changes have about the same numbers in each run.
func soloist(seed uint64) *workload {
	return &workload{
		writers: 1, commits: 15, cells: 10, valueBytes: 9000, largeBytes: 40 << 10, largeEvery: 15,
		checkpoint: 4, seed: seed,
	}
}

// after is what goes on after a crash.
func after(seed uint64) *workload {
	return &workload{writers: 3, commits: 3, cells: 40, valueBytes: 3000, checkpoint: 2, seed: seed}
}

var stages = map[string]func(seed uint64) *workload{"one writer": soloist, "many writers": crowd}

// store is package mvcc under a workload.
func store(stage func(seed uint64) *workload, stride int64) system {
	return system{
		run:   func(disk vfs.FS, seed uint64, h *history) []error { return stage(seed).openAndRun(disk, h) },
		after: func(disk vfs.FS, seed uint64, h *history) []error { return after(seed).openAndRun(disk, h) },
		audit: func(t testing.TB, disk vfs.FS, h *history) int { return len(audited(t, disk, h).entries) },
		glance: func(t testing.TB, disk vfs.FS, h *history) int {
			return len(auditedWith(t, disk, options, h, true, nil).entries)
		},
		stride: stride,
	}
}

// crashes counts what was tried.
type crashes struct {
	system
	points, images, nested, halved int
	acked, survived                int
}

// point cuts the power at one change, audits all images, and goes on from them.
// It reports whether the workload ended before that change.
func (c *crashes) point(t *testing.T, cut int64) (finished bool) {
	t.Helper()
	seed := uint64(cut) + 1
	h, mem := newHistory(), newDisk(t)
	finished = runUntilCut(t, mem, cut, func(disk vfs.FS) []error { return c.run(disk, seed, h) })
	c.points++
	c.acked += h.acknowledged()
	c.oneSuperblock(t, mem, h)
	for i, cfg := range images(seed) {
		if !*crashEvery && (cut/c.stride+int64(i))%2 == 1 {
			continue
		}
		c.image(t, mem.Crash(cfg), h.clone(), seed<<8+uint64(i))
	}
	c.processDied(t, mem, h, seed)
	return finished
}

// oneSuperblock verifies R4: whatever was under way when the power went off, each of the two
// superblocks is enough, because nobody overwrites the pages or the log that it needs.
func (c *crashes) oneSuperblock(t *testing.T, mem *vfs.Mem, h *history) {
	t.Helper()
	for slot := range uint32(2) {
		image := mem.Crash(vfs.CrashConfig{})
		if _, err := image.Stat(dbPath); err != nil {
			return // not created yet
		}
		injury{kind: flipBits, offset: superblockOffset(slot)}.inflict(t, image, []string{dbPath})
		c.audit(t, image, h.clone())
		c.halved++
	}
}

// processDied recovers from what the process had written, synced or not, as after a kill, and
// then lets the power go off: what the recovered database showed must not have been a dream.
func (c *crashes) processDied(t *testing.T, mem *vfs.Mem, h *history, seed uint64) {
	t.Helper()
	h.recovered()
	runUntilCut(t, mem, rand.New(rand.NewPCG(seed, 1)).Int64N(20), func(disk vfs.FS) []error {
		return c.after(disk, seed<<8+99, h)
	})
	c.audit(t, mem.Crash(vfs.CrashConfig{}), h)
	c.nested++
}

// image recovers, and then the same image again with the power going off early, in
// the recovery at times, and once more in what comes of that. What was settled must never change.
func (c *crashes) image(t *testing.T, mem *vfs.Mem, h *history, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	next := mem.Crash(vfs.CrashConfig{}) // everything in it is durable: a copy
	c.images++
	c.survived += c.audit(t, mem, h)
	for round := range int64(2) {
		runUntilCut(t, next, random.Int64N(20<<(2*round)), func(disk vfs.FS) []error {
			return c.after(disk, random.Uint64(), h)
		})
		sector := 512 << (3 * random.IntN(2))
		next = next.Crash(vfs.CrashConfig{Mode: vfs.Random, Seed: random.Uint64(), SectorSize: sector})
		c.audit(t, next, h)
		c.nested++
	}
	for _, err := range c.after(next, random.Uint64(), h) {
		t.Fatalf("working on after the last recovery: %v", err)
	}
	c.audit(t, next, h)
}

func (c *crashes) String() string {
	return fmt.Sprintf("%d crash points, %d images with %d commits acknowledged before and %d recovered in all, %d further crashes, %d times with one superblock damaged",
		c.points, c.images, c.acked, c.survived, c.nested, c.halved)
}

func TestNothingIsLostWhenThePowerGoesOffAtAnyChange(t *testing.T) {
	for name, s := range map[string]system{
		"one writer":   store(soloist, 3),
		"many writers": store(crowd, 6),
		"graph":        graphs(6),
	} {
		t.Run(name, func(t *testing.T) {
			stride := s.stride
			if *crashEvery {
				stride = 1
			}
			c := crashes{system: s}
			cut := int64(0)
			defer func() {
				t.Log(&c)
				if t.Failed() {
					t.Logf("failed with the power cut before change %d", cut)
				}
			}()
			for ; !c.point(t, cut); cut += stride {
			}
		})
	}
}

// moment is what the medium held, and what had been acknowledged, while a database was running.
type moment struct {
	disk *vfs.Mem
	past *history
}

// Checkpoints run one after the other beside large commits, whose first log
// records may be older than a checkpoint that does not hold the commit. An image is taken after each acknowledgement.
func TestNothingIsLostBetweenCheckpointsAndLargeCommits(t *testing.T) {
	rounds := uint64(1)
	if *crashEvery {
		rounds = 50
	}
	for seed := range rounds {
		mem, h := newDisk(t), newHistory()
		w := &workload{writers: 2, commits: 16, cells: 20, valueBytes: 500, largeBytes: 800 << 10, largeEvery: 1, seed: seed}
		for _, m := range w.runWithCheckpoints(t, mem, h) {
			audited(t, m.disk, m.past)
		}
	}
}

// runWithCheckpoints returns the moments after acknowledgements.
func (w *workload) runWithCheckpoints(t *testing.T, mem *vfs.Mem, h *history) []moment {
	t.Helper()
	var moments struct {
		sync.Mutex
		list []moment
	}
	w.acked = func(outcome, uint64) {
		past := h.clone() // before the image: what comes between is unknown to it
		past.dark = true
		disk := mem.Crash(vfs.CrashConfig{})
		moments.Lock()
		defer moments.Unlock()
		moments.list = append(moments.list, moment{disk, past})
	}
	db, err := mvcc.Open(dbPath, options(mem))
	if err != nil {
		t.Fatal(err)
	}
	var busy sync.WaitGroup
	var over atomic.Bool
	var failure error
	busy.Go(func() {
		for failure == nil && !over.Load() {
			failure = db.Checkpoint(bg)
		}
	})
	errs := w.run(bg, db, h)
	over.Store(true)
	busy.Wait()
	if err := errors.Join(append(errs, failure, db.Close())...); err != nil {
		t.Fatal(err)
	}
	return moments.list
}
