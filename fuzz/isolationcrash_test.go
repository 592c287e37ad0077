package fuzz

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sombradb/sombra/fuzz/kit"
	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

var (
	historyLives = flag.Int("history.lives", 6, "lives of each database of TestHistoriesKeepTheirLevelAcrossCrashes, which end with a crash or a restart")
	historySeed  = flag.Uint64("history.seed", 1, "of where the lives end")
)

const (
	livesPerEpoch = 6
	lifeTxns      = 400 // at the most
)

// A history that goes through crashes and restarts is one that the levels allow, in real time and in the order of
// sessions: what was acknowledged before a crash is seen after it, what was not is there as a whole or not at all, and
// nothing is there without what it has seen. Where a mode may lose acknowledged commits, it loses the newest ones.
func TestHistoriesKeepTheirLevelAcrossCrashes(t *testing.T) {
	all := []kit.Level{kit.MonotonicView, kit.Snapshot, kit.StrictSerializable}
	for _, shape := range []struct {
		name    string
		levels  []kit.Level
		waiting bool
		mode    mvcc.Durability
	}{
		{"read committed", all[:1], true, mvcc.Full}, {"snapshot", all[1:2], false, mvcc.Full}, {"serializable", all[2:], true, mvcc.Full},
		{"mixed", all, true, mvcc.Full}, {"mixed, interval", all, true, mvcc.Interval}, {"mixed, none", all, false, mvcc.None},
	} {
		t.Run(shape.name, func(t *testing.T) {
			l := &lives{mode: shape.mode, levels: shape.levels}
			l.historyDriver = historyDriver{t: t, waiting: shape.waiting, weak: shape.mode != mvcc.Full}
			for epoch := 0; epoch*livesPerEpoch < *historyLives; epoch++ {
				l.random = rand.New(rand.NewPCG(*historySeed, uint64(epoch)))
				l.epoch(epoch)
			}
			t.Logf("%d transactions: %d committed, %d aborted or unknown; %d crashes, %d restarts; checked in %v",
				l.begun, l.committed.Load(), l.aborted.Load(), l.crashes, l.restarts, l.checking.Round(time.Millisecond))
			if l.crashes == 0 || l.committed.Load() < int64(l.begun)/10 {
				t.Errorf("the history says little: %d crashes, %d of %d committed", l.crashes, l.committed.Load(), l.begun)
			}
		})
	}
}

// lives is a history driver whose database dies and is opened again.
type lives struct {
	historyDriver
	mode              mvcc.Durability
	levels            []kit.Level
	random            *rand.Rand
	mem               *vfs.Mem
	crashes, restarts int
}

func (l *lives) options() *mvcc.Options {
	o := options(l.disk)
	o.Durability, o.AllowUnsafe, o.SyncInterval = l.mode, l.mode != mvcc.Full, time.Millisecond
	return o
}

// epoch makes and checks one history.
func (l *lives) epoch(n int) {
	l.mem = newDisk(l.t)
	recorder := kit.NewRecorder()
	w := kit.Workload{
		Seed: *historySeed + uint64(n), Processes: historyProcesses, Keys: 5, Lifetime: 60, Reads: 0.35, Ranges: 0.15, Held: 0.2, Levels: l.levels,
	}
	var generators []*kit.Generator
	var processes []*kit.Process
	for p := range historyProcesses {
		g, err := w.Generator(p)
		if err != nil {
			l.t.Fatal(err)
		}
		generators, processes = append(generators, g), append(processes, recorder.Process())
	}
	begun := 0
	for range livesPerEpoch {
		begun += l.life(generators, processes, begun)
	}
	l.begun += begun
	l.lookAtAll(recorder.Process(), kit.Key(begun))
	history, err := recorder.History()
	if err != nil {
		l.t.Fatal(err)
	}
	start := time.Now()
	report := kit.Check(history, kit.Options{RealTime: !l.weak, Sessions: !l.weak})
	l.checking += time.Since(start)
	if !report.OK() {
		l.t.Fatalf("epoch %d: %v", n, report)
	}
}

// life opens the database and runs transactions until the power fails, or until there were enough: then it closes.
func (l *lives) life(generators []*kit.Generator, processes []*kit.Process, before int) (begun int) {
	l.disk = vfs.NewFaulty(l.mem, nil)
	l.open()
	if l.random.IntN(5) > 0 {
		l.disk.CutAt(l.disk.Changes() + 1 + l.random.Int64N(300))
	}
	var count atomic.Int64
	var wg sync.WaitGroup
	for i, g := range generators {
		wg.Go(func() {
			for !l.disk.IsOff() {
				n := count.Add(1)
				if n > lifeTxns {
					return
				}
				l.run(processes[i], g.NextAt((before+int(n))/historyProcesses))
				if n%150 == 0 {
					l.checkpoint()
				}
			}
		})
	}
	wg.Wait()
	crashed := l.disk.IsOff()
	err := l.db.Close()
	switch {
	case !crashed && !l.disk.IsOff() && err != nil:
		l.t.Fatalf("close: %v", err)
	case l.disk.IsOff():
		l.crashes++
		seed := l.random.Uint64()
		l.mem = l.mem.Crash(vfs.CrashConfig{
			Mode: []vfs.CrashMode{vfs.LoseAll, vfs.KeepAll, vfs.Random, vfs.Random}[seed%4], Seed: seed, SectorSize: []int{512, 4096}[seed>>2%2],
		})
	default:
		l.restarts++
	}
	return int(min(count.Load(), lifeTxns))
}

func (l *lives) open() {
	var err error
	if l.db, err = mvcc.Open(dbPath, l.options()); err != nil {
		l.t.Fatalf("open: %v", err)
	}
	if l.ks, err = l.db.Keyspace(context.Background(), "lists"); err != nil {
		l.t.Fatalf("keyspace: %v", err)
	}
}

func (l *lives) checkpoint() {
	if err := l.db.Checkpoint(context.Background()); err != nil && !l.dead(err) {
		l.t.Errorf("checkpoint: %v", err)
	}
}

// lookAtAll reads every list in one transaction, so that what is lost is missed.
func (l *lives) lookAtAll(p *kit.Process, end kit.Key) {
	l.disk = vfs.NewFaulty(l.mem, nil)
	l.open()
	defer func() {
		if err := l.db.Close(); err != nil {
			l.t.Errorf("close: %v", err)
		}
	}()
	p.Begin(kit.StrictSerializable)
	status := kit.Aborted
	defer func() { p.End(status) }()
	err := l.db.View(context.Background(), func(tx *mvcc.Txn) error {
		rows, err := l.rows(tx, kit.Op{Key: 0, End: end})
		if err == nil {
			p.ReadRange(0, end, rows)
		}
		return err
	})
	if err != nil {
		l.t.Fatalf("reading all: %v", err)
	}
	status = kit.Committed
	report, err := l.db.Check(context.Background(), nil)
	if err != nil || len(report.Problems) > 0 {
		l.t.Fatalf("check: %v, %v", fmt.Sprint(report.Problems), err)
	}
}
