package wal

import (
	"runtime"
	"time"
)

// A round wakes committers, and most of them come back with their next record. The next round waits a moment for them: then
// one sync serves all, where otherwise two halves of the committers take turns.
//
// While they come, the processors are theirs, and when all have come there is nothing left to run. That matters as much as the
// fuller batch: a goroutine that goes into a sync keeps its processor for a while, with all goroutines that wait for it.
//
//	                 all came: again after the next round
//	       +-------+ <------------------------------------+
//	-----> | await | -- some did not come in time --> pause for 2, 4, ... 1024 rounds, which only yield
//	       +-------+ <------------------------------------+
//
// So committers that do not come back cost little, and a program that changes its ways is noticed after some rounds.
const (
	minFill      = 20 * time.Microsecond // what a timer can measure
	maxFill      = 2 * time.Millisecond  // bounds the wait on a slow device
	maxFillPause = 1024                  // rounds
	// returnTime is what one committer may need from one sync to the next, when others do the same.
	returnTime = 20 * time.Microsecond
)

// filler decides whether and how long to wait. It belongs to the holder of the flush token.
type filler struct {
	syncTime time.Duration // of late; single slow ones count little
	misses   int           // waits in a row after which somebody was missing
	pause    int           // rounds to go without a wait
	timer    *time.Timer
}

// synced learns how long a sync takes.
func (f *filler) synced(took time.Duration) {
	if f.syncTime == 0 {
		f.syncTime = took
		return
	}
	f.syncTime += (min(took, 2*f.syncTime) - f.syncTime) / 8
}

// limit returns how long to wait for so many committers, at most; 0 is not at all.
func (f *filler) limit(awaited int) time.Duration {
	if f.pause > 0 {
		f.pause--
		return 0
	}
	limit := min(f.syncTime/4+time.Duration(awaited)*returnTime, 2*f.syncTime, maxFill)
	if limit < minFill {
		return 0
	}
	return limit
}

// ended learns whether all that were awaited have come.
func (f *filler) ended(all bool) {
	if all {
		f.misses = 0
		return
	}
	f.misses++
	f.pause = min(1<<min(f.misses, 30), maxFillPause)
}

// wait ends when full is closed, after the limit at the latest.
func (f *filler) wait(full <-chan struct{}, limit time.Duration) {
	if f.timer == nil {
		f.timer = time.NewTimer(limit)
	} else {
		f.timer.Reset(limit)
	}
	select {
	case <-full:
		f.timer.Stop()
	case <-f.timer.C:
	}
}

// fill gives the committers that the last round has woken time to come back. It does not wait for one that
// was alone, for there is nobody to share a sync with. REQUIRES: the flush token.
func (l *Log) fill() {
	full, limit := l.beginFill()
	switch {
	case full == nil:
	case limit == 0:
		runtime.Gosched()
	default:
		l.out.filler.wait(full, limit)
		l.mu.Lock()
		b := l.mu.pending
		all := b.full == nil
		b.full = nil
		l.mu.Unlock()
		l.out.filler.ended(all)
	}
}

// beginFill returns what is closed when the batch is full, and how long to wait for it. Without a channel there is
// nothing to wait for.
func (l *Log) beginFill() (full <-chan struct{}, limit time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, awaited := l.mu.pending, l.out.woken
	if awaited == 0 || l.out.all < 2 || b.waiters >= l.out.all || l.mu.failure != nil || l.writesAheadLocked() {
		return nil, 0
	}
	done := make(chan struct{})
	if limit = l.out.filler.limit(awaited); limit > 0 {
		b.full, b.target = done, l.out.all
	}
	return done, limit
}

// fullLocked ends the wait for committers when all are there, or anyway. REQUIRES: Log.mu.
func (b *batch) fullLocked(anyway bool) {
	if b.full != nil && (anyway || b.waiters >= b.target) {
		close(b.full)
		b.full = nil
	}
}
