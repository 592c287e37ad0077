package graphdb

import (
	"errors"
	"sync"
	"testing"

	"github.com/sombradb/sombra/bench/internal/rmat"
)

// hopsByHand is the definition, without any cleverness.
func hopsByHand(g *rmat.Graph, start uint32, depth int) (r Reach) {
	near := map[uint32]bool{start: true}
	for range depth {
		next := map[uint32]bool{}
		for n := range near {
			next[n] = true
		}
		for _, e := range g.Edges {
			if near[e.Src] {
				next[e.Dst] = true
			}
		}
		near = next
	}
	for n := range near {
		if n != start {
			r.add(uint64(n))
		}
	}
	return r
}

func TestAllKindsGiveTheSameAnswers(t *testing.T) {
	g, err := rmat.New(300, 1500, 7)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range All() {
		t.Run(kind.Name, func(t *testing.T) {
			db := open(t, kind)
			if err := db.Import(t.Context(), g); err != nil {
				t.Fatal(err)
			}
			for start := range uint32(60) {
				for depth := 1; depth <= 3; depth++ {
					got, err := db.Hops(t.Context(), start, depth)
					if want := hopsByHand(g, start, depth); err != nil || got != want {
						t.Fatalf("%d hops from %d are %+v, %v; want %+v", depth, start, got, err, want)
					}
				}
			}
		})
	}
}

func TestInsertedNodesAreFoundByTheIndex(t *testing.T) {
	for _, kind := range All() {
		t.Run(kind.Name, func(t *testing.T) {
			db := open(t, kind)
			if err := db.Import(t.Context(), &rmat.Graph{Nodes: 2, Edges: []rmat.Edge{{Src: 0, Dst: 1}}}); err != nil {
				t.Fatal(err)
			}
			if kind.Volatile {
				if err := db.Insert(t.Context(), 1); !errors.Is(err, errVolatile) {
					t.Errorf("an insert says %v, want %v", err, errVolatile)
				}
				return
			}
			var group sync.WaitGroup
			for n := range int64(8) {
				group.Go(func() {
					if err := db.Insert(t.Context(), n); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			got, err := db.Inserted(t.Context())
			if want := (Reach{8, 28}); err != nil || got != want {
				t.Errorf("%+v, %v; want %+v", got, err, want)
			}
		})
	}
}

func open(t *testing.T, kind Kind) Graph {
	t.Helper()
	db, err := kind.Open(t.TempDir(), Config{CacheBytes: 16 << 20, Writers: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
