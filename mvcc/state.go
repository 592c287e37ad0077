package mvcc

import (
	"errors"

	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
	"github.com/sombradb/sombra/pagestore"
)

// state is where the versions are, as one immutable unit: readers load it
// once per operation. It is replaced under commits.mu when the active table is frozen, and by the
// checkpointer when it has merged what was frozen (and by Open).
//
//	active    takes new commits
//	frozen    is being merged by a checkpoint, or waits for one; newest layer first, empty otherwise
//	base      the trees on pages
//
// A key's versions are newer in active than in frozen layers, newer in a layer than in the next, and newer
// there than in base. The history tree of base holds versions that a snapshot still
// needed when a newer one took their place, and deletes in the same way.
type state struct {
	active *versions.Table
	frozen []frozen
	base   *pagestore.View
	// baseTS is the newest timestamp in base.
	baseTS Timestamp
	// historyEnd is above the end of life of every version in the history
	// tree: snapshots at or after it never look there.
	historyEnd Timestamp
	// historyStart is the horizon: from there on the history is complete.
	historyStart Timestamp
}

// newest returns the newest version above base, nil when there is none.
func (st *state) newest(key []byte) (*versions.Version, error) {
	if v := st.active.Newest(key); v != nil {
		return v, nil
	}
	for i := range st.frozen {
		if v, err := st.frozen[i].newest(key); v != nil || err != nil {
			return v, err
		}
	}
	return nil, nil
}

// inMemory returns the newest version that is found without I/O: in the tables above the newest run.
func (st *state) inMemory(key []byte) *versions.Version {
	if v := st.active.Newest(key); v != nil {
		return v
	}
	for i := range st.frozen {
		if st.frozen[i].table == nil {
			break
		}
		if v := st.frozen[i].table.Newest(key); v != nil {
			return v
		}
	}
	return nil
}

// topRun returns the newest run, nil when there is none.
func (st *state) topRun() *runs.Run {
	for i := range st.frozen {
		if len(st.frozen[i].runs) > 0 {
			return st.frozen[i].runs[0]
		}
	}
	return nil
}

// visible returns the version above base that a snapshot at ts sees, nil when
// it has to look in base.
func (st *state) visible(key []byte, ts Timestamp) (*versions.Version, error) {
	if v := st.active.Get(key, uint64(ts)); v != nil {
		return v, nil
	}
	for i := range st.frozen {
		if v, err := st.frozen[i].visible(key, ts); v != nil || err != nil {
			return v, err
		}
	}
	return nil, nil
}

// get appends the value that a snapshot at ts sees to dst.
func (st *state) get(dst, key []byte, ts Timestamp) (value []byte, found bool, err error) {
	v, err := st.visible(key, ts)
	switch {
	case err != nil:
		return dst, false, err
	case v != nil && v.Kind == versions.Delete:
		return dst, false, nil
	case v != nil:
		return append(dst, v.Value...), true, nil
	}
	value, written, found, err := st.base.Get(pagestore.DataTree, key, dst)
	if err != nil || found && Timestamp(written) <= ts {
		return value, found, err
	}
	if ts >= st.historyEnd {
		return dst, false, nil
	}
	return st.getHistory(dst, key, ts)
}

// has reports whether a snapshot at ts sees the key.
func (st *state) has(key []byte, ts Timestamp) (bool, error) {
	if v, err := st.visible(key, ts); v != nil || err != nil {
		return v != nil && v.Kind == versions.Put, err
	}
	written, found, err := st.base.Timestamp(pagestore.DataTree, key)
	if err != nil || found && Timestamp(written) <= ts {
		return found, err
	}
	if ts >= st.historyEnd {
		return false, nil
	}
	c := st.base.Cursor(pagestore.HistoryTree)
	defer c.Close()
	h, found, err := seekHistory(c, key, ts)
	return found && h.kind == versions.Put && ts < h.end, err
}

// changedAfter reports whether the key has a version after ts, published or
// on its way.
func (st *state) changedAfter(key []byte, ts Timestamp) (bool, error) {
	if v := st.active.Newest(key); v != nil {
		return Timestamp(v.Timestamp) > ts, nil
	}
	for i := range st.frozen {
		if known, changed, err := st.frozen[i].changedAfter(key, ts); known || err != nil {
			return changed, err
		}
	}
	if st.baseTS > ts {
		written, found, err := st.base.Timestamp(pagestore.DataTree, key)
		if err != nil || found {
			return Timestamp(written) > ts, err
		}
	}
	if st.historyEnd > ts {
		return st.historyChangedAfter(key, ts)
	}
	return false, nil
}

// spanChangedAfter reports a key in the span that has a version after ts.
func (st *state) spanChangedAfter(s span, ts Timestamp) (key []byte, changed bool, err error) {
	if key, changed = st.active.NewerInRange(s.lo, s.hi, uint64(ts)); changed {
		return key, true, nil
	}
	for i := range st.frozen {
		if key, changed, err = st.frozen[i].spanChangedAfter(s, ts); changed || err != nil {
			return key, changed, err
		}
	}
	if st.baseTS > ts {
		key, changed, err = st.base.Newer(pagestore.DataTree, s.lo, s.hi, uint64(ts))
		if err != nil || changed {
			return key, changed, err
		}
	}
	if st.historyEnd > ts {
		return st.historySpanChangedAfter(s, ts)
	}
	return nil, false, nil
}

// exists reports whether the newest version of the key, published or on its
// way, is there.
func (st *state) exists(key []byte) (bool, error) {
	if v, err := st.newest(key); v != nil || err != nil {
		return v != nil && v.Kind == versions.Put, err
	}
	_, found, err := st.base.Timestamp(pagestore.DataTree, key)
	return found, err
}

// withState runs f on the current state, again when f met pages that newer
// checkpoints have reused meanwhile: then a newer state is there to load.
func (db *DB) withState(f func(*state) error) error {
	for {
		err := f(db.state.Load())
		if !errors.Is(err, pagestore.ErrStale) {
			return db.pageError(err)
		}
	}
}
