package wal

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/cockroachdb/errors"
)

// Gap is a part of the log that was durable and cannot be read.
type Gap struct {
	From, To LSN    // what lay in [From, To) is lost
	File     string // where the damage begins
	Offset   int64  // in that file, in bytes
	Reason   string
}

// Salvaged says what Salvage found.
type Salvaged struct {
	Database       DatabaseID
	SegmentSize    int64 // of the largest segment, in bytes; 0 when there is none
	Records, Bytes int64 // given
	Gaps           []Gap
	End            LSN // the log ends here
}

// Salvage reads a log in whatever state it is and never writes to it. Unlike a replay it goes on behind damage: it calls
// record for each good record at or after from, in order, and gap for each part between them that is lost. Records
// name their own place, so they are found without the one before them, and without the header of their segment. What
// lies behind the end of the log, where nothing is known to have been durable (W3), is not given.
//
// Of the options only FS, Dir and DatabaseID matter; a database id of zeros takes that of the oldest segment. Errors:
// ErrVersion, those of record and gap. Whatever cannot be read is a gap; with a position of 0, what lies before the oldest segment is none.
func Salvage(opts Options, from LSN, record func(Record) error, gap func(Gap) error) (Salvaged, error) {
	s := &salvager{opts: &opts, from: max(from, FirstLSN), whole: from == 0}
	if err := s.list(); err != nil {
		return s.found, err
	}
	s.pos, s.proven = s.from, from
	for i := range s.files {
		s.segment(i)
	}
	s.judge()
	return s.found, s.give(record, gap)
}

// stretch is a row of good records in one file.
type stretch struct {
	file     int
	off      int64 // of the first
	from, to LSN
}

// salvager collects stretches first and gives them afterwards, when it is known where the log ends.
type salvager struct {
	opts      *Options
	from      LSN
	whole     bool // from is not known: begin with the oldest segment
	files     []segmentFile
	stretches []stretch
	gaps      []Gap // one before each stretch; those that are empty have no Reason
	pos       LSN   // behind the last good record
	chain     uint32
	chained   bool
	proven    LSN // was durable
	started   bool
	reason    string // why there is no record at pos
	file      string // where that is
	offset    int64
	found     Salvaged
}

// list reads all headers.
func (s *salvager) list() error {
	names, err := s.opts.FS.ReadDir(s.opts.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Wrapf(err, "wal: listing %s", s.opts.Dir)
	}
	for _, name := range names {
		number, ok := parseSegmentName(name)
		if !ok {
			continue
		}
		f := segmentFile{number: number, name: filepath.Join(s.opts.Dir, name), kind: headerDamaged}
		if err := s.inspect(&f); err != nil {
			return err
		}
		s.files = append(s.files, f)
	}
	slices.SortFunc(s.files, func(a, b segmentFile) int {
		if a.number < b.number {
			return -1
		}
		return 1
	})
	s.found.Database = s.opts.DatabaseID
	return nil
}

// inspect reads a header as far as it can be read.
func (s *salvager) inspect(f *segmentFile) error {
	file, err := s.opts.FS.OpenFile(f.name, os.O_RDONLY, 0)
	if err != nil {
		return nil // segment says so
	}
	defer file.Close()
	if f.size, err = file.Size(); err != nil {
		return nil
	}
	sector := make([]byte, segmentHeaderSize)
	n, err := file.ReadAt(sector, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	var version uint32
	f.header, f.kind, version = parseSegmentHeader(sector[:n])
	if f.kind == headerNewer {
		return detailf(ErrVersion, "%s has format %d, this release knows up to %d: use the release that wrote it", f.name, version, formatVersion)
	}
	if f.kind == headerValid && s.opts.DatabaseID == (DatabaseID{}) {
		s.opts.DatabaseID = f.header.database
	}
	if f.kind == headerValid && f.header.database != s.opts.DatabaseID {
		f.kind = headerDamaged // a segment of another database: its records do not continue ours
	}
	if f.inUse() {
		s.found.SegmentSize = max(s.found.SegmentSize, f.header.size)
	}
	return nil
}

// bounds returns between which positions the first record of a file may lie. A segment in use says it. Records of another
// time in a recycled file lie below.
func (s *salvager) bounds(i int) (lo, hi LSN) {
	if f := &s.files[i]; f.inUse() {
		return f.header.first, f.header.first
	}
	hi = maxLSN
	for _, later := range s.files[i+1:] {
		if later.inUse() {
			hi = later.header.first
			break
		}
	}
	if !s.started {
		return FirstLSN, hi // the replay may begin in the middle of the file
	}
	return s.pos, hi
}

// segment collects the good records of a file.
func (s *salvager) segment(i int) {
	f := &s.files[i]
	if !f.inUse() && !s.started && f.kind == headerValid {
		return // a spare
	}
	file, err := f.openRead(s.opts.FS)
	if err != nil {
		s.blame(f, 0, err.Error())
		return
	}
	defer file.Close()
	lo, hi := s.bounds(i)
	off := int64(segmentHeaderArea)
	if f.inUse() {
		s.proven = max(s.proven, lo)
		if s.whole && !s.started {
			s.pos, s.whole = lo, false
		}
		if !s.started || lo > s.pos {
			s.chained = false
		}
		if lo == s.pos {
			s.reason = "" // the one before it ends where it should
		}
		if s.started && lo == s.pos && s.chained && f.header.prev != s.chain {
			s.chained = false
		}
	} else if f.kind == headerDamaged {
		s.blame(f, 0, "the segment's header is damaged")
	}
	var scan, check window
	limit := f.limit()
	scan.reset(file, limit)
	check.reset(file, limit)
	budget := checksumBudget * limit
	for off < limit && budget > 0 {
		b, err := scan.bytes(off, recordHeaderSize)
		if err != nil {
			s.blame(f, off, err.Error())
			off = off/segmentHeaderArea*segmentHeaderArea + segmentHeaderArea // a bad sector: go on behind its block
			scan.reset(file, limit)
			continue
		}
		if len(b) < recordHeaderSize {
			return
		}
		off = s.candidate(i, off, lo, hi, parseRecordHeader(b), &check, &budget)
	}
}

// blame notes why there is no record at pos, unless that is known already.
func (s *salvager) blame(f *segmentFile, off int64, reason string) {
	if s.reason == "" {
		s.file, s.offset, s.reason = f.name, off, reason
	}
}

// candidate takes the record at off if there is one, and returns where to look for the next.
func (s *salvager) candidate(i int, off int64, lo, hi LSN, h recordHeader, check *window, budget *int64) int64 {
	f := &s.files[i]
	first := h.lsn - LSN(off-segmentHeaderArea)
	if h.lsn < max(s.pos, FirstLSN) && s.started || h.lsn == 0 || first < lo || first > hi || first%recordAlign != 0 {
		if s.started && lo == hi && s.pos == lo+LSN(off-segmentHeaderArea) {
			s.blame(f, off, badAbsent)
		}
		return off + recordAlign
	}
	h, rec, bad, err := readRecord(check, off, h.lsn)
	if bad != badNone {
		if err != nil {
			bad += ": " + err.Error()
			check.reset(check.file, check.limit)
		}
		s.blame(f, off, bad)
		if size := h.size(); size <= f.limit()-off { // else nothing of it was read
			*budget -= size
		}
		return off + recordAlign
	}
	if s.started && h.lsn == s.pos && s.chained && h.prev != s.chain {
		s.blame(f, off, badChain)
		s.chained = false
	}
	s.take(i, off, h, int64(len(rec)))
	return off + int64(len(rec))
}

// take adds a good record.
func (s *salvager) take(i int, off int64, h recordHeader, size int64) {
	end := h.lsn + LSN(size)
	joins := s.started && h.lsn == s.pos && s.reason != badChain
	last := len(s.stretches) - 1
	if joins && s.stretches[last].file == i {
		s.stretches[last].to = end
	} else {
		g := Gap{From: s.pos, To: h.lsn}
		if !joins && h.lsn > s.pos || s.reason == badChain {
			g.File, g.Offset, g.Reason = s.file, s.offset, s.reason
			if g.Reason == "" {
				g.File, g.Reason = s.files[i].name, "the log before it is missing"
			}
		}
		s.stretches, s.gaps = append(s.stretches, stretch{i, off, h.lsn, end}), append(s.gaps, g)
	}
	s.started, s.pos, s.chain, s.chained, s.reason = true, end, h.crc, true, ""
	s.proven = max(s.proven, h.durable)
}

// judge cuts the end off that was never known to be durable, and adds the gap at the end if there is one.
func (s *salvager) judge() {
	for k, g := range s.gaps {
		if g.Reason != "" && g.From >= s.proven {
			s.stretches, s.gaps = s.stretches[:k], s.gaps[:k]
			s.pos = g.From
			break
		}
	}
	s.found.End = s.pos
	if s.pos < s.proven || !s.started {
		reason := s.reason
		if reason == "" {
			s.file, reason = s.opts.Dir, "the log ends before the position that is known to have been durable"
		}
		if s.proven > 0 || len(s.files) > 0 {
			s.gaps = append(s.gaps, Gap{From: s.pos, To: max(s.pos, s.proven), File: s.file, Offset: s.offset, Reason: reason})
		}
	}
}

// give calls record and gap.
func (s *salvager) give(record func(Record) error, gap func(Gap) error) error {
	for k, g := range s.gaps {
		if g.From = max(g.From, s.from); g.Reason != "" && g.To >= g.From && (g.To > s.from || !s.started) {
			s.found.Gaps = append(s.found.Gaps, g)
			if err := gap(g); err != nil {
				return err
			}
		}
		if k < len(s.stretches) {
			if err := s.replay(s.stretches[k], record); err != nil {
				return err
			}
		}
	}
	return nil
}

// replay gives the records of a stretch.
func (s *salvager) replay(st stretch, record func(Record) error) error {
	f := &s.files[st.file]
	file, err := f.openRead(s.opts.FS)
	if err != nil {
		return err
	}
	defer file.Close()
	var w window
	w.reset(file, f.limit())
	for off, lsn := st.off, st.from; lsn < st.to; {
		h, rec, bad, err := readRecord(&w, off, lsn)
		if bad != badNone {
			return errors.Wrapf(errors.CombineErrors(err, detailf(ErrCorrupt, "%s", bad)), "wal: the record at LSN %d was good and is not any more", lsn)
		}
		end := lsn + LSN(len(rec))
		if h.flags&flagMark == 0 && lsn >= s.from {
			s.found.Records++
			s.found.Bytes += int64(len(rec))
			payload := rec[recordHeaderSize : recordHeaderSize+int(h.length) : recordHeaderSize+int(h.length)]
			if err := record(Record{LSN: lsn, End: end, Kind: h.kind, Timestamp: h.timestamp, Payload: payload}); err != nil {
				return err
			}
		}
		off, lsn = off+int64(len(rec)), end
	}
	return nil
}

// LargestSegment returns the size in bytes of the largest segment of a log, 0 when there is none with a header.
func LargestSegment(opts Options) (int64, error) {
	s := &salvager{opts: &opts}
	err := s.list()
	return s.found.SegmentSize, err
}
