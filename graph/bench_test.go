package graph

import (
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
