package mvcc

import (
	"iter"
	"runtime"

	"github.com/sombradb/sombra/pagestore"
)

// Item is one key and its value, both valid until the iteration goes on.
type Item struct{ Key, Value []byte }

// Scan iterates over a range in ascending order. An error ends the
// iteration; leaving the loop releases everything. The transaction may be used inside the loop.
func (tx *Txn) Scan(ks *Keyspace, r Range) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) { tx.iterate(ks, r, false, yield) }
}

// Reverse is Scan in descending order.
func (tx *Txn) Reverse(ks *Keyspace, r Range) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) { tx.iterate(ks, r, true, yield) }
}

func (tx *Txn) iterate(ks *Keyspace, r Range, back bool, yield func(Item, error) bool) {
	c, err := tx.borrow(ks, r)
	if err != nil {
		yield(Item{}, err)
		return
	}
	defer runtime.KeepAlive(tx)
	defer tx.giveBack(c)
	for ok := c.start(back); ok; ok = c.readOn(back) {
		if !c.yieldRows(back, yield) {
			return
		}
	}
	if c.Err() != nil {
		yield(Item{}, c.Err())
	}
}

// yieldRows yields the rows at hand from the current one on. It reports whether the iteration goes on.
func (c *Cursor) yieldRows(back bool, yield func(Item, error) bool) bool {
	if c.m.rows.Run.Active() {
		return c.yieldRun(yield)
	}
	for {
		// What yield does may drop rows that were not reached, or end the transaction.
		rows := &c.m.rows
		e := &rows.Entries[c.row]
		value := e.Value
		if c.lazy() || c.tx.killed.Load() != nil {
			var err error
			if value, err = c.Value(); err != nil {
				yield(Item{}, err)
				return false
			}
		}
		if !yield(Item{e.Key[prefixSize:], value}, nil) {
			return false
		}
		if !c.atHand(back) {
			return true
		}
	}
}

// yieldRun is yieldRows for records that are read in place. What yield does may cut the run.
func (c *Cursor) yieldRun(yield func(Item, error) bool) bool {
	return pagestore.Each(&c.m.rows.Run, prefixSize, &c.tx.killed, yield)
}

// Keys is Scan without the values: large ones are not read.
func (tx *Txn) Keys(ks *Keyspace, r Range) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) { tx.iterateKeys(ks, r, yield) }
}

func (tx *Txn) iterateKeys(ks *Keyspace, r Range, yield func([]byte, error) bool) {
	c, err := tx.borrow(ks, r)
	if err != nil {
		yield(nil, err)
		return
	}
	defer runtime.KeepAlive(tx)
	defer tx.giveBack(c)
	for ok := c.First(); ok; ok = c.Next() {
		if !yield(c.Key(), nil) {
			return
		}
	}
	if c.Err() != nil {
		yield(nil, c.Err())
	}
}

// borrow returns a cursor for an iteration, whose user never sees it: so it can be one that another iteration of the
// transaction has given back, with its buffers.
func (tx *Txn) borrow(ks *Keyspace, r Range) (*Cursor, error) {
	if err := tx.enter(); err != nil {
		return nil, err
	}
	defer tx.leave()
	c := tx.spare
	if tx.spare = nil; c == nil {
		c = &Cursor{tx: tx.txn}
	}
	if err := tx.openCursor(c, ks, r); err != nil {
		return nil, err
	}
	return c, nil
}

// giveBack closes the cursor of an iteration and keeps it for the next one, unless the transaction has ended meanwhile.
func (tx *Txn) giveBack(c *Cursor) {
	if !tx.state.CompareAndSwap(tx.turn, tx.turn|stateBusy) {
		c.Close()
		return
	}
	defer tx.leave()
	c.finish()
	c.recycle()
	tx.spare = c
}
