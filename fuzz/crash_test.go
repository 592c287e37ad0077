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

// shortStride is how many changes lie between two crash points of the short form.
var shortStride = map[string]int64{"one writer": 2, "many writers": 5}

// crashes counts what was tried.
type crashes struct {
	points, images, nested int
	acked, survived        int
}

// point cuts the power at one change, audits all images, and goes on from them.
// It reports whether the workload ended before that change.
func (c *crashes) point(t *testing.T, cut int64, stage func(seed uint64) *workload) (finished bool) {
	t.Helper()
	seed := uint64(cut) + 1
	h, mem := newHistory(), newDisk(t)
	finished = runUntilCut(t, mem, cut, stage(seed), h)
	c.points++
	c.acked += h.acknowledged()
	for i, cfg := range images(seed) {
		if !*crashEvery && (int(cut)+i)%2 == 1 {
			continue
		}
		c.image(t, mem.Crash(cfg), h.clone(), seed<<8+uint64(i))
		if t.Failed() {
			t.Fatalf("cut before change %d, image %+v", cut, cfg)
		}
	}
	return finished
}

// image recovers, then lets the power go off again twice: at a change early enough to
// lie in the recovery at times, and after it. What was settled must never change.
func (c *crashes) image(t *testing.T, mem *vfs.Mem, h *history, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	again := vfs.CrashConfig{Mode: vfs.Random, Seed: seed, SectorSize: 512 << (3 * random.IntN(2))}
	early := mem.Crash(vfs.CrashConfig{})
	c.images++
	c.survived += len(audited(t, mem, h).entries)

	// A second crash of the same image, recovery included, then of what came of it.
	for round := range uint64(2) {
		runUntilCut(t, early, random.Int64N(20<<(2*round)), after(seed<<1+round), h)
		early = early.Crash(again)
		audited(t, early, h)
		c.nested++
	}
	if !runUntilCut(t, early, -1, after(seed<<1+3), h) {
		t.Fatal("the power went off by itself")
	}
	audited(t, early, h)
}

func (c *crashes) String() string {
	return fmt.Sprintf("%d crash points, %d images with %d commits acknowledged and %d recovered in all, %d further crashes",
		c.points, c.images, c.acked, c.survived, c.nested)
}

func TestNothingIsLostWhenThePowerGoesOffAtAnyChange(t *testing.T) {
	for name, stage := range stages {
		t.Run(name, func(t *testing.T) {
			stride := shortStride[name]
			if *crashEvery {
				stride = 1
			}
			var c crashes
			for cut := int64(0); !c.point(t, cut, stage); cut += stride {
			}
			t.Log(&c)
		})
	}
}
