package mvcc

import (
	"context"
	"time"
)

// A View costs little more than its reads: its transaction is used again for another View. What outlives it is the handle
// that its user has had, which may be kept and used by mistake. So a handle knows the turn of the transaction that it is
// for, and each View has a handle of its own, from a block that is allocated once for handleBlock of them. An operation
// enters a transaction by a compare-and-swap of a state that contains the turn; with a handle of an earlier turn it fails
// with ErrTxnDone.
//
// A transaction is not used again when anybody but its user may still know it: if it was taken from the registry to be
// ended from outside (session.kept), or if it did not end as it should.

// handleBlock is how many handles are allocated together.
const handleBlock = 64

// View runs fn in a read-only snapshot transaction. A panic in fn passes through. The transaction must not be
// used after fn: its methods then fail with ErrTxnDone, or tell nothing of use.
func (db *DB) View(ctx context.Context, fn func(*Txn) error) error {
	if db.opts.TxnTimeout > 0 || db.opts.IdleTimeout > 0 {
		return db.viewWith(ctx, &TxnOptions{ReadOnly: true}, fn)
	}
	tx, err := db.beginView(ctx)
	if err != nil {
		return err
	}
	defer db.endView(tx)
	return fn(tx)
}

// viewWith is View by a transaction that is not used again.
func (db *DB) viewWith(ctx context.Context, opts *TxnOptions, fn func(*Txn) error) error {
	tx, err := db.begin(ctx, opts, 0, false)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return fn(tx)
}

func (db *DB) beginView(ctx context.Context) (*Txn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	tx, _ := db.views.Get().(*txn)
	if tx == nil {
		tx = &txn{db: db}
		tx.session.readOnly, tx.session.tx, tx.session.holder = true, tx, tx
		tx.state.Store(stateDone)
	}
	tx.ctx, tx.cancelled = ctx, ctx.Done()
	tx.snapshot = maxTimestamp
	turn := tx.state.Load()&^stateDone + stateTurn
	tx.session.id, tx.session.began = 0, tx.clock.now(turn)
	tx.state.Store(turn)
	if !db.snapshots.add(&tx.session) {
		return nil, ErrClosed
	}
	return tx.handle(turn), nil
}

// cheapClock tells the time by the monotonic clock alone, which takes half of what time.Now does. It looks at the wall clock once in
// a while, because the two part when somebody sets that.
type cheapClock struct{ base time.Time }

// clockTurns is for how many turns of a transaction a base is used.
const clockTurns = 256

func (c *cheapClock) now(turn uint64) time.Time {
	if c.base.IsZero() || turn/stateTurn%clockTurns == 0 {
		c.base = time.Now()
		return c.base
	}
	return c.base.Add(time.Since(c.base))
}

// handle returns a handle that nobody has had.
func (tx *txn) handle(turn uint64) *Txn {
	if turn == 0 { // it may be the only one
		return &Txn{txn: tx}
	}
	if len(tx.handles) == 0 {
		tx.handles = make([]Txn, handleBlock)
	}
	h := &tx.handles[0]
	tx.handles = tx.handles[1:]
	h.txn, h.turn = tx, turn
	return h
}

// endView ends the transaction of a View, and keeps it for another one if it can.
func (db *DB) endView(h *Txn) {
	tx := h.txn
	if !tx.state.CompareAndSwap(h.turn, h.turn|stateBusy) {
		h.Rollback() // it has ended, or is in use by another goroutine
		return
	}
	if tx.cursors != nil {
		tx.closeCursors()
	}
	if !tx.guards.empty() {
		tx.guards = readSet{}
	}
	again, last := tx.session.removeView()
	tx.ctx, tx.cancelled = nil, nil
	tx.state.Store(h.turn | stateDone)
	if again && tx.killed.Load() == nil {
		db.views.Put(tx)
	}
	if last {
		db.leave()
	}
}
