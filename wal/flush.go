package wal

import (
	"time"

	"github.com/cockroachdb/errors"
)

// flush does one round: it writes what is pending, syncs it if somebody waits,
// and wakes those. A panic or an exit of the goroutine on the way fails the
// log: nobody would ever flush again. REQUIRES: the flush token.
func (l *Log) flush() {
	b := l.beginRound()
	if b == nil {
		return
	}
	err := errEnded
	defer func() {
		if p := recover(); p != nil {
			err = errors.Newf("panic while flushing: %v", p)
		}
		l.beat.end()
		l.endRound(b, err)
	}()
	err = l.writeBatch(b)
	if err == nil && b.want {
		err = l.syncWritten()
	}
}

// beginRound takes what is pending. It returns nil if the log has failed.
func (l *Log) beginRound() *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.failure != nil {
		l.beat.end()
		return nil
	}
	b := l.mu.pending
	l.mu.active, l.mu.pending, l.mu.idle = b, l.mu.idle, nil
	l.mu.pending.end = b.end
	return b
}

// endRound publishes the result and wakes the round's waiters, each once.
func (l *Log) endRound(b *batch, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failLocked(err)
	}
	l.mu.queued -= int64(len(b.buf))
	l.mu.active = nil
	l.out.woken, l.out.all = b.waiters, b.waiters+l.mu.pending.waiters
	b.wakeLocked()
	b.resetLocked()
	l.mu.idle = b
	if l.mu.queued < l.opts.QueueBytes {
		l.wakeAdmitLocked()
	}
}

// writeBatch writes the batch's records, each to its segment.
func (l *Log) writeBatch(b *batch) error {
	from := 0
	for i, split := range b.splits {
		if err := l.writeRecords(b.buf[from:split]); err != nil {
			return err
		}
		if err := l.rollover(int64(b.partEnd(i) - split)); err != nil {
			return err
		}
		from = split
	}
	l.out.records += b.records
	return l.writeRecords(b.buf[from:])
}

// writeRecords seals the records and writes them behind the last one.
func (l *Log) writeRecords(buf []byte) error {
	if len(buf) == 0 {
		return nil
	}
	for rest := buf; len(rest) > 0; {
		size, crc := sealRecord(rest, l.out.chain, l.Durable())
		rest, l.out.chain = rest[size:], crc
	}
	s := l.out.segment
	if _, err := l.writeAt(buf, l.out.off); err != nil {
		return err
	}
	l.out.off += int64(len(buf))
	l.out.written += LSN(len(buf))
	if l.out.off > s.size/2 {
		l.segs.prepareSpare()
	}
	return l.fillAhead()
}

// writeAt writes to the current segment and returns how many bytes it wrote.
func (l *Log) writeAt(b []byte, off int64) (int, error) {
	l.beat.begin(opWrite)
	n, err := l.out.segment.file.WriteAt(b, off)
	l.beat.end()
	l.count.writes.Add(1)
	if err != nil { // the arguments of Wrapf are not for nothing
		return n, errors.Wrapf(err, "writing %d bytes at offset %d of segment %s", len(b), off, segmentName(l.out.segment.number))
	}
	return n, nil
}

// syncWritten makes everything written durable.
func (l *Log) syncWritten() error {
	l.beat.begin(opSync)
	start := time.Now()
	err := l.out.segment.file.SyncData()
	took := time.Since(start)
	l.beat.end()
	l.count.synced(took, l.out.records)
	l.out.filler.synced(took)
	if err != nil {
		return errors.Wrapf(err, "syncing segment %s", segmentName(l.out.segment.number))
	}
	l.out.records = 0
	l.advance(l.out.written)
	return nil
}

// advance moves the durable position, unless the log has failed meanwhile: its waiters were told so.
func (l *Log) advance(to LSN) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.failure == nil {
		l.durable.Store(uint64(to))
	}
}

// rollover makes the current segment durable and goes on to the next (W4), for
// which so many bytes of records wait.
func (l *Log) rollover(waiting int64) error {
	if err := l.syncWritten(); err != nil {
		return err
	}
	l.beat.begin(opRollover)
	defer l.beat.end()
	next, err := l.segs.take(segmentHeaderArea + waiting)
	if err != nil {
		return err
	}
	if err := startSegmentFile(next, l.opts.DatabaseID, l.out.written, l.out.chain); err != nil {
		_ = next.file.Close() // the log has failed
		return err
	}
	old := l.out.segment
	l.out.segment, l.out.off = next, segmentHeaderArea
	l.segs.use(next)
	l.follow()
	return errors.Wrapf(old.file.Close(), "closing segment %s", segmentName(old.number))
}
