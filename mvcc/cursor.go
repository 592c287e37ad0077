package mvcc

import (
	"bytes"
	"errors"
	"iter"
	"runtime"

	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/pagestore"
)

// Cursor moves over a range of one keyspace. It shows the transaction's own
// writes and what its isolation level sees: at ReadCommitted the state at the last First, Last or
// Seek; writes made after the cursor was positioned are seen or not. A cursor holds no lock, and no page or version
// longer than between two checkpoints: it finds its place again by its key. Not
// safe for concurrent use.
type Cursor struct {
	tx     *txn
	bounds span
	ts     Timestamp // of the reads
	st     *state    // that the sources belong to
	m      merged
	writes int // the changes of the write set that the sources know
	ok     bool
	err    error
	closed bool
	last   []byte // the key before the current move

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

// Cursor returns an unpositioned cursor over the range. It should be closed; the end of the transaction closes it too.
func (tx *Txn) Cursor(ks *Keyspace, r Range) (*Cursor, error) {
	if err := tx.enter(); err != nil {
		return nil, err
	}
	defer tx.leave()
	s, err := tx.span(ks, r)
	if err != nil {
		return nil, err
	}
	if err := tx.shieldSpan(s); err != nil {
		return nil, err
	}
	c := &Cursor{tx: tx.txn, bounds: s, track: tx.tracks()}
	if tx.cursors == nil {
		tx.cursors = make(map[*Cursor]struct{})
	}
	tx.cursors[c] = struct{}{}
	return c, nil
}

// span converts a range of the keyspace to internal keys.
func (tx *txn) span(ks *Keyspace, r Range) (span, error) {
	if ks == nil || ks.db != tx.db {
		return span{}, &ArgumentError{"keyspace is nil or of another database"}
	}
	if r.Hi != nil && bytes.Compare(r.Lo, r.Hi) > 0 {
		return span{}, &ArgumentError{"range with Lo above Hi"}
	}
	lo := append(bytes.Clone(ks.prefix[:]), r.Lo...)
	if r.Hi == nil {
		return span{lo, prefixEnd(ks.prefix[:])}, nil
	}
	return span{lo, append(bytes.Clone(ks.prefix[:]), r.Hi...)}, nil
}

// open builds the sources on the current state.
func (c *Cursor) open() {
	c.shut()
	if c.tx.isolation != ReadCommitted {
		c.ts = c.tx.readTimestamp()
	}
	c.st = c.tx.db.state.Load()
	c.writes = c.tx.writes.changes
	if !c.tx.writes.empty() {
		c.m.layers = append(c.m.layers, layer{source: &writeSource{tx: c.tx, writes: &c.tx.writes}})
	}
	if len(c.tx.writes.runs) > 0 {
		c.m.layers = append(c.m.layers, layer{source: runSource{runs.Merge(c.tx.writes.runs...)}})
	}
	if c.st.active.Keys() > 0 {
		c.m.layers = append(c.m.layers, layer{source: tableSource{c.st.active.Cursor(uint64(c.ts))}})
	}
	for i := range c.st.frozen {
		if s := c.st.frozen[i].source(c.ts); s != nil {
			c.m.layers = append(c.m.layers, layer{source: s})
		}
	}
	c.m.layers = append(c.m.layers, layer{source: &baseSource{c: c.st.base.Cursor(pagestore.DataTree), ts: c.ts}})
	if c.ts < c.st.historyEnd {
		c.m.layers = append(c.m.layers, layer{source: &historySource{c: c.st.base.Cursor(pagestore.HistoryTree), ts: c.ts}})
	}
}

// shut gives the cursors of pages and runs back.
func (c *Cursor) shut() {
	for _, l := range c.m.layers {
		l.close()
	}
	clear(c.m.layers)
	c.m.layers = c.m.layers[:0]
}

// position opens the sources and seeks, again when the pages were reused meanwhile.
func (c *Cursor) position(key []byte, before bool) bool {
	for {
		c.open()
		if before {
			c.ok = c.m.seekBefore(key)
		} else {
			c.ok = c.m.seek(key)
		}
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

// moved reports whether the cursor has to find its place again before the next move.
func (c *Cursor) moved() bool {
	return c.tx.db.state.Load() != c.st || c.writes != c.tx.writes.changes || c.tx.isolation != ReadCommitted && c.ts != c.tx.snapshot
}

// settled ends a move: it checks the bounds and keeps the error.
func (c *Cursor) settled(err error) bool {
	c.err = err
	if err != nil || c.ok && !c.bounds.contains(c.m.key()) {
		c.ok = false
	}
	return c.ok
}

// enter begins a move.
func (c *Cursor) enter() bool {
	if c.closed {
		if c.err == nil {
			c.err = ErrTxnDone
		}
		return false
	}
	if err := c.tx.enter(); err != nil {
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

func (c *Cursor) move(ikey []byte, before bool) bool {
	if !c.enter() {
		return false
	}
	defer c.tx.leave()
	c.flush()
	c.repin()
	c.position(ikey, before)
	c.begin(ikey, before)
	return c.ok
}

// Next goes to the next key. On an unpositioned cursor it does nothing.
func (c *Cursor) Next() bool {
	if !c.ok || !c.enter() {
		return false
	}
	defer c.tx.leave()
	if c.track && c.back {
		c.turn(false)
	}
	if c.moved() {
		return c.position(successor(nil, c.m.key()), false)
	}
	return c.step(c.m.next, false)
}

// Prev goes to the key before. On an unpositioned cursor it does nothing.
func (c *Cursor) Prev() bool {
	if !c.ok || !c.enter() {
		return false
	}
	defer c.tx.leave()
	if c.track && !c.back {
		c.turn(true)
	}
	if c.moved() {
		return c.position(bytes.Clone(c.m.key()), true)
	}
	return c.step(c.m.prev, true)
}

// step moves by one key. The state was current a moment ago; should its pages
// be reused during the move, the cursor finds its place by the key.
func (c *Cursor) step(move func() bool, before bool) bool {
	c.last = append(c.last[:0], c.m.key()...)
	c.ok = move()
	if err := c.m.err(); !errors.Is(err, pagestore.ErrStale) {
		return c.settled(c.tx.db.pageError(err))
	}
	if !before {
		c.last = append(c.last, 0)
	}
	return c.position(bytes.Clone(c.last), before)
}

// Key returns the current key, without the keyspace, valid until the next move. REQUIRES: the cursor stands on a key.
func (c *Cursor) Key() []byte {
	if !c.ok {
		return nil
	}
	return c.m.key()[prefixSize:]
}

// Value returns the current value, valid until the next move. REQUIRES: the cursor stands on a key.
func (c *Cursor) Value() ([]byte, error) {
	if !c.ok {
		return nil, ErrNotFound
	}
	if !c.enter() {
		return nil, c.err
	}
	defer c.tx.leave()
	value, err := c.m.value()
	if errors.Is(err, pagestore.ErrStale) {
		// A snapshot sees the key in a newer state, too.
		if !c.position(bytes.Clone(c.m.key()), false) {
			return nil, c.err
		}
		value, err = c.m.value()
	}
	return value, c.tx.db.pageError(err)
}

// Err returns what stopped the cursor, nil at the end of the range.
func (c *Cursor) Err() error { return c.err }

// Close releases the cursor. It may be called more than once.
func (c *Cursor) Close() {
	if c.closed || !c.tx.busy.CompareAndSwap(false, true) {
		return
	}
	defer c.tx.leave()
	if c.closed { // the end of the transaction came first
		return
	}
	c.flush()
	delete(c.tx.cursors, c)
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
	c.shut()
	if c.err == nil && (c.ok || c.st == nil) {
		c.err = err
	}
	c.closed, c.ok = true, false
	c.m.layers, c.st = nil, nil
}

// begin starts a run of reading at the key that was sought.
func (c *Cursor) begin(ikey []byte, before bool) {
	if c.track {
		c.from, c.back, c.running = bytes.Clone(ikey), before, true
	}
}

// turn ends the run and starts one in the other direction at the current key.
func (c *Cursor) turn(back bool) {
	c.flush()
	from := bytes.Clone(c.m.key())
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
			lo = bytes.Clone(c.m.key())
		}
	case c.ok:
		hi = successor(nil, c.m.key())
	}
	c.tx.reads.addSpan(lo, hi, c.ts)
}

// Item is one key and its value, both valid until the iteration goes on.
type Item struct{ Key, Value []byte }

// Scan iterates over a range in ascending order. An error ends the
// iteration; leaving the loop releases everything. The transaction may be used inside the loop.
func (tx *Txn) Scan(ks *Keyspace, r Range) iter.Seq2[Item, error] {
	return tx.iterate(ks, r, (*Cursor).First, (*Cursor).Next)
}

// Reverse is Scan in descending order.
func (tx *Txn) Reverse(ks *Keyspace, r Range) iter.Seq2[Item, error] {
	return tx.iterate(ks, r, (*Cursor).Last, (*Cursor).Prev)
}

func (tx *Txn) iterate(ks *Keyspace, r Range, first, next func(*Cursor) bool) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		c, err := tx.Cursor(ks, r)
		if err != nil {
			yield(Item{}, err)
			return
		}
		defer runtime.KeepAlive(tx)
		defer c.Close()
		for ok := first(c); ok; ok = next(c) {
			value, err := c.Value()
			if err != nil {
				yield(Item{}, err)
				return
			}
			if !yield(Item{c.Key(), value}, nil) {
				return
			}
		}
		if c.Err() != nil {
			yield(Item{}, c.Err())
		}
	}
}

// Keys is Scan without the values: large ones are not read.
func (tx *Txn) Keys(ks *Keyspace, r Range) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		c, err := tx.Cursor(ks, r)
		if err != nil {
			yield(nil, err)
			return
		}
		defer runtime.KeepAlive(tx)
		defer c.Close()
		for ok := c.First(); ok; ok = c.Next() {
			if !yield(c.Key(), nil) {
				return
			}
		}
		if c.Err() != nil {
			yield(nil, c.Err())
		}
	}
}
