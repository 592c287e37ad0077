package bench

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// LinkBenchConfig configures the linkbench workload: the mix of operations of LinkBench, which was measured at Facebook
// (Armstrong, Ponnekanti, Borthakur and Callaghan, "LinkBench: a database benchmark based on the Facebook social graph",
// SIGMOD 2013). Percentages and the exponents of access are those of config/FBWorkload.properties in
// https://github.com/facebookarchive/linkbench. What differs: links follow an R-MAT graph instead of Facebook's table of
// degrees, five for each node; there is one type of links; a node is deleted with its links; values do not compress.
type LinkBenchConfig struct {
	Common
	GraphSize
	Requesters int `json:"requesters"` // concurrent clients; default 16
	// Limit ends the measurement; default 5 s.
	Limit Limit `json:"limit"`
}

func (c LinkBenchConfig) withDefaults() LinkBenchConfig {
	setDefault(&c.Nodes, 20_000)
	setDefault(&c.Edges, 5*c.Nodes)
	setDefault(&c.MemoryBudget, graphBudget)
	setDefault(&c.Requesters, 16)
	c.Limit = orDuration(c.Limit, 5*time.Second)
	return c
}

func (c *LinkBenchConfig) validate() error { return atLeast("Requesters", c.Requesters, 1) }

// LinkBench measures the mix, serializable and durable. Rows of single operations have those of the warm-up too.
func LinkBench(ctx context.Context, cfg LinkBenchConfig) (*Result, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	made, err := cfg.GraphSize.make()
	if err != nil {
		return nil, err
	}
	res := &Result{Workload: "linkbench", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	cfg.note("linkbench: importing %s nodes and %s links", Count(cfg.Nodes), Count(cfg.Edges))
	return res, cfg.inScratch("linkbench", func(dir string) (err error) {
		l := newLinks(made, cfg.Requesters)
		l.db, err = graph.Load(ctx, databasePath(dir), &graph.Options{Options: *cfg.options()}, l.load)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, l.db.Close()) }()
		if err := l.audit(ctx); err != nil {
			return err
		}
		cfg.note("linkbench: %d requesters", cfg.Requesters)
		r, err := drive.Closed(ctx, cfg.Requesters, cfg.Limit, l.do)
		if err != nil {
			return err
		}
		l.report(res, r)
		return l.audit(ctx)
	})
}

// linkOp is one kind of operation.
type linkOp struct {
	name    string
	percent float64
	do      func(*links, *requester, *graph.Txn) (linkLedger, error)
	writes  bool
}

// linkKinds is the number of operations.
const linkKinds = 10

// linkOps is the published mix.
var linkOps = [linkKinds]linkOp{
	{"get_link_list", 50.7119145, (*links).getLinkList, false},
	{"get_node", 12.9326683, (*links).getNode, false},
	{"add_link", 8.9886601, (*links).putLink, true},
	{"update_link", 8.0122125, (*links).putLink, true},
	{"update_node", 7.366437, (*links).updateNode, true},
	{"count_link", 4.8863567, (*links).countLinks, false},
	{"delete_link", 2.9907664, (*links).deleteLink, true},
	{"add_node", 2.5732789, (*links).addNode, true},
	{"delete_node", 1.0115914, (*links).deleteNode, true},
	{"multiget_link", 0.5261142, (*links).getLinks, false},
}

// kindOf maps u in [0, 1), uniform, to an operation of the mix.
func kindOf(u float64) int {
	u *= 100
	for i, op := range linkOps {
		if u < op.percent {
			return i
		}
		u -= op.percent
	}
	return 0 // the percentages sum up to 100 but for rounding
}

var linkOptions = &mvcc.TxnOptions{Isolation: mvcc.Serializable, Label: "bench linkbench"}

// do is the operation of the loop.
func (l *links) do(ctx context.Context, worker int, seq uint64) (did drive.Did, err error) {
	r := &l.requesters[worker]
	kind := l.draw(r, opNumber(worker, seq))
	op := &linkOps[kind]
	var delta linkLedger
	body := func(tx *graph.Txn) (err error) {
		did.Attempts++
		delta, err = op.do(l, r, tx)
		if errors.Is(err, graph.ErrNodeNotFound) || errors.Is(err, graph.ErrEdgeNotFound) {
			delta, err = linkLedger{}, nil // somebody has deleted it, and that is an answer
		}
		return err
	}
	begin := time.Now()
	if op.writes {
		err = l.db.UpdateWith(ctx, linkOptions, body)
	} else {
		err = l.db.View(ctx, body)
	}
	if err != nil {
		return did, err
	}
	r.latency[kind].Add(time.Since(begin))
	r.ledger.add(delta)
	if op.name == "add_node" {
		l.nodes.append(r.number, r.added)
	}
	did.Sum = delta.sum() + Checksum(gen.Mix(uint64(kind)<<48^uint64(r.number))) // reads leave nothing in the ledger
	return did, nil
}

// report adds a row for the mix and one for each operation.
func (l *links) report(res *Result, r drive.Result) {
	row := figures.SampleOf(r, "operations")
	res.add("the whole mix", len(l.requesters), row)
	for kind, op := range linkOps {
		hist := drive.NewHistogram()
		for _, requester := range l.requesters {
			hist.Merge(requester.latency[kind])
		}
		one := Sample{Unit: "operations", Ops: hist.Count(), Elapsed: row.Elapsed, Latency: hist.Latency(), Checksum: row.Checksum}
		one.PerSecond = row.PerSecond * per(float64(one.Ops), float64(r.All()))
		res.add(op.name, len(l.requesters), one)
	}
}

// linkLedger is what a database holds, or what an operation changed: it is added up without regard to the order.
type linkLedger struct {
	nodes, links               int64
	nodeSum, linkSum           Checksum // of those that are there
	nodeVersions, linkVersions int64    // sums
}

func (a *linkLedger) add(b linkLedger) {
	a.nodes += b.nodes
	a.links += b.links
	a.nodeSum += b.nodeSum
	a.linkSum += b.linkSum
	a.nodeVersions += b.nodeVersions
	a.linkVersions += b.linkVersions
}

func (a *linkLedger) sum() Checksum {
	return a.nodeSum + a.linkSum + Checksum(a.nodeVersions) + Checksum(a.linkVersions)<<32
}

// audit compares everything in the database with what was acknowledged (B2).
func (l *links) audit(ctx context.Context) error {
	want := l.loaded
	for _, r := range l.requesters {
		want.add(r.ledger)
	}
	return l.db.View(ctx, func(tx *graph.Txn) error {
		var got linkLedger
		for node, err := range tx.NodesByLabel(linkNode) {
			if err != nil {
				return err
			}
			delta, err := ledgerOfNode(node)
			if err != nil {
				return err
			}
			got.add(delta)
		}
		for edge, err := range tx.AllEdges() {
			if err != nil {
				return err
			}
			delta, err := l.ledgerOfLink(edge)
			if err != nil {
				return err
			}
			got.add(delta)
		}
		if got != want {
			return &AuditError{Keys: got.nodes + got.links, WantKeys: want.nodes + want.links, Sum: got.sum(), WantSum: want.sum()}
		}
		return nil
	})
}

// newest sorts links by time, the newest first, as get_link_list returns them.
func newest(list []graph.Edge) {
	slices.SortFunc(list, func(a, b graph.Edge) int { return b.Props[linkTime].Compare(a.Props[linkTime]) })
}
