package graphdb

import (
	"context"
	"errors"

	"github.com/sombradb/sombra/bench/internal/rmat"
)

// CSR returns the graph as compressed sparse rows in memory: the destinations of all edges in one array.
func CSR() Kind {
	return Kind{
		Name: "CSR array", About: "offsets and destinations in two arrays in memory; the physical limit, not a database", Volatile: true,
		Open: func(string, Config) (Graph, error) { return &csr{}, nil },
	}
}

type csr struct{ graph *rmat.CSR }

func (c *csr) Import(_ context.Context, g *rmat.Graph) error {
	c.graph = rmat.NewCSR(g)
	return nil
}

func (c *csr) Hops(_ context.Context, start uint32, depth int) (Reach, error) {
	r := c.graph.Reach(start, depth)
	return Reach{r.Nodes, r.Sum}, nil
}

var errVolatile = errors.New("peers: an array in memory keeps no nodes")

func (c *csr) Insert(context.Context, int64) error     { return errVolatile }
func (c *csr) Inserted(context.Context) (Reach, error) { return Reach{}, errVolatile }
func (c *csr) Close() error                            { return nil }
