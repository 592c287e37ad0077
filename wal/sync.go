package wal

import (
	"context"
	"time"
)

// Sync waits until everything before end, a position that Append has returned,
// is durable. A lone caller does the I/O itself. A ctx error says only that
// the wait ended: the record may still become durable. An error that matches
// ErrFailed says that the outcome is unknown.
func (l *Log) Sync(ctx context.Context, end LSN) error {
	if l.Durable() >= end {
		return nil
	}
	l.mu.Lock()
	done, inline, err := l.joinLocked(end, ctx.Done() == nil)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	if inline {
		l.flush()
		l.passToken()
	}
	if done == nil {
		return l.outcome(end)
	}
	l.count.waiters.Add(1)
	defer l.count.waiters.Add(-1)
	select {
	case <-done:
		return l.outcome(end)
	case <-ctx.Done():
		if l.Durable() >= end {
			return nil
		}
		return ctx.Err()
	}
}

// joinLocked makes the caller wait for the round that makes end durable, or
// gives it the flush token to do that round itself, or neither when end is
// durable already. REQUIRES: mu.
func (l *Log) joinLocked(end LSN, mayFlush bool) (done <-chan struct{}, inline bool, err error) {
	switch {
	case l.Durable() >= end:
		return nil, false, nil
	case l.mu.failure != nil:
		return nil, false, l.unknownLocked()
	case end > l.mu.end:
		return nil, false, detailf(ErrPosition, "sync up to LSN %d, but the log ends at %d", end, l.mu.end)
	}
	if a := l.mu.active; a != nil && a.want && end <= a.end {
		return a.waitLocked(), false, nil
	}
	l.mu.pending.want = true
	if !l.mu.busy && mayFlush {
		l.mu.busy = true
		return nil, true, nil
	}
	done = l.mu.pending.waitLocked()
	l.startSyncerLocked()
	return done, false, nil
}

// outcome says what became of the records before end when their round is over.
func (l *Log) outcome(end LSN) error {
	if l.Durable() >= end {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unknownLocked()
}

// runSyncer is the dedicated syncer: it flushes when the token is handed to
// it, and what nobody waits for every FlushInterval. Close ends it.
func (l *Log) runSyncer() {
	var tick <-chan time.Time
	if l.opts.FlushInterval > 0 {
		ticker := time.NewTicker(l.opts.FlushInterval)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-l.wake:
			l.drain()
		case <-tick:
			l.mu.Lock()
			if l.mu.end > l.Durable() {
				l.mu.pending.want = true
				l.startSyncerLocked()
			}
			l.mu.Unlock()
		case <-l.quit:
			return
		}
	}
}

// drain flushes for as long as somebody waits. REQUIRES: the flush token.
func (l *Log) drain() {
	for more := true; more; more = l.keepToken() {
		l.flush()
		l.fill()
	}
}

// keepToken says whether there is more to flush; if not, the token is free again.
// REQUIRES: the flush token.
func (l *Log) keepToken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.mu.pending
	if l.mu.failure == nil && (p.want || l.writesAheadLocked()) {
		l.beat.begin(opQueued)
		return true
	}
	l.mu.busy = false
	return false
}

// passToken gives the flush token back after an inline flush, or to the syncer
// if more is waiting. REQUIRES: the flush token.
func (l *Log) passToken() {
	if l.keepToken() {
		l.wake <- struct{}{}
	}
}
