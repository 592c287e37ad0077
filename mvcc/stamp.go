package mvcc

import (
	"bytes"
	"sync/atomic"
)

// A program may keep copies of what it has read: decoded, joined, laid out as its questions want it. Stamps tell whether
// a copy is what a transaction would read now. Keys form groups; for each, or for several that share a stripe, there is
// the timestamp of the newest commit that has changed it.
//
// A copy that was read at snapshot C may be used at snapshot S if the stamp is at or before both. Why: a commit
// stamps its groups before it is applied (S11), and a snapshot is never after the newest applied commit of which all
// before it are applied. So whoever has a snapshot, and looks at the stamp afterwards, finds there every change that the
// snapshot sees; and whoever has the copy finds every change that the copy has. If the stamp is at or before both
// snapshots, so is every change at or before the later of the two: between C and S, whichever comes first, nothing has
// changed. A stamp that is too new only makes a copy useless:
//
//	          stamp        C         S
//	------------|----------|---------|---->   the copy holds; it would also hold for S before C
//	            |     C    |stamp    S
//	------------|-----|----|---------|---->   it may have changed: read it
//	     S      |stamp     C
//	-----|------|----------|-------------->   a snapshot of the past: read it
//
// Were stamps written after the commit was applied, a reader could take a snapshot that sees it, find the old stamp, and
// use a copy from before.
//
// Commits whose writes are in runs, and those before the first call of Keyspace.Stamps, the replayed ones included, count as
// changes of every group.

// Stamps tells when groups of a keyspace's keys have changed. Safe for concurrent use.
type Stamps struct {
	ks      *Keyspace
	group   func(key []byte) (group uint64, ok bool)
	newest  atomic.Uint64 // of all; mostly it is all that needs to be looked at
	floor   atomic.Uint64 // a change of every group
	stripes []atomic.Uint64
	mask    uint64
}

// stampedKeyspaces has the Stamps that commits must write; the slice is replaced under commits.mu.
type stampedKeyspaces struct{ list atomic.Pointer[[]*Stamps] }

// Stamps begins to note when groups of keys change, from now until the database is closed. group tells which group a key
// of the keyspace belongs to, false if none; it runs in commits, so it must be quick, pure and safe for concurrent use.
// Groups share a stripe if they are equal modulo the number of stripes, which is rounded up to a power of two; each needs 8 bytes.
func (ks *Keyspace) Stamps(stripes int, group func(key []byte) (group uint64, ok bool)) *Stamps {
	n := 1
	for n < stripes {
		n *= 2
	}
	s := &Stamps{ks: ks, group: group, stripes: make([]atomic.Uint64, n), mask: uint64(n - 1)}
	c := &ks.db.commits
	c.mu.Lock()
	defer c.mu.Unlock()
	// Whoever took a timestamp before may not have seen s.
	s.all(c.mu.last)
	list := []*Stamps{s}
	if old := ks.db.stamped.list.Load(); old != nil {
		list = append(list, *old...)
	}
	ks.db.stamped.list.Store(&list)
	return s
}

// all makes ts a change of every group.
func (s *Stamps) all(ts Timestamp) {
	announce(&s.floor, ts)
	announce(&s.newest, ts)
}

// stamp notes the commit's changes. REQUIRES: it has its timestamp, and is not applied yet (S11).
func (db *DB) stamp(e *commitEntry) {
	list := db.stamped.list.Load()
	if list == nil {
		return
	}
	for _, s := range *list {
		if e.isLarge() {
			s.all(e.ts)
			continue
		}
		for i := range e.writes {
			key, own := bytes.CutPrefix(e.writes[i].Key, s.ks.prefix[:])
			if !own {
				continue
			}
			if g, ok := s.group(key); ok {
				announce(&s.stripes[g&s.mask], e.ts)
				announce(&s.newest, e.ts)
			}
		}
	}
}

// holds reports whether the group has not changed after ts. REQUIRES: whoever made ts a snapshot did so before.
func (s *Stamps) holds(group uint64, ts Timestamp) bool {
	return s.newest.Load() <= uint64(ts) || max(s.floor.Load(), s.stripes[group&s.mask].Load()) <= uint64(ts)
}

// Holds reports whether a copy of a group that Copy has made is what tx would read now, and if so takes it for read: at
// the levels that remember reads, the range r of the group is remembered as if a cursor had gone through it. If not,
// the caller reads r itself. A transaction that has written to r itself can use no copy of it.
//
// For a read-only transaction r is not looked at, and Holds costs some tens of nanoseconds and allocates nothing.
func (s *Stamps) Holds(tx *Txn, group uint64, at Timestamp, r Range) (bool, error) {
	if tx.db != s.ks.db {
		return false, &ArgumentError{"stamps of another database"}
	}
	if err := tx.enter(); err != nil {
		return false, err
	}
	defer tx.leave()
	if tx.session.readOnly {
		return s.holds(group, min(at, tx.readTimestamp())), nil
	}
	sp, err := tx.span(s.ks, r)
	if err != nil {
		return false, err
	}
	if err := tx.shieldSpan(sp); err != nil {
		return false, err
	}
	ts := tx.readTimestamp()
	if tx.wrote(sp) || !s.holds(group, min(at, ts)) {
		return false, nil
	}
	if tx.tracks() {
		tx.reads.addSpan(sp.lo, sp.hi, ts)
	}
	return true, nil
}

// wrote reports whether the transaction has changed something in the span, or may have.
func (tx *txn) wrote(s span) bool {
	if len(tx.writes.runs) > 0 {
		return true
	}
	w, ok := tx.writes.atOrAfter(s.lo)
	return ok && s.contains(w.Key)
}

// Copy calls each with the keys of the range r of the group, in order, until it returns false, and returns the snapshot
// that they were read at, for Holds. Keys are valid during the call only. What Copy reads is not remembered as read: Holds has to be asked before the copy is used.
// It returns 0 without calling each when there is no point in a copy: the group has changed after the transaction's snapshot,
// or the transaction has written to the range.
func (s *Stamps) Copy(tx *Txn, group uint64, r Range, each func(key []byte) bool) (at Timestamp, err error) {
	if tx.db != s.ks.db {
		return 0, &ArgumentError{"stamps of another database"}
	}
	if worth, err := s.worthCopy(tx, group, r); !worth || err != nil {
		return 0, err
	}
	c, err := tx.Cursor(s.ks, r)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	c.track = false
	for ok := c.First(); ok && each(c.Key()); ok = c.Next() {
	}
	return c.ts, c.Err()
}

func (s *Stamps) worthCopy(tx *Txn, group uint64, r Range) (bool, error) {
	if err := tx.enter(); err != nil {
		return false, err
	}
	defer tx.leave()
	sp, err := tx.span(s.ks, r)
	if err != nil {
		return false, err
	}
	return !tx.wrote(sp) && s.holds(group, tx.readTimestamp()), nil
}
