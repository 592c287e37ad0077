package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sombradb/sombra/bench"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

func (a *app) compactCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "compact DB",
		Short: "Make the data file as small as it can be",
		Long: `compact fills sparse pages, moves everything to the front of the data file and cuts the rest off.

It works in steps, each of which is safe against a crash, and may be interrupted: what was
done stays done. A database in use gives free space back by itself, only more slowly.`,
		Args: takes("DB"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			db, err := a.open(cmd, args[0], func(o *mvcc.Options) { o.MustExist = true })
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, db.Close()) }()
			result, err := a.compact(cmd.Context(), db)
			if err != nil {
				return err
			}
			return a.print(result, result.write)
		},
	}
}

// compactResult is what compact prints.
type compactResult struct {
	Path    string        `json:"path"`
	Before  int64         `json:"file_bytes_before"`
	After   int64         `json:"file_bytes_after"`
	Steps   int           `json:"steps"`
	Elapsed time.Duration `json:"elapsed_ns"`
}

func (a *app) compact(ctx context.Context, db *graph.DB) (*compactResult, error) {
	start := time.Now()
	before, err := db.Store().Space(ctx)
	if err != nil {
		return nil, err
	}
	r := &compactResult{Path: db.Path(), Before: before.File}
	bar := a.newProgress("pages", false)
	defer bar.finish()
	err = db.Store().Compact(ctx, func(p mvcc.CompactProgress) {
		r.Steps++
		r.After = p.Space.File
		bar.set(p.Done, p.Done+p.Left, "")
	})
	r.Elapsed = time.Since(start)
	return r, err
}

func (r *compactResult) write(w io.Writer) error {
	l := &lines{w: w}
	l.f("%s: %s, was %s, in %s and %v", r.Path, bench.Bytes(r.After), bench.Bytes(r.Before), plural(r.Steps, "step"), r.Elapsed.Round(time.Millisecond))
	return l.err
}
