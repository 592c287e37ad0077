package mvcc

import (
	"errors"
	"fmt"
	"time"

	cerrors "github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/deadlock"
)

// Errors of opening and closing.
var (
	// ErrClosed is returned by every operation on a closed database.
	ErrClosed = errors.New("mvcc: database is closed")
	// ErrLocked matches the *LockedError of a database that is open elsewhere.
	ErrLocked = errors.New("mvcc: database is locked by another process")
	// ErrNotExist is returned with Options.MustExist when there is no database.
	ErrNotExist = errors.New("mvcc: database does not exist")
	// ErrNotDatabase is returned when the path names something that is not a Sombra database.
	ErrNotDatabase = errors.New("mvcc: not a Sombra database")
	// ErrNotBackup is returned when what is to be restored is not a backup.
	ErrNotBackup = errors.New("mvcc: not a backup")
	// ErrVersion is returned when the files were written in a format that this release does not know.
	ErrVersion = errors.New("mvcc: unsupported format version")
	// ErrCorrupt matches every report of damaged data.
	ErrCorrupt = errors.New("mvcc: data is corrupt")
)

// Errors of transactions.
var (
	// ErrNotFound is returned when a key does not exist.
	ErrNotFound = errors.New("mvcc: key not found")
	// ErrTxnDone is returned by operations on a transaction that has ended.
	ErrTxnDone = errors.New("mvcc: transaction has ended")
	// ErrReadOnly is returned by writes in a read-only transaction or database.
	ErrReadOnly = errors.New("mvcc: read-only")
	// ErrConcurrentUse is returned when two goroutines use one transaction at once.
	ErrConcurrentUse = errors.New("mvcc: transaction used by two goroutines at once")
	// ErrConflict matches *ConflictError. Retryable.
	ErrConflict = errors.New("mvcc: transaction conflict")
	// ErrDeadlock matches *DeadlockError. Retryable.
	ErrDeadlock = errors.New("mvcc: deadlock")
	// ErrLockTimeout matches *LockTimeoutError. Retryable.
	ErrLockTimeout = errors.New("mvcc: lock timeout")
	// ErrLockNotAvailable is returned instead of waiting when the transaction does not want to wait.
	ErrLockNotAvailable = errors.New("mvcc: lock not available")
	// ErrTxnTimeout matches the *TxnTimeoutError of a transaction that was ended at one of its time limits.
	ErrTxnTimeout = errors.New("mvcc: transaction timed out")
	// ErrKilled matches the *KilledError of a transaction that DB.Kill ended.
	ErrKilled = errors.New("mvcc: transaction was killed")
	// ErrAbandoned matches the *AbandonedError of a transaction that was left without Commit or Rollback.
	ErrAbandoned = errors.New("mvcc: transaction was abandoned")
	// ErrHistoryPruned matches the *HistoryPrunedError of a moment before the horizon of history.
	ErrHistoryPruned = errors.New("mvcc: history has been pruned")
	// ErrSnapshotTooOld matches the *SnapshotTooOldError of a transaction that was ended because of its snapshot.
	ErrSnapshotTooOld = errors.New("mvcc: snapshot too old")
	// ErrKeyspaceExists matches the *KeyspaceExistsError of a load.
	ErrKeyspaceExists = errors.New("mvcc: keyspace exists")
	// ErrInvalid matches errors about arguments: a key or value too large, an unknown keyspace, a range upside down.
	ErrInvalid = errors.New("mvcc: invalid argument")
)

// Errors of the log.
var (
	// ErrStalled is returned by commits while the device does not answer.
	ErrStalled = errors.New("mvcc: log device is stalled")
	// ErrNoSpace is returned by commits while there is no room for the log. Nothing was written; it heals when there is room.
	ErrNoSpace = errors.New("mvcc: no space left for the log")
	// ErrFailed is returned by writes after a failed write or sync of the log
	// or the data file. Reads go on. Reopen the database.
	ErrFailed = errors.New("mvcc: database failed, reopen it")
	// ErrCommitUnknown matches *CommitUnknownError.
	ErrCommitUnknown = errors.New("mvcc: outcome of commit unknown")
)

// LockedError reports that another process has the database open.
type LockedError struct {
	Path string
	PID  int // 0 when it could not be read
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("mvcc: %s is open in process %d; close it there, or open both read-only", e.Path, e.PID)
}

// Is matches ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// ConflictReason says which rule a transaction ran into.
type ConflictReason uint8

// Reasons of conflicts.
const (
	// WriteConflict: the key was changed after the transaction's snapshot (first updater wins).
	WriteConflict ConflictReason = iota + 1
	// ReadConflict: a key that the transaction read was changed before it committed.
	ReadConflict
	// RangeConflict: a key in a range that the transaction read was changed or appeared.
	RangeConflict
	// RequirementConflict: a key passed to RequireExists is gone.
	RequirementConflict
)

// String describes the reason in words.
func (r ConflictReason) String() string {
	switch r {
	case WriteConflict:
		return "it was changed after the snapshot"
	case ReadConflict:
		return "it was changed after it was read"
	case RangeConflict:
		return "it changed inside a range that was read"
	case RequirementConflict:
		return "it was required to exist and does not"
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// ConflictError reports that a transaction lost against a concurrent one. It
// matches ErrConflict and is retryable: run the transaction again.
type ConflictError struct {
	Txn      uint64
	Label    string
	Keyspace string
	Key      []byte
	Name     string // the key as Options.DescribeKey renders it
	Reason   ConflictReason
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("mvcc: transaction %d%s conflicts on %s: %s", e.Txn, labelled(e.Label), e.Name, e.Reason)
}

// Is matches ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

func labelled(label string) string {
	if label == "" {
		return ""
	}
	return fmt.Sprintf(" %q", label)
}

// DeadlockError reports to a transaction that it was ended to resolve a
// deadlock. It matches ErrDeadlock and is retryable.
type DeadlockError struct {
	// Report is the whole cycle, in the user's terms.
	Report *deadlock.Error
}

func (e *DeadlockError) Error() string { return "mvcc: " + e.Report.Error() }

// Is matches ErrDeadlock.
func (e *DeadlockError) Is(target error) bool { return target == ErrDeadlock }

// Unwrap returns the report.
func (e *DeadlockError) Unwrap() error { return e.Report }

// LockTimeoutError reports that a lock was not granted in time. It matches
// ErrLockTimeout and is retryable.
type LockTimeoutError struct {
	Name    string // the key as Options.DescribeKey renders it
	Waited  time.Duration
	Holders []uint64 // transactions that held the lock
}

func (e *LockTimeoutError) Error() string {
	return fmt.Sprintf("mvcc: lock on %s not granted within %v (held by transactions %v)", e.Name, e.Waited.Round(time.Millisecond), e.Holders)
}

// Is matches ErrLockTimeout.
func (e *LockTimeoutError) Is(target error) bool { return target == ErrLockTimeout }

// CommitUnknownError reports that waiting for a commit ended before its outcome
// was known: it may or may not be, or become, durable. Look at the data to find out.
type CommitUnknownError struct {
	Timestamp Timestamp
	Cause     error // the context's error, or the failure of the log
}

func (e *CommitUnknownError) Error() string {
	return fmt.Sprintf("mvcc: outcome of commit %d unknown: %v", e.Timestamp, e.Cause)
}

// Is matches ErrCommitUnknown.
func (e *CommitUnknownError) Is(target error) bool { return target == ErrCommitUnknown }

// Unwrap returns the cause.
func (e *CommitUnknownError) Unwrap() error { return e.Cause }

// CorruptionError reports damaged data. It matches ErrCorrupt.
type CorruptionError struct {
	Cause error // says file, place and what is wrong
}

func (e *CorruptionError) Error() string { return "mvcc: corrupt: " + e.Cause.Error() }

// Is matches ErrCorrupt.
func (e *CorruptionError) Is(target error) bool { return target == ErrCorrupt }

// Unwrap returns the cause.
func (e *CorruptionError) Unwrap() error { return e.Cause }

// corrupt makes a report of what is wrong.
func corrupt(format string, args ...any) error {
	return &CorruptionError{cerrors.Newf(format, args...)}
}

// ArgumentError reports a bad argument. It matches ErrInvalid.
type ArgumentError struct{ What string }

func (e *ArgumentError) Error() string { return "mvcc: " + e.What }

// Is matches ErrInvalid.
func (e *ArgumentError) Is(target error) bool { return target == ErrInvalid }

// IsRetryable reports whether running the transaction again can help:
// conflicts, deadlocks, lock timeouts and unavailable locks.
func IsRetryable(err error) bool {
	return errors.Is(err, ErrConflict) || errors.Is(err, ErrDeadlock) ||
		errors.Is(err, ErrLockTimeout) || errors.Is(err, ErrLockNotAvailable)
}

// FailedError reports a database that stopped accepting writes after a failed
// write or sync. It matches ErrFailed. Reopening recovers what is durable.
type FailedError struct {
	Cause error
}

func (e *FailedError) Error() string {
	return "mvcc: writes are refused, reopen the database: " + e.Cause.Error()
}

// Is matches ErrFailed.
func (e *FailedError) Is(target error) bool { return target == ErrFailed }

// Unwrap returns the cause.
func (e *FailedError) Unwrap() error { return e.Cause }

// HeldBackError reports that commits are refused because memory is full of
// versions that checkpoints fail to write, for lack of disk space for instance.
// Commits go on when a checkpoint succeeds; one is tried every second.
type HeldBackError struct {
	Cause error // what the last checkpoint failed with
}

func (e *HeldBackError) Error() string {
	return "mvcc: commits are held back until a checkpoint succeeds: " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *HeldBackError) Unwrap() error { return e.Cause }

// GaveUpError reports that Update could not succeed before its context ended.
// It matches what the context and the last attempt failed with.
type GaveUpError struct {
	Attempts int
	Cause    error // why it gave up
	Last     error // what the last attempt failed with
}

func (e *GaveUpError) Error() string {
	return fmt.Sprintf("mvcc: gave up after %d attempts: %v (the last one: %v)", e.Attempts, e.Cause, e.Last)
}

// Unwrap returns both causes.
func (e *GaveUpError) Unwrap() []error { return []error{e.Cause, e.Last} }

// TxnTimeoutError reports that a transaction was ended at one of its time limits. It matches ErrTxnTimeout.
type TxnTimeoutError struct {
	Txn   uint64
	Label string
	Limit time.Duration
	Idle  bool // the limit was on the time without an operation
}

func (e *TxnTimeoutError) Error() string {
	what := "ran for"
	if e.Idle {
		what = "was idle for"
	}
	return fmt.Sprintf("mvcc: transaction %d%s %s %v, its limit, and has been rolled back", e.Txn, labelled(e.Label), what, e.Limit)
}

// Is matches ErrTxnTimeout.
func (e *TxnTimeoutError) Is(target error) bool { return target == ErrTxnTimeout }

// KilledError reports that DB.Kill ended the transaction. It matches ErrKilled.
type KilledError struct {
	Txn   uint64
	Label string
}

func (e *KilledError) Error() string {
	return fmt.Sprintf("mvcc: transaction %d%s was killed and has been rolled back", e.Txn, labelled(e.Label))
}

// Is matches ErrKilled.
func (e *KilledError) Is(target error) bool { return target == ErrKilled }

// AbandonedError reports a transaction that nobody ended and nobody can end any more. It matches ErrAbandoned.
type AbandonedError struct {
	Txn   uint64
	Label string
	Age   time.Duration
	Stack string // who called Begin
}

func (e *AbandonedError) Error() string {
	return fmt.Sprintf("mvcc: transaction %d%s was abandoned after %v and has been rolled back; it was begun at\n%s", e.Txn, labelled(e.Label), e.Age.Round(time.Millisecond), e.Stack)
}

// Is matches ErrAbandoned.
func (e *AbandonedError) Is(target error) bool { return target == ErrAbandoned }

// HistoryPrunedError reports that the database cannot be read as of a moment any more. It matches ErrHistoryPruned.
type HistoryPrunedError struct {
	At, Oldest Timestamp // what was asked for, and the oldest that can be read
}

func (e *HistoryPrunedError) Error() string {
	return fmt.Sprintf("mvcc: history at %v (timestamp %d) has been pruned; the oldest that can be read is %v (timestamp %d); Options.Retain keeps more",
		e.At.Time(), e.At, e.Oldest.Time(), e.Oldest)
}

// Is matches ErrHistoryPruned.
func (e *HistoryPrunedError) Is(target error) bool { return target == ErrHistoryPruned }

// SnapshotTooOldError reports that a transaction was ended because its snapshot kept too much history. It matches
// ErrSnapshotTooOld.
type SnapshotTooOldError struct {
	Txn    uint64
	Label  string
	Age    time.Duration
	Option string // of Options, which set the limit
}

func (e *SnapshotTooOldError) Error() string {
	return fmt.Sprintf("mvcc: transaction %d%s held its snapshot for %v, longer than %s allows, and has been rolled back", e.Txn, labelled(e.Label), e.Age.Round(time.Millisecond), e.Option)
}

// Is matches ErrSnapshotTooOld.
func (e *SnapshotTooOldError) Is(target error) bool { return target == ErrSnapshotTooOld }

// KeyspaceExistsError reports that a keyspace cannot be loaded because it is there already. It matches ErrKeyspaceExists.
type KeyspaceExistsError struct{ Name string }

func (e *KeyspaceExistsError) Error() string {
	return fmt.Sprintf("mvcc: keyspace %q exists already", e.Name)
}

// Is matches ErrKeyspaceExists.
func (e *KeyspaceExistsError) Is(target error) bool { return target == ErrKeyspaceExists }
