package wal

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sombradb/sombra/internal/vfs"
)

// gate is a device whose syncs can be made to hang, fail or do worse.
type gate struct {
	mu    sync.Mutex
	fault map[vfs.OpKind]func() vfs.Fault
}

func (g *gate) set(kind vfs.OpKind, fault func() vfs.Fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fault == nil {
		g.fault = map[vfs.OpKind]func() vfs.Fault{}
	}
	g.fault[kind] = fault
}

func (g *gate) decide(op vfs.Op) vfs.Fault {
	g.mu.Lock()
	fault := g.fault[op.Kind]
	g.mu.Unlock()
	if fault == nil {
		return vfs.Fault{}
	}
	return fault()
}

// gated opens a new log on a gated device.
func gated(t *testing.T, adjust func(*Options)) (*Log, *gate, *vfs.Mem) {
	t.Helper()
	mem, g := newMem(t), &gate{}
	opts := smallOptions(vfs.NewFaulty(mem, g.decide))
	if adjust != nil {
		adjust(&opts)
	}
	l, _, err := Open(opts, 0, nil)
	must(t, err)
	return l, g, mem
}

func hang(release chan struct{}) func() vfs.Fault {
	return func() vfs.Fault { return vfs.Fault{Wait: release} }
}

func failWith(err error) func() vfs.Fault {
	return func() vfs.Fault { return vfs.Fault{Err: err} }
}

// cancellable is a context that makes Sync wait for the syncer instead of doing the I/O itself.
func cancellable(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(bg)
	t.Cleanup(cancel)
	return ctx
}

func TestCommittersShareSyncsAndEachRecordIsThere(t *testing.T) {
	const writers, each = 32, 50
	mem := newMem(t)
	l, _, _ := open(t, smallOptions(mem), 0)
	var wg sync.WaitGroup
	var syncedBefore atomic.Int64
	for w := range writers {
		wg.Go(func() {
			ctx := bg
			if w%2 == 0 {
				ctx = cancellable(t)
			}
			for i := range each {
				end, err := l.Append(uint8(w), uint64(i), make([]byte, w*10))
				if err == nil {
					err = l.Sync(ctx, end)
				}
				if err != nil || l.Durable() < end {
					t.Errorf("writer %d: %v, durable %d, want %d", w, err, l.Durable(), end)
					return
				}
				syncedBefore.Add(1)
				if err := l.Check(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	m := l.Metrics()
	image := mem.Crash(vfs.CrashConfig{})
	must(t, l.Close())
	if m.Records != writers*each || m.SyncedRecords != m.Records || m.QueueBytes != 0 || m.Waiters != 0 || m.Durable != m.End {
		t.Fatalf("%+v", m)
	}
	l, _, list := open(t, smallOptions(image), 0)
	must(t, l.Close())
	next := map[uint8]uint64{}
	for _, e := range list {
		if e.ts != next[e.kind] {
			t.Fatalf("writer %d: record %d, want %d", e.kind, e.ts, next[e.kind])
		}
		next[e.kind]++
	}
	if len(list) != writers*each {
		t.Fatalf("%d records", len(list))
	}
}

func TestWaitersOfAHungSyncShareTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, g, _ := gated(t, nil)
		release := make(chan struct{})
		g.set(vfs.OpSyncData, hang(release))
		var wg sync.WaitGroup
		for range 10 {
			end := put(t, l, 1, 10).end
			wg.Go(func() { must(t, l.Sync(bg, end)) })
			synctest.Wait()
		}
		if m := l.Metrics(); m.Waiters != 9 || m.Syncs != 0 {
			t.Errorf("while hung: %+v", m)
		}
		must(t, l.Check())
		close(release)
		wg.Wait()
		if m := l.Metrics(); m.Syncs != 2 || m.SyncedRecords != 10 {
			t.Errorf("%d syncs for one record and nine that waited", m.Syncs)
		}
		must(t, l.Close())
	})
}

func TestCancelledWaitEndsAtOnceAndTheRecordStillBecomesDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, g, _ := gated(t, nil)
		release := make(chan struct{})
		g.set(vfs.OpSyncData, hang(release))
		end := put(t, l, 1, 10).end
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		start := time.Now()
		if err := l.Sync(ctx, end); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("waited %v", waited)
		}
		close(release)
		must(t, l.Sync(bg, end))
		must(t, l.Close())
	})
}

func TestHungSyncIsReportedAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []StateChange
		l, g, _ := gated(t, func(o *Options) { o.OnStateChange = func(c StateChange) { changes = append(changes, c) } })
		release := make(chan struct{})
		g.set(vfs.OpSyncData, hang(release))
		end := put(t, l, 1, 10).end
		done := make(chan error, 1)
		go func() { done <- l.Sync(bg, end) }()
		expect := func(after time.Duration, want State) {
			time.Sleep(after)
			synctest.Wait()
			if s, err := l.State(); s != want || err != nil {
				t.Errorf("after %v: %v, %v, want %v", after, s, err, want)
			}
		}
		expect(200*time.Millisecond, StateOK)
		expect(300*time.Millisecond, StateSlow)
		put(t, l, 2, 10) // slow is not stalled
		expect(5*time.Second, StateStalled)
		if _, err := l.Append(1, 1, nil); !errors.Is(err, ErrStalled) {
			t.Errorf("append: %v", err)
		}
		if err := l.Admit(bg, 1); !errors.Is(err, ErrStalled) {
			t.Errorf("admit: %v", err)
		}
		select {
		case err := <-done:
			t.Errorf("the waiter was told %v", err)
		default:
		}
		close(release)
		expect(time.Second, StateOK)
		must(t, <-done)
		put(t, l, 3, 10)
		must(t, l.Close())
		var path []State
		for _, c := range changes {
			path = append(path, c.From, c.To)
			if c.Reason == "" {
				t.Errorf("%+v has no reason", c)
			}
		}
		want := []State{StateOK, StateSlow, StateSlow, StateStalled, StateStalled, StateOK}
		if len(path) != len(want) {
			t.Fatalf("%v", path)
		}
		for i := range want {
			if path[i] != want[i] {
				t.Fatalf("%v", path)
			}
		}
	})
}

func TestFailedSyncFailsTheLogForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []StateChange
		l, g, mem := gated(t, func(o *Options) { o.OnStateChange = func(c StateChange) { changes = append(changes, c) } })
		first := put(t, l, 0, 10)
		must(t, l.Sync(bg, first.end))
		release := make(chan struct{})
		g.set(vfs.OpSyncData, func() vfs.Fault { return vfs.Fault{Wait: release, Err: syscall.EIO} })
		errs := make(chan error, 5)
		for i := range 5 {
			end := put(t, l, i, 10).end
			go func() { errs <- l.Sync(bg, end) }()
			synctest.Wait()
		}
		close(release)
		for range 5 {
			err := <-errs
			var failed *FailedError
			if !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) || !errors.As(err, &failed) || !failed.OutcomeUnknown {
				t.Errorf("waiter: %v", err)
			}
		}
		g.set(vfs.OpSyncData, nil) // the device works again, the log must not
		_, err := l.Append(1, 1, nil)
		for _, err := range []error{err, l.Admit(bg, 1), l.Release(first.end), l.Close(), l.Close()} {
			var failed *FailedError
			if !errors.Is(err, syscall.EIO) || !errors.As(err, &failed) || failed.OutcomeUnknown {
				t.Errorf("later: %v", err)
			}
		}
		if err := l.Sync(bg, l.End()); !errors.Is(err, ErrFailed) {
			t.Errorf("later sync: %v", err)
		}
		must(t, l.Sync(bg, first.end))
		if l.Durable() != first.end {
			t.Errorf("durable %d", l.Durable())
		}
		if s, err := l.State(); s != StateFailed || !errors.Is(err, syscall.EIO) {
			t.Errorf("%v, %v", s, err)
		}
		if len(changes) != 1 || changes[0].To != StateFailed || !errors.Is(changes[0].Err, syscall.EIO) {
			t.Errorf("%+v", changes)
		}
		must(t, l.Check())
		_ = mem
	})
}

func TestFailedWriteFailsTheLogForGood(t *testing.T) {
	l, g, mem := gated(t, nil)
	first := put(t, l, 0, 10)
	must(t, l.Sync(bg, first.end))
	g.set(vfs.OpWrite, func() vfs.Fault { return vfs.Fault{Err: syscall.ENOSPC, Short: 20} })
	end := put(t, l, 1, 100).end
	if err := l.Sync(bg, end); !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := l.Close(); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	l, rec, list := open(t, smallOptions(mem), 0)
	sameEntries(t, list, []entry{first})
	if rec.End != first.end {
		t.Fatalf("%+v", rec)
	}
	must(t, l.Close())
}

func TestPanicAndExitInTheFlusherFailTheLog(t *testing.T) {
	for name, die := range map[string]func(){"panic": func() { panic("boom") }, "exit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			l, g, _ := gated(t, nil)
			g.set(vfs.OpWrite, func() vfs.Fault { die(); return vfs.Fault{} })
			end := put(t, l, 0, 10).end
			if err := l.Sync(cancellable(t), end); !errors.Is(err, ErrFailed) {
				t.Fatal(err)
			}
			if err := l.Close(); !errors.Is(err, ErrFailed) {
				t.Fatal(err)
			}
		})
	}
}

func TestDeadSyncerIsNoticed(t *testing.T) {
	for name, kill := range map[string]func(l *Log){
		"holds the token and never begins": func(l *Log) { l.mu.busy = true; l.beat.begin(opQueued) },
		"holds the token, no trace of it":  func(l *Log) { l.mu.busy = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, _, _ := gated(t, nil)
				l.mu.Lock()
				kill(l)
				l.mu.Unlock()
				end := put(t, l, 0, 10).end
				done := make(chan error, 1)
				go func() { done <- l.Sync(bg, end) }()
				time.Sleep(7 * time.Second)
				if s, _ := l.State(); s != StateStalled {
					t.Errorf("%v", s)
				}
				if _, err := l.Append(1, 1, nil); !errors.Is(err, ErrStalled) {
					t.Errorf("%v", err)
				}
				l.wake <- struct{}{} // it comes back
				must(t, <-done)
				must(t, l.Close())
			})
		})
	}
}

func TestNextState(t *testing.T) {
	limit := limits{250 * time.Millisecond, 5 * time.Second}
	for _, c := range []struct {
		from State
		s    sample
		want State
	}{
		{StateOK, sample{}, StateOK},
		{StateOK, sample{op: opSync, pending: 250 * time.Millisecond}, StateOK},
		{StateOK, sample{op: opSync, pending: 251 * time.Millisecond}, StateSlow},
		{StateOK, sample{op: opWrite, pending: 6 * time.Second}, StateStalled},
		{StateSlow, sample{op: opQueued, pending: 6 * time.Second}, StateStalled},
		{StateStalled, sample{op: opSync, pending: time.Second}, StateSlow},
		{StateStalled, sample{}, StateOK},
		{StateStalled, sample{failure: ErrFailed}, StateFailed},
		{StateFailed, sample{}, StateFailed},
	} {
		if got := nextState(c.from, c.s, limit); got != c.want {
			t.Errorf("%v, %+v: %v, want %v", c.from, c.s, got, c.want)
		}
	}
}

func TestFlushIntervalSyncsWhatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, _ := gated(t, func(o *Options) { o.FlushInterval = time.Second })
		end := put(t, l, 0, 10).end
		time.Sleep(900 * time.Millisecond)
		if l.Durable() >= end {
			t.Error("too early")
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if l.Durable() < end {
			t.Error("not synced")
		}
		syncs := l.Metrics().Syncs
		time.Sleep(10 * time.Second)
		if l.Metrics().Syncs != syncs {
			t.Error("an idle log was synced")
		}
		must(t, l.Close())
	})
}

func TestAdmitWaitsWhileTheQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The segment has room for more than the queue: no record has to wait for the next one.
		l, g, _ := gated(t, func(o *Options) { o.SegmentSize = 128 << 20; o.SlowAfter, o.StalledAfter = time.Hour, time.Hour })
		release := make(chan struct{})
		g.set(vfs.OpWrite, hang(release))
		big := make([]byte, 8<<20)
		for range 7 { // 8 MiB each; the eighth is beyond the limit
			must(t, l.Admit(bg, len(big)))
			_, err := l.Append(1, 1, big)
			must(t, err)
		}
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		if err := l.Admit(ctx, len(big)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		admitted := make(chan error, 1)
		go func() { admitted <- l.Admit(bg, len(big)) }()
		synctest.Wait()
		select {
		case err := <-admitted:
			t.Errorf("admitted into a full queue: %v", err)
		default:
		}
		close(release)
		must(t, <-admitted)
		must(t, l.Close())
	})
}

func TestAdmitEndsWhenTheLogStallsFailsOrCloses(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(l *Log, g *gate)
		want error
	}{
		"stall": {func(*Log, *gate) { time.Sleep(6 * time.Second) }, ErrStalled},
		"fail":  {func(l *Log, _ *gate) { l.fail(syscall.EIO) }, ErrFailed},
		"close": {func(l *Log, _ *gate) { go l.Close() }, ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, g, _ := gated(t, func(o *Options) { o.SegmentSize = 32 << 20 })
				release := make(chan struct{})
				g.set(vfs.OpWrite, hang(release))
				big := make([]byte, l.MaxPayload())
				for range 8 {
					_, err := l.Append(1, 1, big)
					must(t, err)
				}
				admitted := make(chan error, 1)
				go func() { admitted <- l.Admit(bg, len(big)) }()
				synctest.Wait()
				c.do(l, g)
				if err := <-admitted; !errors.Is(err, c.want) {
					t.Errorf("%v", err)
				}
				close(release)
				_ = l.Close()
			})
		})
	}
}

// A full disk is refused before anything is appended, and heals.
func TestFullDiskRefusesRecordsAndHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, g, mem := gated(t, nil)
		g.set(vfs.OpTruncate, failWith(syscall.ENOSPC))
		var all []entry
		payload := make([]byte, 5000)
		var refused error
		for range 20 {
			end, err := l.Append(1, 1, payload)
			if err != nil {
				refused = err
				break
			}
			all = append(all, entry{end - LSN(recordSize(5000)), end, 1, 1, payload})
			must(t, l.Sync(bg, end))
			synctest.Wait()
		}
		if !errors.Is(refused, ErrNoSpace) || !errors.Is(refused, syscall.ENOSPC) {
			t.Fatalf("%v", refused)
		}
		put(t, l, 3, 10) // what fits still goes
		g.set(vfs.OpTruncate, nil)
		time.Sleep(time.Second)
		put(t, l, 4, 5000) // the refused Append has asked for another attempt
		must(t, l.Close())
		l, _, list := open(t, smallOptions(mem), 0)
		sameEntries(t, list[:len(all)], all)
		if len(list) != len(all)+2 {
			t.Errorf("%d records", len(list))
		}
		must(t, l.Close())
	})
}

func TestLargeQueueIsWrittenWithoutAWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, _ := gated(t, func(o *Options) { o.SegmentSize = 16 << 20 })
		for range 3 {
			put(t, l, 1, writeAhead/2)
		}
		synctest.Wait()
		if m := l.Metrics(); m.QueueBytes > writeAhead || m.Writes == 0 || m.Syncs != 0 || m.Durable != FirstLSN {
			t.Errorf("%+v", m)
		}
		must(t, l.Sync(bg, l.End()))
		must(t, l.Close())
	})
}

func TestSyncDuringAWriteWithoutOneIsServedByTheNextRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, g, _ := gated(t, func(o *Options) { o.SegmentSize = 16 << 20 })
		release := make(chan struct{})
		g.set(vfs.OpWrite, hang(release))
		put(t, l, 1, writeAhead)
		synctest.Wait()
		done := make(chan error, 1)
		go func() { done <- l.Sync(bg, l.End()) }()
		synctest.Wait()
		close(release)
		must(t, <-done)
		must(t, l.Close())
	})
}

func TestQueueThatGrowsDuringAFlushIsWrittenAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, g, _ := gated(t, func(o *Options) { o.SegmentSize = 16 << 20 })
		release := make(chan struct{})
		g.set(vfs.OpWrite, hang(release))
		for range 3 {
			put(t, l, 1, writeAhead)
			synctest.Wait()
		}
		close(release)
		synctest.Wait()
		if m := l.Metrics(); m.QueueBytes != 0 {
			t.Errorf("%+v", m)
		}
		must(t, l.Close())
	})
}

// What the waiters were told stays true: the position does not move afterwards.
func TestFailureDuringAHungSyncWakesItsWaitersAndFreezesTheDurablePosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, g, _ := gated(t, nil)
		release := make(chan struct{})
		g.set(vfs.OpSyncData, hang(release))
		end := put(t, l, 1, 10).end
		done := make(chan error, 1)
		go func() { done <- l.Sync(cancellable(t), end) }()
		synctest.Wait()
		l.fail(syscall.EIO)
		if err := <-done; !errors.Is(err, ErrFailed) {
			t.Errorf("%v", err)
		}
		close(release)
		synctest.Wait()
		if l.Durable() != FirstLSN {
			t.Errorf("durable %d", l.Durable())
		}
		if err := l.Close(); !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
	})
}

func TestFailedDirectorySyncFailsTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, g, _ := gated(t, nil)
		g.set(vfs.OpSyncDir, failWith(syscall.EIO))
		for range 6 {
			if _, err := l.Append(1, 1, make([]byte, 7000)); err != nil {
				break
			}
			if err := l.Sync(bg, l.End()); err != nil {
				break
			}
			synctest.Wait()
		}
		if s, err := l.State(); s != StateFailed || !errors.Is(err, syscall.EIO) {
			t.Errorf("%v, %v", s, err)
		}
		if err := l.Close(); !errors.Is(err, ErrFailed) {
			t.Error(err)
		}
	})
}

func TestRenameFailureInReleaseLeavesTheLogUsable(t *testing.T) {
	l, g, mem := gated(t, nil)
	var all []entry
	for i := range 30 {
		all = append(all, put(t, l, i, 7000))
		must(t, l.Sync(bg, l.End()))
	}
	g.set(vfs.OpRename, failWith(syscall.EACCES))
	g.set(vfs.OpRemove, failWith(syscall.EACCES))
	if err := l.Release(all[29].lsn); !errors.Is(err, syscall.EACCES) {
		t.Fatal(err)
	}
	must(t, l.Check())
	g.set(vfs.OpRename, nil)
	g.set(vfs.OpRemove, nil)
	must(t, l.Release(all[29].lsn))
	must(t, l.Check())
	for i := range 30 {
		all = append(all, put(t, l, i, 7000))
		must(t, l.Sync(bg, l.End()))
	}
	must(t, l.Close())
	l, _, list := open(t, smallOptions(mem), all[29].lsn)
	sameEntries(t, list, all[29:])
	must(t, l.Close())
}

// A queue that is smaller than what is usually written ahead, or than one record, is emptied though nobody syncs.
func TestASmallQueueIsWrittenWithoutASync(t *testing.T) {
	for _, queueBytes := range []int64{1, 1000, 5000, 50_000} {
		for _, size := range []int{1, 300, 600, 5000, 15_000} {
			synctest.Test(t, func(t *testing.T) {
				opts := smallOptions(newMem(t))
				opts.QueueBytes = queueBytes
				l, _, _ := open(t, opts, 0)
				for i := range 60 {
					size := size
					if i%2 == 1 { // does not fit behind a small one that nobody writes yet
						size = int(min(queueBytes, 15_000))
					}
					must(t, l.Admit(bg, size))
					_, err := l.Append(1, uint64(i+1), make([]byte, size))
					must(t, err)
				}
				must(t, l.Sync(bg, l.End()))
				must(t, l.Close())
			})
		}
	}
}
