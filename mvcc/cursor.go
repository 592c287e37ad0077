package mvcc

import (
	"bytes"
	"errors"

	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/pagestore"
)

// Cursor moves over a range of one keyspace. It shows the transaction's own
// writes and what its isolation level sees: at ReadCommitted the state at the last First, Last or
// Seek; writes made after the cursor was positioned are seen or not. A cursor holds no lock, and no page or version
// longer than between two checkpoints: it finds its place again by its key. Not
// safe for concurrent use.
//
// A cursor reads ahead, up to maxRun keys. It notices that the transaction's context has ended when it reads again, and
// that the transaction was ended at the next move.
type Cursor struct {
	tx     *txn
	turn   uint64 // of the transaction
	bounds span
	ts     Timestamp // of the reads
	st     *state    // that the sources belong to
	m      merged
	base   baseSource
	row    int // of the current key among the merged rows
	limit  int // of rows, when it reads ahead again
	writes int // the changes of the write set that the sources know
	ok     bool
	closed bool
	err    error
	last   []byte // a key to seek

	prev, next *Cursor // open ones of the transaction

	// At ReadCommitted the transaction has no snapshot. Then each run of the cursor, from
	// First, Last or a Seek on, is one operation, and has one of its own.
	pin    session
	pinned bool

	// What was read and is not yet in the read set: from the start of the current
	// run to the current key. Serializable only.
	track   bool
	running bool
	from    []byte // where the run began: inclusive going forward, exclusive going backward
	back    bool
}

// Rows that a cursor reads ahead: a few at first, as many cursors move once or twice, then more. A run of rows that are read in
// place costs nothing before they are reached.
const (
	firstRows = 4
	maxRows   = 64
	maxRun    = 256
)

// Cursor returns an unpositioned cursor over the range. It should be closed; the end of the transaction closes it too.
func (tx *Txn) Cursor(ks *Keyspace, r Range) (*Cursor, error) {
	if err := tx.enter(); err != nil {
		return nil, err
	}
	defer tx.leave()
	c := &Cursor{tx: tx.txn}
	if err := tx.openCursor(c, ks, r); err != nil {
		return nil, err
	}
	return c, nil
}

// openCursor makes a cursor ready to be moved. REQUIRES: busy.
func (tx *Txn) openCursor(c *Cursor, ks *Keyspace, r Range) error {
	if err := checkRange(tx.db, ks, r); err != nil {
		return err
	}
	c.bounds.lo = append(append(c.bounds.lo[:0], ks.prefix[:]...), r.Lo...)
	if r.Hi != nil {
		c.bounds.hi = append(append(c.bounds.hi[:0], ks.prefix[:]...), r.Hi...)
	} else {
		end := ks.end()
		c.bounds.hi = append(c.bounds.hi[:0], end[:]...)
	}
	if err := tx.shieldSpan(c.bounds); err != nil {
		return err
	}
	c.turn, c.track, c.closed = tx.turn, tx.tracks(), false
	tx.addCursor(c)
	return nil
}

// addCursor notes an open cursor.
func (tx *txn) addCursor(c *Cursor) {
	if c.next = tx.cursors; c.next != nil {
		c.next.prev = c
	}
	tx.cursors = c
}

// removeCursor forgets a cursor.
func (tx *txn) removeCursor(c *Cursor) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		tx.cursors = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}

// checkRange refuses what is no range of the database.
func checkRange(db *DB, ks *Keyspace, r Range) error {
	if ks == nil || ks.db != db {
		return &ArgumentError{"keyspace is nil or of another database"}
	}
	if r.Hi != nil && bytes.Compare(r.Lo, r.Hi) > 0 {
		return &ArgumentError{"range with Lo above Hi"}
	}
	return nil
}

// span converts a range of the keyspace to internal keys.
func (tx *txn) span(ks *Keyspace, r Range) (span, error) {
	if err := checkRange(tx.db, ks, r); err != nil {
		return span{}, err
	}
	lo := append(bytes.Clone(ks.prefix[:]), r.Lo...)
	if r.Hi == nil {
		end := ks.end()
		return span{lo, end[:]}, nil
	}
	return span{lo, append(bytes.Clone(ks.prefix[:]), r.Hi...)}, nil
}

// open builds the sources on the current state.
func (c *Cursor) open() {
	c.m.close()
	if c.tx.isolation != ReadCommitted {
		c.ts = c.tx.readTimestamp()
	}
	c.st = c.tx.db.state.Load()
	c.writes = c.tx.writes.changes
	if !c.tx.writes.empty() {
		c.add(&writeSource{tx: c.tx, writes: &c.tx.writes})
	}
	if len(c.tx.writes.runs) > 0 {
		c.add(runSource{runs.Merge(c.tx.writes.runs...)})
	}
	if c.st.active.Keys() > 0 {
		c.add(newTableSource(c.st.active, c.ts))
	}
	for i := range c.st.frozen {
		if s := c.st.frozen[i].source(c.ts); s != nil {
			c.add(s)
		}
	}
	c.addBase()
	if c.ts < c.st.historyEnd {
		c.add(&historySource{c: c.st.base.Cursor(pagestore.HistoryTree), ts: c.ts})
	}
}

func (c *Cursor) add(s source) { c.m.layers = append(c.m.layers, layer{source: s}) }

func (c *Cursor) addBase() {
	if c.base.c == nil {
		c.base.c = c.st.base.Cursor(pagestore.DataTree)
	} else {
		c.base.c.Reset(c.st.base)
	}
	c.base.ts, c.base.bounds = c.ts, c.bounds
	c.add(&c.base)
}

// position opens the sources and seeks, again when the pages were reused meanwhile.
func (c *Cursor) position(key []byte, back bool) bool {
	for {
		c.open()
		c.row, c.ok = 0, c.m.seek(key, back, c.limit)
		if err := c.m.err(); !errors.Is(err, pagestore.ErrStale) {
			return c.settled(c.tx.db.pageError(err))
		}
	}
}

// repin takes the snapshot of a new run at ReadCommitted.
func (c *Cursor) repin() {
	if c.tx.isolation != ReadCommitted {
		return
	}
	if !c.pinned {
		c.pinned = true
		c.pin.label, c.pin.began, c.pin.holder = c.tx.session.label, c.tx.session.began, c.tx
		c.tx.db.snapshots.add(&c.pin)
	}
	floor := Timestamp(0)
	if c.tx.floor != nil {
		floor = c.tx.floor.ts
	}
	c.ts = c.pin.pinNewest(&c.tx.db.watermark, floor)
}

// moved reports whether the cursor has to find its place again before it reads on.
func (c *Cursor) moved() bool {
	return c.tx.db.state.Load() != c.st || c.writes != c.tx.writes.changes || c.tx.isolation != ReadCommitted && c.ts != c.tx.snapshot
}

// settled ends a reading: it leaves out the rows behind the bounds, and keeps the error.
func (c *Cursor) settled(err error) bool {
	rows := &c.m.rows
	n := len(rows.Entries)
	if err != nil {
		n = 0
	}
	for n > 0 && !c.bounds.contains(rows.Entries[n-1].Key) {
		n, rows.Lazy = n-1, false
	}
	rows.Entries = rows.Entries[:n]
	if err != nil {
		rows.Reset()
	}
	c.ok, c.err = !rows.Empty(), err
	return c.ok
}

// ikey returns the current key as the engine knows it. REQUIRES: the cursor stands on a key.
func (c *Cursor) ikey() []byte {
	if c.m.rows.Run.Active() {
		return c.m.rows.Run.Key()
	}
	return c.m.rows.Entries[c.row].Key
}

// forget drops what was read ahead, so that the next move finds its place again if it has to.
func (c *Cursor) forget() {
	c.m.rows.Run.Cut()
	if rows := &c.m.rows; c.ok && c.row+1 < len(rows.Entries) {
		rows.Entries, rows.Lazy = rows.Entries[:c.row+1], false
	}
}

// enter begins a move.
func (c *Cursor) enter() bool {
	if c.closed {
		if c.err == nil {
			c.err = ErrTxnDone
		}
		return false
	}
	if err := c.tx.enter(c.turn); err != nil {
		c.ok, c.err = false, err
		return false
	}
	return true
}

// First goes to the first key of the range. This and the other moves report whether the cursor stands on a
// key; when not, Err tells why.
func (c *Cursor) First() bool {
	return c.move(c.bounds.lo, false)
}

// Last goes to the last key of the range.
func (c *Cursor) Last() bool {
	return c.move(c.bounds.hi, true)
}

// start is First, or Last when back is set.
func (c *Cursor) start(back bool) bool {
	if back {
		return c.Last()
	}
	return c.First()
}

// Seek goes to the first key of the range at or after key.
func (c *Cursor) Seek(key []byte) bool {
	ikey := append(bytes.Clone(c.bounds.lo[:prefixSize]), key...)
	if bytes.Compare(ikey, c.bounds.lo) < 0 {
		ikey = c.bounds.lo
	}
	return c.move(ikey, false)
}

// SeekBefore goes to the last key of the range before key.
func (c *Cursor) SeekBefore(key []byte) bool {
	ikey := append(bytes.Clone(c.bounds.lo[:prefixSize]), key...)
	if bytes.Compare(ikey, c.bounds.hi) > 0 {
		ikey = c.bounds.hi
	}
	return c.move(ikey, true)
}

func (c *Cursor) move(ikey []byte, back bool) bool {
	if !c.enter() {
		return false
	}
	defer c.tx.leave()
	c.flush()
	c.repin()
	c.limit = c.tx.limits.rows(firstRows)
	c.position(ikey, back)
	c.begin(ikey, back)
	return c.ok
}

// Next goes to the next key. On an unpositioned cursor it does nothing.
func (c *Cursor) Next() bool { return c.atHand(false) || c.readOn(false) }

// Prev goes to the key before. On an unpositioned cursor it does nothing.
func (c *Cursor) Prev() bool { return c.atHand(true) || c.readOn(true) }

// atHand moves to the next of the rows that were read ahead.
//
// What it relies on without having entered the transaction: only the user's goroutine changes the rows, also when others
// end the transaction. A row is what the transaction's snapshot sees, whatever was committed or checkpointed since it was
// read. When the snapshot itself moves, or writes are undone, the rows are dropped (forget).
func (c *Cursor) atHand(back bool) bool {
	if !c.ok || c.m.back != back || c.tx.killed.Load() != nil {
		return false
	}
	if c.m.rows.Run.Active() {
		return c.m.rows.Run.Next()
	}
	if c.row+1 >= len(c.m.rows.Entries) {
		return false
	}
	c.row++
	return true
}

// readOn moves to the next key that was not read ahead.
func (c *Cursor) readOn(back bool) bool {
	if !c.ok || !c.enter() {
		return false
	}
	defer c.tx.leave()
	if c.track && c.back != back {
		c.turnRound(back)
	}
	c.last = append(c.last[:0], c.ikey()...)
	if !back {
		c.last = append(c.last, 0)
	}
	if c.m.back != back || c.row+1 < len(c.m.rows.Entries) || c.moved() {
		return c.position(c.last, back)
	}
	c.limit = c.tx.limits.rows(min(4*c.limit, maxRows))
	if c.m.rows.Run.GoOn(maxRun) || c.m.runOn() {
		return true
	}
	c.row = 0
	c.m.fill(c.limit)
	if err := c.m.err(); !errors.Is(err, pagestore.ErrStale) {
		return c.settled(c.tx.db.pageError(err))
	}
	return c.position(c.last, back)
}

// Key returns the current key, without the keyspace, valid until the next move. REQUIRES: the cursor stands on a key.
func (c *Cursor) Key() []byte {
	if !c.ok {
		return nil
	}
	return c.ikey()[prefixSize:]
}

// Value returns the current value, valid until the next move. REQUIRES: the cursor stands on a key.
func (c *Cursor) Value() ([]byte, error) {
	if !c.ok {
		return nil, ErrNotFound
	}
	if c.lazy() || c.tx.killed.Load() != nil {
		return c.readValue()
	}
	return c.value(), nil
}

// readValue reads a value that was left where it is.
func (c *Cursor) readValue() ([]byte, error) {
	if !c.enter() {
		return nil, c.err
	}
	defer c.tx.leave()
	value, err := c.rowValue()
	if errors.Is(err, pagestore.ErrStale) {
		// A snapshot sees the key in a newer state, too.
		c.last = append(c.last[:0], c.ikey()...)
		back := c.m.back
		if back {
			c.last = append(c.last, 0)
		}
		if !c.position(c.last, back) {
			return nil, c.err
		}
		value, err = c.rowValue()
	}
	return value, c.tx.db.pageError(err)
}

func (c *Cursor) rowValue() ([]byte, error) {
	if c.lazy() {
		return c.m.lazyValue()
	}
	return c.value(), nil
}

// lazy reports whether the current value has not been read.
func (c *Cursor) lazy() bool { return c.m.rows.Lazy && c.row+1 == len(c.m.rows.Entries) }

// value returns the current value. REQUIRES: it is not lazy.
func (c *Cursor) value() []byte {
	if c.m.rows.Run.Active() {
		return c.m.rows.Run.Value()
	}
	return c.m.rows.Entries[c.row].Value
}

// Err returns what stopped the cursor, nil at the end of the range.
func (c *Cursor) Err() error { return c.err }

// Close releases the cursor. It may be called more than once.
func (c *Cursor) Close() {
	if c.closed || !c.tx.tryBusy() {
		return
	}
	defer c.tx.leave()
	if c.closed { // the end of the transaction came first
		return
	}
	c.finish()
}

// finish closes an open cursor. REQUIRES: busy.
func (c *Cursor) finish() {
	c.flush()
	c.tx.removeCursor(c)
	c.unpin()
	c.release(ErrTxnDone)
}

// unpin gives up the cursor's own snapshot.
func (c *Cursor) unpin() {
	if c.pinned {
		c.tx.db.snapshots.remove(&c.pin)
		c.pinned = false
	}
}

// release closes the cursor without the transaction's bookkeeping; moves fail with err from now on, unless it
// had come to an end before.
func (c *Cursor) release(err error) {
	c.m.close()
	if c.err == nil && (c.ok || c.st == nil) {
		c.err = err
	}
	c.closed, c.ok, c.st = true, false, nil
}

// recycle makes a closed cursor a new one, but for its buffers and its transaction.
func (c *Cursor) recycle() {
	*c = Cursor{tx: c.tx, bounds: c.bounds, last: c.last, base: baseSource{c: c.base.c},
		m: merged{layers: c.m.layers, rows: c.m.rows}}
}

// begin starts a run of reading at the key that was sought.
func (c *Cursor) begin(ikey []byte, before bool) {
	if c.track {
		c.from, c.back, c.running = bytes.Clone(ikey), before, true
	}
}

// turnRound ends the run and starts one in the other direction at the current key.
func (c *Cursor) turnRound(back bool) {
	c.flush()
	from := bytes.Clone(c.ikey())
	if back {
		from = append(from, 0)
	}
	c.from, c.back, c.running = from, back, true
}

// flush ends the run and puts it into the read set.
func (c *Cursor) flush() {
	c.note()
	c.running = false
}

// note puts the run so far into the read set: everything between its start and the
// current key, or the end of the range when the cursor has reached it.
func (c *Cursor) note() {
	if !c.track || !c.running {
		return
	}
	lo, hi := c.from, c.bounds.hi
	switch {
	case c.back:
		lo, hi = c.bounds.lo, c.from
		if c.ok {
			lo = c.ikey()
		}
		lo = bytes.Clone(lo)
	case c.ok:
		hi = successor(nil, c.ikey())
	default:
		hi = bytes.Clone(hi)
	}
	c.tx.reads.addSpan(lo, hi, c.ts)
}
