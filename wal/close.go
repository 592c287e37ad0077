package wal

import (
	"context"

	"github.com/cockroachdb/errors"
)

// close does the work of Close.
func (l *Log) close() error {
	l.mu.Lock()
	l.mu.closed = true
	end := l.mu.end
	l.wakeAdmitLocked()
	l.mu.Unlock()
	if l.opts.ReadOnly {
		close(l.quit)
		return nil
	}
	err := l.Sync(context.Background(), end)
	if err == nil {
		err = l.markEnd()
	}
	close(l.quit)
	l.wg.Wait()
	l.mu.Lock()
	if l.mu.failure != nil {
		err = l.mu.failure
	}
	l.mu.Unlock()
	return errors.CombineErrors(err, l.segs.close())
}

// markEnd appends a mark, unless the log ends with one. Its durable field says
// that all records before it are durable, which nothing else would say of the
// last ones: with it, damage to them is not taken for an unfinished tail (W3).
// On a full disk there may be no room for it: the log is good without.
func (l *Log) markEnd() error {
	l.mu.Lock()
	if l.mu.marked || l.lacksSegmentLocked(0) {
		l.mu.Unlock()
		return nil
	}
	l.appendLocked(0, flagMark, 0, nil)
	l.mu.marked = true
	end := l.mu.end
	l.mu.Unlock()
	return l.Sync(context.Background(), end)
}
