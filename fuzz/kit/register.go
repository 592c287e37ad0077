package kit

import (
	"fmt"
	"slices"
)

// element is a value in a list.
type element struct {
	key   int32
	value Value
}

// appended is one append operation of the history.
type appended struct {
	element
	txn int32
	// place is one more than the position in the order of the key, or 0 when
	// nobody read the value.
	place int32
	final bool // the transaction appends nothing more to the key
}

// register numbers the keys and finds the writer of each value.
func (c *checker) register() {
	c.number()
	c.own = make([]local, len(c.keys))
	c.orders = make([]keyOrder, len(c.keys))
	c.present = make([]int32, len(c.keys))
	n := 0
	for i := range c.h.Txns {
		n += countAppends(c.h.Txns[i].Ops)
	}
	c.appends = make([]appended, 0, n)
	c.byValue = make(map[element]int32, n)
	for i := range c.h.Txns {
		c.registerTxn(int32(i))
	}
}

func countAppends(ops []Op) (n int) {
	for i := range ops {
		if ops[i].Kind == OpAppend {
			n++
		}
	}
	return n
}

// number gives each key of the history its index.
func (c *checker) number() {
	c.keyIndex = map[Key]int32{}
	for i := range c.h.Txns {
		for n := range c.h.Txns[i].Ops {
			o := &c.h.Txns[i].Ops[n]
			if o.Kind != OpReadRange {
				c.keyIndex[o.Key] = 0
			}
			for _, r := range o.Rows {
				c.keyIndex[r.Key] = 0
			}
		}
	}
	c.keys = make([]Key, 0, len(c.keyIndex))
	for k := range c.keyIndex {
		c.keys = append(c.keys, k)
	}
	slices.Sort(c.keys)
	for i, k := range c.keys {
		c.keyIndex[k] = int32(i)
	}
}

func (c *checker) registerTxn(t int32) {
	ops := c.h.Txns[t].Ops
	first := len(c.appends)
	for n := range ops {
		if ops[n].Kind != OpAppend {
			continue
		}
		e := element{c.keyIndex[ops[n].Key], ops[n].Value}
		if before, twice := c.byValue[e]; twice {
			c.found(Malformed, []int{int(c.appends[before].txn), int(t)}, func() string {
				return fmt.Sprintf("value %d is appended to key %d twice: the order of a key cannot be told",
					e.value, ops[n].Key)
			})
			continue
		}
		c.byValue[e] = int32(len(c.appends))
		c.appends = append(c.appends, appended{element: e, txn: t})
	}
	c.markFinal(t, c.appends[first:])
}

// markFinal finds the last append of a transaction to each of its keys.
func (c *checker) markFinal(t int32, list []appended) {
	for i := len(list) - 1; i >= 0; i-- {
		if scratch := &c.own[list[i].key]; scratch.stamp != t+1 {
			scratch.stamp = t + 1
			list[i].final = true
		}
	}
}
