package graphdb

import (
	"context"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/sombradb/sombra/bench/peers/internal/rmat"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// Sombra returns the graph of this project.
func Sombra() Kind {
	return Kind{Name: "Sombra", About: "package graph: Neighbors for one hop, BFS for more, half of the cache for decoded adjacency lists; serializable inserts", Open: openSombra}
}

type sombraGraph struct {
	db      *graph.DB
	ids     []graph.NodeID // by number
	numbers []uint32       // by id; ids are dense
}

// pageCacheShare is the part of the memory budget that is the page cache, in percent; of a graph half of it is for copies
// of adjacency lists. Together they are as large as the others' caches.
const pageCacheShare = 36

func openSombra(dir string, cfg Config) (Graph, error) {
	opts := &graph.Options{}
	opts.MemoryBudget = cfg.CacheBytes * 100 / pageCacheShare
	db, err := graph.Open(filepath.Join(dir, "graph.sombra"), opts)
	if err != nil {
		return nil, err
	}
	return &sombraGraph{db: db}, nil
}

const (
	sombraBatch   = 5000 // nodes or edges in one transaction of an import
	sombraWriters = 2    // such transactions at a time
)

func (s *sombraGraph) Import(ctx context.Context, g *rmat.Graph) error {
	s.ids = make([]graph.NodeID, g.Nodes)
	err := s.inBatches(ctx, g.Nodes, func(tx *graph.Txn, n int) (err error) {
		s.ids[n], err = tx.CreateNode([]string{person},
			graph.Props{"number": graph.Int(int64(n)), "name": graph.String(nameOf(int64(n)))})
		return err
	})
	if err != nil {
		return err
	}
	for _, property := range []string{"number", "name"} {
		if err := s.db.CreateIndex(ctx, person, property, false); err != nil {
			return err
		}
	}
	if err := s.db.CreateIndex(ctx, item, "number", false); err != nil {
		return err
	}
	s.invert()
	err = s.inBatches(ctx, len(g.Edges), func(tx *graph.Txn, n int) error {
		e := g.Edges[n]
		_, err := tx.CreateEdge(s.ids[e.Src], s.ids[e.Dst], knows, nil)
		return err
	})
	if err != nil {
		return err
	}
	return s.db.Store().Checkpoint(ctx)
}

// inBatches calls do for all numbers below n, in transactions of which several run at a time.
func (s *sombraGraph) inBatches(ctx context.Context, n int, do func(tx *graph.Txn, n int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(sombraWriters)
	for lo := 0; lo < n && ctx.Err() == nil; lo += sombraBatch {
		group.Go(func() error {
			return s.db.Update(ctx, func(tx *graph.Txn) error {
				for i := lo; i < min(lo+sombraBatch, n); i++ {
					if err := do(tx, i); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	return group.Wait()
}

func (s *sombraGraph) invert() {
	var last graph.NodeID
	for _, id := range s.ids {
		last = max(last, id)
	}
	s.numbers = make([]uint32, last+1)
	for n, id := range s.ids {
		s.numbers[id] = uint32(n)
	}
}

func (s *sombraGraph) Hops(ctx context.Context, start uint32, depth int) (r Reach, err error) {
	err = s.db.View(ctx, func(tx *graph.Txn) error {
		r = Reach{}
		if depth == 1 {
			return s.neighbors(tx, start, &r)
		}
		for visit, err := range tx.BFS(s.ids[start], graph.Traversal{Direction: graph.Out, Types: []string{knows}, MaxDepth: depth}) {
			if err != nil {
				return err
			}
			if visit.Depth > 0 {
				r.add(uint64(s.numbers[visit.Node]))
			}
		}
		return nil
	})
	return r, err
}

func (s *sombraGraph) neighbors(tx *graph.Txn, start uint32, r *Reach) error {
	for id, err := range tx.Neighbors(s.ids[start], graph.Out, knows) {
		if err != nil {
			return err
		}
		r.add(uint64(s.numbers[id]))
	}
	return nil
}

var insertOptions = &mvcc.TxnOptions{Isolation: mvcc.Serializable, Label: "peers insert"}

func (s *sombraGraph) Insert(ctx context.Context, number int64) error {
	return s.db.UpdateWith(ctx, insertOptions, func(tx *graph.Txn) error {
		_, err := tx.CreateNode([]string{item}, graph.Props{"number": graph.Int(number), "name": graph.String(nameOf(number))})
		return err
	})
}

func (s *sombraGraph) Inserted(ctx context.Context) (r Reach, err error) {
	err = s.db.View(ctx, func(tx *graph.Txn) error {
		r = Reach{}
		for node, err := range tx.FindRange(item, "number", graph.Range{}) {
			if err != nil {
				return err
			}
			number, _ := node.Props["number"].AsInt()
			r.add(uint64(number))
		}
		return nil
	})
	return r, err
}

func (s *sombraGraph) Close() error { return s.db.Close() }
