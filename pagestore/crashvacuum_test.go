package pagestore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// mover is what a checkpoint does to make the file shorter.
type mover func(c *Checkpoint) (moved int64, err error)

func movers() map[string]func(*Store) mover {
	return map[string]func(*Store) mover{
		"vacuum": func(*Store) mover {
			return func(c *Checkpoint) (int64, error) { return c.Vacuum(context.Background(), AutoVacuum) }
		},
		"compaction": func(s *Store) mover {
			k, before := s.NewCompaction(), int64(0)
			return func(c *Checkpoint) (int64, error) {
				p, err := k.Step(context.Background(), c, 20)
				moved := p.Moved - before
				before = p.Moved
				if p.Finished {
					k, before = s.NewCompaction(), 0
				}
				return moved, err
			}
		},
	}
}

// movingHistory is a workload whose file has much to be moved: a load, edits that become deltas, some with large values, a
// large deletion that leaves a part of these, and then small edits.
func movingHistory() *history {
	h := &history{states: []model{{}}}
	add := func(edits []Edit) {
		edits = sortEdits(edits)
		h.steps, h.states = append(h.steps, edits), append(h.states, h.states[len(h.states)-1].apply(edits))
	}
	var puts, changes, deletes []Edit
	for k := range 900 {
		n := 60
		if k%17 == 5 {
			changes = append(changes, Edit{Key: fmt.Appendf(nil, "k%05d", k), Value: pattern(60+k/170%2*6000, uint64(k)), Timestamp: 3})
		}
		if k%70 == 3 {
			n = 9000
		}
		puts = append(puts, Edit{Key: fmt.Appendf(nil, "k%05d", k), Value: pattern(n, uint64(k)), Timestamp: uint64(k)})
		if k < 730 && k%5 > 0 {
			deletes = append(deletes, Edit{Key: fmt.Appendf(nil, "k%05d", k), Delete: true})
		}
	}
	add(puts)
	add(changes)
	add(deletes)
	add(nil)
	add(nil) // what lies at the end moves, and is not written anew for another reason
	for i := range 5 {
		add([]Edit{{Key: fmt.Appendf(nil, "k%05d", i*150), Value: []byte("edited"), Timestamp: uint64(i)}})
	}
	return h
}

// runMoving is run with a mover in each checkpoint.
func (h *history) runMoving(fs vfs.FS, m func(*Store) mover) (acknowledged int, moved int64, err error) {
	s, err := Create("db", testID, Options{FS: fs, PageSize: 4096, CacheBytes: minCache})
	if err != nil {
		return -1, 0, err
	}
	defer func() { _ = s.Close() }()
	move := m(s)
	for i, edits := range h.steps {
		n, err := h.moveStep(s, edits, uint64(i+1), move)
		if err != nil {
			return i, moved, err
		}
		moved += n
	}
	return len(h.steps), moved, nil
}

func (h *history) moveStep(s *Store, edits []Edit, lsn uint64, move mover) (moved int64, err error) {
	c, err := s.Begin()
	if err != nil {
		return 0, err
	}
	defer c.Abort()
	if err := c.Merge(context.Background(), DataTree, slices.Values(edits), nil); err != nil {
		return 0, err
	}
	if moved, err = move(c); err != nil {
		return 0, err
	}
	_, err = c.Commit(Meta{LogLSN: lsn})
	return moved, err
}

// TestMovingHistoryMovesDeltas keeps the tests below from being about less than they say.
func TestMovingHistoryMovesDeltas(t *testing.T) {
	for name, m := range movers() {
		h := movingHistory()
		s := mustCreate(t, vfs.NewMem(), 4096)
		move, pages, merged := m(s), 0, 0
		for i, edits := range h.steps {
			before := len(census(t, s.View(), DataTree).withDelta())
			_, err := h.moveStep(s, edits, uint64(i+1), func(c *Checkpoint) (moved int64, err error) {
				if moved, err = move(c); c.moving != nil {
					for _, task := range c.moving.tasks[DataTree] {
						pages += min(1, int(task.delta))
					}
				}
				return moved, err
			})
			if err != nil {
				t.Fatal(err)
			}
			mustCheck(t, s)
			merged += max(0, before-len(census(t, s.View(), DataTree).withDelta()))
		}
		if name == "vacuum" && pages == 0 || name == "compaction" && merged < 10 {
			t.Errorf("%s moved %d delta pages, and merged %d deltas", name, pages, merged)
		}
		t.Log(name, pages, merged)
	}
}

// TestPowerLossWhileTheFileIsShortened cuts the power at every (short form: every other) change of a workload that moves
// pages and cuts the file.
func TestPowerLossWhileTheFileIsShortened(t *testing.T) {
	h := movingHistory()
	for name, m := range movers() {
		count := vfs.NewFaulty(vfs.NewMem(), nil)
		if _, moved, err := h.runMoving(count, m); err != nil || moved < 10 {
			t.Fatalf("%s moved %d pages: %v", name, moved, err)
		}
		seeds, stride := 1, int64(2)
		if *long {
			seeds, stride = 50, 1
		}
		for cut := int64(0); cut < count.Changes(); cut += stride {
			mem := vfs.NewMem()
			faulty := vfs.NewFaulty(mem, nil)
			faulty.CutAt(cut)
			acknowledged, _, err := h.runMoving(faulty, m)
			// Cutting the end off may fail unnoticed; nothing comes after the last one.
			if !errors.Is(err, vfs.ErrPowerOff) && (err != nil || acknowledged < len(h.steps)) {
				t.Fatalf("%s cut at %d: %v", name, cut, err)
			}
			for seed := range seeds {
				for image, fs := range crashImages(mem, uint64(cut)*1000+uint64(seed)) {
					if acknowledged < 0 {
						requireAbsentOrEmpty(t, fs)
						continue
					}
					t.Run(fmt.Sprintf("%s cut %d %s", name, cut, image), func(t *testing.T) { h.verifyImage(t, fs, acknowledged) })
				}
			}
		}
	}
}

// TestCallsFailingWhileTheFileIsShortened fails each call (short form: every fourth) once. An aborted checkpoint must leave nothing behind that
// keeps later ones from shortening the file.
func TestCallsFailingWhileTheFileIsShortened(t *testing.T) {
	h := movingHistory()
	for name, m := range movers() {
		count := vfs.NewFaulty(vfs.NewMem(), nil)
		if _, _, err := h.runMoving(count, m); err != nil {
			t.Fatal(err)
		}
		stride := int64(4)
		if *long {
			stride = 1
		}
		for i := int64(0); i < count.Ops(); i += stride {
			t.Run(fmt.Sprintf("%s op %d", name, i), func(t *testing.T) { h.failMoving(t, m, i) })
		}
	}
}

func (h *history) failMoving(t *testing.T, m func(*Store) mover, index int64) {
	mem, running := vfs.NewMem(), true
	fs := vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
		if op.Index == index && running {
			return vfs.Fault{Err: errInjected}
		}
		return vfs.Fault{}
	})
	s, err := Create("db", testID, Options{FS: fs, PageSize: 4096, CacheBytes: minCache})
	if err != nil {
		return // what Create leaves is tested elsewhere
	}
	defer func() { _ = s.Close() }()
	move, at := m(s), 0
	for at < len(h.steps) {
		_, err := h.moveStep(s, h.steps[at], uint64(at+1), move)
		if err == nil {
			at++
			continue
		}
		if !errors.Is(err, errInjected) {
			t.Fatal(err)
		}
		if errors.Is(err, ErrFailed) {
			break
		}
	}
	running = false
	compareScan(t, s.View(), DataTree, h.states[at])
	if at == len(h.steps) {
		mustCheck(t, s)
	}
	_ = s.Close()
	h.verifyImage(t, mem, at)
}

var errInjected = errors.New("injected")
