package graph

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/sombradb/sombra/mvcc"
)

// MaxIndexedSize is the longest string, bytes, list or map that can be indexed, in bytes; lists and maps count as they are in keys, where a number takes 9, and so do the values of an index on several properties together.
const MaxIndexedSize = 8 << 10

// indexChange is what a write of a node means for one index. Null is no entry.
type indexChange struct {
	ix       *index
	old, new Value
}

// changes lists the index entries that differ between two states of a node;
// nil is no node.
func (s *schema) changes(old, new *nodeRec) []indexChange {
	if len(s.maintained) == 0 {
		return nil
	}
	var list []indexChange
	compare := func(label uint64) {
		for _, ix := range s.maintained[label] {
			c := indexChange{ix, ix.valueIn(old), ix.valueIn(new)}
			if !c.old.Equal(c.new) {
				list = append(list, c)
			}
		}
	}
	if old != nil {
		for _, label := range old.labels {
			compare(label)
		}
	}
	if new != nil {
		for _, label := range new.labels {
			if !old.hasLabel(label) {
				compare(label)
			}
		}
	}
	return list
}

// checkChanges verifies that the new entries are possible, and locks the unique ones, before anything is written.
func (tx *Txn) checkChanges(id NodeID, list []indexChange) error {
	for _, c := range list {
		if err := tx.db.checkIndexed(id, c); err != nil {
			return err
		}
		if !c.ix.unique || c.new.IsNull() {
			continue
		}
		owner, err := tx.lockUnique(c.ix, c.new)
		if err != nil {
			return err
		}
		if owner != 0 && owner != id {
			return tx.db.constraintError(id, c, owner)
		}
	}
	return nil
}

// checkIndexed verifies that the new value can be in an index.
func (db *DB) checkIndexed(id NodeID, c indexChange) error {
	if n := c.new.indexedSize(); n > MaxIndexedSize {
		return invalid("node %d: the value of property %s has %d bytes; it is indexed, the limit is %d",
			id, db.indexed(c.ix), n, MaxIndexedSize)
	}
	if c.new.depth() > MaxNesting { // one of several values, each of which is allowed
		return invalid("node %d: a value of %s is nested %d deep; these are indexed together, the limit is %d",
			id, db.indexed(c.ix), c.new.depth()-1, MaxNesting-1)
	}
	return nil
}

// indexedSize is what counts against MaxIndexedSize: the content, of lists and maps as it is in keys.
func (v Value) indexedSize() int {
	if v.depth() > 0 {
		return len(appendValue(nil, v))
	}
	return len(v.str)
}

// constraintError reports that another node has the new value.
func (db *DB) constraintError(id NodeID, c indexChange, owner NodeID) *ConstraintError {
	return &ConstraintError{
		Constraint: Constraint{Kind: UniqueValue, Label: db.labels.describe(c.ix.label), Property: db.indexed(c.ix)},
		Value:      c.new, Node: id, Existing: owner,
	}
}

// lockUnique locks the entry of a unique index and returns its node, 0 when there is none.
// The key is in tx.key then.
func (tx *Txn) lockUnique(ix *index, v Value) (NodeID, error) {
	tx.key = appendIndexKey(tx.key[:0], ix, v, 0)
	value, err := tx.lock()
	if errors.Is(err, mvcc.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	id, err := tx.db.uintValue(tx.key, []byte(value))
	return NodeID(id), err
}

// applyChanges writes the entries. REQUIRES: checkChanges.
func (tx *Txn) applyChanges(id NodeID, list []indexChange) error {
	for _, c := range list {
		if !c.old.IsNull() {
			if err := tx.removeEntry(c.ix, c.old, id); err != nil {
				return err
			}
		}
		if !c.new.IsNull() {
			if err := tx.putEntry(c.ix, c.new, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (tx *Txn) putEntry(ix *index, v Value, id NodeID) error {
	tx.key = appendIndexKey(tx.key[:0], ix, v, id)
	tx.rec = tx.rec[:0]
	if ix.unique {
		tx.rec = appendUint(tx.rec, uint64(id))
	}
	return tx.put(tx.rec)
}

// removeEntry deletes an entry. While the index is being built the entry may be missing: it is
// deleted all the same, so that the builder, which is about to write it, conflicts.
// In a unique one it may be of another node, with which the builder will find this one at odds.
func (tx *Txn) removeEntry(ix *index, v Value, id NodeID) error {
	if !ix.unique {
		tx.key = appendIndexKey(tx.key[:0], ix, v, id)
		return tx.delete()
	}
	owner, err := tx.lockUnique(ix, v)
	if err != nil || (owner != 0 && owner != id) {
		return err
	}
	return tx.delete()
}

// propertiesOf returns the names of an index's properties.
func (db *DB) propertiesOf(ix *index) []string {
	names := make([]string, len(ix.properties))
	for i, p := range ix.properties {
		names[i] = db.properties.describe(p)
	}
	return names
}

// indexed returns them for messages.
func (db *DB) indexed(ix *index) string { return strings.Join(db.propertiesOf(ix), ", ") }

func (db *DB) publicIndexes(s *schema) []Index {
	list := make([]Index, 0, len(s.byID))
	for _, ix := range s.byID {
		list = append(list, Index{
			Label: db.labels.describe(ix.label), Properties: db.propertiesOf(ix),
			Unique: ix.unique, State: ix.state,
		})
	}
	slices.SortFunc(list, func(a, b Index) int {
		return cmp.Or(cmp.Compare(a.Label, b.Label), slices.Compare(a.Properties, b.Properties))
	})
	return list
}

// Indexes returns all indexes, sorted by label and properties.
func (db *DB) Indexes(ctx context.Context) (list []Index, err error) {
	err = db.View(ctx, func(tx *Txn) error {
		list, err = tx.Indexes()
		return err
	})
	return list, err
}
