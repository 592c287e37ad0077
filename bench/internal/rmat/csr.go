package rmat

import (
	"slices"
	"sync"
)

// CSR is a graph as compressed sparse rows in memory: the destinations of all edges in one array. It is what memory allows
// at best, and the model that answers of databases are compared with. Immutable; safe for concurrent use.
type CSR struct {
	offsets, targets []uint32
	scratch          sync.Pool // of *search
}

// search is what one traversal knows.
type search struct {
	epoch uint32
	seen  []uint32 // epoch in which a node was seen, so that nothing is cleared between two searches
	queue []uint32
}

// NewCSR lays a graph out.
func NewCSR(g *Graph) *CSR {
	c := &CSR{offsets: make([]uint32, g.Nodes+1), targets: make([]uint32, 0, len(g.Edges))}
	for _, e := range g.Edges {
		c.offsets[e.Src+1]++
		c.targets = append(c.targets, e.Dst)
	}
	for n := range g.Nodes {
		c.offsets[n+1] += c.offsets[n]
	}
	c.scratch.New = func() any { return &search{seen: make([]uint32, g.Nodes)} }
	return c
}

// Unlimited is the depth of a traversal that ends where the graph does.
const Unlimited = int(^uint(0) >> 1)

// levels calls fn with the nodes of each distance from a start, from 1 to depth, until there are none or fn returns false.
func (c *CSR) levels(start uint32, depth int, fn func(distance int, nodes []uint32) bool) {
	m := c.scratch.Get().(*search)
	defer c.scratch.Put(m)
	if m.epoch++; m.epoch == 0 { // wrapped around
		clear(m.seen)
		m.epoch = 1
	}
	m.queue = append(m.queue[:0], start)
	m.seen[start] = m.epoch
	from := 0
	for distance := 1; distance <= depth; distance++ {
		end := len(m.queue)
		for _, n := range m.queue[from:end] {
			for _, to := range c.targets[c.offsets[n]:c.offsets[n+1]] {
				if m.seen[to] != m.epoch {
					m.seen[to] = m.epoch
					m.queue = append(m.queue, to)
				}
			}
		}
		if len(m.queue) == end || !fn(distance, m.queue[end:]) {
			return
		}
		from = end
	}
}

// Reach is a set of nodes, as far as answers are compared: how many, the sum of their numbers and of their distances.
type Reach struct {
	Nodes     int    `json:"nodes"`
	Sum       uint64 `json:"sum"`
	Distances uint64 `json:"distances,omitempty"`
}

// Add adds a node.
func (r *Reach) Add(node uint64, distance int) {
	r.Nodes++
	r.Sum += node
	r.Distances += uint64(distance)
}

// Reach finds the nodes that are at most depth edges away from a start, which is left out.
func (c *CSR) Reach(start uint32, depth int) (r Reach) {
	c.levels(start, depth, func(distance int, nodes []uint32) bool {
		r.Nodes += len(nodes)
		r.Distances += uint64(distance) * uint64(len(nodes))
		for _, n := range nodes {
			r.Sum += uint64(n)
		}
		return true
	})
	return r
}

// Distance returns the number of edges of a shortest path, -1 if there is none.
func (c *CSR) Distance(from, to uint32) int {
	found := -1
	if from == to {
		return 0
	}
	c.levels(from, Unlimited, func(distance int, nodes []uint32) bool {
		if slices.Contains(nodes, to) {
			found = distance
		}
		return found < 0
	})
	return found
}

// Degree returns how many edges leave a node.
func (c *CSR) Degree(node uint32) int { return int(c.offsets[node+1] - c.offsets[node]) }
