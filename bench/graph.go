package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/internal/rmat"
	"github.com/sombradb/sombra/graph"
)

// GraphSize is the part of the configuration that workloads on an R-MAT graph have: its degrees are as uneven as those of a
// social network (Chakrabarti, Zhan and Faloutsos, SDM 2004, with the parameters of Graph500).
type GraphSize struct {
	Nodes int `json:"nodes"` // default 100,000
	Edges int `json:"edges"` // default ten for each node
}

func (g *GraphSize) setDefaults(nodes int) {
	setDefault(&g.Nodes, nodes)
	setDefault(&g.Edges, 10*g.Nodes)
}

// make makes the graph.
func (g *GraphSize) make() (*rmat.Graph, error) {
	made, err := rmat.New(g.Nodes, g.Edges, graphSeed)
	if err != nil {
		return nil, &ConfigError{Field: "Nodes, Edges", Value: fmt.Sprintf("%d, %d", g.Nodes, g.Edges), Want: "2 nodes or more, and edges up to a quarter of all pairs"}
	}
	return made, nil
}

const graphSeed = 42

// Names in the graph: people know each other, and have a number and a name, both indexed.
const (
	personLabel  = "Person"
	numberProp   = "number"
	nameProp     = "name"
	knowsEdge    = "KNOWS"
	graphBudget  = 512 << 20 // bytes: copies of all adjacency lists fit
	importUnit   = "edges"
	importedCase = "graph.Load, two indexes"
)

func personName(n int64) string { return fmt.Sprintf("node-%08d", n) }

// people is a database that holds an R-MAT graph, and what tells whether it answers right.
type people struct {
	db      *graph.DB
	ids     []graph.NodeID // by number
	numbers []uint32       // by id; ids are dense
	csr     *rmat.CSR
	graph   *rmat.Graph
}

// loadPeople imports a graph into a new database. The time ends when all is durable.
func loadPeople(ctx context.Context, dir string, opts *graph.Options, g *rmat.Graph) (p *people, took time.Duration, err error) {
	p = &people{graph: g, ids: make([]graph.NodeID, g.Nodes)}
	start := time.Now()
	p.db, err = graph.Load(ctx, databasePath(dir), opts, p.load)
	if err != nil {
		return nil, 0, err
	}
	took = time.Since(start)
	p.csr = rmat.NewCSR(g)
	p.numbers = make([]uint32, g.Nodes+1)
	for n, id := range p.ids {
		p.numbers[id] = uint32(n)
	}
	return p, took, nil
}

func (p *people) load(l *graph.Loader) error {
	if err := errors.Join(l.CreateIndex(personLabel, numberProp, false), l.CreateIndex(personLabel, nameProp, false)); err != nil {
		return err
	}
	for n := range p.ids {
		id, err := l.CreateNode([]string{personLabel}, graph.Props{numberProp: graph.Int(int64(n)), nameProp: graph.String(personName(int64(n)))})
		if err != nil {
			return err
		}
		p.ids[n] = id
	}
	for _, e := range p.graph.Edges {
		if _, err := l.CreateEdge(p.ids[e.Src], p.ids[e.Dst], knowsEdge, nil); err != nil {
			return err
		}
	}
	return nil
}

// edgeSum is the checksum of an edge between two numbers.
func edgeSum(src, dst uint32) Checksum { return Checksum(gen.Mix(uint64(src)<<32 | uint64(dst))) }

// audit reads all back and compares it with the graph: nodes by both indexes, edges in both directions (B2).
func (p *people) audit(ctx context.Context) (sum Checksum, err error) {
	var want Checksum
	for _, e := range p.graph.Edges {
		want += edgeSum(e.Src, e.Dst)
	}
	err = p.db.View(ctx, func(tx *graph.Txn) error {
		for _, property := range [...]string{numberProp, nameProp} {
			if err := p.auditIndex(tx, property); err != nil {
				return err
			}
		}
		for _, direction := range [...]graph.Direction{graph.Out, graph.In} {
			var edges int64
			if edges, sum, err = p.edges(tx, direction); err != nil {
				return err
			}
			if edges != int64(len(p.graph.Edges)) || sum != want {
				return &AuditError{Keys: edges, WantKeys: int64(len(p.graph.Edges)), Sum: sum, WantSum: want}
			}
		}
		return nil
	})
	return sum, err
}

func (p *people) auditIndex(tx *graph.Txn, property string) error {
	found := int64(0)
	for node, err := range tx.FindRange(personLabel, property, graph.Range{}) {
		if err != nil {
			return err
		}
		number, _ := node.Props[numberProp].AsInt()
		name, _ := node.Props[nameProp].AsString()
		if number != found || name != personName(found) {
			return fmt.Errorf("bench: entry %d of the index on %s is node %d, %q", found, property, number, name)
		}
		found++
	}
	return auditCount("entries of the index on "+property, found, int64(len(p.ids)))
}

// edges sums up all edges, by the nodes at one of their ends.
func (p *people) edges(tx *graph.Txn, direction graph.Direction) (edges int64, sum Checksum, err error) {
	for n, id := range p.ids {
		for other, err := range tx.Neighbors(id, direction, knowsEdge) {
			if err != nil {
				return edges, sum, err
			}
			src, dst := uint32(n), p.numbers[other]
			if direction == graph.In {
				src, dst = dst, src
			}
			sum += edgeSum(src, dst)
			edges++
		}
	}
	return edges, sum, nil
}

// withPeople makes and imports a graph, calls fn and removes all.
func withPeople(ctx context.Context, workload string, c *Common, size *GraphSize, fn func(*people, time.Duration) error) error {
	g, err := size.make()
	if err != nil {
		return err
	}
	setDefault(&c.MemoryBudget, graphBudget)
	c.note("%s: importing %s nodes and %s edges", workload, Count(g.Nodes), Count(len(g.Edges)))
	return c.inScratch(workload, func(dir string) (err error) {
		p, took, err := loadPeople(ctx, dir, &graph.Options{Options: *c.options()}, g)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.db.Close()) }()
		return fn(p, took)
	})
}

// ImportConfig configures the import workload: graph.Load of an R-MAT graph with two indexed properties. Rates count edges.
type ImportConfig struct {
	Common
	GraphSize
}

// Import measures the import of a graph.
func Import(ctx context.Context, cfg ImportConfig) (*Result, error) {
	cfg.GraphSize.setDefaults(100_000)
	setDefault(&cfg.MemoryBudget, graphBudget)
	res := &Result{Workload: "import", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	err := withPeople(ctx, "import", &cfg.Common, &cfg.GraphSize, func(p *people, took time.Duration) error {
		row := figures.Timed(importUnit, int64(len(p.graph.Edges)), took)
		row.Bytes = p.db.Store().Metrics().Pages.FileBytes
		sum, err := p.audit(ctx)
		row.Checksum = sum.String()
		res.add(importedCase, 1, row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}
