package wal

import (
	"os"
	"path/filepath"

	"github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/internal/vfs"
)

// maxSpares is how many segment files are kept ready.
const maxSpares = 2

// segmentPath is the name of a segment file with its directory.
func segmentPath(opts *Options, number uint64) string {
	return filepath.Join(opts.Dir, segmentName(number))
}

// Recovery says what Open found.
type Recovery struct {
	Segments      int
	Records       int64 // replayed
	Bytes         int64 // of those records, headers included
	End           LSN   // where the next record goes
	TornBytes     int64 // bytes of an unfinished, never acknowledged tail that were cut off, as far as they can be told
	LastTimestamp uint64
	Damaged       *CorruptionError // set only with Options.Salvage
}

// recovered is what Open needs to go on from.
type recovered struct {
	stats   Recovery
	end     LSN
	chain   uint32
	marked  bool
	old     []*segment // before the current one, closed
	current *segment   // open, unless the log is read-only
	spares  []*segment // open
}

// recoverLog reads the log in opts.Dir, or creates it, and makes its end ready for appending.
func recoverLog(opts *Options, from LSN, apply func(Record) error) (*recovered, error) {
	files, err := listSegments(opts)
	if err != nil {
		return nil, err
	}
	start, err := startSegment(files, max(from, FirstLSN))
	switch {
	case err != nil:
		return nil, err
	case start < 0 && from != 0:
		return nil, detailf(ErrMissing, "%s holds no segment, the replay needs the log from LSN %d on: put the log back beside its data file", opts.Dir, from)
	case start < 0:
		return createLog(opts, files)
	}
	if apply == nil {
		apply = func(Record) error { return nil }
	}
	r := &replayer{opts: opts, files: files, from: max(from, FirstLSN), apply: apply}
	return r.recover(start)
}

// recover replays from the segment with index start and mends the log's end.
func (r *replayer) recover(start int) (*recovered, error) {
	if err := r.run(start); err != nil {
		return nil, err
	}
	if r.opts.Replayed != nil {
		if err := r.opts.Replayed(); err != nil {
			return nil, err
		}
	}
	t, damage, err := r.judge()
	if r.opts.Salvage && err != nil {
		damage, err = r.unreadable(err), nil
	}
	if err != nil {
		return nil, err
	}
	if damage != nil && !r.opts.Salvage {
		return nil, errors.WithStack(damage)
	}
	r.stats.End, r.stats.TornBytes, r.stats.Damaged = r.pos, t.torn, damage
	rec := &recovered{stats: r.stats, end: r.pos, chain: r.chain, marked: r.marked}
	if r.opts.ReadOnly {
		return rec, nil
	}
	if t.torn > 0 {
		r.opts.Logger.Warn("wal: an unfinished tail that was never acknowledged was cut off",
			"file", r.files[r.at].name, "lsn", uint64(r.pos), "bytes", t.torn)
	}
	if err := r.mend(rec, t); err != nil {
		rec.closeFiles()
		return nil, err
	}
	return rec, nil
}

// unreadable reports a read error as damage, for salvage.
func (r *replayer) unreadable(err error) *CorruptionError {
	f := &r.files[r.at]
	return &CorruptionError{File: f.name, Offset: segmentHeaderArea + int64(r.pos-f.header.first), LSN: r.pos, Reason: badRead + ": " + err.Error()}
}

// closeFiles closes what a failed recovery opened.
func (rec *recovered) closeFiles() {
	if rec.current != nil && rec.current.file != nil {
		_ = rec.current.file.Close() // nothing was written that matters
	}
	for _, s := range rec.spares {
		_ = s.file.Close()
	}
}

// mend makes the recovered log durable and what follows it harmless, sorts out
// the other files, and opens the last segment for writing.
func (r *replayer) mend(rec *recovered, t tail) error {
	f := &r.files[r.at]
	file, err := r.opts.FS.OpenFile(f.name, os.O_RDWR, 0)
	if err != nil {
		return errors.Wrapf(err, "wal: opening the last segment for writing")
	}
	end := segmentHeaderArea + int64(r.pos-f.header.first)
	rec.current = &segment{number: f.number, first: f.header.first, size: f.header.size, filled: end, file: file}
	if err := r.rewriteUnproven(file, f); err != nil {
		return errors.Wrapf(err, "wal: making the end of %s durable", f.name)
	}
	if err := erase(file, end, t.traceTo); err != nil {
		return errors.Wrapf(err, "wal: erasing the unfinished tail of %s", f.name)
	}
	if err := file.Sync(); err != nil {
		return errors.Wrapf(err, "wal: syncing %s", f.name)
	}
	return r.sortOut(rec, t.spareDirty)
}

// rewriteUnproven writes the part of the last segment once more that nothing
// proves to be durable, its header included. After a failed sync the kernel may
// hold these bytes as clean although the device never got them; a sync alone
// would then make nothing durable (W5).
func (r *replayer) rewriteUnproven(file vfs.File, f *segmentFile) error {
	first := f.header.first
	if r.durable <= first {
		if err := rewrite(file, 0, segmentHeaderSize); err != nil {
			return err
		}
	}
	return rewrite(file, segmentHeaderArea+int64(max(r.durable, first)-first), segmentHeaderArea+int64(r.pos-first))
}

// rewrite writes what lies in [off, end) once more.
func rewrite(file vfs.File, off, end int64) error {
	buf := make([]byte, min(windowSize, max(0, end-off)))
	for off < end {
		b := buf[:min(int64(len(buf)), end-off)]
		if _, err := file.ReadAt(b, off); err != nil {
			return errors.Wrapf(err, "reading %d bytes at offset %d", len(b), off)
		}
		if _, err := file.WriteAt(b, off); err != nil {
			return errors.Wrapf(err, "writing %d bytes at offset %d", len(b), off)
		}
		off += int64(len(b))
	}
	return nil
}

// erase writes zeros over [off, end).
func erase(file vfs.File, off, end int64) error {
	for off < end {
		n, err := file.WriteAt(zeroFill[:min(fillStep, end-off)], off)
		if err != nil {
			return errors.Wrapf(err, "writing zeros at offset %d", off)
		}
		off += int64(n)
	}
	return nil
}

// sortOut makes the files before the last segment releasable, keeps usable
// spares behind it, and removes the rest.
func (r *replayer) sortOut(rec *recovered, spareDirty bool) error {
	for i := range r.files {
		f := &r.files[i]
		var err error
		switch {
		case i == r.at:
		case i < r.at && f.inUse():
			rec.old = append(rec.old, &segment{number: f.number, first: f.header.first, size: f.header.size})
		case i > r.at && r.usableSpare(f, rec) && !(spareDirty && i == r.at+1):
			err = r.adopt(rec, f)
		default:
			err = errors.Wrapf(r.opts.FS.Remove(f.name), "wal: removing an unused segment")
		}
		if err != nil {
			return err
		}
	}
	// Also for the spares that are kept: an earlier process may have ended
	// between creating and syncing them.
	return errors.Wrapf(r.opts.FS.SyncDir(r.opts.Dir), "wal: syncing %s", r.opts.Dir)
}

// usableSpare says whether the file can be the segment after the last one kept.
func (r *replayer) usableSpare(f *segmentFile, rec *recovered) bool {
	next := rec.current.number + 1 + uint64(len(rec.spares))
	return f.number == next && f.size == r.opts.SegmentSize && len(rec.spares) < maxSpares
}

// adopt keeps a spare. Its size need not be durable yet: the first sync of its records sees to that.
func (r *replayer) adopt(rec *recovered, f *segmentFile) error {
	file, err := r.opts.FS.OpenFile(f.name, os.O_RDWR, 0)
	if err != nil {
		return errors.Wrapf(err, "wal: opening a spare segment")
	}
	rec.spares = append(rec.spares, &segment{number: f.number, size: f.size, filled: segmentHeaderArea, file: file})
	return nil
}
