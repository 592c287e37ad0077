package mvcc

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sombradb/sombra/mvcc/internal/versions"
	"github.com/sombradb/sombra/pagestore"
	"github.com/sombradb/sombra/wal"
)

// A checkpoint moves the version store's contents into the trees:
//
//	freeze   swap in an empty table; note the last timestamp and log position   (commits.mu, microseconds)
//	settle   wait until every commit up to there is durable and visible
//	merge    newest versions into the data tree, those that an open snapshot
//	         still needs into the history tree, in key order
//	commit   sync, flip the superblock, sync                                     (package pagestore)
//	publish  a new state without what was frozen; release the log
//
// Readers and writers go on throughout. If it fails before the flip, the frozen layers stay and the next attempt merges
// them again. A large commit freezes the table, too, below its run (large.go).
type checkpointer struct {
	trigger  chan struct{} // somebody thinks that one is due
	requests chan request  // somebody wants one now
	quit     chan struct{}
	stopped  chan struct{}

	// run serialises checkpoints with Check.
	run sync.Mutex
	// overLimit is set when the last checkpoint found history over its limit, and swept all of it; guarded by run.
	overLimit bool
	// sweepFrom is where the next sweep of the history tree begins; guarded by run.
	sweepFrom []byte

	pace     pace
	logStart atomic.Uint64 // LSN up to which the trees hold the log
	progress struct {
		sync.Mutex
		done    chan struct{} // closed after each attempt, then renewed
		lastErr error         // of the last attempt
	}
}

// request asks for a checkpoint.
type request struct {
	ctx  context.Context // ends what the checkpoint does beside merging
	done chan error
	// compact is a step of a compaction, in place of the vacuum; nil otherwise.
	compact func(context.Context, *pagestore.Checkpoint) error
	awaited bool // somebody waits for the end
}

// seal says what is frozen: everything up to one commit.
type seal struct {
	ts   Timestamp // of that commit
	end  wal.LSN   // of its record
	keep wal.LSN   // the log from here holds all that is not frozen
	last *commitEntry
}

// checkpointRetry is the pause after a failed checkpoint.
const checkpointRetry = time.Second

// ownerMeta is Meta.Owner's layout: historyEnd and historyStart, 8 bytes big-endian each; the rest is zero. Files
// of earlier releases have no historyStart: their history is complete from their timestamp on.
func ownerMeta(historyEnd, historyStart Timestamp) (m [256]byte) {
	binary.BigEndian.PutUint64(m[:], uint64(historyEnd))
	binary.BigEndian.PutUint64(m[8:], uint64(historyStart))
	return m
}

// newState returns a state on a view.
func newState(active *versions.Table, view *pagestore.View) *state {
	meta := view.Meta()
	st := &state{
		active: active, base: view, baseTS: Timestamp(meta.Timestamp),
		historyEnd:   Timestamp(binary.BigEndian.Uint64(meta.Owner[:])),
		historyStart: Timestamp(binary.BigEndian.Uint64(meta.Owner[8:])),
	}
	if st.historyStart == 0 {
		st.historyStart = st.baseTS
	}
	return st
}

func (c *checkpointer) start(db *DB, logStart wal.LSN) {
	c.trigger = make(chan struct{}, 1)
	c.requests = make(chan request)
	c.quit, c.stopped = make(chan struct{}), make(chan struct{})
	c.progress.done = make(chan struct{})
	c.logStart.Store(uint64(logStart))
	go c.loop(db)
}

// stop ends the goroutine after a last checkpoint, so that the next Open has nothing to replay.
func (c *checkpointer) stop(db *DB) error {
	close(c.quit)
	<-c.stopped
	if db.failed.get() != nil {
		return nil
	}
	return c.attempt(db, true, request{awaited: true})
}

func (c *checkpointer) loop(db *DB) {
	defer close(c.stopped)
	retry := time.NewTimer(0)
	<-retry.C
	defer retry.Stop()
	for {
		var err error
		select {
		case <-c.quit:
			return
		case <-c.trigger:
			err = c.attempt(db, false, request{})
		case <-retry.C:
			err = c.attempt(db, true, request{})
		case r := <-c.requests:
			err = c.attempt(db, true, r)
			r.done <- err
			if r.compact != nil && r.ctx.Err() != nil {
				err = nil // whoever compacts has given up
			}
		}
		if err != nil && db.failed.get() == nil {
			retry.Reset(checkpointRetry)
		}
	}
}

// wake asks for a checkpoint without waiting.
func (c *checkpointer) wake() {
	select {
	case c.trigger <- struct{}{}:
	default:
	}
}

// Checkpoint merges everything committed so far into the data file. If ctx ends first, it goes on in the background.
func (db *DB) Checkpoint(ctx context.Context) error {
	return db.request(ctx, nil)
}

// request has the checkpointer make a checkpoint now. A step of a compaction is awaited, for it uses what the caller has.
func (db *DB) request(ctx context.Context, compact func(context.Context, *pagestore.Checkpoint) error) error {
	if db.opts.ReadOnly {
		return ErrReadOnly
	}
	if !db.enter() {
		return ErrClosed
	}
	defer db.leave()
	r := request{ctx, make(chan error, 1), compact, true}
	select {
	case db.checkpoints.requests <- r:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if compact != nil {
		return <-r.done
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done(): // the device may not answer
		return context.Cause(ctx)
	}
}

// attempt runs a checkpoint if one is due, or anyway, and tells who waits for room.
func (c *checkpointer) attempt(db *DB, anyway bool, r request) error {
	c.run.Lock()
	defer c.run.Unlock()
	var err error
	if anyway || c.due(db) {
		err = c.checkpoint(db, r)
	}
	c.progress.Lock()
	defer c.progress.Unlock()
	c.progress.lastErr = err
	close(c.progress.done)
	c.progress.done = make(chan struct{})
	return err
}

// due reports whether the table is full or the log long. Versions that no
// snapshot needs are dropped first: a few hot keys never fill a table.
func (c *checkpointer) due(db *DB) bool {
	st := db.state.Load()
	if len(st.frozen) > 0 || c.logBytes(db) >= db.maxLogBytes {
		return true
	}
	limit := db.budget().seal
	if st.active.Bytes() < limit {
		return false
	}
	db.prune(st)
	return st.active.Bytes() >= limit*3/4
}

// prune drops versions in the active table that no snapshot sees. Readers
// without a snapshot look at pruned after they have read.
func (db *DB) prune(st *state) {
	announce(&db.pruned, db.horizon())
	st.active.Prune(uint64(min(Timestamp(db.pruned.Load()), db.horizon()))) // who pinned the past before is seen now
}

// logBytes is the length of the log that a recovery would read.
func (c *checkpointer) logBytes(db *DB) int64 {
	return int64(db.log.End()) - int64(c.logStart.Load())
}

func (c *checkpointer) checkpoint(db *DB, r request) error {
	if err := db.failed.get(); err != nil {
		return err
	}
	if st := db.state.Load(); len(st.frozen) == 0 {
		if st.active.Keys() == 0 && c.logBytes(db) == 0 && r.compact == nil && !db.historyIdle(st) {
			return nil
		}
		db.freeze()
	}
	layers := db.state.Load().frozen
	sealed := layers[0].seal
	if err := db.settle(sealed); err != nil {
		return err
	}
	db.endOldSnapshots()
	info := db.merge(layers, sealed, r)
	db.checkpointDone(info)
	if info.Err != nil {
		return info.Err
	}
	c.logStart.Store(uint64(sealed.keep))
	return db.logError(db.log.Release(wal.LSN(db.store.OlderLogLSN())))
}

// historyIdle reports whether there is history that nobody needs any more.
func (db *DB) historyIdle(st *state) bool {
	if st.base.Count(pagestore.HistoryTree) == 0 || db.retainFrom() < st.historyEnd {
		return false
	}
	pin, _, _, ok := db.snapshots.oldest()
	return !ok || pin >= st.historyEnd
}

// freeze swaps in an empty table.
func (db *DB) freeze() {
	fresh := versions.New(db.splits(db.state.Load().base))
	c := &db.commits
	c.mu.Lock()
	defer c.mu.Unlock()
	st := *db.state.Load()
	s := db.sealLocked(c.mu.last, db.log.End(), c.tail.Load())
	st.frozen = slices.Concat([]frozen{{table: st.active, seal: s}}, st.frozen)
	st.active = fresh
	db.state.Store(&st)
}

// sealLocked returns the seal after a commit. REQUIRES: commits.mu, and the commit is the newest one.
func (db *DB) sealLocked(ts Timestamp, end wal.LSN, last *commitEntry) seal {
	s := seal{ts: ts, end: end, keep: end, last: last}
	for _, start := range db.commits.mu.chains {
		s.keep = min(s.keep, start)
	}
	return s
}

// splits returns keys that cut a new table along the base tree.
func (db *DB) splits(view *pagestore.View) [][]byte {
	const partitions = 64
	keys, err := view.Separators(pagestore.DataTree, partitions)
	if err != nil {
		return nil // one partition works as well; whoever reads the page reports the damage
	}
	return keys
}

// settle waits until all that is sealed is durable and visible.
func (db *DB) settle(s seal) error {
	ctx := context.Background()
	if err := db.log.Sync(ctx, s.end); err != nil {
		return db.logError(err)
	}
	return db.publish(ctx, s.last)
}

func (db *DB) checkpointDone(info CheckpointInfo) {
	db.count.lastCheckpoint.Store(int64(info.Duration))
	if info.Err == nil {
		db.count.checkpoints.Add(1)
		db.count.checkpointBytes.Add(info.WrittenBytes)
		db.count.checkpointPayload.Add(info.PayloadBytes)
		db.opts.Logger.Info("sombra: checkpoint", "sequence", info.Sequence, "keys", info.Keys,
			"written_bytes", info.WrittenBytes, "duration", info.Duration)
	} else {
		db.opts.Logger.Error("sombra: checkpoint failed", "error", info.Err)
	}
	if f := db.opts.Events.CheckpointDone; f != nil {
		f(info)
	}
}
