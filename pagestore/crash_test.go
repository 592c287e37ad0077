package pagestore

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

var long = flag.Bool("long", false, "run the long forms of the crash, fault and corruption tests")

// history is a fixed workload of checkpoints: step i turns states[i] into states[i+1].
type history struct {
	steps  [][]Edit
	states []model
}

func newHistory(steps int) *history {
	h := &history{states: []model{{}}}
	for i := range steps {
		var edits []Edit
		for k := range 160 {
			if i%3 == 2 && k%23 > 1 { // few changes: they become deltas
				continue
			}
			switch {
			case (k+i)%3 == 0:
				n := 60
				if k%40 == 0 {
					n = 9000 // overflow
				}
				edits = append(edits, Edit{
					Key: fmt.Appendf(nil, "k%05d", k), Value: pattern(n, uint64(i*1000+k)), Timestamp: uint64(i + 1),
				})
			case (k+i)%5 == 0:
				edits = append(edits, Edit{Key: fmt.Appendf(nil, "k%05d", k), Delete: true})
			}
		}
		long := make([]byte, 6000)
		long[0], long[5999] = 'z', byte(i%2)
		edits = append(edits, Edit{Key: long, Value: []byte("jumbo"), Timestamp: uint64(i + 1)})
		if i == 3 { // most of it goes, so that the file shrinks
			edits = nil
			for _, k := range h.states[3].keys()[:100] {
				edits = append(edits, Edit{Key: []byte(k), Delete: true})
			}
		}
		edits = sortEdits(edits)
		h.steps = append(h.steps, edits)
		h.states = append(h.states, h.states[i].apply(edits))
	}
	return h
}

func TestHistoryHasDeltas(t *testing.T) {
	h, with := newHistory(6), 0
	s := mustCreate(t, vfs.NewMem(), 4096)
	for i, edits := range h.steps {
		if err := step(s, edits, uint64(i+1)); err != nil {
			t.Fatal(err)
		}
		if len(census(t, s.View(), DataTree).pages) > 0 {
			with++
		}
	}
	if with == 0 || with == len(h.steps) {
		t.Fatalf("%d of %d states have deltas", with, len(h.steps))
	}
}

// run makes the checkpoints until one fails; it returns how many were acknowledged.
func (h *history) run(fs vfs.FS) (acknowledged int, err error) {
	s, err := Create("db", testID, Options{FS: fs, PageSize: 4096, CacheBytes: minCache})
	if err != nil {
		return -1, err
	}
	defer func() { _ = s.Close() }()
	for i, edits := range h.steps {
		if err := step(s, edits, uint64(i+1)); err != nil {
			return i, err
		}
	}
	return len(h.steps), nil
}

func step(s *Store, edits []Edit, lsn uint64) error {
	c, err := s.Begin()
	if err != nil {
		return err
	}
	defer c.Abort()
	if err := c.Merge(context.Background(), DataTree, slices.Values(edits), nil); err != nil {
		return err
	}
	_, err = c.Commit(Meta{LogLSN: lsn})
	return err
}

// verifyImage opens what a crash left: it must be exactly a state at or, when its commit was under way, one behind the
// acknowledged one, and the store must go on from there.
func (h *history) verifyImage(t *testing.T, fs vfs.FS, acknowledged int) {
	t.Helper()
	s, err := Open("db", Options{FS: fs, CacheBytes: minCache})
	if err != nil {
		t.Fatalf("after %d acknowledged checkpoints: %v", acknowledged, err)
	}
	defer func() { _ = s.Close() }()
	at := int(s.View().Meta().LogLSN)
	if at != acknowledged && at != acknowledged+1 {
		t.Fatalf("opened at checkpoint %d, %d were acknowledged", at, acknowledged)
	}
	if older := s.OlderLogLSN(); older > uint64(at) {
		t.Fatalf("older superblock says log position %d, newer %d", older, at)
	}
	mustCheck(t, s)
	compareScan(t, s.View(), DataTree, h.states[at])
	if at < len(h.steps) {
		if err := step(s, h.steps[at], uint64(at+1)); err != nil {
			t.Fatalf("checkpoint after recovery: %v", err)
		}
		mustCheck(t, s)
		compareScan(t, s.View(), DataTree, h.states[at+1])
	}
}

func crashImages(mem *vfs.Mem, seed uint64) map[string]*vfs.Mem {
	return map[string]*vfs.Mem{
		"lose":       mem.Crash(vfs.CrashConfig{Mode: vfs.LoseAll}),
		"keep":       mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll}),
		"random512":  mem.Crash(vfs.CrashConfig{Mode: vfs.Random, Seed: seed}),
		"random4096": mem.Crash(vfs.CrashConfig{Mode: vfs.Random, Seed: seed, SectorSize: 4096}),
	}
}

func TestPowerLossAtEveryChangeLeavesTheOldOrTheNewCheckpoint(t *testing.T) {
	h := newHistory(6)
	count := vfs.NewFaulty(vfs.NewMem(), nil)
	if _, err := h.run(count); err != nil {
		t.Fatal(err)
	}
	seeds := 3
	if *long {
		seeds = 100
	}
	for cut := range count.Changes() {
		mem := vfs.NewMem()
		faulty := vfs.NewFaulty(mem, nil)
		faulty.CutAt(cut)
		acknowledged, err := h.run(faulty)
		if !errors.Is(err, vfs.ErrPowerOff) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		for seed := range seeds {
			for name, image := range crashImages(mem, uint64(seed)) {
				if acknowledged < 0 {
					requireAbsentOrEmpty(t, image)
					continue
				}
				t.Run(fmt.Sprintf("cut %d %s %d", cut, name, seed), func(t *testing.T) { h.verifyImage(t, image, acknowledged) })
			}
		}
	}
}

// requireAbsentOrEmpty looks at a Create that was cut off: there is no file, or all of it.
func requireAbsentOrEmpty(t *testing.T, fs vfs.FS) {
	t.Helper()
	if _, err := fs.Stat("db"); err != nil {
		s, err := Create("db", testID, Options{FS: fs, CacheBytes: minCache})
		if err != nil {
			t.Fatalf("create again: %v", err)
		}
		_ = s.Close()
		return
	}
	s, err := Open("db", Options{FS: fs, CacheBytes: minCache})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	mustCheck(t, s)
	if s.View().Count(DataTree) != 0 {
		t.Fatal("a new file is not empty")
	}
}

// TestSecondPowerLossDuringRecovery cuts the power while the store goes on after a crash.
func TestSecondPowerLossDuringRecovery(t *testing.T) {
	h := newHistory(5)
	count := vfs.NewFaulty(vfs.NewMem(), nil)
	if _, err := h.run(count); err != nil {
		t.Fatal(err)
	}
	stride := int64(5)
	if *long {
		stride = 1
	}
	for cut := int64(5); cut < count.Changes(); cut += stride {
		mem := vfs.NewMem()
		faulty := vfs.NewFaulty(mem, nil)
		faulty.CutAt(cut)
		acknowledged, _ := h.run(faulty)
		if acknowledged < 0 {
			continue
		}
		for second := range int64(12) {
			h.crashAgain(t, mem.Crash(vfs.CrashConfig{Mode: vfs.Random, Seed: uint64(cut)}), second)
		}
	}
}

func (h *history) crashAgain(t *testing.T, mem *vfs.Mem, cut int64) {
	t.Helper()
	faulty := vfs.NewFaulty(mem, nil)
	faulty.CutAt(cut)
	at := -1
	s, err := Open("db", Options{FS: faulty, CacheBytes: minCache})
	if err == nil {
		at = int(s.View().Meta().LogLSN)
		for at < len(h.steps) && step(s, h.steps[at], uint64(at+1)) == nil {
			at++
		}
		_ = s.Close()
	} else if !errors.Is(err, vfs.ErrPowerOff) {
		t.Fatal(err)
	}
	for name, image := range crashImages(mem, uint64(cut)) {
		t.Run(fmt.Sprintf("second cut %d %s", cut, name), func(t *testing.T) {
			if at < 0 { // cut in Open: the state is whatever the first crash left
				s, err := Open("db", Options{FS: image, CacheBytes: minCache})
				if err != nil {
					t.Fatal(err)
				}
				at := int(s.View().Meta().LogLSN)
				_ = s.Close()
				h.verifyImage(t, image, at)
				return
			}
			h.verifyImage(t, image, at)
		})
	}
}

// TestEveryCallFailingOnce fails each I/O call in turn, wholly and after a part. The failing store must name the error,
// keep serving its last view, and after reopening be at an acknowledged state or one behind it.
func TestEveryCallFailingOnce(t *testing.T) {
	h := newHistory(5)
	count := vfs.NewFaulty(vfs.NewMem(), nil)
	if _, err := h.run(count); err != nil {
		t.Fatal(err)
	}
	for _, short := range []int{0, 700} {
		for i := range count.Ops() {
			t.Run(fmt.Sprintf("op %d short %d", i, short), func(t *testing.T) { h.failOnce(t, i, short) })
		}
	}
}

func (h *history) failOnce(t *testing.T, index int64, short int) {
	mem := vfs.NewMem()
	var failed vfs.OpKind
	fs := vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
		if op.Index == index {
			failed = op.Kind
			return vfs.Fault{Err: syscall.EIO, Short: short}
		}
		return vfs.Fault{}
	})
	s, err := Create("db", testID, Options{FS: fs, PageSize: 4096, CacheBytes: minCache})
	if err != nil {
		if !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		requireAbsentOrEmpty(t, mem)
		return
	}
	at := 0
	for at < len(h.steps) {
		err = step(s, h.steps[at], uint64(at+1))
		if err == nil {
			at++
			continue
		}
		if !errors.Is(err, syscall.EIO) {
			t.Fatalf("%v failed: %v", failed, err)
		}
		compareScan(t, s.View(), DataTree, h.states[at])
		if errors.Is(err, ErrFailed) {
			if _, err := s.Begin(); !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) {
				t.Fatalf("Begin after a failure: %v", err)
			}
			break
		}
		if failed == vfs.OpSync || failed == vfs.OpSyncData {
			t.Fatalf("a failed sync did not end the store: %v", err)
		}
	}
	if err := s.Close(); err != nil && !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	h.verifyImage(t, mem, at)
}

// TestFullDiskIsSurvivable runs into ENOSPC at many fill levels; an aborted checkpoint succeeds once there is room.
func TestFullDiskIsSurvivable(t *testing.T) {
	h := newHistory(4)
	for room := int64(8192 + 4096*2); room < 400_000; room += 9000 {
		disk := vfs.NewDiskBudget(room)
		fs := vfs.NewFaulty(vfs.NewMem(), disk.Decide)
		s, err := Create("db", testID, Options{FS: fs, PageSize: 4096, CacheBytes: minCache})
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(h.steps); {
			err := step(s, h.steps[at], uint64(at+1))
			switch {
			case err == nil:
				at++
			case errors.Is(err, ErrFailed): // the superblock itself met the full disk
				at = len(h.steps)
			case errors.Is(err, syscall.ENOSPC):
				compareScan(t, s.View(), DataTree, h.states[at])
				mustCheck(t, s)
				disk.Add(1 << 20)
			default:
				t.Fatal(err)
			}
		}
		_ = s.Close()
	}
}
