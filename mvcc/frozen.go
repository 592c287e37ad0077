package mvcc

import (
	"errors"

	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
	"github.com/sombradb/sombra/pagestore"
)

// frozen is a layer of the state that takes no more commits: a table, or the runs of one commit that was too large for
// one. A checkpoint merges all layers that it finds into the trees.
//
// A run is a file, and reading it can fail. It is dropped when a checkpoint has merged it; who still reads it through an
// older state gets pagestore.ErrStale, as from pages that were reused, and goes on in the newest state.
type frozen struct {
	table *versions.Table // nil in a layer of runs
	runs  []*runs.Run     // newest first
	ts    Timestamp       // of all writes in the runs
	seal  seal            // tells what is in this layer and all below
}

// stale makes a dropped run look as it is: the state is out of date.
func stale(err error) error {
	if errors.Is(err, runs.ErrDropped) {
		return pagestore.ErrStale
	}
	return err
}

// keys returns how many keys the layer has.
func (f *frozen) keys() int64 {
	if f.table != nil {
		return f.table.Keys()
	}
	n := int64(0)
	for _, r := range f.runs {
		n += r.Len()
	}
	return n
}

// newest returns the layer's newest version of the key, nil when it has none.
func (f *frozen) newest(key []byte) (*versions.Version, error) {
	if f.table != nil {
		return f.table.Newest(key), nil
	}
	for _, r := range f.runs {
		w, found, err := r.Get(nil, key)
		if err != nil {
			return nil, stale(err)
		}
		if found {
			return &versions.Version{Timestamp: uint64(f.ts), Kind: w.Kind, Value: w.Value}, nil
		}
	}
	return nil, nil
}

// visible returns the layer's version of the key that a snapshot at ts sees.
func (f *frozen) visible(key []byte, ts Timestamp) (*versions.Version, error) {
	switch {
	case f.table != nil:
		return f.table.Get(key, uint64(ts)), nil
	case f.ts > ts:
		return nil, nil
	}
	return f.newest(key)
}

// changedAfter reports whether the layer has a version of the key after ts. It is known also when the layer, and so
// everything below it, is older.
func (f *frozen) changedAfter(key []byte, ts Timestamp) (known, changed bool, err error) {
	switch {
	case f.table != nil:
		v := f.table.Newest(key)
		return v != nil, v != nil && Timestamp(v.Timestamp) > ts, nil
	case f.ts <= ts:
		return true, false, nil
	}
	for _, r := range f.runs {
		if changed, err = r.Has(key); changed || err != nil {
			return changed, changed, stale(err)
		}
	}
	return false, false, nil
}

// spanChangedAfter returns a key in the span of which the layer has a version after ts.
func (f *frozen) spanChangedAfter(s span, ts Timestamp) (key []byte, changed bool, err error) {
	switch {
	case f.table != nil:
		key, changed = f.table.NewerInRange(s.lo, s.hi, uint64(ts))
		return key, changed, nil
	case f.ts <= ts:
		return nil, false, nil
	}
	c := runs.Merge(f.runs...)
	defer c.Close()
	if !c.Seek(s.lo) || !s.contains(c.Key()) {
		return nil, false, stale(c.Err())
	}
	return append([]byte(nil), c.Key()...), true, nil
}

// source returns a view of the layer for cursors at ts, nil when there is nothing to see.
func (f *frozen) source(ts Timestamp) source {
	switch {
	case f.table != nil:
		return newTableSource(f.table, ts)
	case f.ts > ts:
		return nil
	}
	return runSource{runs.Merge(f.runs...)}
}

// runSource shows the runs of a large commit, or those that the transaction itself has spilled.
type runSource struct{ c *runs.Merged }

func (s runSource) seek(key []byte) bool       { return s.c.Seek(key) }
func (s runSource) seekBefore(key []byte) bool { return s.c.SeekBefore(key) }
func (s runSource) next() bool                 { return s.c.Next() }
func (s runSource) prev() bool                 { return s.c.Prev() }
func (s runSource) key() []byte                { return s.c.Key() }
func (s runSource) deleted() bool              { return s.c.Kind() == versions.Delete }
func (s runSource) err() error                 { return stale(s.c.Err()) }
func (s runSource) close()                     { s.c.Close() }
func (s runSource) hop(bool) bool              { return false }

func (s runSource) take(rows *pagestore.Ahead, _ bool, _ []byte, _ int) bool {
	return takeLazily(rows, s.key())
}

func (s runSource) value() ([]byte, error) {
	v, err := s.c.Value()
	return v, stale(err)
}
