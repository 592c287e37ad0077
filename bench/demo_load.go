package bench

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// peopleBatch is the number of people that one transaction stores. A person's
// friendships are a transaction of their own.
const peopleBatch = 10

// load stores the people, then who knows whom, with concurrent writers.
func (r *demoRun) load(ctx context.Context) error {
	if err := r.db.CreateIndex(ctx, "Person", "handle", true); err != nil {
		return err
	}
	before := r.db.Store().Metrics()
	batches := (r.cfg.People + peopleBatch - 1) / peopleBatch
	people, err := r.drive(ctx, "people", batches, r.storePeople)
	if err != nil {
		return err
	}
	edges, err := r.drive(ctx, "friendships", r.cfg.People, r.storeFriendships)
	if err != nil {
		return err
	}
	after := r.db.Store().Metrics()
	people.Hist.Merge(edges.Hist)
	l := &r.res.Load
	l.Nodes, l.Edges = int64(r.cfg.People), int64(r.cfg.Edges)
	l.Elapsed = people.Elapsed + edges.Elapsed
	l.Commits = people.Ops + edges.Ops
	l.PerSecond = per(float64(l.Commits), l.Elapsed.Seconds())
	l.EdgesRate = per(float64(l.Edges), edges.Elapsed.Seconds())
	l.Latency = people.Latency()
	l.Retries = after.Retries - before.Retries
	return nil
}

// drive does n numbered pieces of work with the demo's writers, and shows progress.
func (r *demoRun) drive(ctx context.Context, phase string, n int, do func(context.Context, int) error) (drive.Result, error) {
	var next, done atomic.Int64
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	return closed(ctx, r.cfg.Writers, Limit{Ops: int64(n)}, func(ctx context.Context, worker int, _ uint64) (Checksum, error) {
		err := do(ctx, int(next.Add(1)-1))
		now := done.Add(1)
		// Only the first worker shows, so that nobody waits for the screen.
		if worker == 0 {
			select {
			case <-ticker.C:
				r.progress(phase, now, int64(n))
			default:
			}
		}
		return 0, err
	})
}

func (r *demoRun) update(ctx context.Context, fn func(*graph.Txn) error) error {
	return r.db.UpdateWith(ctx, &mvcc.TxnOptions{Isolation: mvcc.Serializable, Label: "demo"}, fn)
}

func (r *demoRun) storePeople(ctx context.Context, batch int) error {
	lo := batch * peopleBatch
	hi := min(lo+peopleBatch, len(r.people))
	return r.update(ctx, func(tx *graph.Txn) error {
		for i := lo; i < hi; i++ {
			id, err := tx.CreateNode([]string{"Person"}, r.people[i].props())
			if err != nil {
				return err
			}
			r.ids[i] = id
		}
		return nil
	})
}

func (p *person) props() graph.Props {
	return graph.Props{
		"name": graph.String(p.name), "handle": graph.String(p.handle),
		"city": graph.String(p.city), "joined": graph.Int(p.joined),
	}
}

func (r *demoRun) storeFriendships(ctx context.Context, from int) error {
	if len(r.knows[from]) == 0 {
		return nil
	}
	return r.update(ctx, func(tx *graph.Txn) error {
		for _, to := range r.knows[from] {
			since := max(r.people[from].joined, r.people[to].joined)
			if _, err := tx.CreateEdge(r.ids[from], r.ids[to], "KNOWS", graph.Props{"since": graph.Int(since)}); err != nil {
				return err
			}
		}
		return nil
	})
}
