package graphdb

import (
	"context"
	"errors"
	"sync"

	"github.com/sombradb/sombra/bench/internal/rmat"
)

// CSR returns the graph as compressed sparse rows in memory: the destinations of all edges in one array.
func CSR() Kind {
	return Kind{
		Name: "CSR array", About: "offsets and destinations in two arrays in memory; the physical limit, not a database", Volatile: true,
		Open: func(string, Config) (Graph, error) { return &csr{}, nil },
	}
}

type csr struct {
	offsets, targets []uint32
	scratch          sync.Pool // of *marks
}

// marks tells which nodes have been seen, without being cleared between two searches.
type marks struct {
	epoch uint32
	seen  []uint32
	queue []uint32
}

func (c *csr) Import(_ context.Context, g *rmat.Graph) error {
	c.offsets = make([]uint32, g.Nodes+1)
	c.targets = make([]uint32, 0, len(g.Edges))
	for _, e := range g.Edges {
		c.offsets[e.Src+1]++
		c.targets = append(c.targets, e.Dst)
	}
	for n := range g.Nodes {
		c.offsets[n+1] += c.offsets[n]
	}
	c.scratch.New = func() any { return &marks{seen: make([]uint32, g.Nodes)} }
	return nil
}

func (c *csr) Hops(_ context.Context, start uint32, depth int) (Reach, error) {
	m := c.scratch.Get().(*marks)
	defer c.scratch.Put(m)
	if m.epoch++; m.epoch == 0 { // wrapped around
		clear(m.seen)
		m.epoch = 1
	}
	var r Reach
	m.queue = append(m.queue[:0], start)
	m.seen[start] = m.epoch
	for from := 0; depth > 0 && from < len(m.queue); depth-- {
		end := len(m.queue)
		for _, n := range m.queue[from:end] {
			for _, to := range c.targets[c.offsets[n]:c.offsets[n+1]] {
				if m.seen[to] != m.epoch {
					m.seen[to] = m.epoch
					m.queue = append(m.queue, to)
					r.add(uint64(to))
				}
			}
		}
		from = end
	}
	return r, nil
}

var errVolatile = errors.New("peers: an array in memory keeps no nodes")

func (c *csr) Insert(context.Context, int64) error     { return errVolatile }
func (c *csr) Inserted(context.Context) (Reach, error) { return Reach{}, errVolatile }
func (c *csr) Close() error                            { return nil }
