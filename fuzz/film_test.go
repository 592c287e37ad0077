package fuzz

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

var crashPoints = flag.Int("crash.points", 2000, "crash points of the filmed workloads, in all")

// A film is one run of a workload with a frame for each change of the disk: what is left when the power goes off just
// before that change, hence just after the one before it. Unlike runs that are cut off, one run gives all frames, and the
// writers go on: what they were told later is compared, too.
//
//	run      | create | write | sync | rename | syncdir | write | ...        | end
//	frames   f0       f1      f2     f3       f4        f5                   fn
//	images   lost     kept    512    4096     lost      ...                     what becomes of unsynced sectors and entries
//
// Developing a frame is recovering from it and auditing. Some frames are filmed again: the recovery, and what is written
// after it, is a run like any other, so that the power goes off in the recovery from a power cut, several levels deep.

// frame is what is left at one moment.
type frame struct {
	disk *vfs.Mem
	past *history // what writers had been told until then, taken before the image
}

// film is a run in the making.
type film struct {
	mem  *vfs.Mem
	h    *history
	seed uint64

	mu     sync.Mutex
	stride int64
	frames []frame
	before map[vfs.OpKind]int
}

// shoot runs and takes a frame before every stride-th change, and one at the end.
func shoot(mem *vfs.Mem, h *history, seed uint64, stride int64, run func(vfs.FS) []error) (*film, []error) {
	f := &film{mem: mem, h: h, seed: seed, stride: stride, before: map[vfs.OpKind]int{}}
	disk := vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
		if op.Changes && (op.Change+int64(seed))%stride == 0 {
			f.take(op)
		}
		return vfs.Fault{}
	})
	errs := run(disk)
	f.take(vfs.Op{Kind: vfs.OpClose, Change: disk.Changes()})
	return f, errs
}

// take adds a frame. From one run to the next, the kind of image at a change is another one.
func (f *film) take(op vfs.Op) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kinds := images(mixed(f.seed, uint64(op.Change)))
	past := f.h.clone()
	f.before[op.Kind]++
	f.frames = append(f.frames, frame{f.mem.Crash(kinds[(uint64(op.Change)+f.seed)%uint64(len(kinds))]), past})
}

func mixed(a, b uint64) uint64 { return a*0x9e3779b97f4a7c15 + b*0xbf58476d1ce4e5b9 }

// studio films one system and counts what was tried.
type studio struct {
	system
	t *testing.T

	points, nested, films int
	acked, survived       int
	before                map[vfs.OpKind]int
}

// nestedDepth is how many power cuts follow each other without a recovery that came to its end between them, at most.
const nestedDepth = 3

// film films one run from an empty disk and develops all of its frames.
func (s *studio) film(seed uint64) {
	s.t.Helper()
	h := newHistory()
	f, errs := shoot(newDisk(s.t), h, seed, 1, func(disk vfs.FS) []error { return s.run(disk, seed, h) })
	for _, err := range errs {
		if !errors.Is(err, mvcc.ErrStalled) { // on a machine so busy that a write in memory takes seconds; the frames are as good
			s.t.Fatalf("seed %d: %v", seed, err)
		}
	}
	s.points += len(f.frames)
	for kind, n := range f.before {
		s.before[kind] += n
	}
	s.acked += h.acknowledged()
	again := int(seed*7) % framesPerNested
	for i := range f.frames {
		s.develop(f, i, i%framesPerNested == again, nestedDepth)
	}
}

// progressEvery is after how many crash points a long run says how far it is.
const progressEvery = 2500

// framesPerNested is one in how many frames is filmed again.
const framesPerNested = 40

// develop recovers from a frame and audits; again films what follows.
func (s *studio) develop(f *film, i int, again bool, depth int) {
	s.t.Helper()
	fr := f.frames[i]
	f.frames[i] = frame{} // its memory
	defer func() {
		if s.t.Failed() {
			s.t.Logf("seed %d, %d power cuts deep, frame %d of %d", f.seed, nestedDepth-depth+1, i, len(f.frames))
		}
	}()
	h := fr.past.completedBy(f.h)
	copied := fr.disk.Crash(vfs.CrashConfig{})
	s.survived += s.glance(s.t, copied, h)
	if !again {
		return
	}
	s.films++
	h.recovered()
	seed := mixed(f.seed, uint64(i))
	next, errs := shoot(fr.disk, h, seed, 2, func(disk vfs.FS) []error { return s.after(disk, seed, h) })
	for _, err := range errs {
		if !errors.Is(err, mvcc.ErrStalled) {
			s.t.Fatalf("working on after a power cut: %v", err)
		}
	}
	s.nested += len(next.frames)
	deeper := int(seed % uint64(len(next.frames)))
	for k := range next.frames {
		s.develop(next, k, k == deeper && depth > 1, depth-1)
	}
}

func (s *studio) String() string {
	return fmt.Sprintf("%d crash points %v, and %d more inside and after the recoveries from %d of them; %d images, %d commits acknowledged, %d recovered in all",
		s.points, s.before, s.nested, s.films, s.points+s.nested, s.acked, s.survived)
}

func TestNothingIsLostInAnyFrame(t *testing.T) {
	systems := map[string]system{
		"one writer": store(soloist, 1), "many writers": store(crowd, 1), "all features": features(), "graph": graphs(1),
	}
	share := *crashPoints / len(systems)
	var all struct {
		sync.Mutex
		points, nested int
		before         map[vfs.OpKind]int
	}
	all.before = map[vfs.OpKind]int{}
	t.Run("systems", func(t *testing.T) {
		for name, sys := range systems {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := &studio{system: sys, t: t, before: map[vfs.OpKind]int{}}
				for seed := uint64(1); s.points < share; seed++ {
					before := s.points
					if s.film(seed); s.points/progressEvery > before/progressEvery {
						t.Log(s)
					}
				}
				t.Log(s)
				all.Lock()
				defer all.Unlock()
				all.points, all.nested = all.points+s.points, all.nested+s.nested
				for kind, n := range s.before {
					all.before[kind] += n
				}
			})
		}
	})
	t.Logf("%d crash points, %d nested, %d images audited; before %v", all.points, all.nested, all.points+all.nested, all.before)
	want := []vfs.OpKind{vfs.OpWrite, vfs.OpSync, vfs.OpSyncData, vfs.OpSyncDir, vfs.OpRename, vfs.OpTruncate, vfs.OpRemove, vfs.OpOpen}
	for _, kind := range want {
		if all.before[kind] == 0 && !t.Failed() && share > 0 {
			t.Errorf("no power cut before any %v: %v", kind, maps.Clone(all.before))
		}
	}
}
