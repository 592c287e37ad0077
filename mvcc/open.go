package mvcc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	cerrors "github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/lockmgr"
	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/pagestore"
	"github.com/sombradb/sombra/wal"
)

// Files of a database besides the data file.
const (
	logSuffix  = ".wal"
	lockSuffix = ".lock"
	tempSuffix = ".tmp" // a directory for what does not fit memory; empty and absent when closed
)

// Open opens the database at path and creates it when it is missing. nil
// options are the defaults. A database is the file path, the log directory
// path+".wal" and the lock file path+".lock"; the lock file stays behind after Close. A directory path+".tmp" comes and goes.
//
// Errors: ErrLocked when it is open elsewhere, ErrNotDatabase, ErrVersion,
// ErrCorrupt, ErrNotExist, and those of the file system. After an error nothing was changed.
func Open(path string, opts *Options) (*DB, error) {
	if path == "" {
		return nil, &ArgumentError{"path is empty"}
	}
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	db := &DB{path: filepath.Clean(path), opts: opts.withDefaults()}
	db.failed.ch = make(chan struct{})
	db.life.closed = make(chan struct{})
	db.life.mu.idle = make(chan struct{})
	db.keyspaces.init(db)
	if err := db.open(); err != nil {
		return nil, err
	}
	if !db.opts.ReadOnly {
		if err := db.unloadAll(context.Background()); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return db, nil
}

// open takes the lock, opens the data file and replays the log.
func (db *DB) open() (err error) {
	exists, err := db.probe()
	if err != nil {
		return err
	}
	if db.lock, err = db.opts.FS.Lock(db.path+lockSuffix, db.opts.ReadOnly); err != nil {
		return db.openError(err)
	}
	defer func() {
		if err != nil {
			_ = db.lock.Close() // the first error counts
		}
	}()
	if err := db.openStore(exists); err != nil {
		return err
	}
	db.locks = lockmgr.New(lockmgr.Options{Describe: db.describe, OnDeadlock: db.onDeadlock})
	if !db.opts.ReadOnly {
		db.runs, err = runs.OpenDir(db.opts.FS, db.path+tempSuffix)
		err = db.openError(err)
	}
	if err == nil {
		err = db.recover()
	}
	if err != nil {
		db.locks.Close()
		_ = errors.Join(db.closeRuns(), db.store.Close()) // the first error counts
		return err
	}
	return nil
}

// closeRuns removes the temporary files, if there can be any.
func (db *DB) closeRuns() error {
	if db.runs == nil {
		return nil
	}
	return db.runs.Close()
}

// probe looks at what is at path before anything is created there: a
// directory, or a file that is not a database, is left alone.
func (db *DB) probe() (exists bool, err error) {
	info, err := db.opts.FS.Stat(db.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if db.opts.MustExist || db.opts.ReadOnly {
			return false, &pathError{ErrNotExist, db.path, "check the path, or open without MustExist and ReadOnly to create it"}
		}
		return false, nil
	case err != nil:
		return false, db.openError(err)
	case info.IsDir():
		return false, &pathError{ErrNotDatabase, db.path, "it is a directory; name a file in it"}
	}
	if _, err := db.opts.FS.Stat(db.path + lockSuffix); err == nil {
		return true, nil // somebody may be writing it: look again under the lock
	}
	s, err := pagestore.Open(db.path, pagestore.Options{FS: db.opts.FS, ReadOnly: true, CacheBytes: 1 << 20})
	if err != nil {
		return true, db.openError(err)
	}
	return true, s.Close()
}

func (db *DB) openStore(exists bool) (err error) {
	opts := pagestore.Options{
		FS: db.opts.FS, PageSize: db.opts.PageSize, CacheBytes: db.budget().cache,
		ReadOnly: db.opts.ReadOnly, Logger: db.opts.Logger,
	}
	if exists {
		db.store, err = pagestore.Open(db.path, opts)
		return db.openError(err)
	}
	if names, err := db.opts.FS.ReadDir(db.path + logSuffix); err == nil && len(names) > 0 {
		return &pathError{ErrNotExist, db.path, fmt.Sprintf("but there is a log for it in %s; put the data file back, or move the log away", db.path+logSuffix)}
	}
	var id pagestore.DatabaseID
	if _, err := rand.Read(id[:]); err != nil {
		return cerrors.Wrap(err, "mvcc: making a database id")
	}
	db.store, err = pagestore.Create(db.path, id, opts)
	return db.openError(err)
}

// pathError adds a path and what to do to a sentinel.
type pathError struct {
	sentinel error
	path     string
	hint     string
}

func (e *pathError) Error() string { return fmt.Sprintf("%v: %s: %s", e.sentinel, e.path, e.hint) }

// Is matches the sentinel.
func (e *pathError) Is(target error) bool { return target == e.sentinel }

// openError converts errors of the layers below, met while opening.
func (db *DB) openError(err error) error {
	if err == nil {
		return nil
	}
	var locked *vfs.LockedError
	switch {
	case errors.As(err, &locked):
		return &LockedError{Path: db.path, PID: locked.PID}
	case errors.Is(err, pagestore.ErrNotDatabase):
		return &openFault{ErrNotDatabase, err}
	case errors.Is(err, pagestore.ErrVersion), errors.Is(err, wal.ErrVersion):
		return &openFault{ErrVersion, err}
	case isCorruption(err):
		return &CorruptionError{err}
	case errors.Is(err, errReadOnlyMedium) || errors.Is(err, fs.ErrPermission):
		return cerrors.Wrapf(err, "mvcc: %s cannot be written to; open it with ReadOnly", db.path)
	}
	return cerrors.Wrapf(err, "mvcc: opening %s", db.path)
}

// openFault classifies an error of a layer below, whose text says it all.
type openFault struct {
	sentinel error
	cause    error
}

func (e *openFault) Error() string { return "mvcc: " + e.cause.Error() }

// Is matches the sentinel.
func (e *openFault) Is(target error) bool { return target == e.sentinel }

// Unwrap returns the cause.
func (e *openFault) Unwrap() error { return e.cause }

func isCorruption(err error) bool {
	return errors.Is(err, pagestore.ErrCorrupt) || errors.Is(err, wal.ErrCorrupt) ||
		errors.Is(err, wal.ErrMissing) || errors.Is(err, wal.ErrWrongDatabase) || errors.Is(err, wal.ErrPosition)
}

// pageError converts errors of the page store, met while reading.
func (db *DB) pageError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pagestore.ErrCorrupt):
		return &CorruptionError{err}
	case errors.Is(err, pagestore.ErrClosed):
		return ErrClosed
	}
	return err
}

// logError converts errors of the log; a failed log fails the database.
func (db *DB) logError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, wal.ErrFailed):
		return db.fail(err)
	case errors.Is(err, wal.ErrStalled):
		return &openFault{ErrStalled, err}
	case errors.Is(err, wal.ErrNoSpace):
		return &openFault{ErrNoSpace, err}
	case errors.Is(err, wal.ErrClosed):
		return ErrClosed
	}
	return err
}

func badHistoryKey(key []byte) error {
	return corrupt("history tree has a key of %d bytes that is not one: %q", len(key), key[:min(len(key), 64)])
}
