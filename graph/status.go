package graph

import (
	"cmp"
	"slices"
	"time"

	"github.com/sombradb/sombra/mvcc"
)

// Deadlocks returns reports of the last resolved deadlocks, newest first, at most 64, in which
// nodes and edges are named by what they are now. Reports that Events.Deadlock gets
// name them by their ids.
func (db *DB) Deadlocks() []*mvcc.DeadlockError {
	var list []*mvcc.DeadlockError
	db.withNames(func(name func(string) string) {
		for _, report := range db.store.Deadlocks() {
			list = append(list, renamedDeadlock(&mvcc.DeadlockError{Report: report}, name))
		}
	})
	return list
}

// Transactions lists the running transactions, oldest first, in which the nodes
// and edges that they wait for are named by what they are. The transaction that looks them up is not listed.
func (db *DB) Transactions() []mvcc.TxnInfo {
	list := db.store.Transactions()
	if !slices.ContainsFunc(list, func(t mvcc.TxnInfo) bool { return t.Waiting != nil }) {
		return list
	}
	db.withNames(func(name func(string) string) {
		for _, t := range list {
			if t.Waiting != nil {
				t.Waiting.Key = name(t.Waiting.Key)
			}
		}
	})
	return list
}

// Kill ends a running transaction, as mvcc.DB.Kill does; Transactions has the ids.
func (db *DB) Kill(id uint64) bool { return db.store.Kill(id) }

// LockInfo describes a locked key.
type LockInfo struct {
	Key     string // named by what it is about
	Holders []LockHolder
	Queue   []LockWaiter // in the order in which they will be served
}

// LockHolder is a transaction that holds a lock.
type LockHolder struct {
	Txn   uint64
	Label string
	Mode  string // S, U, A or X
}

// LockWaiter is a transaction that waits for a lock.
type LockWaiter struct {
	Txn   uint64
	Label string
	Mode  string // that it waits for
	Since time.Time
	For   []uint64 // transactions that are in the way
}

// Locks returns the keys that are waited for, or all locked keys, ordered by their names. Each key's
// state is consistent in itself; the keys are not of one moment.
func (db *DB) Locks(all bool) []LockInfo {
	var list []LockInfo
	db.withNames(func(name func(string) string) {
		for _, k := range db.store.Locks(all) {
			info := LockInfo{Key: name(k.Key)}
			for _, h := range k.Holders {
				info.Holders = append(info.Holders, LockHolder{h.Owner, h.Label, h.Mode.String()})
			}
			for _, w := range k.Queue {
				info.Queue = append(info.Queue, LockWaiter{w.Owner, w.Label, w.Mode.String(), w.Since, w.WaitsFor})
			}
			list = append(list, info)
		}
	})
	slices.SortStableFunc(list, func(a, b LockInfo) int { return cmp.Compare(a.Key, b.Key) })
	return list
}
