package mvcc

import (
	"bytes"

	"github.com/sombradb/sombra/lockmgr"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// A transaction of Update that has lost a few times is protected: commits by
// others that would change what it has read wait until it has ended. At most one
// transaction is protected at a time; it holds the protection's lock exclusively, a commit that waits asks
// for that lock in shared mode. So the waits are in the wait-for graph like all others: if
// the protected transaction waits for a lock of a commit that waits for it, the
// detector ends the commit, which has fewer retries.
//
// What is read is protected before it is read. A commit that took its place in
// the log earlier is waited for; if it changed what is to be read, the snapshot moves
// forward, which cannot fail: all that was read before has been protected since. So the transaction
// loses to nobody, whatever the others do.

// protectAfter is the number of lost attempts after which a transaction is protected.
const protectAfter = 3

// protectionID is the keyspace of the protection's lock.
const protectionID = 1

var protectionPrefix = makePrefix(protectionID)

// protection is the set of reads that hold off commits; guarded by commits.mu.
type protection struct {
	tx     *txn
	points map[string]struct{}
	spans  []span
}

// touchedBy reports whether one of the writes, in key order, changes what is protected.
func (p *protection) touchedBy(writes []versions.Write) bool {
	for _, w := range writes {
		if _, ok := p.points[string(w.Key)]; ok {
			return true
		}
	}
	for _, s := range p.spans {
		if i, _ := findWrite(writes, s.lo); i < len(writes) && s.contains(writes[i].Key) {
			return true
		}
	}
	return false
}

// protect makes the transaction the protected one; it waits for the one before.
func (tx *txn) protect() error {
	if err := tx.acquire(protectionPrefix[:], lockmgr.X, lockmgr.Wait); err != nil {
		return err
	}
	tx.reads.limit = 0
	tx.shield = &protection{tx: tx, points: make(map[string]struct{})}
	c := &tx.db.commits
	c.mu.Lock()
	c.mu.protected = tx.shield
	c.mu.Unlock()
	tx.session.protected.Store(true)
	tx.db.count.protected.Add(1)
	return nil
}

// unprotect lets the others go on. REQUIRES: busy, locks still held.
func (tx *txn) unprotect() {
	if tx.shield == nil {
		return
	}
	c := &tx.db.commits
	c.mu.Lock()
	c.mu.protected = nil
	c.mu.Unlock()
	tx.shield = nil
}

// shieldKey protects a key that is about to be read.
func (tx *txn) shieldKey(ikey []byte) error {
	if tx.shield == nil {
		return nil
	}
	return tx.shielded(func() { tx.shield.points[string(ikey)] = struct{}{} }, span{ikey, successor(nil, ikey)})
}

// shieldSpan protects a range.
func (tx *txn) shieldSpan(s span) error {
	if tx.shield == nil {
		return nil
	}
	return tx.shielded(func() { tx.shield.spans = append(tx.shield.spans, span{bytes.Clone(s.lo), bytes.Clone(s.hi)}) }, s)
}

// shielded adds to the protection, waits for the commits before, and moves the
// snapshot behind those that changed the span.
func (tx *txn) shielded(add func(), s span) error {
	db := tx.db
	c := &db.commits
	c.mu.Lock()
	add()
	tail := c.tail.Load()
	c.mu.Unlock()
	if tail.ts > Timestamp(db.watermark.Load()) {
		if tail.sync {
			if err := db.log.Sync(tx.ctx, tail.end); err != nil {
				return db.logError(err)
			}
		}
		if err := db.publish(tx.ctx, tail); err != nil {
			return err
		}
	}
	ts := tx.readTimestamp()
	var key []byte
	changed := false
	err := db.withState(func(st *state) (err error) {
		key, changed, err = st.spanChangedAfter(s, ts)
		return err
	})
	if err != nil || !changed {
		return err
	}
	moved, err := tx.refresh()
	if err == nil && !moved {
		err = tx.conflict(conflict{key, RangeConflict})
	}
	return err
}

// awaitProtection waits until the protected transaction has ended. From then
// on until its own end, the caller keeps another one from starting.
func (tx *txn) awaitProtection() error {
	tx.db.count.heldOff.Add(1)
	return tx.acquire(protectionPrefix[:], lockmgr.S, lockmgr.Wait)
}
