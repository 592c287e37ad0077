package wal

import (
	"github.com/cockroachdb/errors"
)

// replayer walks the log from one segment to the next and stops where no good
// record follows. It changes nothing.
type replayer struct {
	opts  *Options
	files []segmentFile
	from  LSN
	apply func(Record) error

	at      int    // index of the file that is being read
	pos     LSN    // where the next record should begin
	chain   uint32 // checksum of the record before pos
	chained bool   // chain is known
	durable LSN    // proven to have been durable before the log was opened
	marked  bool   // the last record was a mark
	bad     string // why there is no record at pos
	badErr  error  // with badRead
	skipped bool   // damage before from was passed over
	window  window
	stats   Recovery
}

// run replays from the segment with index start.
func (r *replayer) run(start int) error {
	first := &r.files[start].header
	r.at, r.pos, r.chain, r.chained, r.durable = start, first.first, first.prev, true, max(first.first, r.from)
	for {
		r.stats.Segments++
		if err := r.segment(); err != nil {
			return err
		}
		if !r.advance() {
			return nil
		}
	}
}

// advance goes on to the next segment if it begins where this one ended.
func (r *replayer) advance() bool {
	if r.at+1 == len(r.files) {
		return false
	}
	here, next := &r.files[r.at], &r.files[r.at+1]
	if !next.inUse() || next.number != here.number+1 || next.header.first != r.pos {
		return false
	}
	if r.chained && next.header.prev != r.chain {
		r.bad = badChain
		return false
	}
	r.at++
	r.chain, r.chained, r.durable = next.header.prev, true, max(r.durable, r.pos)
	return true
}

// segment replays the records of one file, up to where there is none.
func (r *replayer) segment() error {
	f := &r.files[r.at]
	file, err := f.openRead(r.opts.FS)
	if err != nil {
		return err
	}
	defer file.Close()
	r.window.reset(file, f.limit())
	for {
		if err := r.records(f); err != nil {
			return err
		}
		if !r.skipTo(f) {
			return nil
		}
	}
}

// skipTo passes over damage in what precedes the replay's start: nobody needs
// those records, they are read only for the chain. It does so only if the
// record at the start is there; otherwise the log has lost its end.
func (r *replayer) skipTo(f *segmentFile) bool {
	if r.pos >= r.from || r.skipped {
		return false
	}
	off := segmentHeaderArea + int64(r.from-f.header.first)
	if _, _, bad, _ := readRecord(&r.window, off, r.from); bad != badNone {
		return false
	}
	r.opts.Logger.Warn("wal: damage in records that are no longer needed is passed over",
		"file", f.name, "lsn", uint64(r.pos), "reason", r.bad, "replay_from", uint64(r.from))
	r.pos, r.chained, r.skipped = r.from, false, true
	return true
}

// records replays good records up to the first position without one, and sets bad.
func (r *replayer) records(f *segmentFile) error {
	for {
		h, rec := r.next(f)
		if r.bad != badNone {
			return nil
		}
		lsn := r.pos
		end := lsn + LSN(len(rec))
		if lsn < r.from && r.from < end {
			return detailf(ErrPosition, "the replay is to begin at LSN %d, inside the record from %d to %d", r.from, lsn, end)
		}
		r.pos, r.chain, r.chained = end, h.crc, true
		r.durable = max(r.durable, h.durable)
		r.marked = h.flags&flagMark != 0
		if r.marked || lsn < r.from {
			continue
		}
		if err := r.give(&h, rec); err != nil {
			return err
		}
	}
}

// give hands a record to the owner.
func (r *replayer) give(h *recordHeader, rec []byte) error {
	r.stats.Records++
	r.stats.Bytes += int64(len(rec))
	r.stats.LastTimestamp = h.timestamp
	err := r.apply(Record{
		LSN:       h.lsn,
		End:       r.pos,
		Kind:      h.kind,
		Timestamp: h.timestamp,
		Payload:   rec[recordHeaderSize : recordHeaderSize+int(h.length) : recordHeaderSize+int(h.length)],
	})
	return errors.Wrapf(err, "wal: replaying the record at LSN %d", h.lsn)
}

// next reads the record at pos, or sets bad.
func (r *replayer) next(f *segmentFile) (h recordHeader, rec []byte) {
	off := segmentHeaderArea + int64(r.pos-f.header.first)
	h, rec, r.bad, r.badErr = readRecord(&r.window, off, r.pos)
	if r.bad == badNone && r.chained && h.prev != r.chain {
		r.bad = badChain
	}
	return h, rec
}

// readRecord reads and checks the record that lies at off and should begin at
// lsn, or says why there is none. err is set only with badRead. The record is
// valid until the window moves.
func readRecord(w *window, off int64, lsn LSN) (h recordHeader, rec []byte, bad string, err error) {
	b, err := w.bytes(off, recordHeaderSize)
	if err != nil {
		return h, nil, badRead, err
	}
	if len(b) < recordHeaderSize {
		return h, nil, badAbsent, nil
	}
	h = parseRecordHeader(b)
	if bad = h.plausible(lsn, w.limit-off); bad != badNone {
		return h, nil, bad, nil
	}
	size := int(h.size())
	rec, err = w.bytes(off, size)
	switch {
	case err != nil:
		return h, nil, badRead, err
	case len(rec) < size:
		return h, nil, badLength, nil
	case !h.intact(rec):
		return h, nil, badChecksum, nil
	}
	return h, rec, badNone, nil
}
