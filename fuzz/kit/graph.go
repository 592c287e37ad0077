package kit

import (
	"math"
	"sort"
)

// eventGraph holds edges by their source: those of node n are from head[n] up to head[n+1].
type eventGraph struct {
	head []int32
	to   []int32
	kind []EdgeKind
	key  []int32 // index of a key, for the kinds that have one
}

// arc is an edge on its way into the graph.
type arc struct {
	from, to int32
	kind     EdgeKind
	key      int32
}

// build makes the graph of events (K2). It goes through all edges twice, first
// to count them, so that nothing is held twice. It reports false when there are
// too many.
func (c *checker) build() (*eventGraph, bool) {
	n := c.nodes.count()
	count := make([]int32, n+1)
	total := 0
	c.edges(func(a arc) { count[a.from+1]++; total++ })
	if total > math.MaxInt32 {
		c.malformed(0, "%d edges are too many for one check; check in epochs", total)
		return nil, false
	}
	for i := 1; i <= n; i++ {
		count[i] += count[i-1]
	}
	g := &eventGraph{head: count, to: make([]int32, total), kind: make([]EdgeKind, total), key: make([]int32, total)}
	at := make([]int32, n)
	copy(at, count)
	c.edges(func(a arc) {
		i := at[a.from]
		at[a.from]++
		g.to[i], g.kind[i], g.key[i] = a.to, a.kind, a.key
	})
	return g, true
}

// edges calls emit for each edge.
func (c *checker) edges(emit func(arc)) {
	for t := range c.h.Txns {
		for e := c.nodes.first[t] + 1; e < c.nodes.first[t+1]; e++ {
			emit(arc{from: e - 1, to: e, kind: intra})
		}
	}
	for key := range c.orders {
		c.writes(int32(key), emit)
	}
	for _, r := range c.obs {
		c.reads(r, emit)
	}
	if c.opts.Sessions {
		c.sessions(emit)
	}
	c.realTime(emit)
}

// writes emits the edges between the versions of a key.
func (c *checker) writes(key int32, emit func(arc)) {
	o := &c.orders[key]
	for i := 1; i < len(o.writer); i++ {
		if from, to := o.writer[i-1], o.writer[i]; from != to && from != none {
			emit(arc{c.nodes.commit(from), c.writeEvent(to), WW, key})
		}
	}
	last := o.writer[len(o.writer)-1]
	for _, to := range o.unread {
		if last != none && to != last {
			emit(arc{c.nodes.commit(last), c.writeEvent(to), WW, key})
		}
	}
}

// reads emits the edges from the writer of what was read, and to the writer of
// what comes after it.
func (c *checker) reads(r observation, emit func(arc)) {
	o := &c.orders[r.key]
	if w := o.writer[r.length]; w != none && w != r.txn {
		emit(arc{c.nodes.commit(w), c.readEvent(r), WR, r.key})
	}
	from := c.readEvent(r)
	switch {
	case r.held:
		from = c.nodes.commit(r.txn)
	case c.h.Txns[r.txn].Level == ReadCommitted:
		return
	}
	kind := RW
	if r.absent {
		kind = PredicateRW
	}
	if next := o.next[r.length]; next != none {
		if next != r.txn {
			emit(arc{from, c.nodes.commit(next), kind, r.key})
		}
		return
	}
	c.readsOfTheLast(r, arc{from: from, kind: kind, key: r.key}, emit)
}

// maxUnread bounds how many appends that nobody read get an edge from each
// reader of the state before them.
const maxUnread = 16

// readsOfTheLast emits the edges to appends that nobody read.
func (c *checker) readsOfTheLast(r observation, a arc, emit func(arc)) {
	o := &c.orders[r.key]
	if len(o.unread) == 0 {
		return
	}
	_, loser := c.lost[keyTxn{r.key, r.txn}]
	for _, to := range o.unread[:min(len(o.unread), maxUnread)] {
		if _, both := c.lost[keyTxn{r.key, to}]; to == r.txn || loser && both {
			continue
		}
		a.to = c.nodes.commit(to)
		emit(a)
	}
}

// sessions emits an edge from each transaction to the next of its process. One
// with an unknown outcome may commit later, and leads nowhere.
func (c *checker) sessions(emit func(arc)) {
	last := map[int]int32{}
	for t := range c.h.Txns {
		txn := &c.h.Txns[t]
		if !c.counted[t] {
			continue
		}
		if before, ok := last[txn.Process]; ok {
			emit(arc{from: c.nodes.commit(before), to: c.nodes.begin(int32(t)), kind: SessionEdge})
		}
		if txn.Status == Committed {
			last[txn.Process] = int32(t)
		}
	}
}

// realTime emits the order of transactions that did not overlap. There are
// quadratically many such pairs, so they go through a chain of barriers, one for
// each completion: a transaction that completed leads to its barrier, a barrier
// to the next one, and the last barrier before an invocation to the transaction.
func (c *checker) realTime(emit func(arc)) {
	b := c.nodes.barriers
	for i, t := range b {
		emit(arc{from: c.nodes.commit(t), to: c.nodes.barrier(i), kind: RealTime})
		if i+1 < len(b) {
			emit(arc{from: c.nodes.barrier(i), to: c.nodes.barrier(i + 1), kind: RealTime})
		}
	}
	if len(b) == 0 {
		return
	}
	for t := range c.h.Txns {
		invoked := c.h.Txns[t].Invoked
		if invoked == 0 || !c.timed(int32(t)) {
			continue
		}
		if before := sort.Search(len(b), func(i int) bool { return c.end(b[i]) >= invoked }); before > 0 {
			emit(arc{from: c.nodes.barrier(before - 1), to: c.nodes.begin(int32(t)), kind: RealTime})
		}
	}
}
