package wal

import (
	"errors"
	"fmt"
	"syscall"
)

// Errors of a log in use.
var (
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("wal: the log is closed")
	// ErrFailed: a write or sync failed. The log accepts nothing more until it
	// is opened again. Every error that matches it is a *FailedError.
	ErrFailed = errors.New("wal: the log has failed")
	// ErrStalled: a write or sync has been running for longer than
	// Options.StalledAfter. The log takes records again when it returns.
	ErrStalled = errors.New("wal: the log is stalled: its device does not answer")
	// ErrNoSpace: the next segment file cannot be created. Nothing was
	// appended; the log takes records again once there is room. The errors that
	// match it wrap the cause, and match syscall.ENOSPC on all systems if that is
	// a full disk.
	ErrNoSpace = errors.New("wal: no room for the next segment")
	// ErrTooLarge: the payload is longer than MaxPayload.
	ErrTooLarge = errors.New("wal: the record is too large")
	// ErrReadOnly: the log was opened with Options.ReadOnly.
	ErrReadOnly = errors.New("wal: the log is open for reading only")
	// ErrPosition: a position is not where a record begins or ends.
	ErrPosition = errors.New("wal: no such position in the log")
)

// Errors of Open.
var (
	// ErrOptions: the options are invalid.
	ErrOptions = errors.New("wal: invalid options")
	// ErrMissing: segments that the replay needs are not there.
	ErrMissing = errors.New("wal: log segments are missing")
	// ErrCorrupt: the log is damaged. Every error that matches it is a *CorruptionError.
	ErrCorrupt = errors.New("wal: the log is damaged")
	// ErrVersion: the log was written by a newer release.
	ErrVersion = errors.New("wal: the log has a newer format")
	// ErrWrongDatabase: the log belongs to another database.
	ErrWrongDatabase = errors.New("wal: the log belongs to another database")
)

// CorruptionError reports damage in the middle of the log: records that had
// been made durable cannot be read. It matches ErrCorrupt, and ErrMissing when
// a whole segment file is missing.
type CorruptionError struct {
	File   string // the damaged or missing segment file
	Offset int64  // where in the file the damage begins, in bytes
	LSN    LSN    // the first position that cannot be read
	Reason string
	// LaterRecords counts valid records found after the damage: what opening without them would lose.
	LaterRecords int64
	// Missing says that File does not exist.
	Missing bool
}

// Error names the place, the loss and the way out.
func (e *CorruptionError) Error() string {
	return fmt.Sprintf("wal: damaged at LSN %d (%s, offset %d): %s; it had been made durable, and %d valid records follow it; "+
		"restore the file from a copy, or open read-only with salvage to read what lies before the damage",
		e.LSN, e.File, e.Offset, e.Reason, e.LaterRecords)
}

// Is matches ErrCorrupt, and ErrMissing for a missing file.
func (e *CorruptionError) Is(target error) bool {
	return target == ErrCorrupt || (e.Missing && target == ErrMissing)
}

// FailedError says why the log has failed for good. It matches ErrFailed and wraps the cause.
type FailedError struct {
	// OutcomeUnknown is set in the errors of those who were waiting in Sync:
	// their records may or may not be found when the log is opened again.
	OutcomeUnknown bool
	Err            error
}

// Error says what is known about the caller's record and what to do.
func (e *FailedError) Error() string {
	if e.OutcomeUnknown {
		return fmt.Sprintf("wal: the log has failed and the outcome is unknown: the record may or may not be durable; open again to find out: %v", e.Err)
	}
	return fmt.Sprintf("wal: the log has failed and takes no more records; open again to recover: %v", e.Err)
}

// Is matches ErrFailed.
func (e *FailedError) Is(target error) bool { return target == ErrFailed }

// Unwrap returns the failed operation's error.
func (e *FailedError) Unwrap() error { return e.Err }

// detailError adds the particulars to a sentinel.
type detailError struct {
	sentinel error
	detail   string
	cause    error // may be nil
}

func (e *detailError) Error() string {
	if e.cause != nil {
		return e.sentinel.Error() + ": " + e.detail + ": " + e.cause.Error()
	}
	return e.sentinel.Error() + ": " + e.detail
}

func (e *detailError) Is(target error) bool {
	return target == e.sentinel || e.sentinel == ErrNoSpace && target == syscall.ENOSPC && isNoSpace(e.cause)
}

func (e *detailError) Unwrap() error { return e.cause }

// detailf adds particulars to a sentinel.
func detailf(sentinel error, format string, args ...any) error {
	return &detailError{sentinel: sentinel, detail: fmt.Sprintf(format, args...)}
}
