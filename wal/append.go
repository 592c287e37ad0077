package wal

import "context"

const (
	// writeAhead is how many bytes wait for a committer's sync at most: more
	// are written at once, without one.
	writeAhead = 1 << 20
)

// Admit waits while too many appended bytes are not yet written (back
// pressure), and fails at once when the log is stalled (ErrStalled), failed or
// closed. If the record needs a segment that is not there yet, it waits for the
// attempt to make one, and fails with ErrNoSpace if that fails, or if one has
// failed in the last 250 ms. Callers do it before they take locks that
// serialise Append. An error of ctx means that nothing was admitted.
func (l *Log) Admit(ctx context.Context, payloadBytes int) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		l.mu.Lock()
		wait, err := l.admitLocked(payloadBytes)
		if err != nil || !wait {
			l.mu.Unlock()
			return err
		}
		if l.mu.admit == nil {
			l.mu.admit = make(chan struct{})
		}
		if len(l.mu.pending.buf) > 0 {
			l.startSyncerLocked() // nobody else may be about to write what fills the queue
		}
		room := l.mu.admit
		l.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
		}
	}
}

// admitLocked says whether a record has to wait, or why it is refused. REQUIRES: mu.
func (l *Log) admitLocked(payloadBytes int) (wait bool, err error) {
	err = l.refusalLocked()
	switch {
	case err != nil:
		return false, err
	case payloadBytes > l.MaxPayload():
		return false, l.tooLarge(payloadBytes)
	case l.lacksSegmentLocked(payloadBytes):
		return l.awaitSegmentLocked()
	case l.nearsSegmentLocked(payloadBytes):
		_, _ = l.awaitSegmentLocked() // if an attempt has just failed, that wakes the caller: it may still fit
		return true, nil
	}
	return !l.admissibleLocked(payloadBytes), nil
}

// admissibleLocked says whether the queue takes so much more. REQUIRES: mu.
func (l *Log) admissibleLocked(payloadBytes int) bool {
	return l.mu.queued == 0 || l.mu.queued+int64(recordSize(payloadBytes)) <= l.opts.QueueBytes
}

// refusalLocked says why nothing can be appended now, or nil. REQUIRES: mu.
func (l *Log) refusalLocked() error {
	switch {
	case l.opts.ReadOnly:
		return ErrReadOnly
	case l.mu.failure != nil:
		return l.mu.failure
	case l.mu.closed:
		return ErrClosed
	case State(l.verdict.Load()) == StateStalled:
		return ErrStalled
	}
	return nil
}

func (l *Log) tooLarge(payloadBytes int) error {
	return detailf(ErrTooLarge, "%d bytes, the limit is %d (a quarter of the segment size): split it", payloadBytes, l.MaxPayload())
}

// wakeAdmitLocked lets those who wait in Admit look again. REQUIRES: mu.
func (l *Log) wakeAdmitLocked() {
	if l.mu.admit != nil {
		close(l.mu.admit)
		l.mu.admit = nil
	}
}

// Append copies one record into the log's buffer, without I/O, and returns the
// position after it. The order of Append calls is the order of the log.
// MaxPayload limits the payload. After an error nothing was appended.
//
// It cannot wait for a new attempt to make a segment, as Admit does, nor count
// on one: a record that was appended and finds no room on the disk fails the
// log. So without an Admit before it, its ErrNoSpace may tell of an old attempt;
// a new one is then under way.
//
// Errors: ErrTooLarge, ErrStalled, ErrFailed, ErrClosed, ErrReadOnly, ErrNoSpace.
func (l *Log) Append(kind uint8, timestamp uint64, payload []byte) (LSN, error) {
	if len(payload) > l.MaxPayload() {
		return 0, l.tooLarge(len(payload))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.refusalLocked(); err != nil {
		return 0, err
	}
	if l.lacksSegmentLocked(len(payload)) {
		if err, _ := l.segs.noSpace(); err != nil {
			return 0, err
		}
	}
	l.appendLocked(kind, 0, timestamp, payload)
	l.mu.marked = false
	l.mu.records++
	l.mu.bytes += int64(recordSize(len(payload)))
	if l.writesAheadLocked() {
		l.startSyncerLocked()
	}
	return l.mu.end, nil
}

// appendLocked adds a record to the pending batch and decides in which segment it goes (W6). REQUIRES: mu.
func (l *Log) appendLocked(kind, flags uint8, timestamp uint64, payload []byte) {
	b, size := l.mu.pending, int64(recordSize(len(payload)))
	if size > l.mu.room {
		b.splits = append(b.splits, len(b.buf))
		l.mu.room = l.opts.SegmentSize - segmentHeaderArea
		l.mu.ahead++
	}
	b.buf = appendRecord(b.buf, l.mu.end, kind, flags, timestamp, payload)
	b.records++
	l.mu.room -= size
	l.mu.queued += size
	l.mu.end += LSN(size)
	l.end.Store(uint64(l.mu.end))
	b.end = l.mu.end
}

// writesAheadLocked says whether what is pending is written though nobody waits for its sync: because it is much, or
// because somebody waits for room. REQUIRES: mu.
func (l *Log) writesAheadLocked() bool {
	return l.mu.admit != nil && len(l.mu.pending.buf) > 0 || int64(len(l.mu.pending.buf)) >= min(writeAhead, max(l.opts.QueueBytes/2, 1))
}

// startSyncerLocked hands the flush token to the syncer if nobody has it. Who has it does not wait for more committers
// when there is enough to write. REQUIRES: mu.
func (l *Log) startSyncerLocked() {
	switch {
	case l.mu.failure != nil:
	case l.mu.busy:
		l.mu.pending.fullLocked(l.writesAheadLocked())
	default:
		l.mu.busy = true
		l.beat.begin(opQueued)
		l.wake <- struct{}{}
	}
}
