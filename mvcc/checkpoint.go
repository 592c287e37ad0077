package mvcc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"iter"
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
//	seal     swap in an empty table; note the last timestamp and log position   (commits.mu, microseconds)
//	settle   wait until every commit up to there is durable and visible
//	merge    newest versions into the data tree, those that an open snapshot
//	         still needs into the history tree, in key order
//	commit   sync, flip the superblock, sync                                     (package pagestore)
//	publish  a new state without the sealed table; release the log
//
// Readers and writers go on throughout. If it fails before the flip, the sealed table stays and the next attempt merges it again.
type checkpointer struct {
	trigger  chan struct{}   // somebody thinks that one is due
	requests chan chan error // somebody wants one now
	quit     chan struct{}
	stopped  chan struct{}

	// run serialises checkpoints with Check.
	run sync.Mutex
	// sealed describes state.sealed while that is not nil; guarded by run.
	sealed seal
	// overLimit is set when the last checkpoint found history over its limit, and swept all of it; guarded by run.
	overLimit bool
	// sweepFrom is where the next sweep of the history tree begins; guarded by run.
	sweepFrom []byte

	logStart atomic.Uint64 // LSN up to which the trees hold the log
	progress struct {
		sync.Mutex
		done    chan struct{} // closed after each attempt, then renewed
		lastErr error         // of the last attempt
	}
}

// seal says what a sealed table holds.
type seal struct {
	ts   Timestamp // the newest commit in it or before it
	end  wal.LSN   // of that commit
	keep wal.LSN   // the log from here holds all that is not in it
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
	c.requests = make(chan chan error)
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
	return c.attempt(db, true)
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
			err = c.attempt(db, false)
		case <-retry.C:
			err = c.attempt(db, true)
		case r := <-c.requests:
			err = c.attempt(db, true)
			r <- err
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

// Checkpoint merges everything committed so far into the data file.
func (db *DB) Checkpoint(ctx context.Context) error {
	if db.opts.ReadOnly {
		return ErrReadOnly
	}
	if !db.enter() {
		return ErrClosed
	}
	defer db.leave()
	r := make(chan error, 1)
	select {
	case db.checkpoints.requests <- r:
		return <-r
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// attempt runs a checkpoint if one is due, or anyway, and tells who waits for room.
func (c *checkpointer) attempt(db *DB, anyway bool) error {
	c.run.Lock()
	defer c.run.Unlock()
	var err error
	if anyway || c.due(db) {
		err = c.checkpoint(db)
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
	if st.sealed != nil || c.logBytes(db) >= db.opts.MaxLogBytes {
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

func (c *checkpointer) checkpoint(db *DB) error {
	if err := db.failed.get(); err != nil {
		return err
	}
	if db.state.Load().sealed == nil {
		if db.state.Load().active.Keys() == 0 && c.logBytes(db) == 0 {
			return nil
		}
		c.sealed = db.sealActive()
	}
	if err := db.settle(c.sealed); err != nil {
		return err
	}
	db.endOldSnapshots()
	info := db.merge(c.sealed)
	db.checkpointDone(info)
	if info.Err != nil {
		return info.Err
	}
	c.logStart.Store(uint64(c.sealed.keep))
	c.sealed = seal{}
	return db.logError(db.log.Release(wal.LSN(db.store.OlderLogLSN())))
}

// sealActive swaps in an empty table.
func (db *DB) sealActive() seal {
	fresh := versions.New(db.splits(db.state.Load().base))
	c := &db.commits
	c.mu.Lock()
	defer c.mu.Unlock()
	st := *db.state.Load()
	st.sealed, st.active = st.active, fresh
	db.state.Store(&st)
	s := seal{ts: c.mu.last, end: db.log.End(), last: c.tail.Load()}
	s.keep = s.end
	for _, start := range c.mu.chains {
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

// merge merges the sealed table and publishes the new state. It is called by the checkpointer, and by recovery before that runs.
func (db *DB) merge(s seal) CheckpointInfo {
	start := time.Now()
	m := merger{db: db, st: db.state.Load(), seal: s, info: CheckpointInfo{Timestamp: s.ts}}
	view, err := m.run()
	m.info.Duration = time.Since(start)
	if err != nil {
		m.info.Err = db.checkpointError(err)
		return m.info
	}
	m.info.Sequence = view.Sequence()
	next := newState(db.state.Load().active, view)
	db.state.Store(next)
	return m.info
}

func (db *DB) checkpointError(err error) error {
	if errors.Is(err, pagestore.ErrFailed) {
		return db.fail(err)
	}
	return db.pageError(err)
}

// vacuumBytes bounds the pages that one checkpoint moves from the end of the
// file to free places nearer its start, so that it can be cut off.
const vacuumBytes = 4 << 20

// merger is one run of a merge.
type merger struct {
	db         *DB
	st         *state
	seal       seal
	snaps      []Timestamp // open snapshots, ascending
	retain     Timestamp   // versions that were current at or after it are kept; the seal when nothing is retained
	history    []pagestore.Edit
	historyEnd Timestamp
	overLimit  bool // history is longer than Retain.Bytes
	info       CheckpointInfo
}

// look finds out which versions are still needed (S1, S9).
func (m *merger) look() (err error) {
	if m.overLimit, err = m.db.boundHistory(m.st, m.seal.ts); err != nil {
		return err
	}
	m.retain = max(min(m.db.retainFrom(), m.seal.ts), m.st.historyStart)
	announce(&m.db.history, m.retain)
	m.snaps = m.db.snapshots.list()
	return nil
}

// needs reports whether a snapshot, or retention, needs the version.
func (m *merger) needs(h historyVersion) bool {
	return h.neededBy(m.snaps) || h.end > m.retain && h.end > h.timestamp && m.retain < m.seal.ts
}

func (m *merger) run() (*pagestore.View, error) {
	if err := m.look(); err != nil {
		return nil, err
	}
	cp, err := m.db.store.Begin()
	if err != nil {
		return nil, err
	}
	defer cp.Abort()
	ctx := context.Background()
	if err := cp.Merge(ctx, pagestore.DataTree, m.edits, m.superseded); err != nil {
		return nil, err
	}
	if err := m.mergeHistory(ctx, cp); err != nil {
		return nil, err
	}
	if _, err := cp.Vacuum(ctx, vacuumBytes/m.db.store.Metrics().PageSize); err != nil {
		return nil, err
	}
	view, err := cp.Commit(pagestore.Meta{
		Timestamp: uint64(m.seal.ts), LogLSN: uint64(m.seal.keep), Owner: ownerMeta(m.historyEnd, m.retain),
	})
	m.info.WrittenBytes = cp.Stats().BytesWritten
	return view, err
}

// edits yields the newest version of each key, and remembers the older ones that a snapshot needs.
func (m *merger) edits(yield func(pagestore.Edit) bool) {
	m.st.sealed.All(func(key []byte, newest *versions.Version) bool {
		m.info.Keys++
		m.info.PayloadBytes += int64(len(key) + len(newest.Value))
		if m.keeps() {
			m.keepChain(key, newest)
		}
		return yield(pagestore.Edit{
			Key: key, Value: newest.Value, Timestamp: newest.Timestamp, Delete: newest.Kind == versions.Delete,
		})
	})
}

// keepChain moves the versions of a key that snapshots need to history: the older ones, and a newest one that is a delete.
func (m *merger) keepChain(key []byte, newest *versions.Version) {
	ts := Timestamp(newest.Timestamp)
	if newest.Kind == versions.Delete {
		m.keep(historyVersion{key, ts, ts, versions.Delete}, newest.Value, pagestore.OverflowRef{})
	}
	for v := newest.Older(); v != nil; v = v.Older() {
		m.keep(historyVersion{key, Timestamp(v.Timestamp), ts, v.Kind}, v.Value, pagestore.OverflowRef{})
		ts = Timestamp(v.Timestamp)
	}
}

// superseded sees the base tree's record before a newer one takes its place.
// Its life ended with the oldest version of the key in the sealed table.
func (m *merger) superseded(old pagestore.Record) (keepValue bool) {
	if !m.keeps() {
		return false
	}
	end := m.st.sealed.Newest(old.Key)
	for v := end; v != nil; v = v.Older() {
		end = v
	}
	h := historyVersion{bytes.Clone(old.Key), Timestamp(old.Timestamp), Timestamp(end.Timestamp), versions.Put}
	return m.keep(h, bytes.Clone(old.Value), old.Ref) && old.Ref != pagestore.OverflowRef{}
}

// keeps reports whether anything can be needed.
func (m *merger) keeps() bool { return len(m.snaps) > 0 || m.retain < m.seal.ts }

// keep adds a version to the history tree if a snapshot or retention needs it.
func (m *merger) keep(h historyVersion, value []byte, ref pagestore.OverflowRef) bool {
	if !m.needs(h) {
		return false
	}
	m.history = append(m.history, pagestore.Edit{
		Key: appendHistoryKey(nil, h), Value: value, Timestamp: uint64(h.timestamp), Ref: ref,
	})
	m.historyEnd = max(m.historyEnd, h.end)
	m.info.HistoryAdded++
	return true
}

// mergeHistory adds the new history and drops what no snapshot needs any more.
func (m *merger) mergeHistory(ctx context.Context, cp *pagestore.Checkpoint) error {
	base := m.st.base
	if old := base.Count(pagestore.HistoryTree); old > 0 {
		if len(m.history) == 0 && m.retain >= m.st.historyEnd && (len(m.snaps) == 0 || m.snaps[0] >= m.st.historyEnd) {
			m.info.HistoryPruned = old
			return cp.Clear(pagestore.HistoryTree)
		}
		m.historyEnd = max(m.historyEnd, m.st.historyEnd)
		if err := m.sweep(base); err != nil {
			return err
		}
	}
	if len(m.history) == 0 {
		return nil
	}
	slices.SortFunc(m.history, func(a, b pagestore.Edit) int { return bytes.Compare(a.Key, b.Key) })
	return cp.Merge(ctx, pagestore.HistoryTree, values(m.history), nil)
}

func values[T any](s []T) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, v := range s {
			if !yield(v) {
				return
			}
		}
	}
}

// sweepRecords is how many history records one checkpoint looks at, at the least; it looks at an eighth of a
// longer history, and at all of one that is over its limit.
const sweepRecords = 1 << 16

// sweep looks at a part of the history tree, the next part each time, and
// deletes what no snapshot needs.
func (m *merger) sweep(base *pagestore.View) error {
	added := make(map[string]bool, len(m.history))
	for _, e := range m.history {
		added[string(e.Key)] = true
	}
	c := base.Cursor(pagestore.HistoryTree)
	defer c.Close()
	from := &m.db.checkpoints.sweepFrom
	ok := c.Seek(*from)
	batch := max(sweepRecords, base.Count(pagestore.HistoryTree)/8)
	if m.overLimit {
		batch = base.Count(pagestore.HistoryTree)
		ok = c.First()
	}
	for n := int64(0); ok && n < batch; n++ {
		h, valid := parseHistoryKey(nil, c.Key())
		if !valid {
			return badHistoryKey(c.Key())
		}
		if !m.needs(h) && !added[string(c.Key())] {
			m.history = append(m.history, pagestore.Edit{Key: bytes.Clone(c.Key()), Delete: true})
			m.info.HistoryPruned++
		}
		ok = c.Next()
	}
	*from = nil
	if ok {
		*from = bytes.Clone(c.Key())
	}
	return c.Err()
}
