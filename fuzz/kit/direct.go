package kit

import "fmt"

// direct finds the anomalies that show in a single list.
func (c *checker) direct() {
	for key := range c.orders {
		o := &c.orders[key]
		for i, a := range o.appends {
			c.judge(o.reader, int32(key), o.longest[i], a)
		}
		c.dirtyUpdate(int32(key))
	}
	for _, r := range c.obs {
		c.intermediate(r)
	}
}

// judge reports a value that should not have been read at all.
func (c *checker) judge(reader, key int32, v Value, a int32) {
	if a == none {
		if _, known := c.byValue[element{key, v}]; !known {
			c.found(Garbage, []int{int(reader)}, func() string {
				return fmt.Sprintf("%s read value %d at key %d, which nobody appended there", txnName(int(reader)), v, c.keys[key])
			})
		}
		return
	}
	if w := c.appends[a].txn; c.h.Txns[w].Status == Aborted {
		c.found(G1a, []int{int(w), int(reader)}, func() string {
			return fmt.Sprintf("%s read value %d at key %d, which %s appended, and %s aborted",
				txnName(int(reader)), v, c.keys[key], txnName(int(w)), txnName(int(w)))
		})
	}
}

// dirtyUpdate reports each committed element directly behind an aborted one.
func (c *checker) dirtyUpdate(key int32) {
	o := &c.orders[key]
	for i := 1; i < len(o.appends); i++ {
		a, b := o.appends[i-1], o.appends[i]
		if a == none || b == none {
			continue
		}
		aborted, committed := c.appends[a].txn, c.appends[b].txn
		if c.h.Txns[aborted].Status != Aborted || !c.counted[committed] {
			continue
		}
		c.found(DirtyUpdate, []int{int(aborted), int(committed)}, func() string {
			return fmt.Sprintf("%s committed value %d of key %d behind value %d of %s, which aborted", txnName(int(committed)),
				o.longest[i], c.keys[key], o.longest[i-1], txnName(int(aborted)))
		})
	}
}

// intermediate looks at the last element of what was read.
func (c *checker) intermediate(r observation) {
	o := &c.orders[r.key]
	if r.length == 0 || o.appends[r.length-1] == none {
		return
	}
	a := &c.appends[o.appends[r.length-1]]
	switch reader := txnName(int(r.txn)); {
	case a.txn == r.txn:
		c.found(Internal, []int{int(r.txn)}, func() string {
			return fmt.Sprintf("%s read its own value %d at key %d before it appended it", reader, a.value, c.keys[r.key])
		})
	case !a.final && c.counted[a.txn]:
		c.found(G1b, []int{int(a.txn), int(r.txn)}, func() string {
			return fmt.Sprintf("%s read key %d up to value %d, after which %s appended more to it",
				reader, c.keys[r.key], a.value, txnName(int(a.txn)))
		})
	}
}

// lostUnobserved finds lost updates that no list shows, since nobody read the
// key again: two transactions read its last known version and both wrote it.
// Those that a list shows are cycles.
func (c *checker) lostUnobserved() {
	c.lost = map[keyTxn]struct{}{}
	for key := range c.orders {
		var losers []int
		for _, t := range c.orders[key].unread {
			if c.protects(t, int32(key)) {
				losers = append(losers, int(t))
			}
		}
		if len(losers) > 1 {
			c.reportLost(int32(key), losers)
		}
	}
}

func (c *checker) reportLost(key int32, losers []int) {
	for _, t := range losers {
		c.lost[keyTxn{key, int32(t)}] = struct{}{}
	}
	o := &c.orders[key]
	c.found(LostUpdate, losers[:2], func() string {
		return fmt.Sprintf("%s and %s both read key %d as %s, or without own appends so, and then appended to it",
			txnName(losers[0]), txnName(losers[1]), c.keys[key], listString(o.longest))
	})
}

// protects reports whether a transaction read the last known version of a key
// and may rely on it when it writes.
func (c *checker) protects(t, key int32) bool {
	for _, r := range c.obs[c.obsOf[t].from:c.obsOf[t].to] {
		if r.key == key && int(r.length) == len(c.orders[key].longest) && (r.held || c.h.Txns[t].Level >= Snapshot) {
			return true
		}
	}
	return false
}

// keyTxn is a transaction at a key.
type keyTxn struct{ key, txn int32 }
