package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/internal/rmat"
	"github.com/sombradb/sombra/bench/peers/internal/graphdb"
)

const (
	graphNodes = 100_000
	graphEdges = 1_000_000
	graphSeed  = 42
	startNodes = 1000
)

// CaseImport is the only case of the import workload.
const CaseImport = "with two indexes"

// probes are how many questions of each depth have their answers compared: deep ones take long.
var probes = [...]int{1: 200, 2: 50, 3: 10}

func hopsWorkload() workload {
	return workload{
		Info: Info{
			Name: "hops", Title: "Traversals",
			About: "An R-MAT graph of 100,000 nodes and 1,000,000 edges: its degrees are as uneven as those of a social network. The " +
				"questions: which nodes are one edge away, and which different nodes are at most " +
				"two or three edges away, from starting nodes that have edges. One goroutine, all in memory. Answers are compared " +
				"between engines.",
		},
		start: func(cfg Config, root string) (contest, error) { return newHops(cfg, root) },
	}
}

// hops is the contest of traversals. The graphs stay open, at rest.
type hops struct {
	cfg    Config
	root   string
	kinds  []graphdb.Kind
	graph  *rmat.Graph
	starts []uint32
	open   []graphdb.Graph // by kind; nil before its import
}

func newHops(cfg Config, root string) (*hops, error) {
	g, err := rmat.New(cfg.size(graphNodes, 200), cfg.size(graphEdges, 2000), graphSeed)
	if err != nil {
		return nil, err
	}
	h := &hops{cfg: cfg, root: root, kinds: graphdb.All(), graph: g}
	h.open = make([]graphdb.Graph, len(h.kinds))
	for n := range uint64(startNodes) {
		h.starts = append(h.starts, g.Edges[gen.Mix(n)%uint64(len(g.Edges))].Src)
	}
	return h, nil
}

func (h *hops) names() []string { return kindNames(h.kinds) }

func kindNames(kinds []graphdb.Kind) (list []string) {
	for _, k := range kinds {
		list = append(list, k.Name)
	}
	return list
}

func (h *hops) close() error {
	var errs []error
	for _, g := range h.open {
		if g != nil {
			errs = append(errs, g.Close())
		}
	}
	return errors.Join(errs...)
}

func (h *hops) turn(ctx context.Context, i, _ int, emit func(Sample) error) (err error) {
	if h.open[i] == nil {
		if h.open[i], _, err = h.load(ctx, i); err != nil {
			return err
		}
	}
	settleProcess()
	for depth := 1; depth < len(probes); depth++ {
		s, err := h.measure(ctx, h.open[i], depth)
		if err != nil {
			return err
		}
		if err := emit(s); err != nil {
			return err
		}
	}
	return nil
}

// load imports the graph into an empty database.
func (h *hops) load(ctx context.Context, i int) (g graphdb.Graph, elapsed time.Duration, err error) {
	if err := os.MkdirAll(h.dir(i), 0o700); err != nil {
		return nil, 0, err
	}
	g, err = h.kinds[i].Open(h.dir(i), graphdb.Config{CacheBytes: h.cfg.cache(), Writers: 1})
	if err != nil {
		return nil, 0, err
	}
	settleProcess()
	start := time.Now()
	if err := g.Import(ctx, h.graph); err != nil {
		return nil, 0, errors.Join(err, g.Close())
	}
	return g, time.Since(start), nil
}

func (h *hops) dir(i int) string { return filepath.Join(h.root, h.kinds[i].Name) }

// HopsCase names the questions of a depth.
func HopsCase(depth int) string {
	if depth == 1 {
		return "1 hop"
	}
	return fmt.Sprintf("%d hops, distinct", depth)
}

func (h *hops) measure(ctx context.Context, g graphdb.Graph, depth int) (Sample, error) {
	answer, err := h.answer(ctx, g, depth)
	if err != nil {
		return Sample{}, err
	}
	r, err := drive.Closed(ctx, 1, drive.For(h.cfg.length()), func(ctx context.Context, _ int, seq uint64) (drive.Did, error) {
		_, err := g.Hops(ctx, h.starts[seq%startNodes], depth)
		return drive.Attempts(1, err)
	})
	if err != nil {
		return Sample{}, err
	}
	s := figures.SampleOf(r, "questions")
	s.Case, s.Workers, s.Answer = HopsCase(depth), 1, answer
	return s, nil
}

// answer sums up the answers to the first questions of a depth (S3).
func (h *hops) answer(ctx context.Context, g graphdb.Graph, depth int) (string, error) {
	var sum graphdb.Reach
	for _, start := range h.starts[:probes[depth]] {
		r, err := g.Hops(ctx, start, depth)
		if err != nil {
			return "", err
		}
		sum.Nodes += r.Nodes
		sum.Sum += r.Sum
	}
	return fmt.Sprintf("%d nodes, %d", sum.Nodes, sum.Sum), nil
}
