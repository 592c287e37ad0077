package graph

import (
	"context"

	"github.com/sombradb/sombra/mvcc"
)

// ViewAsOf is View of the graph as of a moment in the past: nodes, edges, properties, schema and indexes are those of
// that moment, and so is every traversal. mvcc.TimestampOf names a moment by the clock, mvcc.Txn.CommitTimestamp is
// exact. How far back it can look is up to mvcc.Options.Retain; before that it is mvcc.ErrHistoryPruned.
func (db *DB) ViewAsOf(ctx context.Context, at mvcc.Timestamp, fn func(*Txn) error) error {
	return db.store.ViewAsOf(ctx, at, func(kv *mvcc.Txn) error { return db.run(kv, fn) })
}
