package graph

import (
	"cmp"
	"context"
	"slices"

	"github.com/sombradb/sombra/mvcc"
)

// Txn is a transaction on the graph. One goroutine at a time may use it.
//
// What a method reads and locks, and when it conflicts, follows from the
// transaction's isolation level (mvcc.Isolation) and from the keys in the package documentation.
type Txn struct {
	db      *DB
	kv      *mvcc.Txn
	schema  *schema // as of the snapshot, once read
	guarded bool    // the commit requires schema unchanged
	free    bool    // the commit requires that edges have no constraints
	careful bool    // it may write
	inHook  bool    // a hook is running, which must not write
	hits    int64   // of the adjacency cache, not yet in the database's counters
	misses  int64
	key     []byte // of the operation under way
	rec     []byte // its value
}

// DB returns the database.
func (tx *Txn) DB() *DB { return tx.db }

// Store returns the store's transaction, for keyspaces of the application's own, in
// the same transaction. The keyspace "graph" must not be written through it.
func (tx *Txn) Store() *mvcc.Txn { return tx.kv }

// ID identifies the transaction in reports.
func (tx *Txn) ID() uint64 { return tx.kv.ID() }

// Context returns the context given to Begin.
func (tx *Txn) Context() context.Context { return tx.kv.Context() }

// Commit makes the writes durable and visible; see mvcc.Txn.Commit.
func (tx *Txn) Commit() error {
	if err := tx.outsideHook(); err != nil {
		return err
	}
	tx.flushCounts()
	return tx.db.explain(tx.kv.Commit())
}

// Rollback ends the transaction without effect. After Commit or Rollback it does nothing.
func (tx *Txn) Rollback() {
	tx.flushCounts()
	tx.kv.Rollback()
}

// Savepoint returns a mark to roll back to.
func (tx *Txn) Savepoint() (mvcc.Savepoint, error) { return tx.kv.Savepoint() }

// RollbackTo undoes the writes made after the savepoint.
func (tx *Txn) RollbackTo(sp mvcc.Savepoint) error {
	if err := tx.outsideHook(); err != nil {
		return err
	}
	return tx.kv.RollbackTo(sp)
}

// outsideHook keeps hooks from changing what they are asked about.
func (tx *Txn) outsideHook() error {
	if tx.inHook {
		return invalid("a hook must not write to the graph, nor commit or roll back to a savepoint; it may refuse the change, or read")
	}
	return nil
}

// get returns the value of tx.key. Errors: mvcc.ErrNotFound.
func (tx *Txn) get() (string, error) {
	value, err := tx.kv.Append(tx.db.ks, tx.rec[:0], tx.key)
	if err != nil {
		return "", err
	}
	tx.rec = value
	return string(value), nil
}

// lock locks tx.key exclusively and returns its value. Errors: mvcc.ErrNotFound.
func (tx *Txn) lock() (string, error) {
	value, err := tx.kv.GetForUpdate(tx.db.ks, tx.key)
	return string(value), tx.db.explain(err)
}

// put sets the value of tx.key.
func (tx *Txn) put(value []byte) error {
	return tx.db.explain(tx.kv.Put(tx.db.ks, tx.key, value))
}

// delete deletes tx.key.
func (tx *Txn) delete() error {
	return tx.db.explain(tx.kv.Delete(tx.db.ks, tx.key))
}

// writable keeps read-only transactions, and hooks, from using up names and ids.
func (tx *Txn) writable() error {
	if tx.kv.ReadOnly() {
		return mvcc.ErrReadOnly
	}
	return tx.outsideHook()
}

// internProps turns properties into a list for a record.
func (tx *Txn) internProps(props Props) (propList, error) {
	list := make(propList, 0, len(props))
	for name, v := range props {
		if v.IsNull() {
			continue
		}
		if err := v.storable(name); err != nil {
			return nil, err
		}
		id, err := tx.db.properties.intern(tx.Context(), name)
		if err != nil {
			return nil, err
		}
		list = append(list, prop{id, v})
	}
	slices.SortFunc(list, func(a, b prop) int { return cmp.Compare(a.name, b.name) })
	return list, nil
}

// merge changes list by props, in which null removes.
func (tx *Txn) merge(list *propList, props Props) error {
	for name, v := range props {
		if err := v.storable(name); err != nil {
			return err
		}
		id, known := tx.db.properties.lookup(name)
		if v.IsNull() && !known {
			continue
		}
		if !known {
			var err error
			if id, err = tx.db.properties.intern(tx.Context(), name); err != nil {
				return err
			}
		}
		list.set(id, v)
	}
	return nil
}

// publicProps is the reverse of internProps; ok is false when a name is not in the catalog.
func (tx *Txn) publicProps(list propList) (props Props, ok bool) {
	if len(list) == 0 {
		return nil, true
	}
	props = make(Props, len(list))
	for _, p := range list {
		name, ok := tx.db.properties.name(p.name)
		if !ok {
			return nil, false
		}
		props[name] = p.value
	}
	return props, true
}
