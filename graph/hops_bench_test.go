package graph

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/sombradb/sombra/mvcc"
)

// csr is the graph of BenchmarkHops as an array in memory: the limit of what a database can do.
type csr struct {
	offsets [rmatNodes + 2]uint32
	targets []uint32
	seen    []uint32
	epoch   uint32
	queue   []uint32
}

// loadHops makes the graph in a database and as an array, and picks nodes to start from.
func loadHops(b *testing.B) (*DB, *csr, []NodeID) {
	type edge struct{ src, dst NodeID }
	var edges []edge
	c := &csr{seen: make([]uint32, rmatNodes+1)}
	opts := &Options{Options: mvcc.Options{MemoryBudget: 180 << 20}}
	db, err := Load(bg, filepath.Join(b.TempDir(), "graph"), opts, func(l *Loader) error {
		for range rmatNodes {
			if _, err := l.CreateNode(nil, nil); err != nil {
				return err
			}
		}
		return rmat(rmatNodes, rmatEdges, func(src, dst NodeID) error {
			edges = append(edges, edge{src, dst})
			c.offsets[src+1]++
			_, err := l.CreateEdge(src, dst, "R", nil)
			return err
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	for n := range c.offsets[1:] {
		c.offsets[n+1] += c.offsets[n]
	}
	next := c.offsets
	c.targets = make([]uint32, len(edges))
	for _, e := range edges {
		c.targets[next[e.src]] = uint32(e.dst)
		next[e.src]++
	}
	starts := make([]NodeID, 1000)
	for i := range starts {
		starts[i] = edges[i*997].src
	}
	return db, c, starts
}

// reach counts the nodes that are up to depth steps away.
func (c *csr) reach(start NodeID, depth int) int {
	c.epoch++
	c.queue = append(c.queue[:0], uint32(start))
	c.seen[start] = c.epoch
	for from, d := 0, 0; d < depth && from < len(c.queue); d++ {
		end := len(c.queue)
		for _, n := range c.queue[from:end] {
			for _, to := range c.targets[c.offsets[n]:c.offsets[n+1]] {
				if c.seen[to] != c.epoch {
					c.seen[to] = c.epoch
					c.queue = append(c.queue, to)
				}
			}
		}
		from = end
	}
	return len(c.queue)
}

// reach does the same in the database.
func reach(b *testing.B, db *DB, start NodeID, depth int) (n int) {
	view(b, db, func(tx *Txn) {
		if depth == 1 {
			for _, err := range tx.Neighbors(start, Out, "R") {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			return
		}
		for _, err := range tx.BFS(start, Traversal{Types: []string{"R"}, MaxDepth: depth}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	})
	return n
}

// BenchmarkHops asks for the nodes up to three steps away in an R-MAT graph, beside the same question to an array in
// memory. "hit" is the part of the lists that were found in the cache, "cache-B" its bytes.
func BenchmarkHops(b *testing.B) {
	db, c, starts := loadHops(b)
	defer func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	}()
	for _, start := range starts[:100] {
		if got, want := reach(b, db, start, 3), c.reach(start, 3); got != want {
			b.Fatalf("from %d %d nodes can be reached, want %d", start, got, want)
		}
	}
	for depth := 1; depth <= 3; depth++ {
		b.Run(fmt.Sprintf("%d/array", depth), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				c.reach(starts[i%len(starts)], depth)
			}
		})
		b.Run(fmt.Sprintf("%d/graph", depth), func(b *testing.B) {
			b.ReportAllocs()
			before := db.Adjacency()
			for i := 0; b.Loop(); i++ {
				reach(b, db, starts[i%len(starts)], depth)
			}
			m := db.Adjacency()
			hits, misses := m.Hits-before.Hits, m.Misses-before.Misses
			b.ReportMetric(float64(hits)/float64(max(hits+misses, 1)), "hit")
			b.ReportMetric(float64(m.Bytes), "cache-B")
		})
	}
}
