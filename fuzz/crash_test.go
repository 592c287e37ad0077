package fuzz

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
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

// crowd is four writers, a reader, two or three checkpoints, and one commit of several log records.
func crowd(seed uint64) *workload {
	return &workload{
		writers: 4, commits: 12, cells: 40, valueBytes: 4000, largeBytes: 40 << 10, checkpoint: 3, reader: true, seed: seed,
	}
}

// soloist is one writer, so that changes have about the same numbers in each run.
func soloist(seed uint64) *workload {
	return &workload{
		writers: 1, commits: 15, cells: 10, valueBytes: 9000, largeBytes: 40 << 10, checkpoint: 4, seed: seed,
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
		run:    func(disk vfs.FS, seed uint64, h *history) []error { return stage(seed).openAndRun(disk, h) },
		after:  func(disk vfs.FS, seed uint64, h *history) []error { return after(seed).openAndRun(disk, h) },
		audit:  func(t testing.TB, disk vfs.FS, h *history) int { return len(audited(t, disk, h).entries) },
		stride: stride,
	}
}

// crashes counts what was tried.
type crashes struct {
	system
	points, images, nested int
	acked, survived        int
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
	for i, cfg := range images(seed) {
		if !*crashEvery && (cut/c.stride+int64(i))%2 == 1 {
			continue
		}
		c.image(t, mem.Crash(cfg), h.clone(), seed<<8+uint64(i))
	}
	return finished
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
	return fmt.Sprintf("%d crash points, %d images with %d commits acknowledged before and %d recovered in all, %d further crashes",
		c.points, c.images, c.acked, c.survived, c.nested)
}

func TestNothingIsLostWhenThePowerGoesOffAtAnyChange(t *testing.T) {
	for name, s := range map[string]system{
		"one writer":   store(soloist, 2),
		"many writers": store(crowd, 5),
		"graph":        graphs(5),
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
