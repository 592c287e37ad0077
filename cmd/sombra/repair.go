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

func (a *app) repairCommand() *cobra.Command {
	keep := false
	cmd := &cobra.Command{
		Use:   "repair SRC DST",
		Short: "Save what is intact in a damaged database",
		Long: `repair makes a new database DST of all that is intact in the damaged database SRC, and lists
what is lost: pages, ranges of keys, positions in the log. It never writes to SRC.

A record is saved only if it is proven to be the current one. Commits that are in the log alone
are saved also from behind damage. A graph is made consistent afterwards: a node or an edge whose
record is lost is made anew from what leads to it, and listed. Then it is checked.

The exit code is 3 when something is lost or the graph had or has problems.`,
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
	Graph    *mended       `json:"graph"` // null when it is none
	Problems []string      `json:"graph_problems"`
	Elapsed  time.Duration `json:"elapsed_ns"`

	lost int // places of damage at which something is lost, and what was made anew of it
}

// mended is what became of the graph.
type mended struct {
	Nodes    []graph.NodeID `json:"nodes_anew"`
	Edges    []graph.EdgeID `json:"edges_anew"`
	Added    int64          `json:"entries_added"`
	Removed  int64          `json:"entries_removed"`
	Names    []string       `json:"names_made_up"`
	Dropped  []string       `json:"indexes_dropped"`
	Broken   []string       `json:"constraints_dropped"`
	Counters []string       `json:"counters_raised"`
	Keyspace string         `json:"keyspace_was,omitempty"` // what it was called without its name
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
	if err := r.mendGraph(ctx, dst, opts.Options); err != nil {
		return nil, err
	}
	r.Elapsed = time.Since(start)
	return r, nil
}

// mendGraph makes the graph in the new database consistent, if there is one, and checks it.
func (r *repairResult) mendGraph(ctx context.Context, path string, opts mvcc.Options) (err error) {
	opts.MustExist = true
	report, err := graph.Mend(ctx, path, &graph.Options{Options: opts})
	if errors.Is(err, graph.ErrNotGraph) {
		return nil
	}
	if err != nil {
		return err
	}
	r.Graph = &mended{
		Nodes: append([]graph.NodeID{}, report.Nodes...), Edges: append([]graph.EdgeID{}, report.Edges...),
		Added: report.Added, Removed: report.Removed, Keyspace: report.Keyspace,
		Names: append([]string{}, report.Names...), Dropped: []string{}, Broken: []string{}, Counters: append([]string{}, report.Counters...),
	}
	for _, d := range report.Dropped {
		r.Graph.Dropped = append(r.Graph.Dropped, d.Error())
	}
	for _, b := range report.Broken {
		r.Graph.Broken = append(r.Graph.Broken, b.Error())
	}
	if report.Changed() {
		r.lost++
	}
	db, err := graph.Open(path, &graph.Options{Options: opts}) // which removes the indexes that Mend has dropped
	if err != nil {
		r.Problems = append(r.Problems, err.Error())
		return nil
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	found, err := db.Check(ctx)
	for _, p := range found.Problems {
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
	if r.Graph != nil {
		r.Graph.write(l)
	}
	for _, name := range r.Renamed {
		if r.Graph != nil && r.Graph.Keyspace == name {
			continue
		}
		l.f("A keyspace has lost its name and is called %s; mvcc.DB.RenameKeyspace gives it another.", name)
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

// maxListed is how many nodes and edges the text lists; --json has all.
const maxListed = 100

func (m *mended) write(l *lines) {
	listAnew(l, "node", "labels and indexed properties as far as indexes tell them", m.Nodes)
	listAnew(l, "edge", "without properties", m.Edges)
	for _, d := range m.Dropped {
		l.f("ANEW: the unique index is gone, make it again when the values differ: %s", d)
	}
	for _, b := range m.Broken {
		l.f("ANEW: a constraint is gone, make it again when what is there obeys it: %s", b)
	}
	for _, name := range m.Names {
		l.f("ANEW: %s, whose name is lost", name)
	}
	for _, name := range m.Counters {
		l.f("ANEW: the counter %s, above the ids in use", name)
	}
	if m.Added+m.Removed > 0 {
		l.f("ANEW: %s entries that lead to nodes and edges; %s that led nowhere are removed", bench.Count(m.Added), bench.Count(m.Removed))
	}
}

func listAnew[ID ~uint64](l *lines, what, how string, ids []ID) {
	for i, id := range ids {
		if i == maxListed {
			l.f("ANEW: and %s more of the kind %s; --json lists all", bench.Count(int64(len(ids)-i)), what)
			return
		}
		l.f("ANEW: %s %d, %s", what, id, how)
	}
}
