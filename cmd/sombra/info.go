package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sombradb/sombra/bench"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

func (a *app) infoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "info DB",
		Short: "Say what a database is and how it is",
		Long: `info says what a database is: sizes, counts, indexes, constraints, and what opening it found.

It opens the database read-only: the log is read, and not changed.
Counting nodes and edges reads them all; --count=false leaves it out.`,
		Args: takes("DB"),
	}
	count := cmd.Flags().Bool("count", true, "count nodes and edges")
	config := cmd.Flags().Bool("config", false, "show instead what opening it here works with: chosen, derived and measured values")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.reading(cmd, args[0], func(db *graph.DB) error {
			if *config {
				c := newConfigInfo(db.Store().Config())
				return a.print(c, c.write)
			}
			in, err := newInfo(cmd, db, *count)
			if err != nil {
				return err
			}
			return a.print(in, in.write)
		})
	}
	return cmd
}

// info is what the command prints.
type info struct {
	Path     string `json:"path"`
	ID       string `json:"id"`
	Format   int    `json:"format_version"`
	PageSize int    `json:"page_size_bytes"`
	Sequence uint64 `json:"sequence"` // of the newest checkpoint
	// The data file's length is the sum of the four that follow it.
	FileBytes     int64  `json:"file_bytes"`
	DataBytes     int64  `json:"data_bytes"`
	HistoryBytes  int64  `json:"history_bytes"`
	OverheadBytes int64  `json:"overhead_bytes"`
	FreeBytes     int64  `json:"free_bytes"`
	Oldest        string `json:"oldest_readable,omitempty"`
	LogBytes      int64  `json:"log_bytes"` // of the log's files
	LogFiles      int    `json:"log_files"`
	LastCommit    string `json:"last_commit,omitempty"`

	Nodes       *int64           `json:"nodes,omitempty"`
	Edges       *int64           `json:"edges,omitempty"`
	Labels      map[string]int64 `json:"labels"`
	EdgeTypes   []string         `json:"edge_types"`
	Indexes     []string         `json:"indexes"`
	Constraints []string         `json:"constraints"`
	Keyspaces   []string         `json:"keyspaces"`
	History     int64            `json:"history_records"`

	Health       string       `json:"health"`
	Durability   string       `json:"durability"` // of this opening: every program chooses its own
	Unsafe       string       `json:"unsafe,omitempty"`
	MemoryBudget int64        `json:"memory_budget_bytes"`
	Recovered    recoveryJSON `json:"recovered"`
}

// recoveryJSON is what opening found in the log.
type recoveryJSON struct {
	Commits   int64         `json:"commits"`
	Records   int64         `json:"log_records"`
	Bytes     int64         `json:"log_bytes"`
	TornBytes int64         `json:"torn_bytes"`
	Duration  time.Duration `json:"duration_ns"`
	Damaged   error         `json:"-"` // never: info does not open for salvage
}

func newInfo(cmd *cobra.Command, db *graph.DB, count bool) (*info, error) {
	m, h := db.Store().Metrics(), db.Store().Health()
	in := &info{
		Path: db.Path(), ID: fmt.Sprintf("%x", db.Store().ID()), Format: mvcc.FormatVersion, PageSize: m.Pages.PageSize, Sequence: m.Pages.Sequence,
		Labels: map[string]int64{}, EdgeTypes: db.EdgeTypes(), Indexes: []string{}, Constraints: []string{}, History: m.HistoryRecords,
		Health: h.State, Durability: h.Durability.String(), Unsafe: h.Unsafe, MemoryBudget: h.MemoryBudget, Recovered: recoveryJSON(h.Recovered),
	}
	if m.Watermark > 0 {
		in.LastCommit = m.Watermark.Time().UTC().Format(time.RFC3339Nano)
	}
	if m.OldestReadable > 0 {
		in.Oldest = m.OldestReadable.Time().UTC().Format(time.RFC3339Nano)
	}
	space, err := db.Store().Space(cmd.Context())
	if err != nil {
		return nil, err
	}
	in.FileBytes, in.DataBytes, in.HistoryBytes = space.File, space.Data, space.History
	in.OverheadBytes, in.FreeBytes = space.Overhead, space.Free
	if in.LogBytes, in.LogFiles, err = directorySize(db.Path() + ".wal"); err != nil {
		return nil, err
	}
	if in.Keyspaces, err = db.Store().Keyspaces(cmd.Context()); err != nil {
		return nil, err
	}
	return in, db.View(cmd.Context(), func(tx *graph.Txn) error { return in.readGraph(tx, count) })
}

// readGraph fills in what only a transaction knows.
func (in *info) readGraph(tx *graph.Txn, count bool) error {
	indexes, err := tx.Indexes()
	if err != nil {
		return err
	}
	for _, ix := range indexes {
		in.Indexes = append(in.Indexes, indexText(ix))
	}
	constraints, err := tx.Constraints()
	if err != nil {
		return err
	}
	for _, c := range constraints {
		in.Constraints = append(in.Constraints, fmt.Sprintf("%v, %v", c, c.State))
	}
	for label, err := range tx.Labels() {
		if err != nil {
			return err
		}
		n, err := countLabel(tx, label, count)
		if err != nil {
			return err
		}
		in.Labels[label] = n
	}
	if !count {
		return nil
	}
	in.Nodes, in.Edges = new(int64), new(int64)
	for _, err := range tx.Nodes() {
		if err != nil {
			return err
		}
		*in.Nodes++
	}
	for _, err := range tx.AllEdges() {
		if err != nil {
			return err
		}
		*in.Edges++
	}
	return nil
}

// countLabel returns -1 where nothing is to be counted.
func countLabel(tx *graph.Txn, label string, count bool) (int64, error) {
	if !count {
		return -1, nil
	}
	n, err := tx.CountByLabel(label)
	return int64(n), err
}

func indexText(ix graph.Index) string {
	kind := ""
	if ix.Unique {
		kind = " unique"
	}
	return fmt.Sprintf(":%s(%s)%s, %v", ix.Label, strings.Join(ix.Properties, ", "), kind, ix.State)
}

// directorySize adds up the files of the log directory. A database that was
// copied without one has none.
func directorySize(dir string) (bytes int64, files int, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return 0, 0, err
	}
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil {
			return 0, 0, err
		}
		bytes += fi.Size()
		files++
	}
	return bytes, files, nil
}

func (in *info) write(w io.Writer) error {
	l := &lines{w: w}
	l.field("database", "%s", in.Path)
	l.field("format", "version %d, id %s", in.Format, in.ID)
	l.field("page size", "%s", bench.Bytes(int64(in.PageSize)))
	l.field("sequence", "%d", in.Sequence)
	l.field("data file", "%s: %s of data, %s for history, %s overhead, %s free", bench.Bytes(in.FileBytes),
		bench.Bytes(in.DataBytes), bench.Bytes(in.HistoryBytes), bench.Bytes(in.OverheadBytes), bench.Bytes(in.FreeBytes))
	l.field("log", "%s of log in %s", bench.Bytes(in.LogBytes), plural(in.LogFiles, "file"))
	l.field("last commit", "%s", orNone(in.LastCommit))
	if in.Nodes != nil {
		l.field("nodes", "%s", bench.Count(*in.Nodes))
		l.field("edges", "%s", bench.Count(*in.Edges))
	}
	l.field("labels", "%s", orNone(in.labelsText()))
	l.field("edge types", "%s", orNone(strings.Join(in.EdgeTypes, ", ")))
	l.field("indexes", "%s", orNone(strings.Join(in.Indexes, "; ")))
	l.field("constraints", "%s", orNone(strings.Join(in.Constraints, "; ")))
	l.field("keyspaces", "%s", orNone(strings.Join(in.Keyspaces, ", ")))
	l.field("history", "%s superseded versions, readable from %s on", bench.Count(in.History), orNone(in.Oldest))
	l.field("health", "%s", in.Health)
	l.field("durability", "%s", in.durabilityText())
	r := in.Recovered
	l.field("opening", "replayed %s commits from %s of log in %v", bench.Count(r.Commits), bench.Bytes(r.Bytes), r.Duration.Round(time.Microsecond))
	if r.TornBytes > 0 {
		l.field("", "left out %s of an unfinished, never acknowledged tail", bench.Bytes(r.TornBytes))
	}
	return l.err
}

func (in *info) durabilityText() string {
	if in.Unsafe == "" {
		return in.Durability + " (each program that opens the database chooses its own)"
	}
	return in.Durability + ": " + in.Unsafe
}

// labelsText lists labels by name, with their counts where there are any.
func (in *info) labelsText() string {
	var parts []string
	for _, label := range slices.Sorted(maps.Keys(in.Labels)) {
		if n := in.Labels[label]; n >= 0 {
			label += " " + bench.Count(n)
		}
		parts = append(parts, label)
	}
	return strings.Join(parts, ", ")
}
