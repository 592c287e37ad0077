package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sombradb/sombra/bench"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// graphKeyspace is where a graph lies in a database.
const graphKeyspace = "graph"

func (a *app) repairCommand() *cobra.Command {
	keep := false
	cmd := &cobra.Command{
		Use:   "repair SRC DST",
		Short: "Save what is intact in a damaged database",
		Long: `repair makes a new database DST of all that is intact in the damaged database SRC, and lists
what is lost: pages, ranges of keys, positions in the log. It never writes to SRC.

A record is saved only if it is proven to be the current one. Commits that are in the log alone
are saved also from behind damage. A graph is checked afterwards: an edge whose end is lost
is a problem of the new database.

The exit code is 3 when something is lost or the graph has problems.`,
		Args: takes("SRC", "DST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, err := a.options(cmd)
			if err != nil {
				return err
			}
			result, err := repair(cmd.Context(), args[0], args[1], &mvcc.RepairOptions{Options: opts, KeepOutdated: keep})
			if err != nil {
				return err
			}
			if err := a.print(result, result.write); err != nil {
				return err
			}
			if n := result.lost + len(result.Problems); n > 0 {
				return &corruptError{problems: n}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&keep, "keep-outdated", false, "also save records that lost changes may have replaced or deleted")
	return cmd
}

// repairResult is what repair prints.
type repairResult struct {
	Path     string        `json:"path"`
	Records  int64         `json:"records"`
	History  int64         `json:"history_records"`
	Commits  int64         `json:"commits_from_log"`
	Damage   []string      `json:"damage"`
	Renamed  []string      `json:"renamed_keyspaces"`
	Graph    bool          `json:"graph"`
	Problems []string      `json:"graph_problems"`
	Elapsed  time.Duration `json:"elapsed_ns"`

	lost int // places of damage at which something is lost
}

func repair(ctx context.Context, src, dst string, opts *mvcc.RepairOptions) (*repairResult, error) {
	start := time.Now()
	report, err := mvcc.Repair(ctx, src, dst, opts)
	if err != nil {
		return nil, err
	}
	r := &repairResult{
		Path: dst, Records: report.Records, History: report.History, Commits: report.Commits,
		Damage: []string{}, Renamed: append([]string{}, report.Renamed...), Problems: []string{},
	}
	for i := range report.Lost {
		l := &report.Lost[i]
		r.Damage = append(r.Damage, l.String())
		if l.Records != 0 || l.Outdated > 0 {
			r.lost++
		}
	}
	if err := r.checkGraph(ctx, dst, opts.Options); err != nil {
		return nil, err
	}
	r.Elapsed = time.Since(start)
	return r, nil
}

// checkGraph checks the new database as a graph, if it is one.
func (r *repairResult) checkGraph(ctx context.Context, path string, opts mvcc.Options) (err error) {
	opts.ReadOnly, opts.MustExist = true, true
	store, err := mvcc.Open(path, &opts)
	if err != nil {
		return err
	}
	names, err := store.Keyspaces(ctx)
	if err = errors.Join(err, store.Close()); err != nil || !slices.Contains(names, graphKeyspace) {
		return err
	}
	r.Graph = true
	db, err := graph.Open(path, &graph.Options{Options: opts})
	if err != nil { // it has lost what a graph needs to be opened
		r.Problems = append(r.Problems, err.Error())
		return nil
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	report, err := db.Check(ctx)
	for _, p := range report.Problems {
		r.Problems = append(r.Problems, p.Error())
	}
	return err
}

func (r *repairResult) write(w io.Writer) error {
	l := &lines{w: w}
	for _, d := range r.Damage {
		l.f("DAMAGE: %s", d)
	}
	for _, p := range r.Problems {
		l.f("PROBLEM of the graph: %s", p)
	}
	for _, name := range r.Renamed {
		l.f("A keyspace has lost its name and is called %s.", name)
	}
	l.f("Saved in %s (%v):", r.Path, r.Elapsed.Round(time.Millisecond))
	l.f("%14s records from the data file", bench.Count(r.Records))
	l.f("%14s versions of the past", bench.Count(r.History))
	l.f("%14s commits from the log", bench.Count(r.Commits))
	switch {
	case len(r.Damage) == 0:
		l.f("Nothing was damaged.")
	case r.lost == 0:
		l.f("Nothing is lost.")
	}
	return l.err
}
