package wal

import (
	"os"
	"path/filepath"

	"github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/internal/vfs"
)

// fillStep is how much is zero-filled at a time, in bytes: small enough that
// a commit's sync does not wait long behind it.
const fillStep = 1 << 20

// zeroFill is what is written to give files their blocks. It is never changed.
var zeroFill [fillStep]byte

const (
	filePerm = 0o640
	dirPerm  = 0o750
)

// createLog makes a new log. files are what an earlier, unfinished creation
// left; they hold nothing durable, or the log is damaged.
func createLog(opts *Options, files []segmentFile) (*recovered, error) {
	rec := &recovered{stats: Recovery{End: FirstLSN}, end: FirstLSN, chain: chainSeed(opts.DatabaseID), marked: true}
	if damage, err := lostHeader(opts, files); damage != nil || err != nil {
		if err == nil && opts.Salvage {
			rec.stats.Damaged = damage
			return rec, nil
		}
		return nil, errors.WithStack(firstError(err, damage))
	}
	if opts.ReadOnly {
		return rec, nil
	}
	if err := makeDir(opts, files); err != nil {
		return nil, err
	}
	s, err := createSegment(opts, firstSegment, func() bool { return true })
	if err != nil {
		return nil, err
	}
	rec.current, rec.stats.Segments = s, 1
	err = startSegmentFile(s, opts.DatabaseID, FirstLSN, rec.chain)
	if err == nil {
		err = errors.Wrapf(s.file.Sync(), "wal: syncing the first segment")
	}
	if err == nil {
		err = errors.Wrapf(opts.FS.SyncDir(opts.Dir), "wal: syncing %s", opts.Dir)
	}
	if err != nil {
		rec.closeFiles()
		return nil, err
	}
	return rec, nil
}

// firstError returns err, or the damage as an error.
func firstError(err error, damage *CorruptionError) error {
	if err != nil {
		return err
	}
	return damage
}

// lostHeader looks for proof that the first segment had been in use although
// its header is gone: then it is damaged, not unfinished.
func lostHeader(opts *Options, files []segmentFile) (*CorruptionError, error) {
	if len(files) == 0 || files[0].number != firstSegment {
		return nil, nil
	}
	r := replayer{opts: opts, files: files}
	left, err := r.search(0, segmentHeaderArea, FirstLSN, FirstLSN)
	if err != nil || left.durable <= FirstLSN {
		return nil, err
	}
	return &CorruptionError{File: files[0].name, LSN: FirstLSN, Reason: "the segment's header is damaged", LaterRecords: left.records}, nil
}

// makeDir makes the directory durable and empty of segments.
func makeDir(opts *Options, files []segmentFile) error {
	if err := opts.FS.MkdirAll(opts.Dir, dirPerm); err != nil {
		return errors.Wrapf(err, "wal: creating %s", opts.Dir)
	}
	for i := range files {
		if err := opts.FS.Remove(files[i].name); err != nil {
			return errors.Wrapf(err, "wal: removing an unused segment")
		}
	}
	parent := filepath.Dir(filepath.Clean(opts.Dir))
	return errors.Wrapf(opts.FS.SyncDir(parent), "wal: syncing %s", parent)
}

// createSegment creates a segment file, zero-filled as far as it gets before
// hurry says that somebody waits for it. The file, not the directory, is durable when it returns.
func createSegment(opts *Options, number uint64, hurry func() bool) (*segment, error) {
	name := segmentPath(opts, number)
	file, err := opts.FS.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, filePerm)
	if err != nil {
		return nil, errors.Wrapf(err, "wal: creating a segment")
	}
	filled, err := fillSegment(file, opts.SegmentSize, hurry)
	if err != nil {
		// Nothing depends on the file yet, and the next attempt truncates it.
		_, _ = file.Close(), opts.FS.Remove(name)
		return nil, errors.Wrapf(err, "wal: creating %s", name)
	}
	return &segment{number: number, size: opts.SegmentSize, filled: filled, file: file}, nil
}

// fillSegment gives the file its size and, step by step, its blocks.
func fillSegment(file vfs.File, size int64, hurry func() bool) (filled int64, err error) {
	for filled < size && !hurry() {
		n, err := file.WriteAt(zeroFill[:min(fillStep, size-filled)], filled)
		if err != nil {
			return filled, errors.Wrapf(err, "writing zeros at offset %d", filled)
		}
		if err := file.SyncData(); err != nil {
			return filled, errors.Wrapf(err, "syncing")
		}
		filled += int64(n)
	}
	if err := file.Truncate(size); err != nil {
		return filled, errors.Wrapf(err, "setting the size to %d bytes", size)
	}
	return max(filled, segmentHeaderArea), errors.Wrapf(file.Sync(), "syncing")
}

// startSegmentFile puts a spare into use: its header says where the log
// goes on. It is durable with the next sync of the file.
func startSegmentFile(s *segment, id DatabaseID, first LSN, prev uint32) error {
	s.first = first
	h := segmentHeader{database: id, number: s.number, first: first, size: s.size, prev: prev}
	_, err := s.file.WriteAt(h.encode(), 0)
	return errors.Wrapf(err, "wal: writing the header of segment %d", s.number)
}
