package kit

import (
	"fmt"
	"slices"
)

// none is the writer of a position that has none: garbage, an aborted
// transaction, or a value that is in the list for the second time.
const none = -1

// keyOrder is the order of the versions of a key: the longest list that was
// read (K1).
//
// A version is a run of elements of one transaction. Positions whose writer is
// none belong to the version before them.
type keyOrder struct {
	longest []Value
	reader  int32   // who read it
	appends []int32 // by position: index into checker.appends, or none
	forked  bool    // another list that was read does not fit

	// Filled by resolve:
	writer []int32 // by length of a list: whose version it ends with, or none for the initial one
	next   []int32 // by length of a list: who wrote the version behind that, or none
	// Appends that nobody read, and that are behind all others therefore; one for
	// each transaction, those first that completed first.
	unread []int32
}

// offer takes a list as part of the order of its key, and reports whether it fits.
func (c *checker) offer(t, key int32, list []Value) bool {
	o := &c.orders[key]
	common := min(len(list), len(o.longest))
	if !slices.Equal(list[:common], o.longest[:common]) {
		c.fork(t, key, list)
		return false
	}
	if len(list) > common {
		o.longest, o.reader = list, t
		for _, v := range list[common:] {
			o.appends = append(o.appends, c.sighted(key, v))
		}
	}
	return true
}

// sighted returns the append of a value that was read, or none. Whoever made it
// did commit, unless it is known that it did not.
func (c *checker) sighted(key int32, v Value) int32 {
	a, ok := c.byValue[element{key, v}]
	if !ok {
		return none
	}
	if t := c.appends[a].txn; c.h.Txns[t].Status == Unknown && !c.counted[t] {
		c.pending = append(c.pending, t)
	}
	return a
}

// fork reports two lists of which neither is the beginning of the other.
func (c *checker) fork(t, key int32, list []Value) {
	o := &c.orders[key]
	o.forked = true
	for i, v := range list {
		if a := c.sighted(key, v); i >= len(o.longest) || v != o.longest[i] {
			c.judge(t, key, v, a)
		}
	}
	c.found(IncompatibleOrder, []int{int(o.reader), int(t)}, func() string {
		return fmt.Sprintf("%s read key %d as %s and %s as %s: neither is the beginning of the other",
			txnName(int(o.reader)), c.keys[key], listString(o.longest), txnName(int(t)), listString(list))
	})
}

// resolve turns the longest lists into versions, and finds the appends that
// nobody read.
func (c *checker) resolve() {
	for key := range c.orders {
		c.place(int32(key))
	}
	for i := range c.appends {
		a := &c.appends[i]
		if a.place != 0 || !c.counted[a.txn] || c.orders[a.key].forked {
			continue
		}
		// Appends are in the order of transactions.
		unread := &c.orders[a.key].unread
		if n := len(*unread); n == 0 || (*unread)[n-1] != a.txn {
			*unread = append(*unread, a.txn)
		}
	}
	for key := range c.orders {
		slices.SortStableFunc(c.orders[key].unread, c.byCompletion)
	}
}

// place gives each append that was read its position, and each position its
// neighbours.
func (c *checker) place(key int32) {
	o := &c.orders[key]
	n := len(o.appends)
	o.writer = make([]int32, n+1)
	o.next = make([]int32, n+1)
	o.writer[0] = none
	for i, a := range o.appends {
		o.writer[i+1] = o.writer[i]
		if a == none {
			continue
		}
		if c.appends[a].place != 0 {
			c.duplicate(key, i, a)
			o.appends[i] = none
			continue
		}
		c.appends[a].place = int32(i + 1)
		if c.counted[c.appends[a].txn] {
			o.writer[i+1] = c.appends[a].txn
		}
	}
	o.next[n] = none
	for i := n - 1; i >= 0; i-- {
		o.next[i] = o.next[i+1]
		if o.writer[i+1] != o.writer[i] {
			o.next[i] = o.writer[i+1]
		}
	}
}

func (c *checker) duplicate(key int32, position int, a int32) {
	o := &c.orders[key]
	c.found(Duplicate, []int{int(o.reader), int(c.appends[a].txn)}, func() string {
		return fmt.Sprintf("%s read value %d of %s at positions %d and %d of key %d: %s", txnName(int(o.reader)),
			c.appends[a].value, txnName(int(c.appends[a].txn)), c.appends[a].place-1, position, c.keys[key], listString(o.longest))
	})
}

// byCompletion orders transactions by their end; those without one come last.
func (c *checker) byCompletion(a, b int32) int {
	return int(min(max(c.end(a)-c.end(b), -1), 1))
}

// end returns when a transaction was known to be complete, as far as it is known.
func (c *checker) end(t int32) int64 {
	const never = 1 << 62
	if txn := &c.h.Txns[t]; txn.Status == Committed && txn.Completed != 0 {
		return txn.Completed
	}
	return never
}
