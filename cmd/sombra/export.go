package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sombradb/sombra/bench"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/graph/csvdump"
)

func (a *app) exportCommand() *cobra.Command {
	var nodes, edges string
	cmd := &cobra.Command{
		Use:   "export DB --nodes FILE --edges FILE",
		Short: "Write nodes and edges into CSV files",
		Long: `export writes a graph into CSV files, which 'sombra import' reads: one of nodes and one of edges, both of the
same moment. Either may be left out. A file that is there already is not replaced.

To copy a database as it is, with its indexes, use 'sombra backup'.`,
		Args: takes("DB"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if nodes == "" && edges == "" {
				return usagef(cmd, "there is nowhere to export to: give --nodes, --edges or both")
			}
			return a.reading(cmd, args[0], func(db *graph.DB) error {
				result, err := a.export(cmd.Context(), db, nodes, edges)
				if err != nil {
					return err
				}
				return a.print(result, result.write)
			})
		},
	}
	cmd.Flags().StringVar(&nodes, "nodes", "", "file for the nodes")
	cmd.Flags().StringVar(&edges, "edges", "", "file for the edges")
	return cmd
}

// exportResult is what export prints.
type exportResult struct {
	Nodes   int64         `json:"nodes"`
	Edges   int64         `json:"edges"`
	Changed int64         `json:"changed_values"`
	Elapsed time.Duration `json:"elapsed_ns"`
}

func (a *app) export(ctx context.Context, db *graph.DB, nodes, edges string) (result *exportResult, err error) {
	start := time.Now()
	bar := a.newProgress("rows", false)
	defer bar.finish()
	cfg := csvdump.Config{Progress: func(r csvdump.Result) { bar.set(r.Nodes+r.Edges, r.Nodes+r.Edges, "") }}
	for _, out := range []struct {
		path string
		w    *io.Writer
	}{{nodes, &cfg.Nodes}, {edges, &cfg.Edges}} {
		if out.path == "" {
			continue
		}
		var f *newFile
		if f, err = createNew(out.path); err != nil {
			return nil, err
		}
		*out.w = f
		defer func() { err = f.finish(err) }()
	}
	r, err := csvdump.Run(ctx, db, cfg)
	return &exportResult{Nodes: r.Nodes, Edges: r.Edges, Changed: r.Changed, Elapsed: time.Since(start)}, err
}

func (r *exportResult) write(w io.Writer) error {
	l := &lines{w: w}
	l.f("%s nodes and %s edges in %v", bench.Count(r.Nodes), bench.Count(r.Edges), r.Elapsed.Round(time.Millisecond))
	if r.Changed > 0 {
		l.f("%s values have no form of their own in CSV and will come back as strings or bytes: 'sombra backup' keeps them", bench.Count(r.Changed))
	}
	return l.err
}
