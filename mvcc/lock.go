package mvcc

import (
	"errors"

	"github.com/sombradb/sombra/deadlock"
	"github.com/sombradb/sombra/lockmgr"
)

// lock takes the key's lock and applies first updater wins: whoever holds the
// lock and finds no version after its snapshot is the only one that can
// write the key. The snapshot is taken after the lock when this is the first
// operation, so that waiting for it is never a conflict.
func (tx *Txn) lock(ikey []byte, mode lockmgr.Mode) error {
	if tx.owner == nil {
		tx.owner = tx.db.locks.NewOwner(lockmgr.OwnerInfo{
			ID: tx.session.id, Label: tx.session.label, Isolation: tx.isolation.String(),
			Began: tx.session.began, Priority: tx.priority, Retries: tx.retries, Work: tx.work.Load,
		})
	}
	if err := tx.db.locks.Acquire(tx.ctx, tx.owner, ikey, mode, tx.policy, tx.timeout); err != nil {
		return tx.db.lockError(err)
	}
	if tx.isolation == ReadCommitted {
		return nil
	}
	ts := tx.readTimestamp()
	var changed bool
	err := tx.db.withState(func(st *state) (err error) {
		changed, err = st.changedAfter(ikey, ts)
		return err
	})
	if err == nil && changed {
		err = tx.conflict(conflict{ikey, WriteConflict})
	}
	return err
}

// GetForUpdate locks the key exclusively, absent keys too, and reads it. At
// Snapshot and Serializable a change after the snapshot is ErrConflict, at
// ReadCommitted it reads what is newest. With ErrNotFound the lock is held as well.
func (tx *Txn) GetForUpdate(ks *Keyspace, key []byte) ([]byte, error) {
	return tx.getLocked(ks, key, lockmgr.X)
}

// GetForShare is GetForUpdate with a shared lock: it waits for writers and
// makes them wait, but not others that share.
func (tx *Txn) GetForShare(ks *Keyspace, key []byte) ([]byte, error) {
	return tx.getLocked(ks, key, lockmgr.S)
}

func (tx *Txn) getLocked(ks *Keyspace, key []byte, mode lockmgr.Mode) ([]byte, error) {
	if err := tx.enter(); err != nil {
		return nil, err
	}
	defer tx.leave()
	ikey, err := tx.encode(ks, key)
	if err != nil {
		return nil, err
	}
	if err := tx.writable(); err != nil {
		return nil, err
	}
	if err := tx.lock(ikey, mode); err != nil {
		return nil, err
	}
	value, found, err := tx.read(nil, ikey)
	if err == nil && !found {
		err = ErrNotFound
	}
	return value, err
}

// RequireExists makes the commit fail with ErrConflict unless the key exists
// at the commit's place in the commit order, at every isolation level. It locks
// nothing, and updates of the key by others do not conflict with it: only its deletion does. If the
// key does not exist for this transaction the error is ErrNotFound.
func (tx *Txn) RequireExists(ks *Keyspace, key []byte) error {
	if err := tx.enter(); err != nil {
		return err
	}
	defer tx.leave()
	ikey, err := tx.encode(ks, key)
	if err != nil {
		return err
	}
	found, _, _, err := tx.peek(ikey)
	if err != nil {
		return err
	}
	if !found {
		return ErrNotFound
	}
	tx.reads.require(ikey)
	return nil
}

// RequireUnchanged makes the commit fail with ErrConflict, at every isolation level, when
// another transaction changes a key in the range between this transaction's
// snapshot (at ReadCommitted: this call) and the commit. It locks nothing.
func (tx *Txn) RequireUnchanged(ks *Keyspace, r Range) error {
	if err := tx.enter(); err != nil {
		return err
	}
	defer tx.leave()
	s, err := tx.span(ks, r)
	if err != nil {
		return err
	}
	tx.reads.addSpan(s.lo, s.hi, tx.guardTimestamp())
	return nil
}

// conflict makes the error for what a check found, and counts it.
func (tx *Txn) conflict(c conflict) error {
	db := tx.db
	if c.reason == WriteConflict {
		db.count.writeConflicts.Add(1)
	} else {
		db.count.readConflicts.Add(1)
	}
	return &ConflictError{
		Txn: tx.session.id, Label: tx.session.label, Reason: c.reason,
		Keyspace: db.keyspaceOf(c.key), Key: append([]byte(nil), c.key[prefixSize:]...), Name: db.describe(c.key),
	}
}

// lockError converts the lock manager's errors.
func (db *DB) lockError(err error) error {
	var report *deadlock.Error
	var timeout *lockmgr.TimeoutError
	switch {
	case errors.As(err, &report):
		db.count.deadlocks.Add(1)
		return &DeadlockError{report}
	case errors.As(err, &timeout):
		db.count.lockTimeouts.Add(1)
		e := &LockTimeoutError{Name: timeout.Key, Waited: timeout.Waited}
		for _, h := range timeout.Holders {
			e.Holders = append(e.Holders, h.Owner)
		}
		return e
	case errors.Is(err, lockmgr.ErrNotAvailable):
		return ErrLockNotAvailable
	case errors.Is(err, lockmgr.ErrClosed):
		return ErrClosed
	}
	return err
}
