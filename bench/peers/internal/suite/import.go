package suite

import (
	"context"
	"errors"
	"os"

	"github.com/sombradb/sombra/bench/internal/figures"
)

func importWorkload() workload {
	return workload{
		Info: Info{
			Name: "import", Title: "Import of a graph",
			About: "The R-MAT graph of the traversals, 100,000 nodes with two indexed properties and 1,000,000 edges, into an empty database; the " +
				"time ends when all is durable and both indexes are there. Rates count edges. Afterwards traversals are compared between engines.",
		},
		start: func(cfg Config, root string) (contest, error) {
			h, err := newHops(cfg, root)
			return &imports{h}, err
		},
	}
}

// imports is the contest of graph imports.
type imports struct{ *hops }

func (c *imports) turn(ctx context.Context, i, _ int, emit func(Sample) error) (err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(c.dir(i))) }()
	g, elapsed, err := c.load(ctx, i)
	if err != nil {
		return err
	}
	s := figures.Timed("edges", int64(len(c.graph.Edges)), elapsed)
	s.Case = CaseImport
	s.Answer, err = c.answer(ctx, g, 2)
	if err := errors.Join(err, g.Close()); err != nil {
		return err
	}
	if s.Bytes, err = space(c.dir(i)); err != nil {
		return err
	}
	return emit(s)
}
