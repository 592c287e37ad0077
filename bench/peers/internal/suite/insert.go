package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/internal/rmat"
	"github.com/sombradb/sombra/bench/peers/internal/graphdb"
)

var insertWriters = []int{1, 32, 128}

func insertWorkload() workload {
	return workload{
		Info: Info{
			Name: "insert", Title: "Durable inserts of nodes",
			About: "Each transaction adds one node with a label and two properties, one of them indexed. Afterwards all are found by the " +
				"index and added up.",
		},
		start: func(cfg Config, root string) (contest, error) {
			c := &inserts{cfg: cfg, root: root}
			for _, k := range graphdb.All() {
				if !k.Volatile {
					c.kinds = append(c.kinds, k)
				}
			}
			c.want = make([]graphdb.Reach, len(c.kinds))
			return c, nil
		},
	}
}

// inserts is the contest of new nodes.
type inserts struct {
	cfg   Config
	root  string
	kinds []graphdb.Kind
	want  []graphdb.Reach // by kind
}

func (c *inserts) names() []string { return kindNames(c.kinds) }
func (c *inserts) close() error    { return nil }

func (c *inserts) turn(ctx context.Context, i, round int, emit func(Sample) error) error {
	for n, writers := range insertWriters {
		s, err := c.measure(ctx, i, writers, round*len(insertWriters)+n)
		if err != nil {
			return err
		}
		s.Workers = writers
		if err := emit(s); err != nil {
			return err
		}
	}
	return nil
}

// openKind opens the graph, which has its schema after the first time.
func (c *inserts) openKind(ctx context.Context, i, writers int) (graphdb.Graph, error) {
	dir := filepath.Join(c.root, c.kinds[i].Name)
	_, err := os.Stat(dir)
	fresh := errors.Is(err, os.ErrNotExist)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	g, err := c.kinds[i].Open(dir, graphdb.Config{CacheBytes: c.cfg.cache(), Writers: writers})
	if err != nil || !fresh {
		return g, err
	}
	if err := g.Import(ctx, &rmat.Graph{}); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

func (c *inserts) measure(ctx context.Context, i, writers, series int) (s Sample, err error) {
	g, err := c.openKind(ctx, i, writers)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	settleProcess()
	number := func(w int, seq uint64) int64 { return int64(series)<<40 | int64(w)<<32 | int64(seq) }
	r, err := drive.Closed(ctx, writers, drive.For(c.cfg.length()), func(ctx context.Context, w int, seq uint64) (drive.Did, error) {
		return drive.Attempts(1, g.Insert(ctx, number(w, seq)))
	})
	if err != nil {
		return s, err
	}
	want := &c.want[i]
	for w, done := range r.Done {
		want.Nodes += int(done)
		for seq := range done {
			want.Sum += uint64(number(w, seq))
		}
	}
	got, err := g.Inserted(ctx)
	if err == nil && got != *want {
		err = fmt.Errorf("peers: the index leads to %+v, want %+v", got, *want)
	}
	return figures.SampleOf(r, "nodes"), err
}
