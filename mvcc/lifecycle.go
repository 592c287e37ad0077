package mvcc

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

// kill ends the transaction from outside, with an error for its user. If an
// operation is running, a wait for a lock in it ends with the error, and the operation's
// end is the transaction's; a commit that has reached the log is carried through. It reports whether it was the first to end it.
func (tx *txn) kill(err error) bool {
	if tx.isDone() || !tx.killed.CompareAndSwap(nil, &err) {
		return false
	}
	if owner := tx.owner.Load(); owner != nil {
		tx.db.locks.Kill(owner, err)
	}
	tx.reap()
	return true
}

// reap ends a killed transaction unless an operation is running, which will do it when it leaves.
func (tx *txn) reap() {
	if !tx.tryBusy() {
		return
	}
	if !tx.isDone() {
		tx.end()
		tx.db.count.rolledBack.Add(1)
	}
	tx.idle()
}

// limits ends a transaction after its total time, and after its idle time without an operation.
type limits struct {
	total *time.Timer
	idle  *idleWatch
}

type idleWatch struct {
	limit time.Duration
	last  atomic.Int64 // end of the last operation, as time since began
	timer *time.Timer  // set before the transaction is handed out
	tx    *txn
}

func (l *limits) start(tx *txn, o *TxnOptions) {
	total, idle := tx.db.opts.TxnTimeout, tx.db.opts.IdleTimeout
	if o.Timeout != 0 {
		total = o.Timeout
	}
	if o.IdleTimeout != 0 {
		idle = o.IdleTimeout
	}
	if total > 0 {
		l.total = time.AfterFunc(total, func() {
			tx.expire(&TxnTimeoutError{Txn: tx.session.id, Label: tx.session.label, Limit: total})
		})
	}
	if idle > 0 {
		l.idle = &idleWatch{limit: idle, tx: tx}
		l.idle.timer = time.AfterFunc(idle, l.idle.check)
	}
}

// rows returns how many rows a cursor may read ahead: each move is an operation where idle time is limited.
func (l *limits) rows(n int) int {
	if l.idle != nil {
		return 1
	}
	return n
}

// used notes the end of an operation.
func (l *limits) used() {
	if l.idle != nil {
		l.idle.last.Store(int64(time.Since(l.idle.tx.session.began)))
	}
}

// check ends the transaction if it was idle for the limit, or looks again when it may have been.
func (w *idleWatch) check() {
	left := w.limit - (time.Since(w.tx.session.began) - time.Duration(w.last.Load()))
	if left <= 0 && w.tx.state.Load()&stateBusy == 0 {
		w.tx.expire(&TxnTimeoutError{Txn: w.tx.session.id, Label: w.tx.session.label, Limit: w.limit, Idle: true})
		return
	}
	if !w.tx.isDone() {
		w.timer.Reset(max(left, w.limit/8))
	}
}

func (l *limits) stop() {
	if l.total != nil {
		l.total.Stop()
	}
	if l.idle != nil {
		l.idle.timer.Stop()
	}
}

// expire kills the transaction for one of its limits.
func (tx *txn) expire(err *TxnTimeoutError) {
	if tx.kill(err) {
		tx.db.count.timedOut.Add(1)
		tx.db.opts.Logger.Warn("sombra: transaction ended at its time limit", "txn", err.Txn, "label", err.Label, "limit", err.Limit, "idle", err.Idle)
	}
}

// Kill ends a running transaction: its operations fail with ErrKilled, a wait
// for a lock in it at once, and its locks are released. A commit that is already in
// the log is not undone. It reports whether there was such a transaction.
func (db *DB) Kill(id uint64) bool {
	var found *txn
	db.snapshots.each(func(s *session) {
		if s.tx != nil && s.id == id {
			found = s.keepHolder()
		}
	})
	return found != nil && found.kill(&KilledError{Txn: id, Label: found.session.label})
}

const stackDepth = 16

// noteStack remembers who began the transaction.
func (s *session) noteStack() {
	stack := make([]uintptr, stackDepth)
	s.stack = stack[:runtime.Callers(4, stack)]
}

// stackText renders the stack that began the transaction, "" if it was not noted.
func (s *session) stackText() string {
	var b strings.Builder
	frames := runtime.CallersFrames(s.stack)
	for len(s.stack) > 0 {
		f, more := frames.Next()
		fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		if !more {
			break
		}
	}
	return b.String()
}

// watch has the garbage collector tell when the user has let go of the transaction.
func (s *session) watch(tx *Txn) {
	s.cleanup = runtime.AddCleanup(tx, (*txn).abandoned, tx.txn)
}

// unwatch ends the watch.
func (s *session) unwatch() {
	if s.stack != nil {
		s.cleanup.Stop()
	}
}

// abandoned ends a transaction that nobody can end any more. It runs on the collector's goroutine.
func (tx *txn) abandoned() {
	s := &tx.session
	err := &AbandonedError{Txn: s.id, Label: s.label, Age: time.Since(s.began), Stack: s.stackText()}
	if !tx.kill(err) {
		return
	}
	tx.db.count.abandoned.Add(1)
	tx.db.opts.Logger.Error("sombra: transaction was abandoned; it has been rolled back", "txn", s.id, "label", s.label, "age", err.Age, "began_at", err.Stack)
	if f := tx.db.opts.Events.Abandoned; f != nil {
		f(err)
	}
}

// TxnInfo describes a running transaction.
type TxnInfo struct {
	ID        uint64
	Label     string
	Isolation Isolation
	ReadOnly  bool
	Began     time.Time
	Age       time.Duration
	Snapshot  Timestamp // 0 while it has none
	Bytes     int64     // written so far, keys and values
	Retries   int       // attempts of Update before this one
	Protected bool      // its reads hold off other commits, because it has lost too often
	Waiting   *WaitInfo // nil unless it waits for a lock
	Stack     string    // who called Begin; "" inside View and Update
}

// WaitInfo describes a wait for a lock.
type WaitInfo struct {
	Key   string // as Options.DescribeKey renders it
	Mode  string
	Since time.Time
	For   []uint64 // transactions that are in the way
}

// String renders the transaction as one line for a log.
func (t TxnInfo) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "txn %d%s (%v, %v old", t.ID, labelled(t.Label), t.Isolation, t.Age.Round(time.Millisecond))
	if t.ReadOnly {
		b.WriteString(", read-only")
	}
	if t.Retries > 0 {
		fmt.Fprintf(&b, ", %d retries", t.Retries)
	}
	if t.Protected {
		b.WriteString(", protected")
	}
	fmt.Fprintf(&b, ") wrote %d bytes", t.Bytes)
	if w := t.Waiting; w != nil {
		fmt.Fprintf(&b, ", waits %v for %s on %s held by %v", time.Since(w.Since).Round(time.Millisecond), w.Mode, w.Key, w.For)
	}
	return b.String()
}

// Transactions lists the running transactions, oldest first.
func (db *DB) Transactions() []TxnInfo {
	waits := make(map[uint64]*WaitInfo)
	for _, k := range db.locks.Locks(false) {
		for _, w := range k.Queue {
			waits[w.Owner] = &WaitInfo{Key: k.Key, Mode: w.Mode.String(), Since: w.Since, For: w.WaitsFor}
		}
	}
	var all []TxnInfo
	db.snapshots.each(func(s *session) {
		if s.tx == nil {
			return
		}
		s.nameLocked(&db.nextTxnID)
		info := TxnInfo{
			ID: s.id, Label: s.label, Isolation: s.tx.isolation, ReadOnly: s.readOnly, Began: s.began, Age: time.Since(s.began),
			Bytes: s.tx.work.Load(), Retries: s.tx.retries, Protected: s.protected.Load(), Waiting: waits[s.id], Stack: s.stackText(),
		}
		if pin := s.pinned(); pin != maxTimestamp {
			info.Snapshot = pin
		}
		all = append(all, info)
	})
	sortByAge(all)
	return all
}
