package mvcc

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/sombradb/sombra/lockmgr"
	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
	"github.com/sombradb/sombra/pagestore"
)

// Txn is a transaction. One goroutine at a time may use it; use from two at
// once is detected and fails with ErrConcurrentUse. The snapshot is taken at
// the first operation, after its lock if it locks.
//
//	running --Commit---> ended    (with or without effect)
//	        --Rollback-> ended
//	        --kill-----> ended    (Kill, a timeout, or the garbage collector found it unreferenced)
//
// After its end every method that can fails with ErrTxnDone, or with what ended it.
type Txn struct {
	// The transaction itself is apart from what the user holds, so that the
	// database can hold it, too, and still notice when the user let go of it.
	*txn
	// turn is that of the transaction which the handle is for (see txn.state).
	turn uint64
	// at is the timestamp of its commit, which may be asked for after the end.
	at Timestamp
}

// txn is a transaction. Who has set busy owns all fields that are not atomic. That of a View or an Update is used again for
// another one, in its next turn (view.go, reuse.go).
type txn struct {
	db         *DB
	ctx        context.Context
	cancelled  <-chan struct{}
	session    session
	isolation  Isolation
	durability Durability
	policy     lockmgr.Policy
	timeout    time.Duration
	priority   int
	retries    int
	limits     limits

	// state is the turn and two flags in its low bits: busy, while an operation is running, and done, once it has
	// ended, which is set while busy. So one compare-and-swap enters the right transaction, while it is running.
	state  atomic.Uint64
	killed atomic.Pointer[error]

	snapshot  Timestamp                     // maxTimestamp until it is taken
	lessons   *lessons                      // what Update's attempts have lost on; nil outside of Update
	learned   lessons                       // backs lessons in the first attempt
	floor     *seen                         // newest commit that it has seen before that was durable; nil: none
	lastSeen  seen                          // backs floor
	shield    *protection                   // nil unless it is protected
	owner     atomic.Pointer[lockmgr.Owner] // set once, by the owner of busy; cleared at the end
	writes    writeSet
	large     *large         // nil until it spills (spill.go)
	owned     []*runs.Run    // spilled, to be dropped at the end
	spilled   int64          // bytes in them, as far as work counts
	charged   int64          // bytes of the tree that the memory of all write sets counts
	marked    bool           // there was a savepoint
	work      atomic.Int64   // bytes written, for the choice of deadlock victims
	reads     readSet        // what it read
	guards    readSet        // what must hold at commit, at every level
	cursors   *Cursor        // open ones, in a list
	spare     *Cursor        // of the last iteration, for the next one
	handles   []Txn          // for the turns to come
	clock     cheapClock     // of Views
	reusable  bool           // it may be used again
	idleOwner *lockmgr.Owner // of an earlier turn, without locks
	workOf    func() int64   // work.Load
	keybuf    []byte
	keyroom   [48]byte // backs keybuf in the usual case
	commitTS  Timestamp
}

// Flags of txn.state, and the distance between two turns.
const (
	stateBusy = 1 << iota
	stateDone
	stateTurn
)

// Begin starts a transaction bound to ctx: when ctx ends, waits inside the
// transaction end and its operations fail with the context's cause. End it with Commit or
// Rollback; deferring Rollback is always safe. A transaction that is neither ended nor referenced any
// more is found by the garbage collector, rolled back and reported with the stack that began it.
func (db *DB) Begin(ctx context.Context, opts *TxnOptions) (*Txn, error) {
	return db.begin(ctx, opts, 0, true)
}

// begin starts a transaction. A watched one may be forgotten by its user.
func (db *DB) begin(ctx context.Context, opts *TxnOptions, retries int, watched bool) (*Txn, error) {
	var o TxnOptions
	if opts != nil {
		o = *opts
	}
	if err := db.checkBegin(ctx, &o); err != nil {
		return nil, err
	}
	tx, turn := db.newTxn(!watched && retries == 0 && !db.limited(&o))
	tx.ctx, tx.cancelled = ctx, ctx.Done()
	tx.isolation, tx.durability, tx.policy = o.Isolation, db.opts.Durability, lockmgr.Wait
	tx.timeout, tx.priority, tx.retries = db.opts.LockTimeout, o.Priority, retries
	tx.snapshot = maxTimestamp
	if tx.reads.limit = 0; o.Isolation == Snapshot {
		tx.reads.limit = maxTracked
	}
	tx.guards.most = db.budget().readSet
	tx.reads.most = tx.guards.most
	s := &tx.session
	s.id, s.label, s.began, s.readOnly, s.tx, s.holder = db.nextTxnID.Add(1), o.Label, time.Now(), o.ReadOnly, tx, tx
	if o.Durability != nil {
		tx.durability = *o.Durability
	}
	if o.LockTimeout > 0 {
		tx.timeout = o.LockTimeout
	}
	if o.NoWait {
		tx.policy = lockmgr.NoWait
	}
	handle := tx.handle(turn)
	if watched {
		tx.session.noteStack()
		tx.session.watch(handle)
	}
	if !db.snapshots.add(&tx.session) {
		tx.session.unwatch()
		return nil, ErrClosed
	}
	tx.limits.start(tx, &o)
	if o.AsOf != 0 {
		if err := tx.pinPast(o.AsOf); err != nil {
			handle.Rollback()
			return nil, err
		}
	}
	return handle, nil
}

func (db *DB) checkBegin(ctx context.Context, o *TxnOptions) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if o.Isolation > Serializable {
		return &ArgumentError{"unknown isolation level " + o.Isolation.String()}
	}
	if o.Durability != nil && *o.Durability != Full && !db.opts.AllowUnsafe {
		return &ArgumentError{"durability " + o.Durability.String() + " can lose acknowledged commits; open with AllowUnsafe to accept that"}
	}
	if o.AsOf != 0 && o.Isolation == ReadCommitted {
		return &ArgumentError{"AsOf reads one moment; read committed does not"}
	}
	if db.opts.ReadOnly || o.AsOf != 0 {
		o.ReadOnly = true
	}
	return nil
}

// ID identifies the transaction in reports.
func (tx *Txn) ID() uint64 {
	return tx.session.name(&tx.db.nextTxnID)
}

// DB returns the database.
func (tx *Txn) DB() *DB { return tx.db }

// Context returns the context given to Begin.
func (tx *Txn) Context() context.Context { return tx.ctx }

// Isolation returns the transaction's level.
func (tx *Txn) Isolation() Isolation { return tx.isolation }

// ReadOnly reports whether writes are refused.
func (tx *Txn) ReadOnly() bool { return tx.session.readOnly }

// CommitTimestamp returns the timestamp of the commit, 0 before it and for
// a transaction that wrote nothing.
func (tx *Txn) CommitTimestamp() Timestamp { return tx.at }

// enter begins an operation; leave ends it.
func (tx *Txn) enter() error { return tx.txn.enter(tx.turn) }

// enter begins an operation in a turn of the transaction.
func (tx *txn) enter(turn uint64) error {
	if !tx.state.CompareAndSwap(turn, turn|stateBusy) {
		return tx.refuse(turn)
	}
	if tx.cancelled != nil {
		return tx.checkCancelled()
	}
	return nil
}

func (tx *txn) checkCancelled() error {
	select {
	case <-tx.cancelled:
		tx.leave()
		return context.Cause(tx.ctx)
	default:
		return nil
	}
}

// refuse says why an operation cannot begin.
func (tx *txn) refuse(turn uint64) error {
	switch st := tx.state.Load(); {
	case st&^(stateBusy|stateDone) != turn:
		return ErrTxnDone
	case st&stateDone != 0:
		return tx.ended()
	}
	if err := tx.killed.Load(); err != nil {
		return *err // whoever killed it may be ending it
	}
	return ErrConcurrentUse
}

// tryBusy begins an operation of whoever ends the transaction, in its present turn.
func (tx *txn) tryBusy() bool {
	st := tx.state.Load()
	return st&stateBusy == 0 && tx.state.CompareAndSwap(st, st|stateBusy)
}

// isDone reports that the transaction has ended.
func (tx *txn) isDone() bool { return tx.state.Load()&stateDone != 0 }

// idle ends an operation. REQUIRES: busy.
func (tx *txn) idle() { tx.state.Store(tx.state.Load() &^ stateBusy) }

// leave ends an operation, and the transaction if it was killed meanwhile.
func (tx *txn) leave() {
	tx.limits.used()
	tx.idle()
	if tx.killed.Load() != nil {
		tx.reap()
	}
}

// ended says why operations are refused.
func (tx *txn) ended() error {
	if err := tx.killed.Load(); err != nil {
		return *err
	}
	return ErrTxnDone
}

// Snapshot returns the timestamp that the transaction reads at; it takes the
// snapshot if there is none yet. At ReadCommitted it is the newest visible commit.
func (tx *Txn) Snapshot() (Timestamp, error) {
	if err := tx.enter(); err != nil {
		return 0, err
	}
	defer tx.leave()
	return tx.readTimestamp(), nil
}

// readTimestamp returns the timestamp for a read that begins now. At
// ReadCommitted nothing is pinned (see readAt), and it is not before what a lock has shown.
func (tx *txn) readTimestamp() Timestamp {
	if tx.isolation == ReadCommitted {
		ts := Timestamp(tx.db.watermark.Load())
		if tx.floor != nil {
			ts = max(ts, tx.floor.ts)
		}
		return ts
	}
	if tx.snapshot == maxTimestamp {
		tx.snapshot = tx.session.pinAt(&tx.db.watermark)
	}
	return tx.snapshot
}

// guardTimestamp is readTimestamp for what the commit validates: it pins a
// snapshot at every level, so that checkpoints keep what tells of changes after it.
func (tx *txn) guardTimestamp() Timestamp {
	pinned := tx.session.pinAt(&tx.db.watermark)
	if tx.isolation != ReadCommitted {
		tx.snapshot = pinned
		return pinned
	}
	return tx.readTimestamp()
}

// readAt runs f with a timestamp and a state that holds all versions that the
// timestamp sees (S4). f may run more than once.
func (tx *txn) readAt(f func(st *state, ts Timestamp) error) error {
	for {
		st, ts := tx.readState()
		if err := f(st, ts); !tx.again(ts, err) {
			return tx.db.pageError(err)
		}
	}
}

// readState returns a timestamp and a state that holds all versions that it sees. The timestamp comes
// first: a state loaded before it could lack the table of commits that it sees.
//
// At ReadCommitted nothing pins the timestamp, so versions may be dropped while they are
// looked for: by a checkpoint, then base is newer than the timestamp, or by
// pruning, which announces itself first. Then timestamp and state are taken again.
func (tx *txn) readState() (*state, Timestamp) {
	for {
		ts := tx.readTimestamp()
		st := tx.db.state.Load()
		if tx.isolation != ReadCommitted || st.baseTS <= ts {
			return st, ts
		}
	}
}

// again reports whether a read at the timestamp, which ended with err, has to be made again.
func (tx *txn) again(ts Timestamp, err error) bool {
	return err != nil && errors.Is(err, pagestore.ErrStale) || tx.lost(ts)
}

// lost reports whether versions that the timestamp sees may have been pruned.
func (tx *txn) lost(ts Timestamp) bool {
	return tx.isolation == ReadCommitted && Timestamp(tx.db.pruned.Load()) > ts
}

// encode returns the internal key in the transaction's buffer.
func (tx *txn) encode(ks *Keyspace, key []byte) ([]byte, error) {
	if ks == nil || ks.db != tx.db {
		return nil, &ArgumentError{"keyspace is nil or of another database"}
	}
	if err := checkKey(key); err != nil {
		return nil, err
	}
	tx.keybuf = append(append(tx.keybuf[:0], ks.prefix[:]...), key...)
	return tx.keybuf, nil
}

// tracks reports whether plain reads are remembered: to validate them at
// commit, or to move the snapshot forward.
func (tx *txn) tracks() bool { return tx.isolation != ReadCommitted && !tx.session.readOnly }

// Get returns a copy of the key's value, or ErrNotFound.
func (tx *Txn) Get(ks *Keyspace, key []byte) ([]byte, error) {
	return tx.Append(ks, nil, key)
}

// Append appends the key's value to dst and returns it; with ErrNotFound it
// returns dst. It does not allocate when dst has room.
func (tx *Txn) Append(ks *Keyspace, dst, key []byte) ([]byte, error) {
	if err := tx.enter(); err != nil {
		return dst, err
	}
	defer tx.leave()
	ikey, err := tx.encode(ks, key)
	if err != nil {
		return dst, err
	}
	value, found, err := tx.read(dst, ikey)
	if err == nil && !found {
		err = ErrNotFound
	}
	if err == nil && value == nil {
		value = []byte{}
	}
	return value, err
}

// Has reports whether the key exists.
func (tx *Txn) Has(ks *Keyspace, key []byte) (bool, error) {
	if err := tx.enter(); err != nil {
		return false, err
	}
	defer tx.leave()
	ikey, err := tx.encode(ks, key)
	if err != nil {
		return false, err
	}
	return tx.has(ikey)
}

// read appends the value that the transaction sees.
func (tx *txn) read(dst, ikey []byte) (value []byte, found bool, err error) {
	if tx.writes.empty() {
		return tx.readCommittedOf(dst, ikey)
	}
	w, mine, err := tx.own(ikey)
	switch {
	case err != nil:
		return dst, false, err
	case !mine:
		return tx.readCommittedOf(dst, ikey)
	case w.Kind == kindAdd:
		value, err = tx.ownAdd(dst, w)
		return value, err == nil, err
	}
	return append(dst, w.Value...), w.Kind == versions.Put, nil
}

// readCommittedOf is read without the transaction's own writes.
func (tx *txn) readCommittedOf(dst, ikey []byte) (value []byte, found bool, err error) {
	if err := tx.shieldKey(ikey); err != nil {
		return dst, false, err
	}
	n := len(dst)
	for {
		st, ts := tx.readState()
		value, found, err = st.get(dst[:n], ikey, ts)
		if tx.again(ts, err) {
			continue
		}
		if err != nil {
			return dst, false, tx.db.pageError(err)
		}
		if tx.tracks() {
			tx.reads.addPoint(ikey, ts)
		}
		return value, found, nil
	}
}

// has reports whether the transaction sees the key.
func (tx *txn) has(ikey []byte) (bool, error) {
	if err := tx.shieldKey(ikey); err != nil {
		return false, err
	}
	found, ts, mine, err := tx.peek(ikey)
	if err == nil && !mine && tx.tracks() {
		tx.reads.addPoint(ikey, ts)
	}
	return found, err
}

// peek is has without the promise that the answer still holds at commit.
func (tx *txn) peek(ikey []byte) (found bool, at Timestamp, mine bool, err error) {
	w, mine, err := tx.own(ikey)
	if mine || err != nil {
		return w.Kind != versions.Delete, 0, true, err
	}
	err = tx.readAt(func(st *state, ts Timestamp) (err error) {
		at = ts
		found, err = st.has(ikey, ts)
		return err
	})
	return found, at, false, err
}

// Put sets the key's value. Key and value are copied; both may be empty, and
// nil is the same as empty. Limits are MaxKeySize and MaxValueSize.
//
// Put locks the key until the transaction ends and waits for the lock.
// At Snapshot and Serializable it fails with ErrConflict when the key was changed after the snapshot.
func (tx *Txn) Put(ks *Keyspace, key, value []byte) error {
	if err := checkValue(value); err != nil {
		return err
	}
	return tx.write(ks, key, value, versions.Put)
}

// Delete removes the key; an absent key is not an error. It locks and
// conflicts as Put does, absent keys too.
func (tx *Txn) Delete(ks *Keyspace, key []byte) error {
	return tx.write(ks, key, nil, versions.Delete)
}

func (tx *Txn) write(ks *Keyspace, key, value []byte, kind versions.Kind) error {
	if err := tx.enter(); err != nil {
		return err
	}
	defer tx.leave()
	ikey, err := tx.encode(ks, key)
	if err != nil {
		return err
	}
	if err := tx.writable(); err != nil {
		return err
	}
	if err := tx.claim(ikey); err != nil {
		return err
	}
	return tx.set(ikey, value, kind)
}

// set puts a write into the write set.
func (tx *txn) set(ikey, value []byte, kind versions.Kind) error {
	if err := tx.makeRoom(); err != nil {
		return err
	}
	tx.writes.set(ikey, value, kind)
	tx.work.Store(tx.writes.bytes + tx.spilled)
	if tx.db.larges.always {
		return tx.spill()
	}
	return nil
}

// own returns the transaction's own write of the key.
func (tx *txn) own(ikey []byte) (w versions.Write, mine bool, err error) {
	w, mine, err = tx.writes.get(ikey)
	return w, mine, tx.db.spillError(err)
}

func (tx *txn) writable() error {
	if tx.session.readOnly {
		return ErrReadOnly
	}
	return tx.db.failed.get()
}

// Savepoint marks the transaction's writes at one moment.
type Savepoint struct {
	tx     *txn
	writes writeSet
}

// Savepoint returns a mark for RollbackTo. It costs little, however much was written.
func (tx *Txn) Savepoint() (Savepoint, error) {
	if err := tx.enter(); err != nil {
		return Savepoint{}, err
	}
	defer tx.leave()
	if tx.large != nil && tx.writes.bytes >= minSpill { // a mark would keep the tree in memory
		if err := tx.spill(); err != nil {
			return Savepoint{}, err
		}
	}
	tx.marked = true
	return Savepoint{tx.txn, tx.writes.mark()}, nil
}

// RollbackTo undoes the writes made after the savepoint, which stays usable.
// Locks are kept, and what was read is still validated.
func (tx *Txn) RollbackTo(sp Savepoint) error {
	if sp.tx != tx.txn {
		return &ArgumentError{"savepoint of another transaction"}
	}
	if err := tx.enter(); err != nil {
		return err
	}
	defer tx.leave()
	tx.writes.reset(sp.writes)
	tx.forgetRows()
	return nil
}

// Commit makes the writes durable and visible, and ends the transaction. After an error that does not match
// ErrCommitUnknown nothing was written; ErrConflict is retryable.
func (tx *Txn) Commit() error {
	if err := tx.enter(); err != nil {
		return err
	}
	defer tx.leave()
	for c := tx.cursors; c != nil; c = c.next {
		c.flush()
	}
	var err error
	switch {
	case len(tx.writes.runs) > 0:
		err = tx.commitLarge()
	case !tx.writes.empty():
		err = tx.commit()
	default:
		err = tx.awaitFloor()
	}
	tx.at = tx.commitTS
	tx.end()
	if err == nil {
		tx.db.count.committed.Add(1)
	} else {
		tx.db.count.rolledBack.Add(1)
	}
	return err
}

// Rollback ends the transaction without effect. After the end it does nothing, so it may always be deferred.
// It may be called while the context has ended.
func (tx *Txn) Rollback() {
	// Also after the end: of a transaction that was killed, this closes the cursors.
	if !tx.state.CompareAndSwap(tx.turn, tx.turn|stateBusy) && !tx.state.CompareAndSwap(tx.turn|stateDone, tx.turn|stateDone|stateBusy) {
		return
	}
	defer tx.leave()
	if !tx.isDone() {
		tx.end()
		tx.db.count.rolledBack.Add(1)
	}
	tx.closeCursors()
}

// closeCursors releases what is left of the cursors, whose next moves fail. Of a transaction that was killed, whose
// user may be looking at a key or a value, only the user's goroutine does it. REQUIRES: busy.
func (tx *txn) closeCursors() {
	for c := tx.cursors; c != nil; c = tx.cursors {
		tx.removeCursor(c)
		c.release(tx.ended())
	}
}

// forgetRows drops what cursors have read ahead, for it is not what they would read now. REQUIRES: busy.
func (tx *txn) forgetRows() {
	for c := tx.cursors; c != nil; c = c.next {
		c.forget()
	}
}

// end releases everything. REQUIRES: busy.
func (tx *txn) end() {
	tx.state.Store(tx.state.Load() | stateDone)
	for c := tx.cursors; c != nil; c = c.next {
		c.unpin()
	}
	if tx.killed.Load() == nil {
		tx.closeCursors()
	}
	tx.limits.stop()
	tx.session.unwatch()
	tx.unlock()
	tx.writes.clear()
	tx.reads.clear()
	tx.guards.clear()
	tx.db.snapshots.remove(&tx.session)
}
