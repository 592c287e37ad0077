package mvcc

import (
	"context"

	"github.com/sombradb/sombra/pagestore"
)

// CheckReport says what Check verified. All is well when Problems is empty.
type CheckReport struct {
	Pages, FreePages int64
	Records          int64 // in the data tree
	HistoryRecords   int64
	OverflowValues   int64
	Bytes            int64 // read
	LogRecords       int64 // verified when the database was opened
	LogBytes         int64
	Problems         []error
}

// Check reads every page of the data file and verifies checksums, structure
// and allocation, and that keys and timestamps make sense. Reads and writes go on; checkpoints
// wait until it is done. progress (may be nil) is told pages done and their total. The error says that
// checking itself could not go on.
func (db *DB) Check(ctx context.Context, progress func(done, total int64)) (CheckReport, error) {
	if !db.enter() {
		return CheckReport{}, ErrClosed
	}
	defer db.leave()
	db.checkpoints.run.Lock()
	defer db.checkpoints.run.Unlock()
	pages, err := db.store.Check(ctx, progress)
	report := CheckReport{
		Pages: pages.Pages, FreePages: pages.FreePages, OverflowValues: pages.OverflowValues, Bytes: pages.Bytes,
		LogRecords: db.recovered.Records, LogBytes: db.recovered.Bytes,
	}
	for _, p := range pages.Problems {
		report.Problems = append(report.Problems, db.pageError(p))
	}
	if err != nil || len(pages.Problems) > 0 {
		return report, err
	}
	view := db.state.Load().base
	report.Records = view.Count(pagestore.DataTree)
	report.HistoryRecords = view.Count(pagestore.HistoryTree)
	for _, check := range []func(context.Context, *pagestore.View, *CheckReport) error{checkData, checkHistory} {
		if err := check(ctx, view, &report); err != nil {
			return report, db.pageError(err)
		}
	}
	return report, nil
}

// maxProblems bounds what a report lists.
const maxProblems = 100

func (r *CheckReport) problem(format string, args ...any) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, corrupt(format, args...))
	}
}

// walk calls f for every record of a tree.
func walk(ctx context.Context, view *pagestore.View, tree pagestore.TreeID, f func(c *pagestore.Cursor)) error {
	c := view.Cursor(tree)
	defer c.Close()
	n := 0
	for ok := c.First(); ok; ok = c.Next() {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		f(c)
	}
	return c.Err()
}

// checkData verifies that every key has a keyspace and no timestamp is from the future.
func checkData(ctx context.Context, view *pagestore.View, r *CheckReport) error {
	newest := view.Meta().Timestamp
	return walk(ctx, view, pagestore.DataTree, func(c *pagestore.Cursor) {
		if len(c.Key()) < prefixSize {
			r.problem("data tree has a key of %d bytes, without a keyspace", len(c.Key()))
		}
		if c.Timestamp() > newest {
			r.problem("key %q has timestamp %d, after the checkpoint's %d", c.Key(), c.Timestamp(), newest)
		}
	})
}

// checkHistory verifies that every history key decodes and its version has ended.
func checkHistory(ctx context.Context, view *pagestore.View, r *CheckReport) error {
	newest := Timestamp(view.Meta().Timestamp)
	return walk(ctx, view, pagestore.HistoryTree, func(c *pagestore.Cursor) {
		h, ok := parseHistoryKey(nil, c.Key())
		switch {
		case !ok:
			r.problem("history tree has a key of %d bytes that does not decode", len(c.Key()))
		case uint64(h.timestamp) != c.Timestamp() || h.end < h.timestamp || h.end > newest:
			r.problem("history of key %q: version [%d, %d) with record timestamp %d does not make sense", h.key, h.timestamp, h.end, c.Timestamp())
		}
	})
}
