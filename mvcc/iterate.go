package mvcc

import (
	"iter"
	"runtime"
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
	c, err := tx.Cursor(ks, r)
	if err != nil {
		yield(Item{}, err)
		return
	}
	defer runtime.KeepAlive(tx)
	defer c.Close()
	for ok := c.start(back); ok; ok = c.atHand(back) || c.readOn(back) {
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
