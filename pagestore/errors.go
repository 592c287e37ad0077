package pagestore

import (
	"errors"
	"fmt"
)

// Errors of use: the caller did something that the store does not offer.
var (
	// ErrClosed is returned by everything after Close.
	ErrClosed = errors.New("pagestore: store is closed")
	// ErrReadOnly is returned by Begin on a store opened with Options.ReadOnly.
	ErrReadOnly = errors.New("pagestore: store is open read-only")
	// ErrCheckpointOpen is returned by Begin while another checkpoint is neither committed nor aborted.
	ErrCheckpointOpen = errors.New("pagestore: a checkpoint is already open; commit or abort it first")
	// ErrCheckpointDone is returned by the methods of a checkpoint that was committed or aborted.
	ErrCheckpointDone = errors.New("pagestore: checkpoint is already committed or aborted")
	// ErrMerged is returned by a second Merge or Clear of one tree in one checkpoint.
	ErrMerged = errors.New("pagestore: the tree was already changed in this checkpoint")
	// ErrEditOrder is returned by Merge when keys do not strictly ascend.
	ErrEditOrder = errors.New("pagestore: edits are not in strictly ascending key order")
	// ErrTooLarge matches every *SizeError.
	ErrTooLarge = errors.New("pagestore: record is too large")
	// ErrBadOption matches every *OptionError.
	ErrBadOption = errors.New("pagestore: option is out of range")
	// ErrForeignRef is returned by Merge when an Edit.Ref was not handed out by Merge.
	ErrForeignRef = errors.New("pagestore: overflow reference does not come from a superseded record")
	// ErrForeignCheckpoint is returned by Compaction.Step when the checkpoint is one of another store.
	ErrForeignCheckpoint = errors.New("pagestore: the checkpoint belongs to another store than the compaction")
	// ErrUnknownTree is returned when a TreeID is not below NumTrees.
	ErrUnknownTree = errors.New("pagestore: no such tree")
)

// Errors of time: what was asked for is no longer, or not yet, there.
var (
	// ErrStale is returned by a view that two or more newer checkpoints have outlived: its pages may have been
	// reused. Take Store.View again and seek to the same key.
	ErrStale = errors.New("pagestore: view is too old; take the current view and seek again")
	// ErrFailed matches every *FailedError.
	ErrFailed = errors.New("pagestore: store accepts no more checkpoints")
	// ErrFull is returned when the file has reached the number of pages that its bitmap index can describe.
	ErrFull = errors.New("pagestore: file has reached its largest size for this page size")
)

// Errors of content: what lies in the file.
var (
	// ErrCorrupt matches every *CorruptionError and *TruncatedError.
	ErrCorrupt = errors.New("pagestore: file is corrupt")
	// ErrNotDatabase matches every *NotDatabaseError.
	ErrNotDatabase = errors.New("pagestore: not a Sombra database")
	// ErrVersion matches every *VersionError.
	ErrVersion = errors.New("pagestore: unknown format version")
)

// CorruptionError says that bytes in the file are not what was written.
type CorruptionError struct {
	File string
	Page PageID
	What string
}

func (e *CorruptionError) Error() string {
	return fmt.Sprintf("pagestore: %s is corrupt at page %d: %s; restore it from a backup or run the repair tool",
		e.File, e.Page, e.What)
}

// Is reports whether target is ErrCorrupt.
func (e *CorruptionError) Is(target error) bool { return target == ErrCorrupt }

// TruncatedError says that the file ends before pages that its superblock reaches.
type TruncatedError struct {
	File       string
	Size, Need int64 // bytes
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("pagestore: %s is truncated: it has %d bytes and needs %d; restore it from a backup",
		e.File, e.Size, e.Need)
}

// Is reports whether target is ErrCorrupt.
func (e *TruncatedError) Is(target error) bool { return target == ErrCorrupt }

// NotDatabaseError says that the name does not lead to a database file. Nothing was changed.
type NotDatabaseError struct {
	File  string
	Found string // what is there instead
}

func (e *NotDatabaseError) Error() string {
	return fmt.Sprintf("pagestore: %s is not a Sombra database: found %s; check the path", e.File, e.Found)
}

// Is reports whether target is ErrNotDatabase.
func (e *NotDatabaseError) Is(target error) bool { return target == ErrNotDatabase }

// VersionError says that the file was written in a format that this program does not know. Nothing was changed.
type VersionError struct {
	File        string
	Found, Know uint32
}

func (e *VersionError) Error() string {
	advice := "open it with the newer program that wrote it, or export it there and import it here"
	if e.Found < e.Know {
		advice = "open it once with the older program, export it, and import it here"
	}
	return fmt.Sprintf("pagestore: %s has format version %d, this program knows version %d: %s",
		e.File, e.Found, e.Know, advice)
}

// Is reports whether target is ErrVersion.
func (e *VersionError) Is(target error) bool { return target == ErrVersion }

// SizeError says which part of a record exceeds its limit.
type SizeError struct {
	Part        string // "key" or "value"
	Size, Limit int64  // bytes
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("pagestore: %s of %d bytes is larger than the limit of %d bytes", e.Part, e.Size, e.Limit)
}

// Is reports whether target is ErrTooLarge.
func (e *SizeError) Is(target error) bool { return target == ErrTooLarge }

// OptionError names an option and what is wrong with it.
type OptionError struct {
	Option string
	What   string
}

func (e *OptionError) Error() string { return "pagestore: option " + e.Option + " " + e.What }

// Is reports whether target is ErrBadOption.
func (e *OptionError) Is(target error) bool { return target == ErrBadOption }

// FailedError says that a sync or a superblock write failed, so that nobody knows what is durable. The failed call is
// never repeated: the operating system may have dropped the pages it could not write. Reads go on; reopening the
// store finds out which superblock survived.
type FailedError struct{ Cause error }

func (e *FailedError) Error() string {
	return "pagestore: store accepts no more checkpoints, close and reopen it: " + e.Cause.Error()
}

// Is reports whether target is ErrFailed.
func (e *FailedError) Is(target error) bool { return target == ErrFailed }

// Unwrap returns the I/O error that ended it.
func (e *FailedError) Unwrap() error { return e.Cause }
