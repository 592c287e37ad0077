package csvload

import (
	"context"
	"errors"

	"github.com/sombradb/sombra/graph"
)

// Import imports files into the database at path, which is created when it is missing. It is the fastest way to make a
// graph: if the database has none yet, graph.Load makes one of the files, as a whole or not at all (C6). Otherwise it opens
// the database and imports as Run does. Afterwards the database is closed.
//
// Errors: those of Run and of graph.Open.
func Import(ctx context.Context, path string, opts *graph.Options, cfg Config) (Result, error) {
	if err := cfg.Validate(); err != nil {
		return Result{}, err
	}
	l := newLoader(cfg)
	defer l.close()
	if err := l.open(); err != nil {
		return l.result(), err
	}
	db, err := graph.Load(ctx, path, opts, func(g *graph.Loader) error { return l.runBulk(ctx, g) })
	switch {
	case errors.Is(err, graph.ErrNotEmpty):
		if db, err = graph.Open(path, opts); err != nil {
			return l.result(), err
		}
		l.store = l.transactions(db)
		err = l.run(ctx)
	case err != nil:
		l.nothingStored()
		return l.result(), err
	}
	return l.result(), errors.Join(err, db.Close())
}

// runBulk gives all rows to a load, which one goroutine at a time may use.
func (l *loader) runBulk(ctx context.Context, g *graph.Loader) error {
	l.cfg.Writers = 1
	l.store = func(_ context.Context, b batch) (Counts, []badRow, error) { return l.writeRows(g, b) }
	return l.run(ctx)
}

// nothingStored takes the counts back that a load has not kept.
func (l *loader) nothingStored() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.mu.counts {
		l.mu.counts[k].Created, l.mu.counts[k].Existing = 0, 0
	}
}
