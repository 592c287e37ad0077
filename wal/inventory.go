package wal

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/internal/vfs"
)

// segmentFile is a file in the log's directory, as Open finds it.
type segmentFile struct {
	number uint64 // from its name
	name   string // with the directory
	size   int64  // of the file, in bytes
	kind   headerKind
	header segmentHeader // when kind is headerValid
}

// inUse says whether the file is part of the log. A file is a spare, whatever
// records lie in it, as long as its header is blank or has the number that
// the file had before it was recycled.
func (f *segmentFile) inUse() bool { return f.kind == headerValid && f.header.number == f.number }

// limit is where the file's records end at the latest, in bytes.
func (f *segmentFile) limit() int64 {
	if f.inUse() {
		return min(f.size, f.header.size)
	}
	return f.size
}

// listSegments reads the headers of all segment files, ordered by number. It
// refuses a log that this release must not touch. A missing directory is an empty one.
func listSegments(opts *Options) ([]segmentFile, error) {
	names, err := opts.FS.ReadDir(opts.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, errors.Wrapf(err, "wal: listing %s", opts.Dir)
	}
	var files []segmentFile
	for _, name := range names {
		number, ok := parseSegmentName(name)
		if !ok {
			continue
		}
		f, err := inspectSegment(opts, number)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b segmentFile) int {
		if a.number < b.number {
			return -1
		}
		return 1
	})
	return files, nil
}

// inspectSegment reads one file's header.
func inspectSegment(opts *Options, number uint64) (segmentFile, error) {
	f := segmentFile{number: number, name: filepath.Join(opts.Dir, segmentName(number))}
	file, err := opts.FS.OpenFile(f.name, os.O_RDONLY, 0)
	if err != nil {
		return f, errors.Wrapf(err, "wal: opening segment")
	}
	defer file.Close()
	if f.size, err = file.Size(); err != nil {
		return f, errors.Wrapf(err, "wal: size of %s", f.name)
	}
	sector := make([]byte, segmentHeaderSize)
	n, err := file.ReadAt(sector, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return f, errors.Wrapf(err, "wal: reading the header of %s", f.name)
	}
	var version uint32
	f.header, f.kind, version = parseSegmentHeader(sector[:n])
	switch {
	case f.kind == headerNewer:
		return f, detailf(ErrVersion, "%s has format %d, this release knows up to %d: open the database with the release that wrote it",
			f.name, version, formatVersion)
	case f.kind == headerValid && f.header.database != opts.DatabaseID:
		return f, detailf(ErrWrongDatabase, "%s has the database id %x, expected %x: put the log back that belongs to the data file",
			f.name, f.header.database, opts.DatabaseID)
	}
	return f, nil
}

// openRead opens the file for the replay.
func (f *segmentFile) openRead(fsys vfs.FS) (vfs.File, error) {
	file, err := fsys.OpenFile(f.name, os.O_RDONLY, 0)
	if err != nil {
		return nil, errors.Wrapf(err, "wal: opening segment")
	}
	return file, nil
}

// startSegment returns the index of the segment in which the replay from
// position from begins, or -1 when no file is part of a log.
func startSegment(files []segmentFile, from LSN) (int, error) {
	start, oldest := -1, -1
	for i := range files {
		if !files[i].inUse() {
			continue
		}
		if oldest < 0 {
			oldest = i
		}
		if files[i].header.first <= from {
			start = i
		}
	}
	if oldest >= 0 && start < 0 {
		return -1, detailf(ErrMissing, "the oldest segment, %s, begins at LSN %d, the replay needs the log from %d on",
			files[oldest].name, files[oldest].header.first, from)
	}
	return start, nil
}
