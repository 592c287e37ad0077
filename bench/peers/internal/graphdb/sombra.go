package graphdb

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/sombradb/sombra/bench/internal/rmat"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// Sombra returns the graph of this project.
func Sombra() Kind {
	return Kind{Name: "Sombra", About: "package graph: imported by graph.Load; Neighbors for one hop, BFS for more, half of the cache for decoded adjacency lists; serializable inserts", Open: openSombra}
}

type sombraGraph struct {
	path    string
	opts    graph.Options
	db      *graph.DB      // nil before the import into a new file
	ids     []graph.NodeID // by number
	numbers []uint32       // by id; ids are dense
}

// pageCacheShare is the part of the memory budget that is the page cache, in percent; of a graph half of it is for copies
// of adjacency lists. Together they are as large as the others' caches.
const pageCacheShare = 36

func openSombra(dir string, cfg Config) (Graph, error) {
	s := &sombraGraph{path: filepath.Join(dir, "graph.sombra")}
	s.opts.MemoryBudget = cfg.CacheBytes * 100 / pageCacheShare
	_, err := os.Stat(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil // Import makes it
	}
	s.db, err = graph.Open(s.path, &s.opts)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *sombraGraph) Import(ctx context.Context, g *rmat.Graph) (err error) {
	s.ids = make([]graph.NodeID, g.Nodes)
	s.db, err = graph.Load(ctx, s.path, &s.opts, func(l *graph.Loader) error {
		for _, ix := range [][2]string{{person, "number"}, {person, "name"}, {item, "number"}} {
			if err := l.CreateIndex(ix[0], ix[1], false); err != nil {
				return err
			}
		}
		for n := range g.Nodes {
			id, err := l.CreateNode([]string{person},
				graph.Props{"number": graph.Int(int64(n)), "name": graph.String(nameOf(int64(n)))})
			if err != nil {
				return err
			}
			s.ids[n] = id
		}
		for _, e := range g.Edges {
			if _, err := l.CreateEdge(s.ids[e.Src], s.ids[e.Dst], knows, nil); err != nil {
				return err
			}
		}
		return nil
	})
	s.invert()
	return err
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

func (s *sombraGraph) Close() error {
	if s.db == nil {
		return nil
	}
	return s.db.Close()
}
