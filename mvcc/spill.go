package mvcc

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sombradb/sombra/lockmgr"
	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// A transaction may write more than fits in memory (R7). When the write sets of all transactions need too much, the one
// that writes puts its own into a sorted run, a temporary file, and goes on with an empty tree.
//
//	tree --spill--> run, run, ... --commit--> one run --link--> layer of the state --checkpoint--> trees
//	                                   \--> log, as chunks
//
// Its locks would need memory, too. So after a spill the locks of the keys in the run are given up, and the run stands
// for them: whoever has locked a key looks whether a run of a large transaction holds it, and if so waits for that
// transaction's own lock (S10). Nothing is locked that was not written, and the wait is a lock wait like any other.
//
// The commit merges the runs into one, logs it in chunks, and links it as a layer of the state in the same critical
// section that gives it its timestamp. So it is visible as a whole, and needs no place in the table.

// largeID is the keyspace of the locks of large transactions: the key is the transaction's id.
const largeID = 2

var largePrefix = makePrefix(largeID)

// Spilling.
const (
	chargeStep = 64 << 10  // bytes of a write set between two looks at the memory of all
	minSpill   = 128 << 10 // the least that is worth a run, in bytes
	// maxSiblings is how many runs of about one size there may be; more are merged into one.
	maxSiblings = 16
	// filterShare is the part of the memory for write sets that the filter of one run may have.
	filterShare = 4
)

// large is what others need to know of a transaction that has spilled.
type large struct {
	tx   *txn
	key  []byte                      // of its lock
	runs atomic.Pointer[[]*runs.Run] // all that hold its keys
}

// larges lists the large transactions.
type larges struct {
	mu   sync.Mutex // held while all is replaced
	list atomic.Pointer[[]*large]
	// memory is about what the write sets of all transactions need, in bytes.
	memory atomic.Int64
	// always spills after each write, for tests; set before the first transaction.
	always bool
}

func (l *larges) change(f func([]*large) []*large) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var old []*large
	if p := l.list.Load(); p != nil {
		old = *p
	}
	next := f(slices.Clone(old))
	if len(next) == 0 {
		l.list.Store(nil)
		return
	}
	l.list.Store(&next)
}

// makeRoom accounts for what was written, and spills when memory is short. It comes before a write, so that one that
// fails has not been made.
func (tx *txn) makeRoom() error {
	l := &tx.db.larges
	if tx.writes.bytes-tx.charged < chargeStep {
		return nil
	}
	used := l.memory.Add(tx.writes.bytes - tx.charged)
	tx.charged = tx.writes.bytes
	if used < tx.db.budget().writes || tx.writes.bytes < minSpill {
		return nil
	}
	return tx.spill()
}

// uncharge gives the memory of the tree back.
func (tx *txn) uncharge() {
	if tx.charged != 0 {
		tx.db.larges.memory.Add(-tx.charged)
		tx.charged = 0
	}
}

// spill moves the tree to a run. The locks go over to it: it is made known before they are given up.
func (tx *txn) spill() error {
	if err := tx.register(); err != nil {
		return err
	}
	r, additions, err := tx.writeRun()
	if err != nil {
		return tx.db.spillError(err)
	}
	if r == nil {
		return nil
	}
	tx.owned = append(tx.owned, r)
	known := append(slices.Clone(*tx.large.runs.Load()), r)
	tx.large.runs.Store(&known)
	tree := tx.writes.plant()
	tx.writes.spilled(r, additions)
	tx.spilled += r.Bytes()
	if owner := tx.owner.Load(); owner != nil {
		tx.db.locks.ReleaseIf(owner, func(key []byte) bool {
			w, found := tree.Get(versions.Write{Key: key})
			return found && w.Kind != kindAdd
		})
	}
	tx.uncharge()
	tx.db.count.spills.Add(1)
	return tx.db.spillError(tx.mergeSiblings())
}

// register makes the transaction a large one, whose lock others can wait for.
func (tx *txn) register() error {
	if tx.large != nil {
		return nil
	}
	l := &large{tx: tx, key: appendID(largePrefix[:], tx.session.id)}
	l.runs.Store(new([]*runs.Run))
	if err := tx.acquire(l.key, lockmgr.X, lockmgr.Wait); err != nil {
		return err
	}
	tx.large = l
	tx.db.larges.change(func(all []*large) []*large { return append(all, l) })
	return nil
}

// writeRun writes the tree, all but the additions, which it returns. There is no run when nothing else is in it.
func (tx *txn) writeRun() (r *runs.Run, additions []versions.Write, err error) {
	if tx.writes.len() == 0 {
		return nil, nil, nil
	}
	w, err := tx.db.runs.Create(tx.db.runOptions())
	if err != nil {
		return nil, nil, err
	}
	defer w.Abort()
	n := 0
	tx.writes.plant().Ascend(func(x versions.Write) bool {
		if x.Kind == kindAdd {
			additions = append(additions, x)
			return true
		}
		n++
		err = w.Add(x)
		return err == nil
	})
	if err != nil || n == 0 {
		return nil, additions, err
	}
	r, err = w.Finish()
	return r, additions, err
}

func (db *DB) runOptions() runs.Options {
	return runs.Options{MaxFilterBytes: db.budget().writes / filterShare}
}

// mergeSiblings keeps the number of runs small: when there are many of about one size, they become one. Savepoints may
// still need the old ones, so they are dropped at once only if there are none.
func (tx *txn) mergeSiblings() error {
	for {
		all := tx.writes.runs
		n := siblings(all)
		if n < maxSiblings {
			return nil
		}
		merged, err := tx.db.mergeRuns(all[:n], nil)
		if err != nil {
			return err
		}
		tx.writes.runs = slices.Concat([]*runs.Run{merged}, all[n:])
		tx.writes.changes++
		tx.owned = append(tx.owned, merged)
		tx.replaceRuns(all[:n], merged)
	}
}

// siblings returns how many of the newest runs are of about the size of the first.
func siblings(newestFirst []*runs.Run) int {
	n := 0
	for n < len(newestFirst) && newestFirst[n].Bytes() < maxSiblings/2*newestFirst[0].Bytes() {
		n++
	}
	return n
}

// replaceRuns makes one run stand for the keys of those that were merged into it.
func (tx *txn) replaceRuns(old []*runs.Run, merged *runs.Run) {
	known := append(slices.Clone(*tx.large.runs.Load()), merged)
	if tx.marked {
		tx.large.runs.Store(&known)
		return
	}
	isOld := func(r *runs.Run) bool { return slices.Contains(old, r) }
	known = slices.DeleteFunc(known, isOld)
	tx.large.runs.Store(&known)
	tx.owned = slices.DeleteFunc(tx.owned, isOld)
	dropRuns(old)
}

// mergeRuns writes one run with what several hold, the newest first. each, unless nil, sees every write.
func (db *DB) mergeRuns(newestFirst []*runs.Run, each func(versions.Write) error) (*runs.Run, error) {
	w, err := db.runs.Create(db.runOptions())
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	err = eachWrite(newestFirst, func(x versions.Write) error {
		if each != nil {
			if err := each(x); err != nil {
				return err
			}
		}
		return w.Add(x)
	})
	if err != nil {
		return nil, err
	}
	return w.Finish()
}

// eachWrite calls f for the writes of several runs in key order.
func eachWrite(newestFirst []*runs.Run, f func(versions.Write) error) error {
	c := runs.Merge(newestFirst...)
	defer c.Close()
	for ok := c.SeekFirst(); ok; ok = c.Next() {
		value, err := c.Value()
		if err != nil {
			return err
		}
		if err := f(versions.Write{Key: c.Key(), Value: value, Kind: c.Kind()}); err != nil {
			return err
		}
	}
	return c.Err()
}

// awaitLarge waits for the large transactions that have written the key, which the caller has locked (S10). A run that
// was dropped belongs to one that has ended.
func (tx *txn) awaitLarge(ikey []byte, policy lockmgr.Policy) error {
	list := tx.db.larges.list.Load()
	if list == nil {
		return nil
	}
	for _, l := range *list {
		if l == tx.large {
			continue
		}
		has, err := l.has(ikey)
		if err != nil {
			return tx.db.spillError(err)
		}
		if has {
			if err := tx.acquire(l.key, lockmgr.S, policy); err != nil {
				return err
			}
		}
	}
	return nil
}

// claim gives the transaction the right to write the key. It has it if it did so before: then it has the lock, or a run
// stands for it, also when the write itself was rolled back. As looking into runs is slow, the lock is tried first: it
// is free unless somebody waits for this very run.
func (tx *txn) claim(ikey []byte) error {
	if x, found := tx.writes.recent(ikey); found && x.Kind != kindAdd {
		return nil
	}
	if tx.large == nil {
		return tx.lock(ikey, lockmgr.X, tx.policy)
	}
	err := tx.lock(ikey, lockmgr.X, lockmgr.NoWait)
	if !errors.Is(err, ErrLockNotAvailable) {
		return err
	}
	has, err := tx.large.has(ikey)
	if has || err != nil {
		return tx.db.spillError(err)
	}
	return tx.lock(ikey, lockmgr.X, tx.policy)
}

// has reports whether one of the runs holds the key. A run that was dropped while it was looked at was merged into
// another one, or its transaction has ended; so the runs are looked at again as long as they change.
func (l *large) has(ikey []byte) (bool, error) {
	for {
		all := l.runs.Load()
		dropped := false
		for _, r := range *all {
			switch has, err := r.Has(ikey); {
			case isDropped(err):
				dropped = true
			case has || err != nil:
				return has, err
			}
		}
		if !dropped || l.runs.Load() == all {
			return false, nil
		}
	}
}

// forget ends the transaction's being large, and drops its runs. REQUIRES: its writes are in the state, or given up.
func (tx *txn) forget() {
	tx.uncharge()
	if tx.large == nil {
		return
	}
	tx.db.larges.change(func(all []*large) []*large {
		return slices.DeleteFunc(all, func(l *large) bool { return l == tx.large })
	})
	dropRuns(tx.owned)
	tx.owned = nil
}
