package wal

import (
	"github.com/cockroachdb/errors"
)

// Check verifies the log's structures in memory. It takes the log's locks, is
// safe at any time, and names the first thing that is wrong.
func (l *Log) Check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.checkQueueLocked(); err != nil {
		return errors.Wrapf(err, "wal: check")
	}
	if l.opts.ReadOnly {
		return nil
	}
	return errors.Wrapf(l.segs.check(), "wal: check")
}

// checkQueueLocked verifies the batches. REQUIRES: mu.
func (l *Log) checkQueueLocked() error {
	p, queued := l.mu.pending, int64(len(l.mu.pending.buf))
	if l.mu.active != nil {
		queued += int64(len(l.mu.active.buf))
	}
	switch {
	case l.Durable() > l.mu.end:
		return errors.Newf("durable up to %d, but the log ends at %d", l.Durable(), l.mu.end)
	case p.end != l.mu.end:
		return errors.Newf("the pending batch ends at %d, the log at %d", p.end, l.mu.end)
	case queued != l.mu.queued && l.mu.failure == nil:
		return errors.Newf("%d bytes are queued, the count says %d", queued, l.mu.queued)
	case l.mu.active != nil && !l.mu.busy:
		return errors.New("a batch is being flushed, but nobody has the flush token")
	}
	return p.check()
}

// check verifies that the batch is a run of records that ends at its end.
func (b *batch) check() error {
	lsn, splits, records := b.end-LSN(len(b.buf)), b.splits, int64(0)
	for off := 0; off < len(b.buf); records++ {
		if len(splits) > 0 && splits[0] == off {
			splits = splits[1:]
		}
		h := parseRecordHeader(b.buf[off:])
		if why := h.plausible(lsn, int64(len(b.buf)-off)); why != badNone {
			return errors.Newf("offset %d of the pending batch: %s", off, why)
		}
		off += int(h.size())
		lsn += LSN(h.size())
	}
	if len(splits) > 0 || records != b.records {
		return errors.Newf("the pending batch has %d records, counted %d, and %d segment borders that are not between records",
			records, b.records, len(splits))
	}
	return nil
}

// check verifies the order of the files (W7).
func (s *segmentSet) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := &segment{}
	for _, seg := range append(append([]*segment(nil), s.mu.old...), s.mu.current) {
		if seg.number <= before.number || seg.first < before.first {
			return errors.Newf("segment %d (LSN %d) follows segment %d (LSN %d)", seg.number, seg.first, before.number, before.first)
		}
		before = seg
	}
	for i, seg := range s.mu.spares {
		if seg.number != s.mu.current.number+1+uint64(i) {
			return errors.Newf("spare %d has the number %d, the current segment %d", i, seg.number, s.mu.current.number)
		}
	}
	if len(s.mu.spares) > maxSpares || int(s.spared.Load()) != len(s.mu.spares) {
		return errors.Newf("%d spares, the limit is %d, the count says %d", len(s.mu.spares), maxSpares, s.spared.Load())
	}
	return nil
}
