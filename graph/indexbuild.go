package graph

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/sombradb/sombra/mvcc"
)

// Sizes of the transactions that build and clear indexes, in nodes and in entries.
const (
	fillBatch  = 512
	clearBatch = 2048
)

// CreateIndex makes an index on a property of the nodes with a label, and returns when
// it is ready. Writers go on meanwhile; those that began before it was defined are retried. Nodes
// without the property are not in it.
//
// With unique, two nodes with the label cannot have equal values: if two have,
// the error is a *ConstraintError that names them and no index is left. Writers are held to it from the start.
// An index that is in the way is ErrIndexExists.
func (db *DB) CreateIndex(ctx context.Context, label, property string, unique bool) error {
	return db.CreateCompositeIndex(ctx, label, []string{property}, unique)
}

// CreateCompositeIndex is CreateIndex for an index on several properties together, at most MaxIndexProperties, in the order in which
// FindComposite compares them. A node without one of them is not in it. With unique, two nodes with the label cannot
// agree in all of them. It counts as another index than those on some of them, or in another order.
//
// The first one on several properties makes the graph's format one that releases without such indexes do not open.
func (db *DB) CreateCompositeIndex(ctx context.Context, label string, properties []string, unique bool) error {
	ix := &index{unique: unique, state: IndexBuilding}
	err := ix.name(label, properties, db, func(d *dict, name string) (uint64, error) { return d.intern(ctx, name) })
	if err != nil {
		return err
	}
	if ix.id, err = db.indexIDs.take(ctx); err != nil {
		return err
	}
	if err := db.defineIndex(ctx, ix); err != nil {
		return err
	}
	if err = db.fillIndex(ctx, ix); err == nil {
		err = db.moveIndex(ctx, ix, IndexReady)
	}
	if err == nil || errors.Is(err, mvcc.ErrCommitUnknown) {
		return err
	}
	if undo := db.retireIndex(context.WithoutCancel(ctx), ix); undo != nil && !errors.Is(undo, ErrNoIndex) {
		return errors.Join(err, undo)
	}
	return err
}

// name gives an index the ids of its names.
func (ix *index) name(label string, properties []string, db *DB, find func(d *dict, name string) (uint64, error)) (err error) {
	if len(properties) == 0 || len(properties) > MaxIndexProperties {
		return invalid("the index on :%s is on %d properties; it can be on 1 to %d", label, len(properties), MaxIndexProperties)
	}
	if ix.label, err = find(db.labels, label); err != nil {
		return err
	}
	ix.properties = make([]uint64, len(properties))
	for i, name := range properties {
		if slices.Contains(properties[:i], name) {
			return invalid("the index on :%s(%s) has property %s twice", label, strings.Join(properties, ", "), name)
		}
		if ix.properties[i], err = find(db.properties, name); err != nil {
			return err
		}
	}
	return nil
}

// DropIndex removes an index, on the given properties in that order, and its entries. ErrNoIndex when there is none.
func (db *DB) DropIndex(ctx context.Context, label string, properties ...string) error {
	missing := &IndexError{Label: label, Property: strings.Join(properties, ", ")}
	wanted := &index{}
	err := wanted.name(label, properties, db, func(d *dict, name string) (uint64, error) {
		id, known := d.lookup(name)
		if !known {
			return 0, missing
		}
		return id, nil
	})
	if err != nil {
		return err
	}
	var ix *index
	err = db.View(ctx, func(tx *Txn) error {
		s, err := tx.readSchema()
		if err == nil {
			ix = s.find(wanted.label, wanted.properties...)
		}
		return err
	})
	if err != nil {
		return err
	}
	if ix == nil {
		return missing
	}
	return db.retireIndex(ctx, ix)
}

// changeSchema runs fn in a transaction that moves the epoch. The epoch's lock
// makes schema changes wait for each other.
func (db *DB) changeSchema(ctx context.Context, fn func(kv *mvcc.Txn, s *schema) error) error {
	return db.small(ctx, "graph: change schema", func(kv *mvcc.Txn) error {
		if _, err := kv.GetForUpdate(db.ks, epochKey); err != nil && !errors.Is(err, mvcc.ErrNotFound) {
			return err
		}
		s, err := db.loadSchema(kv)
		if err != nil {
			return err
		}
		if err := fn(kv, s); err != nil {
			return err
		}
		return kv.Put(db.ks, epochKey, appendUint(nil, s.epoch+1))
	})
}

func (db *DB) defineIndex(ctx context.Context, ix *index) error {
	return db.changeSchema(ctx, func(kv *mvcc.Txn, s *schema) error {
		if other := s.find(ix.label, ix.properties...); other != nil {
			return db.indexError(other, true)
		}
		if len(ix.properties) > 1 {
			if err := db.raiseFormat(kv); err != nil {
				return err
			}
		}
		return kv.Put(db.ks, appendIndexDefKey(nil, ix.id), appendIndexDef(nil, ix))
	})
}

func (db *DB) indexError(ix *index, exists bool) error {
	return &IndexError{
		Label: db.labels.describe(ix.label), Property: db.indexed(ix),
		Exists: exists, State: ix.state,
	}
}

// moveIndex changes an index's state. An index that is gone, or on its way out and wanted ready, is ErrNoIndex.
func (db *DB) moveIndex(ctx context.Context, ix *index, to IndexState) error {
	return db.changeSchema(ctx, func(kv *mvcc.Txn, s *schema) error {
		now := s.byID[ix.id]
		if now == nil || (to == IndexReady && now.state != IndexBuilding) {
			return db.indexError(&index{label: ix.label, properties: ix.properties, state: IndexDropping}, false)
		}
		next := *now
		next.state = to
		return kv.Put(db.ks, appendIndexDefKey(nil, ix.id), appendIndexDef(nil, &next))
	})
}

// fillIndex adds the nodes that were there before writers maintained the index.
func (db *DB) fillIndex(ctx context.Context, ix *index) error {
	opts := &mvcc.TxnOptions{Label: "graph: build index", Priority: -1}
	for next := NodeID(1); next != 0; {
		var after NodeID
		err := db.UpdateWith(ctx, opts, func(tx *Txn) (err error) {
			after, err = tx.fillSome(ix, next)
			return err
		})
		if err != nil {
			return err
		}
		next = after
	}
	return nil
}

// fillSome adds the entries of some nodes from first on and returns the node to go on with, 0 at the end.
func (tx *Txn) fillSome(ix *index, first NodeID) (NodeID, error) {
	s, err := tx.writeSchema()
	if err != nil {
		return 0, err
	}
	if now := s.byID[ix.id]; now == nil || now.state != IndexBuilding {
		return 0, tx.db.indexError(&index{label: ix.label, properties: ix.properties, state: IndexDropping}, false)
	}
	seen := 0
	r := mvcc.Prefix(appendUint([]byte{keyLabel}, ix.label))
	r.Lo = appendLabelKey(nil, ix.label, first)
	for key, err := range tx.kv.Keys(tx.db.ks, r) {
		if err != nil {
			return 0, err
		}
		_, id, err := parseLabelKey(key)
		if err != nil {
			return 0, tx.db.corrupt(key, "its key is malformed")
		}
		if seen++; seen > fillBatch {
			return id, nil
		}
		if err := tx.fillNode(ix, id); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

func (tx *Txn) fillNode(ix *index, id NodeID) error {
	n, err := tx.readNode(id)
	if err != nil {
		return err
	}
	change := []indexChange{{ix: ix, new: ix.valueIn(n)}}
	if change[0].new.IsNull() {
		return nil
	}
	if err := tx.checkChanges(id, change); err != nil {
		return err
	}
	return tx.applyChanges(id, change)
}

// retireIndex takes an index out of use, clears and forgets it. It goes on where an earlier attempt ended.
func (db *DB) retireIndex(ctx context.Context, ix *index) error {
	if err := db.moveIndex(ctx, ix, IndexDropping); err != nil {
		return err
	}
	if err := db.clearIndex(ctx, ix); err != nil {
		return err
	}
	return db.changeSchema(ctx, func(kv *mvcc.Txn, _ *schema) error {
		return kv.Delete(db.ks, appendIndexDefKey(nil, ix.id))
	})
}

func (db *DB) clearIndex(ctx context.Context, ix *index) error {
	r := mvcc.Prefix(appendIndexPrefix(nil, ix))
	for {
		n := 0
		err := db.small(ctx, "graph: clear index", func(kv *mvcc.Txn) error {
			n = 0
			for key, err := range kv.Keys(db.ks, r) {
				if err != nil {
					return err
				}
				if err := kv.Delete(db.ks, key); err != nil {
					return err
				}
				if n++; n == clearBatch {
					break
				}
			}
			return nil
		})
		if err != nil || n < clearBatch {
			return err
		}
	}
}

// finishSchema removes the indexes that a crash left half built or half dropped, and the constraints that nobody has verified. It
// marks edges as free of constraints where that is missing.
func (db *DB) finishSchema(ctx context.Context) error {
	var left []*index
	var unverified []*rule
	var unmarked bool
	err := db.store.View(ctx, func(kv *mvcc.Txn) error {
		s, err := db.loadSchema(kv)
		if err != nil {
			return err
		}
		for _, ix := range s.byID {
			if ix.state != IndexReady {
				left = append(left, ix)
			}
		}
		for _, r := range s.rules {
			if r.state != ConstraintReady {
				unverified = append(unverified, r)
			}
		}
		marked, err := kv.Has(db.ks, freeKey)
		unmarked = !marked && len(s.onEdges)+len(s.ends) == 0
		return err
	})
	for i := 0; err == nil && i < len(left); i++ {
		err = db.retireIndex(ctx, left[i])
	}
	for i := 0; err == nil && i < len(unverified); i++ {
		err = db.forgetRule(ctx, unverified[i])
	}
	if err == nil && unmarked { // an older release has made the graph
		err = db.changeRules(ctx, func(*mvcc.Txn, *schema) error { return nil })
	}
	return err
}
