package mvcc

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
	"github.com/sombradb/sombra/pagestore"
)

// merge merges the frozen layers, which are all there are, and publishes the new state. It is called by the checkpointer, and by
// recovery before that runs.
func (db *DB) merge(layers []frozen, s seal, r request) CheckpointInfo {
	start := time.Now()
	keys := int64(0)
	for i := range layers {
		keys += layers[i].keys()
	}
	pace := &db.checkpoints.pace
	pace.begin(keys)
	defer pace.end()
	m := merger{db: db, st: db.state.Load(), layers: layers, seal: s, request: r, info: CheckpointInfo{Timestamp: s.ts}}
	view, err := m.run()
	m.info.Duration = time.Since(start)
	if err != nil {
		m.info.Err = db.checkpointError(err)
		return m.info
	}
	m.info.Sequence = view.Sequence()
	db.publishTrees(view, layers)
	return m.info
}

// publishTrees replaces merged layers by the trees that have them now.
func (db *DB) publishTrees(view *pagestore.View, merged []frozen) {
	mu := &db.commits.mu
	mu.Lock()
	now := db.state.Load()
	next := newState(now.active, view)
	next.frozen = now.frozen[:len(now.frozen)-len(merged)]
	db.state.Store(next)
	mu.Unlock()
	for _, f := range merged {
		dropRuns(f.runs)
	}
}

func (db *DB) checkpointError(err error) error {
	if errors.Is(err, pagestore.ErrFailed) {
		return db.fail(err)
	}
	return db.pageError(err)
}

// merger is one run of a merge.
type merger struct {
	db         *DB
	st         *state
	layers     []frozen // what is merged, newest first
	seal       seal
	request    request
	snaps      []Timestamp // open snapshots, ascending
	retain     Timestamp   // versions that were current at or after it are kept; the seal when nothing is retained
	history    []pagestore.Edit
	historyEnd Timestamp
	overLimit  bool // history is longer than Retain.Bytes
	info       CheckpointInfo

	parts struct { // in the order in which the ranges were asked for
		sync.Mutex
		list []*mergeRange
	}
}

// mergeRange is what the merge of one range of keys has found. It belongs to the worker that merges the range.
type mergeRange struct {
	m          *merger
	from, to   []byte // nil is no bound
	walk       *layerWalk
	err        error // what ended the walk over the layers
	history    []pagestore.Edit
	historyEnd Timestamp

	keys, payload, historyAdded int64
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
	if err := m.mergeData(ctx, cp); err != nil {
		return nil, err
	}
	m.db.checkpoints.pace.endMerge()
	if err := m.mergeHistory(ctx, cp); err != nil {
		return nil, err
	}
	if m.request.compact != nil {
		err = m.request.compact(m.request.ctx, cp)
	} else {
		_, err = cp.Vacuum(ctx, pagestore.AutoVacuum)
	}
	if err != nil {
		return nil, err
	}
	view, err := cp.Commit(pagestore.Meta{
		Timestamp: uint64(m.seal.ts), LogLSN: uint64(m.seal.keep), Owner: ownerMeta(m.historyEnd, m.retain),
	})
	m.info.WrittenBytes = cp.Stats().BytesWritten
	return view, err
}

// mergeData merges the layers into the data tree, range by range.
func (m *merger) mergeData(ctx context.Context, cp *pagestore.Checkpoint) error {
	err := cp.MergeRanges(ctx, pagestore.DataTree, pagestore.Ranges{Edits: m.source, Hurry: m.hurry, Splits: m.splits()})
	for _, r := range m.parts.list {
		err = errors.Join(err, r.err)
		m.info.Keys += r.keys
		m.info.PayloadBytes += r.payload
		m.info.HistoryAdded += r.historyAdded
		m.history = append(m.history, r.history...)
		m.historyEnd = max(m.historyEnd, r.historyEnd)
	}
	return err
}

// hurry reports whether more than one worker should merge: commits are or will soon be delayed, or somebody waits for the
// end. Otherwise they would only take the processors from those who commit.
func (m *merger) hurry() bool {
	b := m.db.budget()
	return m.request.awaited || m.db.state.Load().active.Bytes() > m.db.room(b)/2
}

// splits cuts large layers of runs into parts of about one size, which a small tree does not do.
func (m *merger) splits() (keys [][]byte) {
	const parts, least = 16, 50_000
	for i := range m.layers {
		var largest *runs.Run
		var first []byte
		for _, r := range m.layers[i].runs {
			if largest == nil || r.Len() > largest.Len() {
				largest = r
			}
			if r.Len() > 0 && (first == nil || bytes.Compare(r.First(), first) < 0) {
				first = r.First()
			}
		}
		if largest != nil && largest.Len() >= least {
			keys = append(keys[:0], first)
			for _, key := range largest.Splits(parts) {
				if bytes.Compare(key, keys[len(keys)-1]) > 0 {
					keys = append(keys, key)
				}
			}
		}
	}
	return keys
}

// source is the merge of one range of keys; several may be merged at the same time.
func (m *merger) source(from, to []byte) (iter.Seq[pagestore.Edit], func(pagestore.Record) bool) {
	r := &mergeRange{m: m, from: from, to: to}
	m.parts.Lock()
	defer m.parts.Unlock()
	m.parts.list = append(m.parts.list, r)
	return r.edits, r.superseded
}

// paceKeys is after how many keys a range tells the pace, which all ranges share.
const paceKeys = 64

// edits yields the newest version of each key, and remembers the older ones that a snapshot needs.
func (m *mergeRange) edits(yield func(pagestore.Edit) bool) {
	w := newLayerWalk(m.m.layers, m.from)
	m.walk = w
	defer w.close()
	pace := &m.m.db.checkpoints.pace
	defer func() { pace.merged.Add(m.keys % paceKeys) }()
	for w.next() && (m.to == nil || bytes.Compare(w.key, m.to) < 0) {
		newest, err := w.newest()
		if err != nil {
			m.err = stale(err)
			return
		}
		if m.keys++; m.keys%paceKeys == 0 {
			pace.merged.Add(paceKeys)
		}
		m.payload += int64(len(w.key) + len(newest.Value))
		if m.m.keeps() {
			if m.err = m.keepChain(w.key, newest); m.err != nil {
				return
			}
		}
		if !yield(pagestore.Edit{
			Key: w.key, Value: newest.Value, Timestamp: newest.Timestamp, Delete: newest.Kind == versions.Delete,
		}) {
			return
		}
	}
	m.err = stale(w.err)
}

// chain calls f for the versions of a key in the layers, newest first. The walk mostly stands on the key and has them.
func (m *mergeRange) chain(key []byte, f func(*versions.Version)) error {
	onKey := bytes.Equal(key, m.walk.key)
	layers := m.m.layers
	for i := range layers {
		var v *versions.Version
		var err error
		if onKey {
			v, err = m.walk.versionOf(i)
		} else {
			v, err = layers[i].newest(key)
		}
		if err != nil {
			return err
		}
		for ; v != nil; v = v.Older() {
			f(v)
		}
	}
	return nil
}

// keepChain moves the versions of a key that snapshots need to history: the older ones, and a newest one that is a delete.
func (m *mergeRange) keepChain(key []byte, newest *versions.Version) error {
	end := Timestamp(newest.Timestamp)
	if newest.Kind == versions.Delete {
		m.keep(historyVersion{key, end, end, versions.Delete}, newest.Value, pagestore.OverflowRef{})
	}
	return m.chain(key, func(v *versions.Version) {
		if ts := Timestamp(v.Timestamp); ts < end {
			m.keep(historyVersion{key, ts, end, v.Kind}, v.Value, pagestore.OverflowRef{})
			end = ts
		}
	})
}

// superseded sees the base tree's record before a newer one takes its place.
// Its life ended with the oldest version of the key in the layers.
func (m *mergeRange) superseded(old pagestore.Record) (keepValue bool) {
	if !m.m.keeps() {
		return false
	}
	end := Timestamp(0)
	err := m.chain(old.Key, func(v *versions.Version) { end = Timestamp(v.Timestamp) })
	if err != nil {
		m.err = err
		return false
	}
	h := historyVersion{old.Key, Timestamp(old.Timestamp), end, versions.Put}
	return m.keep(h, old.Value, old.Ref) && old.Ref != pagestore.OverflowRef{}
}

// keeps reports whether anything can be needed.
func (m *merger) keeps() bool { return len(m.snaps) > 0 || m.retain < m.seal.ts }

// keep adds a version to the history tree if a snapshot or retention needs it.
func (m *mergeRange) keep(h historyVersion, value []byte, ref pagestore.OverflowRef) bool {
	if !m.m.needs(h) {
		return false
	}
	m.history = append(m.history, pagestore.Edit{
		Key: appendHistoryKey(nil, h), Value: bytes.Clone(value), Timestamp: uint64(h.timestamp), Ref: ref,
	})
	m.historyEnd = max(m.historyEnd, h.end)
	m.historyAdded++
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
