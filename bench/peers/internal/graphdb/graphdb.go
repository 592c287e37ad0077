// Package graphdb puts ways to keep a property graph behind one small interface: Sombra's package graph, tables of
// SQLite, buckets of bbolt that were laid out by hand for the questions asked here, and, as what memory allows at best,
// an array in memory without any database.
//
// All keep the same: nodes with a label and two properties, a number and a name, both indexed; edges with a type, to be
// followed in both directions; and nodes of another label with an indexed number, which are inserted one by one.
package graphdb

import (
	"context"
	"fmt"

	"github.com/sombradb/sombra/bench/internal/rmat"
)

// Kind is a way to keep a graph.
type Kind struct {
	Name     string
	About    string // for the report
	Volatile bool   // it keeps nothing: no inserts, and its import says nothing
	Open     func(dir string, cfg Config) (Graph, error)
}

// Config is what all kinds get alike.
type Config struct {
	CacheBytes int64
	Writers    int // that will insert at a time, at most
}

// Graph is an open graph. Its methods are safe for concurrent use after Import.
type Graph interface {
	// Import stores a graph in an empty database, indexes included, durably.
	Import(ctx context.Context, g *rmat.Graph) error
	// Hops finds the nodes that are at most depth edges away from a start, the start left out. Each caller goroutine
	// may be one of several.
	Hops(ctx context.Context, start uint32, depth int) (Reach, error)
	// Insert adds a node of the other label durably.
	Insert(ctx context.Context, number int64) error
	// Inserted counts the nodes of the other label and adds up their numbers, which it reads by the index.
	Inserted(ctx context.Context) (Reach, error)
	Close() error
}

// Reach is a set of nodes, as far as results are compared: how many, and the sum of their numbers.
type Reach struct {
	Nodes int    `json:"nodes"`
	Sum   uint64 `json:"sum"`
}

func (r *Reach) add(number uint64) {
	r.Nodes++
	r.Sum += number
}

// All returns the kinds in the order of the report.
func All() []Kind { return []Kind{Sombra(), SQLite(), Bbolt(), CSR()} }

const (
	person = "Person" // label of imported nodes
	item   = "Item"   // label of inserted nodes
	knows  = "KNOWS"  // type of edges
)

// nameOf is the name of a node.
func nameOf(number int64) string { return fmt.Sprintf("node-%08d", number) }
