package mvcc

import (
	"bytes"
	"errors"
	"iter"

	"github.com/sombradb/sombra/deadlock"
	"github.com/sombradb/sombra/lockmgr"
)

// lock takes the key's lock and applies first updater wins (S2): whoever holds
// the lock and finds no version after its snapshot is the only one that can
// write the key. If there is a newer one, the snapshot moves forward when nothing
// that was read has changed. A first operation takes its snapshot after the lock, so that
// having waited for it is never a conflict.
func (tx *txn) lock(ikey []byte, mode lockmgr.Mode, policy lockmgr.Policy) error {
	if err := tx.acquireKey(ikey, mode, policy); err != nil {
		if errors.Is(err, ErrDeadlock) {
			tx.lessons.learnWrites(&tx.writes)
			tx.lessons.learn(ikey, mode)
		}
		return err
	}
	if tx.isolation == ReadCommitted {
		tx.sees(tx.db.commits.applied.Load())
		return nil
	}
	return tx.checkFirstUpdater(ikey)
}

// acquireKey takes the key's lock, and waits for a large transaction whose run holds the key.
func (tx *txn) acquireKey(ikey []byte, mode lockmgr.Mode, policy lockmgr.Policy) error {
	held := lockmgr.S // or whatever: the lock stays if the rest fails
	if tx.db.larges.list.Load() != nil {
		held = tx.db.locks.Held(tx.owner.Load(), ikey)
	}
	if err := tx.acquire(ikey, mode, policy); err != nil {
		return err
	}
	err := tx.awaitLarge(ikey, policy)
	if err != nil && held == lockmgr.None {
		tx.db.locks.ReleaseIf(tx.owner.Load(), func(key []byte) bool { return bytes.Equal(key, ikey) })
	}
	return err
}

// acquire takes a lock.
func (tx *txn) acquire(ikey []byte, mode lockmgr.Mode, policy lockmgr.Policy) error {
	owner := tx.owner.Load()
	if owner == nil {
		owner = tx.newOwner()
		tx.owner.Store(owner)
		if err := tx.killed.Load(); err != nil { // kill may have looked before
			return *err
		}
	}
	return tx.db.lockError(tx.db.locks.Acquire(tx.ctx, owner, ikey, mode, policy, tx.timeout))
}

// newOwner returns an owner of locks, that of an earlier turn if there is one.
func (tx *txn) newOwner() *lockmgr.Owner {
	if tx.workOf == nil {
		tx.workOf = tx.work.Load
	}
	info := lockmgr.OwnerInfo{
		ID: tx.session.id, Label: tx.session.label, Isolation: tx.isolation.String(),
		Began: tx.session.began, Priority: tx.priority, Retries: tx.retries, Work: tx.workOf,
	}
	owner := tx.idleOwner
	if tx.idleOwner = nil; owner == nil {
		return tx.db.locks.NewOwner(info)
	}
	tx.db.locks.Renew(owner, info)
	return owner
}

// checkFirstUpdater fails if the locked key has a version after the snapshot,
// and the snapshot cannot move.
func (tx *txn) checkFirstUpdater(ikey []byte) error {
	for {
		ts := tx.readTimestamp()
		var changed bool
		err := tx.db.withState(func(st *state) (err error) {
			changed, err = st.changedAfter(ikey, ts)
			return err
		})
		if err != nil || !changed {
			return err
		}
		moved, err := tx.refresh()
		if err != nil {
			return err
		}
		if !moved || tx.snapshot == ts {
			return tx.conflict(conflict{ikey, WriteConflict})
		}
	}
}

// LockWait says what to do when a lock is not free.
type LockWait uint8

// Ways to wait for a lock.
const (
	// Wait waits for the lock timeout.
	Wait LockWait = iota
	// NoWait fails with ErrLockNotAvailable at once.
	NoWait
	// SkipLocked leaves out, in a scan, keys whose lock is not free, and keys
	// that have changed after a snapshot that cannot move. For one key it is NoWait.
	SkipLocked
)

// policyOf returns the transaction's way of waiting, or the one that the caller wants.
func (tx *txn) policyOf(wait []LockWait) lockmgr.Policy {
	switch {
	case len(wait) == 0:
		return tx.policy
	case wait[len(wait)-1] == Wait:
		return lockmgr.Wait
	}
	return lockmgr.NoWait
}

// GetForUpdate locks the key exclusively, absent keys too, and reads it. At
// Snapshot and Serializable a change after the snapshot is ErrConflict if the snapshot cannot move, at
// ReadCommitted it reads what is newest. With ErrNotFound the lock is held as well.
// wait overrides the transaction's way of waiting.
func (tx *Txn) GetForUpdate(ks *Keyspace, key []byte, wait ...LockWait) ([]byte, error) {
	return tx.getLocked(ks, key, lockmgr.X, wait)
}

// GetForShare is GetForUpdate with a shared lock: it waits for writers and
// makes them wait, but not others that share.
func (tx *Txn) GetForShare(ks *Keyspace, key []byte, wait ...LockWait) ([]byte, error) {
	return tx.getLocked(ks, key, lockmgr.S, wait)
}

func (tx *Txn) getLocked(ks *Keyspace, key []byte, mode lockmgr.Mode, wait []LockWait) ([]byte, error) {
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
	if err := tx.lock(ikey, mode, tx.policyOf(wait)); err != nil {
		return nil, err
	}
	value, found, err := tx.read(nil, ikey)
	if err == nil && !found {
		err = ErrNotFound
	}
	return value, err
}

// ScanForUpdate iterates over a range and locks each key exclusively before it
// yields it, with what GetForUpdate would return; keys that have gone by then are left out.
// It does not lock the room between keys: against new keys use Serializable or RequireUnchanged. With
// SkipLocked several workers can take different jobs from one queue.
func (tx *Txn) ScanForUpdate(ks *Keyspace, r Range, wait ...LockWait) iter.Seq2[Item, error] {
	return tx.scanLocked(ks, r, lockmgr.X, wait)
}

// ScanForShare is ScanForUpdate with shared locks.
func (tx *Txn) ScanForShare(ks *Keyspace, r Range, wait ...LockWait) iter.Seq2[Item, error] {
	return tx.scanLocked(ks, r, lockmgr.S, wait)
}

func (tx *Txn) scanLocked(ks *Keyspace, r Range, mode lockmgr.Mode, wait []LockWait) iter.Seq2[Item, error] {
	skip := len(wait) > 0 && wait[len(wait)-1] == SkipLocked
	return func(yield func(Item, error) bool) {
		for key, err := range tx.Keys(ks, r) {
			var value []byte
			if err == nil {
				value, err = tx.getLocked(ks, key, mode, wait)
			}
			switch {
			case errors.Is(err, ErrNotFound), skip && (errors.Is(err, ErrLockNotAvailable) || errors.Is(err, ErrConflict)):
				continue
			case err != nil:
				yield(Item{}, err)
				return
			}
			if !yield(Item{key, value}, nil) {
				return
			}
		}
	}
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
	tx.guards.require(ikey, tx.guardTimestamp())
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
	if err := tx.shieldSpan(s); err != nil {
		return err
	}
	tx.guards.addSpan(s.lo, s.hi, tx.guardTimestamp())
	return nil
}

// conflict makes the error for what a check found, counts it, and learns from it.
func (tx *txn) conflict(c conflict) error {
	db := tx.db
	switch c.reason {
	case WriteConflict:
		db.count.writeConflicts.Add(1)
		tx.lessons.learn(c.key, lockmgr.X)
	case ReadConflict:
		tx.lessons.learn(c.key, lockmgr.S)
		fallthrough
	default:
		db.count.readConflicts.Add(1)
	}
	return &ConflictError{
		Txn: tx.session.id, Label: tx.session.label, Reason: c.reason,
		Keyspace: db.keyspaceOf(c.key), Key: append([]byte(nil), c.key[prefixSize:]...), Name: db.describe(c.key),
	}
}

// lockError converts the lock manager's errors.
func (db *DB) lockError(err error) error {
	if err == nil {
		return nil // before the variables, which escape
	}
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
