package bench

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/internal/rmat"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// GraphMixConfig configures the graphmix workload: what readers and durable writers of one graph cost each other. A reader
// finds the neighbours of a node, and counts a node's likes; a writer adds a like, which is an edge, and counts it in
// the node that is liked.
type GraphMixConfig struct {
	Common
	GraphSize
	Readers int `json:"readers"` // concurrent readers; default 8
	Writers int `json:"writers"` // concurrent writers; default 8
	// Limit ends each row; default 1 s.
	Limit Limit `json:"limit"`
}

func (c GraphMixConfig) withDefaults() GraphMixConfig {
	c.GraphSize.setDefaults(20_000)
	setDefault(&c.MemoryBudget, graphBudget)
	setDefault(&c.Readers, 8)
	setDefault(&c.Writers, 8)
	c.Limit = orDuration(c.Limit, time.Second)
	return c
}

func (c *GraphMixConfig) validate() error {
	return errors.Join(atLeast("Readers", c.Readers, 1), atLeast("Writers", c.Writers, 1))
}

// likes is the workload while it is measured.
type likes struct {
	*people
	cfg   GraphMixConfig
	want  []rmat.Reach // neighbours of the n-th start
	given atomic.Int64 // acknowledged
	round uint64       // of writers, so that no two give the same likes
}

const (
	likesEdge = "LIKES"
	likesProp = "likes" // of a node: how many edges of that type lead to it
)

// GraphMix measures readers alone, readers beside writers, and writers alone.
func GraphMix(ctx context.Context, cfg GraphMixConfig) (*Result, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	res := &Result{Workload: "graphmix", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	return res, withPeople(ctx, "graphmix", &cfg.Common, &cfg.GraphSize, func(p *people, _ time.Duration) error {
		if _, err := p.audit(ctx); err != nil {
			return err
		}
		l := &likes{people: p, cfg: cfg}
		for n := range uint64(nearQuestions) {
			l.want = append(l.want, p.csr.Reach(p.start(n), 1))
		}
		return errors.Join(l.measure(ctx, res), l.audit(ctx))
	})
}

func (l *likes) measure(ctx context.Context, res *Result) error {
	l.cfg.note("graphmix: readers")
	r, err := closed(ctx, l.cfg.Readers, l.cfg.Limit, l.read)
	if err != nil {
		return err
	}
	res.add("reads", l.cfg.Readers, figures.SampleOf(r, "reads"))
	l.cfg.note("graphmix: readers beside writers")
	row, err := l.readBeside(ctx)
	if err != nil {
		return err
	}
	res.add("reads beside writers", l.cfg.Readers, row)
	l.cfg.note("graphmix: writers")
	if r, err = drive.Closed(ctx, l.cfg.Writers, l.cfg.Limit, l.give()); err != nil {
		return err
	}
	res.add("likes", l.cfg.Writers, figures.SampleOf(r, "commits"))
	return nil
}

// readBeside measures readers while writers write.
func (l *likes) readBeside(ctx context.Context) (row Sample, err error) {
	writers := newBeside()
	give := l.give()
	before, begin := l.given.Load(), time.Now()
	for w := range l.cfg.Writers {
		seq := uint64(0)
		writers.loop(0, func() error {
			_, err := give(ctx, w, seq)
			seq++
			return err
		})
	}
	r, err := closed(ctx, l.cfg.Readers, l.cfg.Limit, l.read)
	err = errors.Join(err, writers.stop())
	row = figures.SampleOf(r, "reads")
	row.Beside = per(float64(l.given.Load()-before), time.Since(begin).Seconds())
	return row, err
}

// read compares the neighbours of a node with the model, and a node's count of likes with the edges that are counted.
func (l *likes) read(ctx context.Context, worker int, seq uint64) (sum Checksum, err error) {
	n := (seq + uint64(worker)*7) % nearQuestions
	err = l.db.View(ctx, func(tx *graph.Txn) error {
		got, err := l.askNeighbors(tx, n)
		if err != nil {
			return err
		}
		if got != l.want[n] {
			return auditCount("neighbours of a node beside writers", int64(got.Nodes), int64(l.want[n].Nodes))
		}
		sum = Checksum(gen.Mix(got.Sum))
		return l.compare(tx, l.ids[l.start(n)])
	})
	return sum, err
}

// compare counts the likes of a node.
func (l *likes) compare(tx *graph.Txn, id graph.NodeID) error {
	value, err := tx.Property(id, likesProp)
	if err != nil {
		return err
	}
	counted, _ := value.AsInt() // 0 without one
	edges, err := tx.Degree(id, graph.In, likesEdge)
	return errors.Join(err, auditCount("likes of a node, by its own count", counted, int64(edges)))
}

var graphMixOptions = &mvcc.TxnOptions{Isolation: mvcc.Serializable, Label: "bench graph mix"}

// give returns an operation that gives a like.
func (l *likes) give() drive.Op {
	l.round++
	round := l.round
	return func(ctx context.Context, worker int, seq uint64) (did drive.Did, err error) {
		h := gen.Mix(round<<56 ^ opNumber(worker, seq))
		from, to := l.ids[h%uint64(len(l.ids))], l.ids[l.start(gen.Mix(h)%nearQuestions)]
		err = l.db.UpdateWith(ctx, graphMixOptions, func(tx *graph.Txn) error {
			did.Attempts++
			node, err := tx.LockNode(to)
			if err != nil {
				return err
			}
			count, _ := node.Props[likesProp].AsInt()
			if err := tx.SetProperty(to, likesProp, graph.Int(count+1)); err != nil {
				return err
			}
			_, err = tx.CreateEdge(from, to, likesEdge, nil)
			return err
		})
		if err == nil {
			l.given.Add(1)
		}
		did.Sum = Checksum(h)
		return did, err
	}
}

// audit compares all likes with what was acknowledged (B2).
func (l *likes) audit(ctx context.Context) error {
	return l.db.View(ctx, func(tx *graph.Txn) error {
		var total int64
		for _, id := range l.ids {
			if err := l.compare(tx, id); err != nil {
				return err
			}
			value, err := tx.Property(id, likesProp)
			if err != nil {
				return err
			}
			n, _ := value.AsInt()
			total += n
		}
		return auditCount("likes of all nodes", total, l.given.Load())
	})
}
