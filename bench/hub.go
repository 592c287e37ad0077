package bench

import (
	"context"
	"errors"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// HubConfig configures the hub workload: all writers add edges to one node of
// a graph, one edge in each transaction, durably.
type HubConfig struct {
	Common
	Writers []int `json:"writers"` // concurrent writers, one row for each; default 8, 32, 128
	// Limit ends each row; default 2 s.
	Limit Limit `json:"limit"`
}

func (c HubConfig) withDefaults() HubConfig {
	if len(c.Writers) == 0 {
		c.Writers = contendedWriters
	}
	c.Limit = orDuration(c.Limit, 2*time.Second)
	return c
}

func (c *HubConfig) validate() error { return allPositive("Writers", c.Writers) }

// Hub measures the growth of one node's adjacency. A conflict is an error: writers of edges share no record.
func Hub(ctx context.Context, cfg HubConfig) (*ContentionResult, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	res := &ContentionResult{Workload: "hub", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	for _, level := range isolationLevels {
		for _, writers := range cfg.Writers {
			cfg.note("hub: %v, %d writers", level, writers)
			err := cfg.inScratch("hub", func(dir string) error {
				row, err := hubRow(ctx, cfg, dir, writers, level)
				res.Rows = append(res.Rows, row)
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return res, nil
}

func hubRow(ctx context.Context, cfg HubConfig, dir string, writers int, level mvcc.Isolation) (row ContentionRow, err error) {
	db, err := graph.Open(databasePath(dir), &graph.Options{Options: *cfg.options()})
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	h, err := newHub(ctx, db, writers)
	if err != nil {
		return row, err
	}
	c := &contest[*graph.Txn]{
		kind: "CreateEdge", writers: writers, limit: cfg.Limit,
		opts: &mvcc.TxnOptions{Isolation: level, Label: "bench hub"},
		db:   db.Store(), update: db.UpdateWith, body: h.addEdge,
	}
	if row, err = c.run(ctx); err != nil {
		return row, err
	}
	return row, h.audit(ctx, row)
}

// hub is a node that everybody links to, each writer from a node of its own.
type hub struct {
	db     *graph.DB
	center graph.NodeID
	leaves []graph.NodeID
}

const (
	hubEdge   = "FOLLOWS"
	hubNumber = "number" // property of an edge: the operation that made it
)

// newHub stores the nodes, and an edge elsewhere, so that all names are known.
func newHub(ctx context.Context, db *graph.DB, writers int) (*hub, error) {
	h := &hub{db: db, leaves: make([]graph.NodeID, writers)}
	return h, db.Update(ctx, func(tx *graph.Txn) (err error) {
		if h.center, err = tx.CreateNode(nil, nil); err != nil {
			return err
		}
		for i := range h.leaves {
			if h.leaves[i], err = tx.CreateNode(nil, nil); err != nil {
				return err
			}
		}
		_, err = tx.CreateEdge(h.leaves[0], h.leaves[0], hubEdge, graph.Props{hubNumber: graph.Int(0)})
		return err
	})
}

func (h *hub) addEdge(tx *graph.Txn, c *contender, worker int, op uint64) (Checksum, error) {
	defer c.since(time.Now())
	_, err := tx.CreateEdge(h.leaves[worker], h.center, hubEdge, graph.Props{hubNumber: graph.Int(int64(op))})
	return Checksum(gen.Mix(op)), err
}

// audit compares the node's degree, and the edges themselves, with what was acknowledged (B2).
func (h *hub) audit(ctx context.Context, row ContentionRow) error {
	err := errors.Join(
		auditCount("attempts to add an edge", row.Attempts, row.Done),
		auditCount("conflicts between edges of one node", row.Conflicts, 0))
	if err != nil {
		return err
	}
	return h.db.View(ctx, func(tx *graph.Txn) error {
		degree, err := tx.Degree(h.center, graph.In, hubEdge)
		if err != nil {
			return err
		}
		var edges int64
		var sum Checksum
		for e, err := range tx.Edges(h.center, graph.In, hubEdge) {
			if err != nil {
				return err
			}
			number, _ := e.Props[hubNumber].AsInt()
			sum += Checksum(gen.Mix(uint64(number)))
			edges++
		}
		if edges != row.Done || sum != row.Checksum {
			return &AuditError{Keys: edges, WantKeys: row.Done, Sum: sum, WantSum: row.Checksum}
		}
		return auditCount("degree of the hub", int64(degree), row.Done)
	})
}
