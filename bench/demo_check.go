package bench

import (
	"context"
	"time"
)

// DemoCheck is what the check of the whole database verified.
type DemoCheck struct {
	Pages        int64         `json:"pages"`
	Bytes        int64         `json:"bytes"`
	Nodes        int64         `json:"nodes"`
	Edges        int64         `json:"edges"`
	IndexEntries int64         `json:"index_entries"`
	Problems     int           `json:"problems"`
	First        string        `json:"first_problem,omitempty"`
	Elapsed      time.Duration `json:"elapsed_ns"`
}

// check merges everything into the data file and verifies all of it.
func (r *demoRun) check(ctx context.Context) error {
	r.progress("check", 0, 1)
	start := time.Now()
	if err := r.db.Store().Checkpoint(ctx); err != nil {
		return err
	}
	report, err := r.db.Check(ctx)
	if err != nil {
		return err
	}
	r.res.Check = DemoCheck{
		Pages: report.Store.Pages, Bytes: report.Store.Bytes, Nodes: report.Nodes, Edges: report.Edges,
		IndexEntries: report.IndexEntries, Problems: len(report.Problems), Elapsed: time.Since(start),
	}
	if len(report.Problems) > 0 {
		r.res.Check.First = report.Problems[0].Error()
	}
	return nil
}
