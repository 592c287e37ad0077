package mvcc

import (
	"bytes"
	"slices"

	"github.com/google/btree"

	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// writeSet holds a transaction's own writes in key order, the last one per
// key. The newest are in a tree, which is copy-on-write, so that a savepoint is a clone; when they need too much memory
// they go to a run, and the tree begins anew (spill.go). Additions to counters stay in the tree. There is no tree as long as
// there are few keys, which is what most transactions write: a sorted list of them costs a fifth of the memory.
type writeSet struct {
	tree  *btree.BTreeG[versions.Write]
	few   []versions.Write // all writes, in key order, when there is no tree
	bytes int64            // of the tree
	// runs are what was spilled, newest first. The slice is never changed, only replaced.
	runs []*runs.Run
	// changes counts what makes cursors look for their place again: spills and rollbacks.
	changes int
}

const (
	writeSetDegree   = 16
	fewWrites        = 16
	writeSetItemSize = 96 // bytes per write besides key and value
)

func lessWrite(a, b versions.Write) bool { return bytes.Compare(a.Key, b.Key) < 0 }

// empty reports that nothing was written.
func (w *writeSet) empty() bool { return w.len() == 0 && len(w.runs) == 0 }

// len returns the number of writes in memory.
func (w *writeSet) len() int {
	if w.tree != nil {
		return w.tree.Len()
	}
	return len(w.few)
}

// search returns the place of the first of few writes at or after the key.
func (w *writeSet) search(key []byte) (i int, found bool) {
	if n := len(w.few); n == 0 || bytes.Compare(w.few[n-1].Key, key) < 0 {
		return n, false // keys mostly come in order
	}
	return slices.BinarySearchFunc(w.few, key, func(x versions.Write, key []byte) int { return bytes.Compare(x.Key, key) })
}

// plant makes the tree, unless there is one, and returns it.
func (w *writeSet) plant() *btree.BTreeG[versions.Write] {
	if w.tree == nil {
		w.tree = btree.NewG(writeSetDegree, lessWrite)
		for _, x := range w.few {
			w.tree.ReplaceOrInsert(x)
		}
		w.few = nil
	}
	return w.tree
}

// set records a write; key and value are copied.
func (w *writeSet) set(key, value []byte, kind versions.Kind) {
	both := make([]byte, len(key)+len(value))
	n := copy(both, key)
	copy(both[n:], value)
	w.put(versions.Write{Key: both[:n:n], Value: both[n:], Kind: kind})
}

// put is set without the copy.
func (w *writeSet) put(x versions.Write) {
	w.bytes += int64(len(x.Key) + len(x.Value) + writeSetItemSize)
	if old, replaced := w.insert(x); replaced {
		w.bytes -= int64(len(old.Key) + len(old.Value) + writeSetItemSize)
	}
}

// insert puts x in its place, and returns what was there.
func (w *writeSet) insert(x versions.Write) (old versions.Write, replaced bool) {
	if w.tree != nil {
		return w.tree.ReplaceOrInsert(x)
	}
	i, found := w.search(x.Key)
	switch {
	case found:
		old, w.few[i] = w.few[i], x
		return old, true
	case len(w.few) == fewWrites:
		return w.plant().ReplaceOrInsert(x)
	case len(w.few) == 1 && cap(w.few) == 1: // one or some: append would go by way of two
		w.few = append(make([]versions.Write, 0, 4), w.few[0])
	}
	w.few = slices.Insert(w.few, i, x)
	return old, false
}

// recent returns the transaction's own write of the key, unless it was spilled.
func (w *writeSet) recent(key []byte) (versions.Write, bool) {
	if w.tree != nil {
		return w.tree.Get(versions.Write{Key: key})
	}
	if i, found := w.search(key); found {
		return w.few[i], true
	}
	return versions.Write{}, false
}

// get returns the transaction's own write of the key.
func (w *writeSet) get(key []byte) (x versions.Write, found bool, err error) {
	if x, found = w.recent(key); found {
		return x, true, nil
	}
	for _, r := range w.runs {
		if x, found, err = r.Get(nil, key); found || err != nil {
			return x, found, err
		}
	}
	return x, false, nil
}

// atOrAfter returns the first write in the tree at or after the key.
func (w *writeSet) atOrAfter(key []byte) (found versions.Write, ok bool) {
	if w.tree == nil {
		if i, _ := w.search(key); i < len(w.few) {
			return w.few[i], true
		}
		return found, false
	}
	w.tree.AscendGreaterOrEqual(versions.Write{Key: key}, func(x versions.Write) bool {
		found, ok = x, true
		return false
	})
	return found, ok
}

// before returns the last write in the tree before the key.
func (w *writeSet) before(key []byte) (found versions.Write, ok bool) {
	if w.tree == nil {
		if i, _ := w.search(key); i > 0 {
			return w.few[i-1], true
		}
		return found, false
	}
	w.tree.DescendLessOrEqual(versions.Write{Key: key}, func(x versions.Write) bool {
		if bytes.Equal(x.Key, key) {
			return true
		}
		found, ok = x, true
		return false
	})
	return found, ok
}

// list returns the writes in memory in key order. It is valid until the next write, for it may be the set's own.
func (w *writeSet) list() []versions.Write {
	if w.len() == 0 {
		return nil
	}
	if w.tree == nil {
		return w.few
	}
	all := make([]versions.Write, 0, w.tree.Len())
	w.tree.Ascend(func(x versions.Write) bool {
		all = append(all, x)
		return true
	})
	return all
}

// appendTo appends the writes in memory to dst, in key order.
func (w *writeSet) appendTo(dst []versions.Write) []versions.Write {
	if w.tree == nil {
		return append(dst, w.few...)
	}
	return w.list()
}

// clear empties the set. It keeps the memory of few writes.
func (w *writeSet) clear() {
	few := w.few[:cap(w.few)]
	clear(few)
	*w = writeSet{few: few[:0]}
}

// spilled moves the writes from the tree to a run that has them; additions stay.
func (w *writeSet) spilled(r *runs.Run, additions []versions.Write) {
	w.runs = slices.Concat([]*runs.Run{r}, w.runs)
	w.tree, w.few, w.bytes = nil, nil, 0
	for _, x := range additions {
		w.put(x)
	}
	w.changes++
}

// mark returns the state to go back to with reset.
func (w *writeSet) mark() writeSet {
	m := writeSet{few: slices.Clone(w.few), bytes: w.bytes, runs: w.runs, changes: w.changes}
	if w.tree != nil {
		m.tree = w.tree.Clone()
	}
	return m
}

// reset goes back to the mark, which stays usable.
func (w *writeSet) reset(m writeSet) {
	changes := w.changes + 1
	*w = m.mark()
	w.changes = changes
}
