package mvcc

// A transaction of Update is used again, as that of a View is (view.go), with its owner of locks: together they are most of the
// memory that a small commit needs. It must have committed in the first attempt, and nothing may be left that knows it: no
// savepoint, no cursor, no timer, nobody who took it from the registry. Its handles fail from then on, because the turn
// moves on before it is put away.

// maxKeptKey is how large a key buffer may stay in a transaction that is put away, in bytes.
const maxKeptKey = 1 << 10

// limited reports whether a transaction with the options has timers, which may fire after its end.
func (db *DB) limited(o *TxnOptions) bool {
	return o.Timeout > 0 || o.IdleTimeout > 0 || db.opts.TxnTimeout > 0 || db.opts.IdleTimeout > 0
}

// newTxn returns a transaction that has not begun, and its turn. Only one that may be used again may have been used before.
func (db *DB) newTxn(again bool) (tx *txn, turn uint64) {
	if again {
		if tx, _ := db.updates.Get().(*txn); tx != nil {
			turn = tx.state.Load() &^ stateDone
			tx.state.Store(turn)
			return tx, turn
		}
	}
	tx = &txn{db: db, reusable: again}
	tx.keybuf = tx.keyroom[:0]
	return tx, 0
}

// finish ends a transaction of Update unless it has ended, and puts it away if it can be used again.
func (db *DB) finish(h *Txn) {
	h.Rollback()
	tx := h.txn
	if !tx.reusable || h.at == 0 || !tx.state.CompareAndSwap(h.turn|stateDone, h.turn|stateDone|stateBusy) {
		return
	}
	// It is not in the registry any more, so kept does not change, and it is busy.
	if tx.session.kept.Load() || tx.killed.Load() != nil || tx.marked || tx.large != nil || tx.cursors != nil || tx.spare != nil {
		tx.idle()
		return
	}
	tx.ctx, tx.cancelled, tx.lessons, tx.floor = nil, nil, nil, nil
	tx.learned = lessons{}
	tx.commitTS = 0
	tx.spilled = 0
	tx.work.Store(0)
	if cap(tx.keybuf) > maxKeptKey {
		tx.keybuf = tx.keyroom[:0]
	}
	tx.state.Store(h.turn + stateTurn | stateDone)
	db.updates.Put(tx)
}
