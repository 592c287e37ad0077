package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sombradb/sombra/bench"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/graph/csvload"
)

// defaultImportKey is the name of an import that was given none.
const defaultImportKey = "import"

func (a *app) importCommand() *cobra.Command {
	var cfg csvload.Config
	cmd := &cobra.Command{
		Use:   "import DB --nodes FILE --edges FILE",
		Short: "Load nodes and edges from CSV files",
		Long: `import loads CSV files into a database, which is made when it is missing.

Into a database without a graph it loads them in bulk, which is much faster: then all of it is
stored at the end, or nothing if it ends early. Otherwise several writers store
--batch rows at a time, and what is stored stays.

The first row names the columns: ~id, ~label and name:type for nodes; ~from, ~to, ~label
and name:type for edges; :ID, :LABEL, :START_ID, :END_ID and :TYPE work too. Types are
string, int, long, short, byte, float, double, bool, date, datetime, duration, bytes and json,
and lists of them, such as int[].

An import that ended early, by a bad row, an interrupt or a crash, can simply be run again: rows
that are there already are found by --key and their id, and not made twice.`,
		Example: `  sombra import routes.db --nodes nodes.csv --edges edges.csv --key air-routes
  sombra get routes.db ~1 --key air-routes`,
		Args: takes("DB"),
	}
	f := cmd.Flags()
	f.StringSliceVar(&cfg.Nodes, "nodes", nil, "CSV files with nodes")
	f.StringSliceVar(&cfg.Edges, "edges", nil, "CSV files with edges, loaded after all nodes")
	f.IntVar(&cfg.Writers, "writers", csvload.DefaultWriters, "transactions at a time, into a database with a graph")
	f.IntVar(&cfg.Batch, "batch", csvload.DefaultBatch, "rows in each transaction, and between two reports of progress")
	f.StringVar(&cfg.ImportKey, "key", defaultImportKey, "name of this import: ids are unique under it")
	f.BoolVar(&cfg.SkipBad, "skip-bad", false, "leave out bad rows and report them, instead of stopping at the first")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkImport(cmd, &cfg); err != nil {
			return err
		}
		return a.importInto(cmd, args[0], cfg)
	}
	return cmd
}

// checkImport finds faults before a database is made.
func checkImport(cmd *cobra.Command, cfg *csvload.Config) error {
	if len(cfg.Nodes)+len(cfg.Edges) == 0 {
		return usagef(cmd, "there is nothing to import: give --nodes, --edges or both")
	}
	if err := cfg.Validate(); err != nil {
		return usagef(cmd, "%v", err)
	}
	for _, files := range [...][]string{cfg.Nodes, cfg.Edges} {
		for _, file := range files {
			if _, err := os.Stat(file); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *app) importInto(cmd *cobra.Command, path string, cfg csvload.Config) error {
	opts, err := a.options(cmd)
	if err != nil {
		return err
	}
	p := a.newProgress("importing", true)
	cfg.Progress = func(s csvload.Progress) { p.set(s.BytesRead, s.BytesAll, importDetail(s)) }
	res, err := csvload.Import(cmd.Context(), path, &graph.Options{Options: opts}, cfg)
	p.finish()
	if err != nil {
		a.logf("The import ended early: %s.", importedText(res))
		return err
	}
	out := newImportResult(path, res)
	return a.print(out, func(w io.Writer) error { return out.write(w) })
}

// importDetail is what the progress says beside the bytes.
func importDetail(s csvload.Progress) string {
	rows := s.Nodes.Created + s.Nodes.Existing + s.Edges.Created + s.Edges.Existing
	return fmt.Sprintf("%s nodes, %s edges, %s rows/s", bench.Count(s.Nodes.Created), bench.Count(s.Edges.Created),
		bench.Count(perSecond(rows, s.Elapsed)))
}

func perSecond(n int64, d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64(float64(n) / d.Seconds())
}

func importedText(r csvload.Result) string {
	if r.Nodes.Created+r.Edges.Created == 0 {
		return "nothing was stored. Run it again to begin anew"
	}
	return fmt.Sprintf("%s nodes and %s edges were stored. Run it again to go on", bench.Count(r.Nodes.Created), bench.Count(r.Edges.Created))
}

// importResult is what import prints.
type importResult struct {
	Path    string        `json:"path"`
	Nodes   countsJSON    `json:"nodes"`
	Edges   countsJSON    `json:"edges"`
	Elapsed time.Duration `json:"elapsed_ns"`
	Rate    int64         `json:"rows_per_second"`
	Bad     []badCell     `json:"bad_cells"` // the first ones
}

// countsJSON are rows by what became of them.
type countsJSON struct {
	Created  int64 `json:"created"`
	Existing int64 `json:"already_there"`
	Bad      int64 `json:"bad"`
}

// badCell is a row that was left out, and why.
type badCell struct {
	File   string `json:"file"`
	Row    int    `json:"row"`
	Column string `json:"column,omitempty"`
	Value  string `json:"value"`
	Want   string `json:"want"`

	text string
}

func newImportResult(path string, r csvload.Result) *importResult {
	out := &importResult{
		Path: path, Nodes: countsJSON(r.Nodes), Edges: countsJSON(r.Edges), Elapsed: r.Elapsed, Bad: []badCell{},
		Rate: perSecond(r.Nodes.Created+r.Nodes.Existing+r.Edges.Created+r.Edges.Existing, r.Elapsed),
	}
	for _, c := range r.Bad {
		out.Bad = append(out.Bad, badCell{c.File, c.Row, c.Column, c.Value, c.Want, c.Error()})
	}
	return out
}

func (r *importResult) write(w io.Writer) error {
	l := &lines{w: w}
	l.f("%-7s%12s%16s%8s", "", "created", "already there", "bad")
	l.counts("nodes", r.Nodes)
	l.counts("edges", r.Edges)
	l.f("%v, %s rows/s, into %s", r.Elapsed.Round(time.Millisecond), bench.Count(r.Rate), r.Path)
	for _, c := range r.Bad {
		l.f("left out: %s", c.text)
	}
	if more := r.Nodes.Bad + r.Edges.Bad - int64(len(r.Bad)); more > 0 {
		l.f("left out: %s more", bench.Count(more))
	}
	return l.err
}

func (l *lines) counts(name string, c countsJSON) {
	l.f("%-7s%12s%16s%8s", name, bench.Count(c.Created), bench.Count(c.Existing), bench.Count(c.Bad))
}
