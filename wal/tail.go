package wal

import (
	"encoding/binary"

	"github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/internal/vfs"
)

// remains is what was found of records after the position where the replay
// had to stop.
type remains struct {
	records int64 // good ones, whatever comes between
	durable LSN   // the highest position that one of them proves durable
	traceTo int64 // file offset after the last header that names its own place; 0 when there is none
	tooMany bool  // so many fragments that the search was given up
}

// checksumBudget bounds the bytes that a search may checksum for nothing, in
// multiples of the file: a hostile file could name its own place in each word.
const checksumBudget = 4

// searcher looks for records in a part of a file whose chain is lost. A record
// is found by its header naming its own place: the LSN field, less the distance
// from the segment's start, must be the segment's first LSN.
type searcher struct {
	scan   window // moves over the file
	check  window // reads a candidate, without moving scan
	lo, hi LSN    // the segment's first LSN lies in [lo, hi]
	budget int64
	found  remains
}

// searchRecords searches file from offset off to limit. The segment's first LSN lies in [lo, hi].
func searchRecords(file vfs.File, off, limit int64, lo, hi LSN) (remains, error) {
	s := &searcher{lo: lo, hi: hi, budget: checksumBudget * limit}
	s.scan.reset(file, limit)
	s.check.reset(file, limit)
	for !s.found.tooMany {
		b, err := s.scan.bytes(off, windowSize)
		if err != nil {
			return s.found, err
		}
		if len(b) < recordHeaderSize {
			break
		}
		next, err := s.block(b, off)
		if err != nil {
			return s.found, err
		}
		off = next
	}
	return s.found, nil
}

// block searches b, which lies at off, and returns where to go on.
func (s *searcher) block(b []byte, off int64) (int64, error) {
	last := len(b) - recordHeaderSize
	for i := 0; i <= last; {
		lsn := LSN(binary.LittleEndian.Uint64(b[i+lsnAt:]))
		first := lsn - LSN(off+int64(i)-segmentHeaderArea)
		if lsn == 0 || first < s.lo || first > s.hi || first%recordAlign != 0 {
			i += recordAlign
			continue
		}
		size, err := s.candidate(off+int64(i), lsn)
		if err != nil || s.found.tooMany {
			return 0, err
		}
		i += size
		if i > last {
			return off + int64(i), nil
		}
	}
	return off + int64(last&^(recordAlign-1)) + recordAlign, nil
}

// candidate examines a header that names its own place and returns how far to
// move: over the record if it is good, over one word if not.
func (s *searcher) candidate(off int64, lsn LSN) (int, error) {
	h, rec, bad, err := readRecord(&s.check, off, lsn)
	if err != nil {
		return 0, err
	}
	if bad == badNone {
		s.found.records++
		s.found.durable = max(s.found.durable, h.durable)
		s.found.traceTo = off + int64(len(rec))
		return len(rec), nil
	}
	s.found.traceTo = max(s.found.traceTo, off+recordHeaderSize)
	if bad == badChecksum {
		s.found.traceTo = max(s.found.traceTo, off+h.size())
		s.budget -= h.size()
		s.found.tooMany = s.budget < 0
	}
	return recordAlign, nil
}

// tail is the verdict on what follows the replayed log.
type tail struct {
	traceTo    int64 // offset in the last segment up to where unfinished records must be erased; 0: nothing to erase
	spareDirty bool  // the file after it holds unfinished records and must not be reused as it is
	torn       int64 // bytes of unfinished records in both
}

// judge decides whether the log ends at r.pos or is damaged there (W3): it is
// damaged if anything after r.pos proves that r.pos had been durable.
func (r *replayer) judge() (tail, *CorruptionError, error) {
	here := &r.files[r.at]
	if r.badErr != nil {
		return tail{}, nil, errors.Wrapf(r.badErr, "wal: %s", here.name)
	}
	off := segmentHeaderArea + int64(r.pos-here.header.first)
	left, err := r.search(r.at, off, here.header.first, here.header.first)
	if err != nil {
		return tail{}, nil, err
	}
	var spare remains
	if next := r.at + 1; next < len(r.files) && !r.files[next].inUse() && r.files[next].number == here.number+1 {
		room := LSN(max(0, here.limit()-off))
		if spare, err = r.search(next, segmentHeaderArea, r.pos, r.pos+room); err != nil {
			return tail{}, nil, err
		}
	}
	t := tail{
		traceTo:    left.traceTo,
		spareDirty: spare.traceTo > 0,
		torn:       max(0, left.traceTo-off) + max(0, spare.traceTo-segmentHeaderArea),
	}
	damage, err := r.damage(off, left, spare)
	return t, damage, err
}

// search looks for records in the file with index i.
func (r *replayer) search(i int, off int64, lo, hi LSN) (remains, error) {
	f := &r.files[i]
	file, err := f.openRead(r.opts.FS)
	if err != nil {
		return remains{}, err
	}
	defer file.Close()
	return searchRecords(file, off, f.limit(), lo, hi)
}

// damage returns the report if the position was durable, else nil. left is
// what remains in this segment, spare what lies in the next one without a good header.
func (r *replayer) damage(off int64, left, spare remains) (*CorruptionError, error) {
	later, count, err := r.laterSegments()
	if err != nil {
		return nil, err
	}
	report := &CorruptionError{
		File: r.files[r.at].name, Offset: off, LSN: r.pos, Reason: r.bad,
		LaterRecords: left.records + spare.records + count,
	}
	switch {
	case left.durable > r.pos:
	case later != nil:
		r.blameSegment(report, later, left)
	case left.tooMany || spare.tooMany:
		report.Reason = "the segment is full of fragments of records"
	case spare.durable > r.pos && left.records == 0:
		r.blameHeader(report)
	case spare.durable > r.pos:
	case r.from > r.pos:
		report.Reason = "the log ends before the position from which the data file needs it"
	default:
		return nil, nil
	}
	return report, nil
}

// blameSegment says what is wrong when a later segment is in use but does not
// continue the log: the end of this one, the next one's header, or a file between them.
func (r *replayer) blameSegment(report *CorruptionError, later *segmentFile, left remains) {
	number := r.files[r.at].number + 1
	missing := r.files[r.at+1].number != number
	switch {
	case later.header.first == r.pos:
		report.File, report.Offset = later.name, 0
		report.Reason = "the segment does not continue the one before it"
	case left.records > 0 || later.number == number:
	case missing:
		report.File, report.Offset, report.Missing = segmentPath(r.opts, number), 0, true
		report.Reason = "the segment file is missing, although " + later.name + " follows it"
	default:
		r.blameHeader(report)
	}
}

// blameHeader reports the next segment's header, which does not say that the
// segment is in use.
func (r *replayer) blameHeader(report *CorruptionError) {
	report.File, report.Offset = r.files[r.at+1].name, 0
	report.Reason = "the segment's header is damaged"
}

// laterSegments returns the first segment in use after the current one, which
// advance has refused, and the number of good records in it and those after it.
func (r *replayer) laterSegments() (first *segmentFile, records int64, err error) {
	for i := r.at + 1; i < len(r.files); i++ {
		f := &r.files[i]
		if !f.inUse() {
			continue
		}
		if first == nil {
			first = f
		}
		found, err := r.search(i, segmentHeaderArea, f.header.first, f.header.first)
		if err != nil {
			return first, records, err
		}
		records += found.records
	}
	return first, records, nil
}
