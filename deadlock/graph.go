package deadlock

import "time"

// TxnID identifies a transaction.
type TxnID uint64

// Waiter is one waiting transaction as the lock manager saw it.
type Waiter struct {
	ID       TxnID   // unique in a graph; of several with one id, the first counts
	WaitSeq  uint64  // changes with every wait, so that a stale picture is recognised
	Blockers []TxnID // everyone it waits for: holders, and waiters ahead of it in the queue

	// What the choice of the victim looks at.
	Priority int
	Retries  int
	Work     int64  // bytes written plus locks held
	Began    uint64 // birth order: a higher number is younger
}

// Lock names a lock in the user's terms.
type Lock struct {
	Key  string
	Mode string
}

// Party is one transaction of a cycle, as reported to people.
type Party struct {
	ID        TxnID
	Label     string        // the user's name for it; may be empty
	Isolation string        // may be empty
	Age       time.Duration // since it began
	Waited    time.Duration // since the wait that is part of the cycle began
	Priority  int
	Retries   int
	Work      int64
	Holds     []Lock // what it holds that another party wants
	Wants     Lock
	Victim    bool
}

// graph holds the edges between waiting transactions by position in the input:
// the successors of node i are to[from[i]:from[i+1]].
type graph struct {
	from []int
	to   []int
}

func newGraph(waiters []Waiter) graph {
	position := make(map[TxnID]int, len(waiters))
	edges := 0
	for i := range waiters {
		if _, known := position[waiters[i].ID]; !known {
			position[waiters[i].ID] = i
		}
		edges += len(waiters[i].Blockers)
	}
	g := graph{from: make([]int, 1, len(waiters)+1), to: make([]int, 0, edges)}
	for i := range waiters {
		for _, id := range waiters[i].Blockers {
			if j, waits := position[id]; waits {
				g.to = append(g.to, j)
			}
		}
		g.from = append(g.from, len(g.to))
	}
	return g
}

func (g *graph) nodes() int { return len(g.from) - 1 }

func (g *graph) next(node int) []int { return g.to[g.from[node]:g.from[node+1]] }

// loops reports whether a node waits for itself.
func (g *graph) loops(node int) bool {
	for _, to := range g.next(node) {
		if to == node {
			return true
		}
	}
	return false
}
