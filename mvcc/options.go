package mvcc

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sombradb/sombra/internal/vfs"
)

// Durability says when a commit is acknowledged.
type Durability uint8

// Durability modes. The weaker two need Options.AllowUnsafe.
const (
	// Full acknowledges a commit after its log record has been synced.
	Full Durability = iota
	// Interval acknowledges at once and syncs every Options.SyncInterval: a
	// crash of the process or the machine loses at most the commits of that time. In a database
	// whose own mode is None it is None.
	Interval
	// None acknowledges at once and leaves syncing to checkpoints and Close.
	None
)

// String returns the mode's name in lower case.
func (d Durability) String() string {
	switch d {
	case Full:
		return "full"
	case Interval:
		return "interval"
	case None:
		return "none"
	}
	return fmt.Sprintf("durability(%d)", uint8(d))
}

// Isolation is a transaction's isolation level.
type Isolation uint8

// Isolation levels. docs/isolation.md lists what each one prevents.
const (
	// Snapshot reads one snapshot; a write of a key that somebody else
	// changed after the snapshot fails with ErrConflict.
	Snapshot Isolation = iota
	// ReadCommitted reads what is newest at each operation.
	ReadCommitted
	// Serializable is Snapshot, and Commit fails with ErrConflict when
	// anything that the transaction read (keys and ranges) has changed.
	Serializable
)

// String returns the level's name in words.
func (i Isolation) String() string {
	switch i {
	case Snapshot:
		return "snapshot"
	case ReadCommitted:
		return "read committed"
	case Serializable:
		return "serializable"
	}
	return fmt.Sprintf("isolation(%d)", uint8(i))
}

// Sizes and times used when Options leaves a field zero, and the limits.
const (
	DefaultMemoryBudget   = 64 << 20
	MinMemoryBudget       = 8 << 20
	DefaultPageSize       = 8 << 10
	DefaultSegmentSize    = 64 << 20
	DefaultLockTimeout    = 5 * time.Second
	DefaultSyncInterval   = 100 * time.Millisecond
	DefaultRecoveryTarget = 2 * time.Second

	// MaxKeySize is the longest key, in bytes.
	MaxKeySize = 32 << 10
	// MaxValueSize is the longest value, in bytes.
	MaxValueSize = 1 << 30
)

// Options configures a database; nil means all defaults. A field that is zero
// takes the default named in its comment.
type Options struct {
	// MemoryBudget is the memory for page cache, version store, write sets and log buffers together,
	// in bytes; 0 means 64 MiB, at least 8 MiB. AutoMemory takes a quarter of what the process may use.
	MemoryBudget int64
	// CopyShare is the part of the page cache's memory, in percent, that the program wants for copies of its own
	// (Keyspace.Stamps), at most 75; the page cache is smaller by it. Config has both in bytes. 0 is none.
	CopyShare int
	// PageSize is used when the database is created: a power of two from
	// 4 KiB to 64 KiB; 0 means 8 KiB.
	PageSize int
	// SegmentSize is the size of one log file in bytes; 0 means 64 MiB, at
	// least 64 KiB.
	SegmentSize int64
	// RecoveryTarget is how long opening after a crash may read the log, about; 0 means 2 s. A checkpoint starts when the
	// log since the last one is longer than what was read in that time when the database was opened.
	RecoveryTarget time.Duration
	// MaxLogBytes bounds that log in bytes instead; 0 leaves it to RecoveryTarget.
	MaxLogBytes int64

	// Durability is the mode of transactions that do not choose their own.
	Durability Durability
	// SyncInterval is the period of the Interval mode; 0 means 100 ms.
	SyncInterval time.Duration
	// AllowUnsafe permits the modes Interval and None, which can lose
	// acknowledged commits in a crash of the process or the machine.
	AllowUnsafe bool

	// LockTimeout bounds each wait for a lock; 0 means 5 s.
	LockTimeout time.Duration
	// TxnTimeout bounds the whole of a transaction, and IdleTimeout the time
	// between two of its operations; then it is ended, with ErrTxnTimeout. 0 means no bound.
	TxnTimeout, IdleTimeout time.Duration

	// Retain keeps superseded versions for AsOf; the zero value keeps none.
	Retain Retention
	// MaxSnapshotAge ends transactions that are older than this and hold a snapshot, with ErrSnapshotTooOld, when
	// a checkpoint meets them; 0 lets them live. Snapshots cost history, nothing else.
	MaxSnapshotAge time.Duration

	// ReadOnly opens without changing anything on disk. Other readers may
	// have the database open too, a writer may not.
	ReadOnly bool
	// Salvage, which needs ReadOnly, opens a database although its log is damaged or missing: at the last commit before the
	// damage, which is at least what the last checkpoint has. RecoveryInfo.Damaged and a warning say so. Repair saves more.
	Salvage bool
	// MustExist makes Open fail, instead of creating the database, when there is none.
	MustExist bool

	// DescribeKey renders a key in reports of conflicts, deadlocks and locks;
	// nil prints keyspace and quoted key. It must be quick and must not call the DB.
	DescribeKey func(keyspace string, key []byte) string
	// Events are called on what operators care about; nil funcs are skipped.
	Events Events
	// Logger gets what a person should know; nil is silent.
	Logger *slog.Logger
	// FS is the file system; nil is the operating system's. It exists for the
	// project's own fault injection.
	FS vfs.FS
}

// Validate reports every fault of the options at once, nil when there is
// none. Open calls it.
func (o *Options) Validate() error {
	if o == nil {
		return nil
	}
	var faults []error
	bad := func(cond bool, format string, args ...any) {
		if cond {
			faults = append(faults, errors.New("mvcc: options: "+fmt.Sprintf(format, args...)))
		}
	}
	bad(o.MemoryBudget != 0 && o.MemoryBudget != AutoMemory && o.MemoryBudget < MinMemoryBudget, "MemoryBudget is %d bytes, the least is %d", o.MemoryBudget, MinMemoryBudget)
	bad(o.CopyShare < 0 || o.CopyShare > maxCopyShare, "CopyShare is %d percent, want 0 to %d", o.CopyShare, maxCopyShare)
	bad(o.PageSize != 0 && !validPageSize(o.PageSize), "PageSize is %d, want a power of two from 4096 to 65536", o.PageSize)
	bad(o.SegmentSize != 0 && o.SegmentSize < 64<<10, "SegmentSize is %d bytes, the least is 65536", o.SegmentSize)
	bad(o.RecoveryTarget < 0, "RecoveryTarget is negative (%v)", o.RecoveryTarget)
	bad(o.MaxLogBytes < 0, "MaxLogBytes is negative (%d)", o.MaxLogBytes)
	bad(o.Salvage && !o.ReadOnly, "Salvage needs ReadOnly: a damaged database is never written to")
	bad(o.Durability > None, "Durability %d is not a mode", o.Durability)
	bad(o.Durability != Full && !o.AllowUnsafe, "Durability %v can lose acknowledged commits; set AllowUnsafe to accept that", o.Durability)
	bad(o.SyncInterval < 0, "SyncInterval is negative (%v)", o.SyncInterval)
	bad(o.LockTimeout < 0, "LockTimeout is negative (%v)", o.LockTimeout)
	bad(o.TxnTimeout < 0, "TxnTimeout is negative (%v)", o.TxnTimeout)
	bad(o.Retain.Duration < 0, "Retain.Duration is negative (%v)", o.Retain.Duration)
	bad(o.Retain.Bytes < 0, "Retain.Bytes is negative (%d)", o.Retain.Bytes)
	bad(o.MaxSnapshotAge < 0, "MaxSnapshotAge is negative (%v)", o.MaxSnapshotAge)
	bad(o.IdleTimeout < 0, "IdleTimeout is negative (%v)", o.IdleTimeout)
	return errors.Join(faults...)
}

func validPageSize(n int) bool { return n >= 4<<10 && n <= 64<<10 && n&(n-1) == 0 }

// withDefaults returns a copy with every zero field set to its default.
func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	setDefault(&d.MemoryBudget, DefaultMemoryBudget)
	setDefault(&d.PageSize, DefaultPageSize)
	setDefault(&d.SegmentSize, DefaultSegmentSize)
	setDefault(&d.RecoveryTarget, DefaultRecoveryTarget)
	if d.MemoryBudget == AutoMemory {
		d.MemoryBudget = autoMemory()
	}
	setDefault(&d.SyncInterval, DefaultSyncInterval)
	setDefault(&d.LockTimeout, DefaultLockTimeout)
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.FS == nil {
		d.FS = vfs.OS
	}
	return d
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// TxnOptions configures one transaction; nil means all defaults.
type TxnOptions struct {
	// ReadOnly makes writes fail with ErrReadOnly. Read-only transactions
	// never conflict, at any level.
	ReadOnly bool
	// Isolation is the level; the zero value is Snapshot.
	Isolation Isolation
	// AsOf reads the database as of this moment (see TimestampOf), read-only; 0 is now. A moment before the horizon of
	// history (Options.Retain) is ErrHistoryPruned, one after the newest commit is the newest commit.
	AsOf Timestamp
	// Label names the transaction in reports.
	Label string
	// Priority matters when a deadlock needs a victim: the lowest dies first.
	Priority int
	// LockTimeout bounds each wait for a lock; 0 means the database's.
	LockTimeout time.Duration
	// Timeout and IdleTimeout override the database's when they are not 0; a negative one is no bound.
	Timeout, IdleTimeout time.Duration
	// NoWait makes writes fail with ErrLockNotAvailable instead of waiting for a lock.
	NoWait bool
	// Durability overrides the database's mode when it is set.
	Durability *Durability
}
