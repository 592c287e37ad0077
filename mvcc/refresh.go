package mvcc

// A write that meets a newer version need not fail. If nothing that the
// transaction has read has changed since its snapshot, the transaction might as well have begun
// now: the snapshot moves forward (after CockroachDB's read refresh).
//
// The target is the newest commit of which all before it are applied, durable or not: locks are released
// as soon as a commit is applied, so that the next writer of a hot key does not wait for the disk. A transaction that
// has seen a commit before it was durable (its floor) is itself acknowledged only after it:
// a commit of its own comes later in the log, and one without writes waits for the floor. So nobody is told
// of anything that a crash can take back.

// maxTracked bounds the reads that are remembered for a refresh at Snapshot;
// a transaction that reads more keeps its snapshot.
const maxTracked = 1024

// refresh moves the snapshot to the newest applied commit, if no read of the
// transaction has changed, and reports whether it did. Between the two pins both
// snapshots are held, so that no checkpoint drops what the new one sees.
//
// REQUIRES: isolation above ReadCommitted, a snapshot taken.
func (tx *txn) refresh() (bool, error) {
	if tx.reads.overflow {
		return false, nil
	}
	for c := tx.cursors; c != nil; c = c.next {
		c.note()
	}
	db := tx.db
	e := tx.session.pinNext(&db.commits.applied)
	moved := false
	err := db.withState(func(st *state) error {
		found, err := tx.reads.againstState(st, tx)
		if err == nil && found.reason == 0 {
			found, err = tx.guards.againstState(st, tx)
		}
		moved = err == nil && found.reason == 0
		return err
	})
	tx.session.movePin(moved)
	if !moved {
		return false, err
	}
	tx.snapshot = e.ts
	tx.sees(e)
	tx.reads.moveTo(e.ts)
	tx.guards.moveTo(e.ts)
	tx.forgetRows()
	db.count.refreshes.Add(1)
	return true, nil
}

// sees notes that the transaction has seen all commits up to e.
func (tx *txn) sees(e *commitEntry) {
	if e.ts > Timestamp(tx.db.watermark.Load()) && (tx.floor == nil || e.ts > tx.floor.ts) {
		tx.lastSeen = seen{e.ts, e.end, e.sync}
		tx.floor = &tx.lastSeen
	}
}
