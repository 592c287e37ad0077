package wal

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sombradb/sombra/internal/vfs"
)

// slowSyncs makes every sync take so long.
func slowSyncs(g *gate, d time.Duration) {
	g.set(vfs.OpSyncData, func() vfs.Fault {
		done := make(chan struct{})
		time.AfterFunc(d, func() { close(done) })
		return vfs.Fault{Wait: done}
	})
}

// commitAndThink has each writer commit so often, with a pause of its own after each commit.
func commitAndThink(t *testing.T, l *Log, commits int, thinks ...time.Duration) {
	var wg sync.WaitGroup
	for _, think := range thinks {
		wg.Go(func() {
			ctx := cancellable(t)
			for i := range commits {
				end, err := l.Append(1, uint64(i), []byte("x"))
				if err == nil {
					err = l.Sync(ctx, end)
				}
				if err != nil {
					t.Error(err)
				}
				time.Sleep(think)
			}
		})
	}
	wg.Wait()
}

func TestCommittersThatComeBackAtOnceShareEachSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, g, _ := gated(t, nil)
		slowSyncs(g, time.Millisecond)
		const us = time.Microsecond
		commitAndThink(t, l, 50, 10*us, 20*us, 30*us, 40*us, 50*us, 60*us)
		if m := l.Metrics(); m.Records != 300 || m.Syncs > 53 {
			t.Errorf("%d syncs for %d records of six committers", m.Syncs, m.Records)
		}
		must(t, l.Close())
	})
}

func TestCommittersThatStayAwayAreNotWaitedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, g, _ := gated(t, nil)
		slowSyncs(g, time.Millisecond)
		start := time.Now()
		// Two commit all the time and come back late: each finds the sync of the other under way.
		const late = 700 * time.Microsecond
		commitAndThink(t, l, 200, late, late)
		took, waited := time.Since(start), time.Duration(l.out.filler.misses)*2*time.Millisecond
		if most := 200*(2*time.Millisecond+late) + waited; took > most || l.out.filler.pause == 0 {
			t.Errorf("200 commits took %v, at most %v; %+v", took, most, l.out.filler)
		}
		must(t, l.Close())
	})
}

func TestALoneCommitterIsNotDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, g, _ := gated(t, nil)
		slowSyncs(g, time.Millisecond)
		start := time.Now()
		commitAndThink(t, l, 100, 0)
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("100 commits of 1 ms took %v", took)
		}
		must(t, l.Close())
		if l.out.filler.timer != nil {
			t.Error("it was waited for")
		}
	})
}

// Some of those who were woken are back before the syncer looks: they are not awaited once more.
func TestCommittersThatAreBackAlreadyAreNotAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, back := range []int{1, 2, 3} {
			l, g, _ := gated(t, nil)
			slowSyncs(g, time.Millisecond)
			commitAndThink(t, l, 1, 0) // learns the time of a sync
			l.mu.Lock()
			l.mu.pending.waiters = back
			l.mu.Unlock()
			for _, woken := range []int{1, back} {
				l.out.woken, l.out.all = woken, back
				if full, _ := l.beginFill(); full != nil {
					t.Errorf("%d of %d, of whom %d were woken, are back, and more are awaited", back, back, woken)
				}
			}
			l.out.woken, l.out.all = 1, back+1
			full, limit := l.beginFill()
			if full == nil || limit == 0 || l.mu.pending.target != back+1 {
				t.Errorf("waits %v for %d of %d", limit, l.mu.pending.target, back+1)
			}
			l.mu.Lock()
			l.mu.pending.waiters = 0
			l.mu.pending.fullLocked(true)
			l.mu.Unlock()
			must(t, l.Close())
		}
	})
}

func TestAWaitForCommittersEndsWhenThereIsEnoughToWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, g, _ := gated(t, func(o *Options) { o.QueueBytes = 4096 })
		slowSyncs(g, time.Second)
		commitAndThink(t, l, 1, 0, 0, 0) // learns the time of a sync
		time.Sleep(10 * time.Second)     // the syncer gives up waiting for the three
		l.mu.Lock()
		if l.mu.busy {
			t.Fatal("the syncer still has the token")
		}
		l.mu.busy = true // as its holder
		l.mu.Unlock()
		l.out.woken, l.out.all, l.out.filler.pause = 3, 3, 0
		start := time.Now()
		go put(t, l, 1, 3000)
		l.fill()
		l.fill() // there is enough from the start
		if took := time.Since(start); took != 0 {
			t.Errorf("waited %v with half the queue full", took)
		}
		l.passToken()
		must(t, l.Close())
	})
}

func TestFillerWaitsForAPartOfASync(t *testing.T) {
	f := filler{}
	if got := f.limit(100); got != 0 {
		t.Errorf("waits %v before it knows how long a sync takes", got)
	}
	f.synced(400 * time.Microsecond)
	for awaited, want := range map[int]time.Duration{1: 120, 10: 300, 100: 800} {
		if got := f.limit(awaited); got != want*time.Microsecond {
			t.Errorf("waits %v for %d committers", got, awaited)
		}
	}
	f.synced(time.Hour)
	if f.syncTime != 450*time.Microsecond {
		t.Errorf("one slow sync makes it %v", f.syncTime)
	}
	for range 100 {
		f.synced(time.Second)
	}
	if got := f.limit(1000); got != maxFill {
		t.Errorf("waits %v on a slow device", got)
	}
	for range 100 {
		f.synced(time.Microsecond)
	}
	if got := f.limit(1000); got != 0 {
		t.Errorf("waits %v on a fast device", got)
	}
}

func TestFillerPausesLongerAfterEachMiss(t *testing.T) {
	f := filler{syncTime: time.Millisecond}
	for i := range 20 {
		f.ended(false)
		want := min(2<<i, maxFillPause)
		for n := 0; ; n++ {
			if f.limit(1) != 0 {
				if n != want {
					t.Errorf("miss %d: %d rounds without a wait, want %d", i, n, want)
				}
				break
			}
		}
	}
	f.ended(true)
	if f.ended(false); f.pause != 2 {
		t.Errorf("a pause of %d after the first miss", f.pause)
	}
}
