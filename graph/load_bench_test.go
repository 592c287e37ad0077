package graph_test

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/sombradb/sombra/graph"
)

// BenchmarkLoad makes a graph with two indexes and ten times as many edges as nodes, whose ends are random.
func BenchmarkLoad(b *testing.B) {
	const nodes, edges = 50_000, 500_000
	for b.Loop() {
		random := rand.New(rand.NewPCG(1, 2))
		opts := graph.Options{}
		opts.MemoryBudget = 512 << 20
		db, err := graph.Load(b.Context(), filepath.Join(b.TempDir(), "g.sombra"), &opts, func(l *graph.Loader) error {
			if err := l.CreateIndex("Person", "name", false); err != nil {
				return err
			}
			if err := l.CreateIndex("Person", "age", false); err != nil {
				return err
			}
			for i := range nodes {
				if _, err := l.CreateNode([]string{"Person"}, graph.Props{"name": graph.Int(int64(i * 7919)), "age": graph.Int(int64(i % 90))}); err != nil {
					return err
				}
			}
			for range edges {
				src, dst := graph.NodeID(1+random.IntN(nodes)), graph.NodeID(1+random.IntN(nodes))
				if _, err := l.CreateEdge(src, dst, "KNOWS", nil); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(edges)*float64(b.N)/b.Elapsed().Seconds(), "edges/s")
}
