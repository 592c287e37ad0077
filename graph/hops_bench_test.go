package graph

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/sombradb/sombra/mvcc"
)

// BenchmarkHops asks for the nodes up to three steps away in an R-MAT graph, beside the same question to an array in
// memory, which is the limit. "hit" is the part of the lists that were found in the cache.
func BenchmarkHops(b *testing.B) {
	var offsets [rmatNodes + 2]uint32
	type edge struct{ src, dst NodeID }
	var edges []edge
	opts := &Options{mvcc.Options{MemoryBudget: 180 << 20}}
	db, err := Load(bg, filepath.Join(b.TempDir(), "graph"), opts, func(l *Loader) error {
		for range rmatNodes {
			if _, err := l.CreateNode(nil, nil); err != nil {
				return err
			}
		}
		return rmat(rmatNodes, rmatEdges, func(src, dst NodeID) error {
			edges = append(edges, edge{src, dst})
			offsets[src+1]++
			_, err := l.CreateEdge(src, dst, "R", nil)
			return err
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for n := range offsets[1:] {
		offsets[n+1] += offsets[n]
	}
	next, targets := offsets, make([]uint32, len(edges))
	for _, e := range edges {
		targets[next[e.src]] = uint32(e.dst)
		next[e.src]++
	}
	starts := make([]NodeID, 1000)
	for i := range starts {
		starts[i] = edges[i*997].src
	}
	for depth := 1; depth <= 3; depth++ {
		sum := 0
		b.Run(fmt.Sprintf("%d/array", depth), func(b *testing.B) {
			seen, epoch, queue := make([]uint32, rmatNodes+1), uint32(0), []uint32(nil)
			i := 0
			for b.Loop() {
				start := starts[i%len(starts)]
				i++
				epoch++
				queue = append(queue[:0], uint32(start))
				seen[start] = epoch
				for from, d := 0, 0; d < depth && from < len(queue); d++ {
					end := len(queue)
					for _, n := range queue[from:end] {
						for _, to := range targets[offsets[n]:offsets[n+1]] {
							if seen[to] != epoch {
								seen[to] = epoch
								queue = append(queue, to)
							}
						}
					}
					from = end
				}
				sum += len(queue)
			}
		})
		b.Run(fmt.Sprintf("%d/graph", depth), func(b *testing.B) {
			b.ReportAllocs()
			before := db.Adjacency()
			i := 0
			for b.Loop() {
				start := starts[i%len(starts)]
				i++
				view(b, db, func(tx *Txn) {
					if depth == 1 {
						for id := range tx.Neighbors(start, Out, "R") {
							sum += int(id)
						}
						return
					}
					for v := range tx.BFS(start, Traversal{Types: []string{"R"}, MaxDepth: depth}) {
						sum += v.Depth
					}
				})
			}
			m := db.Adjacency()
			hits, misses := m.Hits-before.Hits, m.Misses-before.Misses
			b.ReportMetric(float64(hits)/float64(max(hits+misses, 1)), "hit")
			b.ReportMetric(float64(m.Bytes), "cache-B")
		})
	}
}
