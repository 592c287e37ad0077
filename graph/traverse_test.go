package graph

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/sombradb/sombra/mvcc"
	"pgregory.net/rapid"
)

// randomGraph is a graph in a database and as lists.
type randomGraph struct {
	nodes []NodeID
	edges []Edge
}

func drawGraph(t *rapid.T, db *DB) *randomGraph {
	g := &randomGraph{nodes: addNodes(t, db, rapid.IntRange(1, 12).Draw(t, "nodes"), "N")}
	n := rapid.IntRange(0, 30).Draw(t, "edges")
	update(t, db, func(tx *Txn) error {
		g.edges = g.edges[:0]
		for range n {
			e := Edge{
				Src: rapid.SampledFrom(g.nodes).Draw(t, "src"), Dst: rapid.SampledFrom(g.nodes).Draw(t, "dst"),
				Type:  rapid.SampledFrom(modelTypes).Draw(t, "type"),
				Props: Props{"w": Float(float64(rapid.IntRange(0, 9).Draw(t, "weight")))},
			}
			var err error
			if e.ID, err = tx.CreateEdge(e.Src, e.Dst, e.Type, e.Props); err != nil {
				return err
			}
			g.edges = append(g.edges, e)
		}
		return nil
	})
	return g
}

func drawTraversal(t *rapid.T) Traversal {
	tr := Traversal{Direction: rapid.SampledFrom([]Direction{Out, In, Both}).Draw(t, "direction")}
	if rapid.Bool().Draw(t, "typed") {
		tr.Types = []string{rapid.SampledFrom(modelTypes).Draw(t, "only")}
	}
	if rapid.Bool().Draw(t, "filtered") {
		tr.Filter = func(s Step) (bool, error) { return s.Edge%5 != 0, nil }
	}
	return tr
}

// hops lists the steps that the rules allow, the dumb way.
func (g *randomGraph) hops(tr Traversal) (list []Step, weights map[EdgeID]float64) {
	weights = map[EdgeID]float64{}
	for _, e := range g.edges {
		weights[e.ID], _ = e.Props["w"].AsFloat()
		for _, s := range []Step{{e.ID, e.Src, e.Dst, e.Type}, {e.ID, e.Dst, e.Src, e.Type}} {
			along := s.From == e.Src
			if (tr.Direction == Out && !along) || (tr.Direction == In && along && e.Src != e.Dst) {
				continue
			}
			if len(tr.Types) > 0 && tr.Types[0] != e.Type {
				continue
			}
			if tr.Filter != nil {
				if ok, _ := tr.Filter(s); !ok {
					continue
				}
			}
			list = append(list, s)
		}
	}
	return list, weights
}

// distances are all least costs from a node: Bellman and Ford.
func (g *randomGraph) distances(from NodeID, tr Traversal, cost func(EdgeID) float64) map[NodeID]float64 {
	steps, _ := g.hops(tr)
	dist := map[NodeID]float64{from: 0}
	for range g.nodes {
		for _, s := range steps {
			d, reached := dist[s.From]
			if old, known := dist[s.To]; reached && (!known || d+cost(s.Edge) < old) {
				dist[s.To] = d + cost(s.Edge)
			}
		}
	}
	return dist
}

func checkPath(t *rapid.T, g *randomGraph, p Path, from, to NodeID, tr Traversal) {
	t.Helper()
	allowed := map[Step]bool{}
	steps, _ := g.hops(tr)
	for _, s := range steps {
		allowed[s] = true
	}
	if len(p.Nodes) != len(p.Edges)+1 || p.Nodes[0] != from || p.Nodes[len(p.Nodes)-1] != to {
		t.Fatalf("path %v does not lead from %d to %d", p, from, to)
	}
	for i, e := range p.Edges {
		if s := (Step{e.ID, p.Nodes[i], p.Nodes[i+1], e.Type}); !allowed[s] {
			t.Fatalf("path %v takes the step %v", p, s)
		}
	}
}

func TestTraversalsAgreeWithTheDumbOnes(t *testing.T) {
	db := openTest(t)
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t, db)
		tr := drawTraversal(t)
		from, to := rapid.SampledFrom(g.nodes).Draw(t, "from"), rapid.SampledFrom(g.nodes).Draw(t, "to")
		limit := rapid.IntRange(0, 4).Draw(t, "limit")
		depths := g.distances(from, tr, func(EdgeID) float64 { return 1 })
		_, weights := g.hops(tr)
		costs := g.distances(from, tr, func(e EdgeID) float64 { return weights[e] })
		view(t, db, func(tx *Txn) {
			limited := tr
			limited.MaxDepth = limit
			compareBFS(t, tx, from, limited, depths)
			p, err := tx.ShortestPath(from, to, limited)
			if d, reached := depths[to]; !reached || (limit > 0 && d > float64(limit)) {
				if !errors.Is(err, ErrNoPath) {
					t.Fatalf("path %v, error %v, want none", p, err)
				}
			} else if err != nil || p.Cost != d {
				t.Fatalf("path %v of cost %v, error %v, want %v", p, p.Cost, err, d)
			} else {
				checkPath(t, g, p, from, to, tr)
			}
			p, err = tx.WeightedShortestPath(from, to, "w", tr)
			if c, reached := costs[to]; !reached {
				if !errors.Is(err, ErrNoPath) {
					t.Fatalf("weighted path %v, error %v, want none", p, err)
				}
			} else if err != nil || p.Cost != c {
				t.Fatalf("weighted path %v of cost %v, error %v, want %v", p, p.Cost, err, c)
			} else {
				checkPath(t, g, p, from, to, tr)
			}
		})
	})
}

func compareBFS(t *rapid.T, tx *Txn, from NodeID, tr Traversal, depths map[NodeID]float64) {
	t.Helper()
	last, seen := 0, map[NodeID]bool{}
	for _, v := range collect(t, tx.BFS(from, tr)) {
		if v.Depth < last || float64(v.Depth) != depths[v.Node] || seen[v.Node] || (v.Depth > 0 && v.Step.To != v.Node) {
			t.Fatalf("visit %+v after depth %d, distance %v", v, last, depths[v.Node])
		}
		last, seen[v.Node] = v.Depth, true
	}
	for node, d := range depths {
		if within := tr.MaxDepth == 0 || d <= float64(tr.MaxDepth); within != seen[node] {
			t.Fatalf("node %d at distance %v: visited is %v with limit %d", node, d, seen[node], tr.MaxDepth)
		}
	}
}

func TestUnusableWeightsAreErrorsThatNameTheEdge(t *testing.T) {
	db := openTest(t)
	ids := addNodes(t, db, 2, "N")
	for _, v := range []Value{Null(), String("3"), Int(-1), Float(math.NaN()), Float(math.Inf(1))} {
		e := addEdge(t, db, ids[0], ids[1], "R", Props{"w": v})
		view(t, db, func(tx *Txn) {
			_, err := tx.WeightedShortestPath(ids[0], ids[1], "w", Traversal{})
			var w *WeightError
			if !errors.As(err, &w) || w.Edge != e || w.Property != "w" || !errors.Is(err, ErrWeight) {
				t.Errorf("weight %v: error %v", v, err)
			}
		})
		update(t, db, func(tx *Txn) error { return tx.DeleteEdge(e) })
	}
}

func TestTraversalsEndWithTheirContext(t *testing.T) {
	db := openTest(t)
	hub := addNodes(t, db, 1, "Hub")[0]
	leaves := addNodes(t, db, 2*contextCheck, "Leaf")
	update(t, db, func(tx *Txn) error {
		for _, leaf := range leaves {
			if _, err := tx.CreateEdge(hub, leaf, "R", Props{"w": Int(1)}); err != nil {
				return err
			}
		}
		return nil
	})
	for name, traverse := range map[string]func(*Txn, Traversal) error{
		"bfs": func(tx *Txn, tr Traversal) (err error) {
			for _, err = range tx.BFS(hub, tr) {
			}
			return err
		},
		"path": func(tx *Txn, tr Traversal) error {
			tr.Direction = Both
			_, err := tx.ShortestPath(leaves[0], leaves[1], tr)
			return err
		},
		"weighted": func(tx *Txn, tr Traversal) error {
			_, err := tx.WeightedShortestPath(hub, leaves[0], "w", tr)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(bg)
			defer cancel()
			tx, err := db.Begin(ctx, &mvcc.TxnOptions{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			err = traverse(tx, Traversal{Filter: func(Step) (bool, error) { cancel(); return true, nil }})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestTraversalsRefuseWhatMakesNoSense(t *testing.T) {
	db := openTest(t)
	a := addNodes(t, db, 1, "N")[0]
	boom := errors.New("boom")
	addEdge(t, db, a, a, "R", nil)
	view(t, db, func(tx *Txn) {
		first := func(start NodeID, tr Traversal) (err error) {
			for _, err = range tx.BFS(start, tr) {
			}
			return err
		}
		if err := first(a+1000, Traversal{}); !errors.Is(err, ErrNodeNotFound) {
			t.Errorf("missing start: %v", err)
		}
		if err := first(a, Traversal{MaxDepth: -1}); !errors.Is(err, ErrInvalid) {
			t.Errorf("negative depth: %v", err)
		}
		if err := first(a, Traversal{Direction: 9}); !errors.Is(err, ErrInvalid) {
			t.Errorf("bad direction: %v", err)
		}
		if err := first(a, Traversal{Filter: func(Step) (bool, error) { return false, boom }}); !errors.Is(err, boom) {
			t.Errorf("filter's error: %v", err)
		}
		if _, err := tx.WeightedShortestPath(a, a, "w", Traversal{MaxDepth: 2}); !errors.Is(err, ErrInvalid) {
			t.Errorf("weighted with a depth: %v", err)
		}
		if p, err := tx.ShortestPath(a, a, Traversal{}); err != nil || len(p.Nodes) != 1 || len(p.Edges) != 0 {
			t.Errorf("path to itself: %v, %v", p, err)
		}
	})
}
