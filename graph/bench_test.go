package graph

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// star creates a hub with n leaves.
func star(b *testing.B, db *DB, n int) (hub NodeID, leaves []NodeID) {
	b.Helper()
	hub = addNodes(b, db, 1, "Hub")[0]
	for len(leaves) < n {
		leaves = append(leaves, addNodes(b, db, min(n-len(leaves), 1000), "Leaf")...)
	}
	for part := range chunks(leaves, 1000) {
		update(b, db, func(tx *Txn) error {
			for _, leaf := range part {
				if _, err := tx.CreateEdge(hub, leaf, "R", Props{"w": Int(1)}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return hub, leaves
}

func chunks(ids []NodeID, n int) func(func([]NodeID) bool) {
	return func(yield func([]NodeID) bool) {
		for len(ids) > 0 {
			k := min(n, len(ids))
			if !yield(ids[:k]) {
				return
			}
			ids = ids[k:]
		}
	}
}

// per reports ns per item instead of per operation.
func per(b *testing.B, items int, what string) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(items), "ns/"+what)
}

func BenchmarkCreateNode(b *testing.B) {
	db := openTest(b)
	props := Props{"name": String("Ann"), "age": Int(41)}
	b.ReportAllocs()
	const batch = 100
	for b.Loop() {
		update(b, db, func(tx *Txn) error {
			for range batch {
				if _, err := tx.CreateNode([]string{"Person"}, props); err != nil {
					return err
				}
			}
			return nil
		})
	}
	per(b, batch, "node")
}

func BenchmarkCreateEdge(b *testing.B) {
	db := openTest(b)
	ids := addNodes(b, db, 1000, "N")
	b.ReportAllocs()
	const batch = 100
	i := 0
	for b.Loop() {
		update(b, db, func(tx *Txn) error {
			for range batch {
				i++
				if _, err := tx.CreateEdge(ids[i%1000], ids[i*7%1000], "R", nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
	per(b, batch, "edge")
}

// BenchmarkHubWriters has all writers add edges to one node, one edge per transaction.
func BenchmarkHubWriters(b *testing.B) {
	db := openTest(b)
	ids := addNodes(b, db, 100, "N")
	var i atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			leaf := ids[1+i.Add(1)%99]
			update(b, db, func(tx *Txn) error {
				_, err := tx.CreateEdge(ids[0], leaf, "R", nil)
				return err
			})
		}
	})
	m := db.Store().Metrics()
	b.ReportMetric(float64(m.WriteConflicts+m.ReadConflicts), "conflicts")
}

func BenchmarkNode(b *testing.B) {
	db := openTest(b)
	var id NodeID
	update(b, db, func(tx *Txn) (err error) {
		id, err = tx.CreateNode([]string{"Person"}, Props{"name": String("Ann"), "age": Int(41), "city": String("Ulm")})
		return err
	})
	view(b, db, func(tx *Txn) {
		b.Run("whole", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tx.Node(id); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("property", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tx.Property(id, "age"); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func BenchmarkAdjacency(b *testing.B) {
	db := openTest(b)
	const n = 10_000
	hub, leaves := star(b, db, n)
	if err := db.Store().Checkpoint(bg); err != nil {
		b.Fatal(err)
	}
	view(b, db, func(tx *Txn) {
		b.Run("neighbors", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d, err := tx.Degree(hub, Out); d != n || err != nil {
					b.Fatal(d, err)
				}
			}
			per(b, n, "edge")
		})
		b.Run("edges", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range tx.Edges(hub, Out) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			per(b, n, "edge")
		})
		b.Run("single", func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				if d, err := tx.Degree(leaves[i%n], In); d != 1 || err != nil {
					b.Fatal(d, err)
				}
			}
		})
		b.Run("path", func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				if _, err := tx.ShortestPath(leaves[i%n], leaves[i*31%n], Traversal{Direction: Both, MaxDepth: 2}); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func BenchmarkFind(b *testing.B) {
	db := openTest(b)
	const n = 10_000
	if err := db.CreateIndex(bg, "P", "n", true); err != nil {
		b.Fatal(err)
	}
	for lo := 0; lo < n; lo += 1000 {
		update(b, db, func(tx *Txn) error {
			for i := range 1000 {
				if _, err := tx.CreateNode([]string{"P"}, Props{"n": Int(int64(lo + i))}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	view(b, db, func(tx *Txn) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i++
			found := 0
			for _, err := range tx.Find("P", "n", Int(int64(i*31%n))) {
				if err != nil {
					b.Fatal(err)
				}
				found++
			}
			if found != 1 {
				b.Fatal(found)
			}
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	n := &nodeRec{labels: []uint64{1}, props: propList{{1, String("Ann")}, {2, Int(41)}, {3, Float(1.5)}, {4, String("somewhere in a town")}}}
	buf := appendNode(nil, n)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = appendNode(buf[:0], n)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decodeNode(string(buf)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// rmat calls fn for the edges of an R-MAT graph (Chakrabarti, Zhan, Faloutsos: R-MAT, 2004) with the usual skew.
func rmat(nodes, edges int, fn func(src, dst NodeID) error) error {
	r := rand.New(rand.NewPCG(1, 2))
	for range edges {
		src, dst := nodes, nodes
		for src >= nodes || dst >= nodes {
			src, dst = 0, 0
			for bit := 1; bit < nodes; bit <<= 1 {
				switch p := r.Float64(); {
				case p < 0.57:
				case p < 0.76:
					dst |= bit
				case p < 0.95:
					src |= bit
				default:
					src, dst = src|bit, dst|bit
				}
			}
		}
		if err := fn(NodeID(src+1), NodeID(dst+1)); err != nil {
			return err
		}
	}
	return nil
}

const rmatNodes, rmatEdges = 100_000, 1_000_000

func rmatNode(c creator, i int) error {
	_, _, err := c.CreateNodeAs("rmat", fmt.Sprint("n", i), []string{"N"}, Props{"n": Int(int64(i)), "group": Int(int64(i % 1000))})
	return err
}

// BenchmarkMakeGraph makes a graph of 100,000 nodes, with two indexes, and 1,000,000 edges, in the ways that there are,
// until it is durable in the data file. The edges of "ids" have external ids, too, as an import gives them.
func BenchmarkMakeGraph(b *testing.B) {
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			benchLoad(b, func(l *Loader, i int, src, dst NodeID) error {
				_, err := l.CreateEdge(src, dst, "R", Props{"w": Int(int64(i % 100))})
				return err
			})
		}
		b.ReportMetric(rmatEdges*float64(b.N)/b.Elapsed().Seconds(), "edges/s")
	})
	b.Run("load-ids", func(b *testing.B) {
		for b.Loop() {
			benchLoad(b, func(l *Loader, i int, src, dst NodeID) error {
				_, _, err := l.CreateEdgeAs("rmat", fmt.Sprint("e", i), src, dst, "R", Props{"w": Int(int64(i % 100))})
				return err
			})
		}
		b.ReportMetric(rmatEdges*float64(b.N)/b.Elapsed().Seconds(), "edges/s")
	})
	b.Run("transactions", func(b *testing.B) {
		for b.Loop() {
			benchTransactions(b)
		}
		b.ReportMetric(rmatEdges*float64(b.N)/b.Elapsed().Seconds(), "edges/s")
	})
}

func benchLoad(b *testing.B, edge func(l *Loader, i int, src, dst NodeID) error) {
	db, err := Load(bg, filepath.Join(b.TempDir(), "graph"), nil, func(l *Loader) error {
		if err := errors.Join(l.CreateIndex("N", "n", true), l.CreateIndex("N", "group", false)); err != nil {
			return err
		}
		for i := range rmatNodes {
			if err := rmatNode(l, i); err != nil {
				return err
			}
		}
		i := 0
		return rmat(rmatNodes, rmatEdges, func(src, dst NodeID) error {
			i++
			return edge(l, i, src, dst)
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

// benchTransactions does the same in transactions of 1000 elements, one writer.
func benchTransactions(b *testing.B) {
	db, err := Open(filepath.Join(b.TempDir(), "graph"), nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := errors.Join(db.CreateIndex(bg, "N", "n", true), db.CreateIndex(bg, "N", "group", false)); err != nil {
		b.Fatal(err)
	}
	const batch = 1000
	for i := 0; i < rmatNodes; i += batch {
		update(b, db, func(tx *Txn) (err error) {
			for k := i; k < i+batch && err == nil; k++ {
				err = rmatNode(tx, k)
			}
			return err
		})
	}
	ends := make([][2]NodeID, 0, batch)
	err = rmat(rmatNodes, rmatEdges, func(src, dst NodeID) error {
		if ends = append(ends, [2]NodeID{src, dst}); len(ends) < batch {
			return nil
		}
		defer func() { ends = ends[:0] }()
		return db.Update(bg, func(tx *Txn) error {
			for i, e := range ends {
				if _, err := tx.CreateEdge(e[0], e[1], "R", Props{"w": Int(int64(i % 100))}); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err = errors.Join(err, db.Store().Checkpoint(bg), db.Close()); err != nil {
		b.Fatal(err)
	}
}
