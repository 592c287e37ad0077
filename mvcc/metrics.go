package mvcc

import (
	"time"

	"github.com/sombradb/sombra/deadlock"
	"github.com/sombradb/sombra/lockmgr"
	"github.com/sombradb/sombra/pagestore"
	"github.com/sombradb/sombra/wal"
)

// Metrics are counters since Open and current readings.
type Metrics struct {
	// Transactions.
	Begun, Committed, RolledBack int64
	Active                       int64
	Retries                      int64 // attempts of Update after the first
	WriteConflicts               int64
	ReadConflicts                int64 // failed validations: keys, ranges, requirements
	Deadlocks, LockTimeouts      int64
	Refreshes                    int64 // snapshots that moved forward instead of a conflict
	Spills                       int64 // write sets that were moved to a temporary file
	SpilledBytes                 int64 // in temporary files now
	Protected, HeldOff           int64 // transactions that were protected after losing, and commits that waited for them
	TimedOut, Abandoned          int64 // transactions ended at a time limit, and by the garbage collector
	TooOld                       int64 // transactions ended because of the age of their snapshot

	// Snapshots.
	Watermark      Timestamp // newest visible commit
	OldestSnapshot Timestamp // equal to Watermark when no snapshot is open
	OldestAge      time.Duration
	OldestLabel    string
	OldestReadable Timestamp // the horizon of history: AsOf can read from here on

	// Version store.
	VersionBytes, VersionKeys int64
	AdmissionDelay            time.Duration // total time that commits were held back

	// Checkpoints.
	Checkpoints            int64
	CheckpointBytes        int64 // bytes written to the data file by checkpoints
	CheckpointPayload      int64 // bytes of keys and values that they merged
	LastCheckpointDuration time.Duration
	HistoryRecords         int64

	Log   wal.Metrics
	Pages pagestore.Metrics
	Locks lockmgr.Metrics
}

// Health says in a few words how the database is.
type Health struct {
	State        string // ok, slow, stalled or failed
	Err          error  // the failure, when State is failed
	Durability   Durability
	Unsafe       string // what a crash can lose, empty in Full mode
	ReadOnly     bool
	MemoryBudget int64
	Recovered    RecoveryInfo
}

// RecoveryInfo says what Open found in the log.
type RecoveryInfo struct {
	Commits   int64         // replayed
	Records   int64         // log records read
	Bytes     int64         // log bytes read
	TornBytes int64         // bytes of a never acknowledged tail
	Duration  time.Duration // of the replay
	Damaged   error         // where the log is damaged; only with Options.Salvage
}

// Events are functions that the database calls; nil ones are skipped. They
// are called synchronously, sometimes under internal locks: they must return
// quickly and must not call the database.
type Events struct {
	// Recovered is called once, when Open has replayed the log.
	Recovered func(RecoveryInfo)
	// CheckpointDone is called after each checkpoint, failed ones included.
	CheckpointDone func(CheckpointInfo)
	// LogState is called when the health of the log device changes.
	LogState func(wal.StateChange)
	// Deadlock is called for each resolved deadlock.
	Deadlock func(*deadlock.Error)
	// Abandoned is called when the garbage collector found a transaction that was not ended.
	Abandoned func(*AbandonedError)
	// Failed is called once, when the database stops accepting writes.
	Failed func(error)
}

// CheckpointInfo describes one checkpoint.
type CheckpointInfo struct {
	Sequence      uint64
	Timestamp     Timestamp // everything up to here is in the trees
	Keys          int64     // merged
	PayloadBytes  int64     // of their keys and values
	WrittenBytes  int64     // to the data file
	HistoryAdded  int64     // versions moved to history
	HistoryPruned int64
	Duration      time.Duration
	Err           error
}
