package wal

import (
	"os"
	"path/filepath"

	"github.com/cockroachdb/errors"
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
	s, err := createSegment(opts, firstSegment, func() int64 { return 1 }, func(int64) bool { return false })
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

// createSegment creates a segment file with zeros in it (see fill). The file,
// not the directory, is durable when it returns.
func createSegment(opts *Options, number uint64, wanted func() int64, settle func(filled int64) bool) (*segment, error) {
	name := segmentPath(opts, number)
	file, err := opts.FS.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, filePerm)
	if err != nil {
		return nil, errors.Wrapf(err, "wal: creating a segment")
	}
	s := &segment{number: number, size: opts.SegmentSize, file: file}
	if err := s.fill(wanted, settle); err != nil {
		// Nothing depends on the file yet, and the next attempt truncates it.
		_, _ = file.Close(), opts.FS.Remove(name)
		return nil, errors.Wrapf(err, "wal: creating %s", name)
	}
	return s, nil
}

// fill gives the new file its size and, step by step, its blocks: all of them,
// or, if somebody waits, steps with at least as many bytes as are wanted. A
// file without any would put off the news that the disk is full until records
// go there. On a full disk, settle decides whether what the file has will do.
func (s *segment) fill(wanted func() int64, settle func(filled int64) bool) error {
	for s.filled < s.size && s.lack == nil {
		if enough := wanted(); enough > 0 && s.filled >= enough {
			break
		}
		if s.filled > 0 {
			if err := s.file.SyncData(); err != nil {
				return errors.Wrapf(err, "syncing")
			}
		}
		n, err := s.file.WriteAt(zeroFill[:min(fillStep, s.size-s.filled)], s.filled)
		at := s.filled
		s.filled += int64(n)
		if isNoSpace(err) && settle(s.filled) {
			s.lack, err = err, nil
		}
		if err != nil {
			return errors.Wrapf(err, "writing zeros at offset %d", at)
		}
	}
	if err := s.file.Truncate(s.size); err != nil {
		return errors.Wrapf(err, "setting the size to %d bytes", s.size)
	}
	return errors.Wrapf(s.file.Sync(), "syncing")
}

// startSegmentFile puts a spare into use: its header says where the log
// goes on. It is durable with the next sync of the file.
func startSegmentFile(s *segment, id DatabaseID, first LSN, prev uint32) error {
	s.first = first
	h := segmentHeader{database: id, number: s.number, first: first, size: s.size, prev: prev}
	_, err := s.file.WriteAt(h.encode(), 0)
	return errors.Wrapf(err, "wal: writing the header of segment %d", s.number)
}
