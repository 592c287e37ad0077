package mvcc

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sombradb/sombra/deadlock"
	"github.com/sombradb/sombra/lockmgr"
	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/pagestore"
	"github.com/sombradb/sombra/wal"
)

// DB is an open database. All methods are safe for concurrent use.
//
// Goroutines: the checkpointer (owned by Open, ended by Close), and the ends of
// commits whose callers went away (background, waited for by Close). The log, and the lock table, own theirs.
type DB struct {
	path string
	opts Options
	lock io.Closer // the lock file

	store *pagestore.Store
	log   *wal.Log // nil when read-only
	locks *lockmgr.Table

	state     atomic.Pointer[state] // replaced by the checkpointer only
	watermark atomic.Uint64         // newest visible timestamp; advanced under commits.publish
	pruned    atomic.Uint64         // the horizon of pruning; raised before it begins
	history   atomic.Uint64         // the horizon of the history tree; raised before a checkpoint lists snapshots
	cutoff    atomic.Uint64         // retention begins here at the earliest, for Retain.Bytes; set by the checkpointer
	commits   commits
	snapshots snapshots
	larges    larges
	views     sync.Pool // of *txn: ended ones of View
	updates   sync.Pool // of *txn: ended ones of Update
	runs      *runs.Dir // temporary files
	keyspaces keyspaces
	stamped   stampedKeyspaces
	nextTxnID atomic.Uint64
	payloads  sync.Pool // of *[]byte: buffers for log records

	checkpoints checkpointer
	failed      failure
	background  sync.WaitGroup
	recovered   RecoveryInfo
	replayRate  int64 // of the log, in bytes per second; set by Open
	maxLogBytes int64 // a longer log starts a checkpoint; set by Open
	count       counters
	life        lifetime
}

// lifetime counts what Close has to wait for: running calls, and from the beginning of Close on each shard of the registry
// that has a running transaction.
type lifetime struct {
	mu struct {
		sync.Mutex
		closing bool
		running int
		idle    chan struct{} // closed when closing and the last of them has ended
	}
	closed   chan struct{} // closed when Close is done
	closeErr error         // set before closed is closed
}

// counters are the database's own metrics.
type counters struct {
	committed, rolledBack         atomic.Int64 // without views
	retries                       atomic.Int64
	writeConflicts, readConflicts atomic.Int64
	deadlocks, lockTimeouts       atomic.Int64
	refreshes, spills             atomic.Int64
	protected, heldOff            atomic.Int64
	timedOut, abandoned, tooOld   atomic.Int64
	admissionDelay                atomic.Int64 // ns
	checkpoints                   atomic.Int64
	checkpointBytes               atomic.Int64
	checkpointPayload             atomic.Int64
	lastCheckpoint                atomic.Int64 // ns
}

// failure is the sticky state after a failed write of log or data file (R6).
type failure struct {
	once sync.Once
	err  error // set before ch is closed
	ch   chan struct{}
}

// get returns the failure, nil while there is none.
func (f *failure) get() error {
	select {
	case <-f.ch:
		return f.err
	default:
		return nil
	}
}

// fail stops writes for good. Reads go on at the last visible commit.
func (db *DB) fail(cause error) error {
	db.failed.once.Do(func() {
		db.failed.err = &FailedError{cause}
		close(db.failed.ch)
		db.opts.Logger.Error("sombra: database failed; writes are refused, reopen it", "path", db.path, "error", cause)
		if f := db.opts.Events.Failed; f != nil {
			f(cause)
		}
	})
	return db.failed.get()
}

// enter counts a call in that is no transaction; it fails when the database is closing.
func (db *DB) enter() bool {
	mu := &db.life.mu
	mu.Lock()
	defer mu.Unlock()
	if mu.closing {
		return false
	}
	mu.running++
	return true
}

func (db *DB) leave() { db.leaveAll(1) }

// leaveAll counts out.
func (db *DB) leaveAll(n int) {
	mu := &db.life.mu
	mu.Lock()
	defer mu.Unlock()
	mu.running -= n
	if mu.closing && mu.running == 0 {
		close(mu.idle)
	}
}

// Close refuses new transactions, waits for running ones to end, checkpoints
// and releases the files. Later calls wait for the first and return its error.
// Waits for locks inside running transactions end with ErrClosed.
func (db *DB) Close() error {
	mu := &db.life.mu
	mu.Lock()
	if mu.closing {
		mu.Unlock()
		<-db.life.closed
		return db.life.closeErr
	}
	mu.closing = true
	mu.running += snapshotShards
	mu.Unlock()
	if idle := db.snapshots.close(); idle > 0 {
		db.leaveAll(idle)
	}
	db.locks.Close()
	<-mu.idle
	db.background.Wait()
	db.life.closeErr = db.shutdown()
	close(db.life.closed)
	return db.life.closeErr
}

// shutdown releases everything after the last transaction.
func (db *DB) shutdown() error {
	var errs []error
	if db.log != nil {
		errs = append(errs, db.checkpoints.stop(db))
		errs = append(errs, db.logError(db.log.Close()))
	}
	errs = append(errs, db.closeRuns(), db.store.Close(), db.lock.Close())
	return errors.Join(errs...)
}

// FormatVersion is the version of the file format that this release writes.
const FormatVersion = pagestore.FormatVersion

// ID returns the database's identity, which is in its data file and its log for life.
func (db *DB) ID() [16]byte { return db.store.ID() }

// Path returns the path given to Open.
func (db *DB) Path() string { return db.path }

// ViewAsOf is View of the database as of a moment in the past; see TxnOptions.AsOf and TimestampOf.
func (db *DB) ViewAsOf(ctx context.Context, at Timestamp, fn func(*Txn) error) error {
	return db.viewWith(ctx, &TxnOptions{AsOf: at}, fn)
}

// Update runs fn in a transaction with default options and commits it. After
// a retryable error, from fn or the commit, it runs fn again, with a growing,
// jittered pause, until ctx ends: fn must have no effect but the
// transaction's. An attempt begins by locking the keys that the one before lost on. After a few
// attempts that lost, the transaction is protected: others that would change what it reads wait for it, so
// it does not starve. So fn must not wait for other transactions to commit. A panic in fn rolls back and passes through.
// The transaction must not be used after fn: its methods then fail with ErrTxnDone, or tell nothing of use, but for
// CommitTimestamp.
func (db *DB) Update(ctx context.Context, fn func(*Txn) error) error {
	return db.UpdateWith(ctx, nil, fn)
}

// UpdateWith is Update with options.
func (db *DB) UpdateWith(ctx context.Context, opts *TxnOptions, fn func(*Txn) error) error {
	var learned *lessons
	for attempt := 0; ; attempt++ {
		var err error
		learned, err = db.attempt(ctx, opts, attempt, learned, fn)
		if !IsRetryable(err) {
			return err
		}
		if waitErr := pause(ctx, attempt); waitErr != nil {
			return &GaveUpError{Attempts: attempt + 1, Cause: waitErr, Last: err}
		}
		db.count.retries.Add(1)
	}
}

// attempt runs fn once. A retried transaction has its retries counted, so that
// the deadlock detector spares it, and begins by locking what it lost on before. It returns what was learned, which
// lies in the first attempt's transaction: that is used again only if there is no second one.
func (db *DB) attempt(ctx context.Context, opts *TxnOptions, retries int, learned *lessons, fn func(*Txn) error) (*lessons, error) {
	tx, err := db.begin(ctx, opts, retries, false)
	if err != nil {
		return learned, err
	}
	defer db.finish(tx)
	if learned == nil {
		learned = &tx.learned
	}
	tx.lessons = learned
	if retries >= protectAfter && tx.tracks() {
		if err := tx.protect(); err != nil {
			return learned, err
		}
	}
	if err := learned.apply(tx.txn); err != nil {
		return learned, err
	}
	if err := fn(tx); err != nil {
		return learned, err
	}
	return learned, tx.Commit()
}

// Pauses between attempts of Update.
const (
	firstPause = 100 * time.Microsecond
	maxPause   = 50 * time.Millisecond
)

// pause waits before the next attempt: between half and the whole of a time
// that doubles with every attempt.
func pause(ctx context.Context, attempt int) error {
	d := min(firstPause<<min(attempt, 16), maxPause)
	t := time.NewTimer(d/2 + rand.N(d/2))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Deadlocks returns reports of the last resolved deadlocks, newest first, at most 64.
func (db *DB) Deadlocks() []*deadlock.Error { return db.locks.Deadlocks() }

// Locks returns the keys that are waited for, or all locked keys.
func (db *DB) Locks(all bool) []lockmgr.KeyState { return db.locks.Locks(all) }
