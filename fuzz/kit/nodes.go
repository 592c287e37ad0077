package kit

import "sort"

// nodes numbers the events of all transactions that count:
//
//	read committed          commit
//	monotonic view          read, read, ..., commit
//	snapshot                snapshot, commit
//	serializable, strict    commit, at which all reads hold
//
// The events of transaction t are the nodes from first[t] up to first[t+1], in
// their order; the last one is its commit. Behind all of them stand the barriers
// of real time (see realTime).
type nodes struct {
	first    []int32
	barriers []int32 // transactions in the order of completion; barrier i is passed when i of them and all before have completed
}

// layout numbers the nodes.
func (c *checker) layout() {
	first := make([]int32, len(c.h.Txns)+1)
	for t := range c.h.Txns {
		first[t+1] = first[t] + c.events(int32(t))
	}
	c.nodes = nodes{first: first}
	for t := range c.h.Txns {
		if c.timed(int32(t)) && c.h.Txns[t].Status == Committed && c.h.Txns[t].Completed != 0 {
			c.nodes.barriers = append(c.nodes.barriers, int32(t))
		}
	}
	sort.SliceStable(c.nodes.barriers, func(i, j int) bool {
		return c.end(c.nodes.barriers[i]) < c.end(c.nodes.barriers[j])
	})
}

func (c *checker) events(t int32) int32 {
	if !c.counted[t] {
		return 0
	}
	switch txn := &c.h.Txns[t]; txn.Level {
	case MonotonicView:
		return int32(len(txn.Ops)-countAppends(txn.Ops)) + 1
	case Snapshot:
		return 2
	default:
		return 1
	}
}

// timed reports whether real time binds a transaction.
func (c *checker) timed(t int32) bool {
	return c.counted[t] && (c.opts.RealTime || c.h.Txns[t].Level == StrictSerializable)
}

func (n *nodes) commit(t int32) int32 { return n.first[t+1] - 1 }

// begin is the first event.
func (n *nodes) begin(t int32) int32 { return n.first[t] }

func (n *nodes) barrier(i int) int32 { return n.first[len(n.first)-1] + int32(i) }

func (n *nodes) isBarrier(node int32) bool { return node >= n.first[len(n.first)-1] }

func (n *nodes) count() int { return int(n.barrier(len(n.barriers))) }

// txn returns whose event a node is. REQUIRES: it is not a barrier.
func (n *nodes) txn(node int32) int32 {
	return int32(sort.Search(len(n.first), func(t int) bool { return n.first[t] > node })) - 1
}

// readEvent is the event at which an observation was made.
func (c *checker) readEvent(r observation) int32 {
	if c.h.Txns[r.txn].Level == MonotonicView {
		return c.nodes.begin(r.txn) + r.event
	}
	if c.h.Txns[r.txn].Level == Snapshot {
		return c.nodes.begin(r.txn)
	}
	return c.nodes.commit(r.txn)
}

// writeEvent is the event before which all earlier versions of a key must be
// committed when the transaction writes it: at Snapshot the first updater wins.
func (c *checker) writeEvent(t int32) int32 {
	if c.h.Txns[t].Level == Snapshot {
		return c.nodes.begin(t)
	}
	return c.nodes.commit(t)
}
