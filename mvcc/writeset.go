package mvcc

import (
	"bytes"

	"github.com/google/btree"

	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// writeSet holds a transaction's own writes in key order, the last one per
// key. The tree is copy-on-write: a savepoint is a clone.
type writeSet struct {
	tree  *btree.BTreeG[versions.Write]
	bytes int64
}

const (
	writeSetDegree   = 16
	writeSetItemSize = 96 // bytes per write besides key and value
)

func lessWrite(a, b versions.Write) bool { return bytes.Compare(a.Key, b.Key) < 0 }

// len returns the number of keys written.
func (w *writeSet) len() int {
	if w.tree == nil {
		return 0
	}
	return w.tree.Len()
}

// set records a write; key and value are copied.
func (w *writeSet) set(key, value []byte, kind versions.Kind) {
	if w.tree == nil {
		w.tree = btree.NewG(writeSetDegree, lessWrite)
	}
	both := make([]byte, len(key)+len(value))
	n := copy(both, key)
	copy(both[n:], value)
	w.bytes += int64(len(both) + writeSetItemSize)
	old, replaced := w.tree.ReplaceOrInsert(versions.Write{Key: both[:n:n], Value: both[n:], Kind: kind})
	if replaced {
		w.bytes -= int64(len(old.Key) + len(old.Value) + writeSetItemSize)
	}
}

// get returns the transaction's own write of the key.
func (w *writeSet) get(key []byte) (versions.Write, bool) {
	if w.tree == nil {
		return versions.Write{}, false
	}
	return w.tree.Get(versions.Write{Key: key})
}

// atOrAfter returns the first write at or after the key.
func (w *writeSet) atOrAfter(key []byte) (found versions.Write, ok bool) {
	if w.tree == nil {
		return found, false
	}
	w.tree.AscendGreaterOrEqual(versions.Write{Key: key}, func(x versions.Write) bool {
		found, ok = x, true
		return false
	})
	return found, ok
}

// before returns the last write before the key.
func (w *writeSet) before(key []byte) (found versions.Write, ok bool) {
	if w.tree == nil {
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

// list returns the writes in key order.
func (w *writeSet) list() []versions.Write {
	if w.tree == nil {
		return nil
	}
	all := make([]versions.Write, 0, w.tree.Len())
	w.tree.Ascend(func(x versions.Write) bool {
		all = append(all, x)
		return true
	})
	return all
}

// mark returns the state to go back to with reset.
func (w *writeSet) mark() writeSet {
	m := writeSet{bytes: w.bytes}
	if w.tree != nil {
		m.tree = w.tree.Clone()
	}
	return m
}

// reset goes back to the mark, which stays usable.
func (w *writeSet) reset(m writeSet) {
	*w = m.mark()
}
