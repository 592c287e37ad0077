package kit

import (
	"fmt"
	"slices"
)

// observation is what a transaction learned about a key: how many elements the
// list had without its own appends.
type observation struct {
	txn    int32
	key    int32
	length int32
	event  int32 // ordinal of the read operation within the transaction
	absent bool  // a range read did not find the key
	held   bool
}

// local is what a transaction knows of a key while it is being visited.
type local struct {
	stamp int32 // number of the transaction, plus one
	held  bool
	read  bool
	base  []Value // what it read last, without own appends
	own   []Value // what it appended so far
}

// read is a read of one key on its way into the observations.
type read struct {
	txn, key, event int32
	list            []Value
	absent, held    bool
}

// observe visits all transactions that count as committed. An unknown one is
// visited when it turns out that something of it was read.
func (c *checker) observe() {
	clear(c.own)
	c.counted = make([]bool, len(c.h.Txns))
	c.obsOf = make([]span, len(c.h.Txns))
	for t := range c.h.Txns {
		if c.h.Txns[t].Status == Committed {
			c.visit(int32(t))
		}
	}
	for len(c.pending) > 0 {
		t := c.pending[len(c.pending)-1]
		c.pending = c.pending[:len(c.pending)-1]
		if !c.counted[t] {
			c.visit(t)
		}
	}
}

func (c *checker) visit(t int32) {
	c.counted[t] = true
	c.report.Committed++
	first, event := int32(len(c.obs)), int32(0)
	ops := c.h.Txns[t].Ops
	for n := range ops {
		switch o := &ops[n]; o.Kind {
		case OpAppend:
			l := c.localOf(t, c.keyIndex[o.Key])
			l.own = append(l.own, o.Value)
		case OpRead:
			c.read(read{txn: t, key: c.keyIndex[o.Key], event: event, list: o.List, held: o.Held})
			event++
		case OpReadRange:
			c.readRange(t, event, o)
			event++
		}
	}
	c.obsOf[t] = span{first, int32(len(c.obs))}
}

func (c *checker) localOf(t, key int32) *local {
	l := &c.own[key]
	if l.stamp != t+1 {
		*l = local{stamp: t + 1, own: l.own[:0]}
	}
	return l
}

// readRange takes a range read apart: the rows, and all keys that it did not find.
func (c *checker) readRange(t, event int32, o *Op) {
	c.ranges++
	for _, r := range o.Rows {
		key := c.keyIndex[r.Key]
		if r.Key < o.Key || r.Key >= o.End || c.present[key] == c.ranges {
			c.found(Garbage, []int{int(t)}, func() string {
				return fmt.Sprintf("%s read [%d,%d) and was given key %d, outside of it or for the second time",
					txnName(int(t)), o.Key, o.End, r.Key)
			})
			continue
		}
		c.present[key] = c.ranges
		c.read(read{txn: t, key: key, event: event, list: r.List, held: o.Held})
	}
	from, _ := slices.BinarySearch(c.keys, o.Key)
	for key := int32(from); int(key) < len(c.keys) && c.keys[key] < o.End; key++ {
		if c.present[key] != c.ranges {
			c.read(read{txn: t, key: key, event: event, absent: true, held: o.Held})
		}
	}
}

// read compares a read with what the transaction did itself, and passes on the
// rest: what others must have done.
func (c *checker) read(r read) {
	l := c.localOf(r.txn, r.key)
	base, ok := withoutOwn(r.list, l.own)
	if !ok {
		c.found(Internal, []int{int(r.txn)}, func() string {
			return fmt.Sprintf("%s had appended %s to key %d and then read %s there, which does not end with it",
				txnName(int(r.txn)), listString(l.own), c.keys[r.key], listString(r.list))
		})
		return
	}
	again := false
	if c.h.Txns[r.txn].Level >= Snapshot && l.read {
		if !slices.Equal(base, l.base) {
			c.changed(r, base, l.base)
		} else {
			again = l.held || !r.held
		}
	}
	l.read, l.base, l.held = true, base, l.held || r.held
	if !again && c.offer(r.txn, r.key, base) {
		c.obs = append(c.obs, observation{r.txn, r.key, int32(len(base)), r.event, r.absent, r.held})
	}
}

func (c *checker) changed(r read, now, before []Value) {
	c.found(Internal, []int{int(r.txn)}, func() string {
		return fmt.Sprintf("%s, at level %v, read key %d as %s and later as %s, own appends left out",
			txnName(int(r.txn)), c.h.Txns[r.txn].Level, c.keys[r.key], listString(before), listString(now))
	})
}

// withoutOwn takes the transaction's own appends from the end of a list.
func withoutOwn(list, own []Value) ([]Value, bool) {
	base := len(list) - len(own)
	if base < 0 || !slices.Equal(list[base:], own) {
		return nil, false
	}
	return list[:base], true
}
