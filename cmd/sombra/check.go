package main

import (
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sombradb/sombra/bench"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

func (a *app) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check DB",
		Short: "Verify everything in a database",
		Long: `check reads the whole database and verifies it: checksums, structure and allocation of
all pages, the log, that nodes, edges, labels and indexes agree, and that constraints hold.

It changes nothing. The exit code is 3 when it finds corruption, also when that
keeps the database from being opened.`,
		Args: takes("DB"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		start := time.Now()
		var found checkResult
		err := a.reading(cmd, args[0], func(db *graph.DB) error {
			report, err := db.Check(cmd.Context())
			found.fill(args[0], report, time.Since(start))
			return err
		})
		// What keeps a database from being opened, or from being read to the end, is a finding too.
		if errors.Is(err, mvcc.ErrCorrupt) {
			found.Path = args[0]
			found.Problems = append(found.Problems, err.Error())
		} else if err != nil {
			return err
		}
		if err := a.print(&found, found.write); err != nil {
			return err
		}
		if n := len(found.Problems); n > 0 {
			return &corruptError{problems: n}
		}
		return nil
	}
	return cmd
}

// checkResult is what check prints.
type checkResult struct {
	Path           string        `json:"path"`
	Pages          int64         `json:"pages"`
	FreePages      int64         `json:"free_pages"`
	Bytes          int64         `json:"bytes"` // read
	Records        int64         `json:"records"`
	HistoryRecords int64         `json:"history_records"`
	OverflowValues int64         `json:"overflow_values"`
	LogRecords     int64         `json:"log_records"`
	LogBytes       int64         `json:"log_bytes"`
	Nodes          int64         `json:"nodes"`
	Edges          int64         `json:"edges"`
	LabelEntries   int64         `json:"label_entries"`
	IndexEntries   int64         `json:"index_entries"`
	Indexes        int64         `json:"indexes"`
	Constraints    int64         `json:"constraints"`
	ExternalIDs    int64         `json:"external_ids"`
	Problems       []string      `json:"problems"`
	Elapsed        time.Duration `json:"elapsed_ns"`
}

func (c *checkResult) fill(path string, r graph.CheckReport, elapsed time.Duration) {
	s := r.Store
	*c = checkResult{
		Path: path, Pages: s.Pages, FreePages: s.FreePages, Bytes: s.Bytes, Records: s.Records,
		HistoryRecords: s.HistoryRecords, OverflowValues: s.OverflowValues, LogRecords: s.LogRecords, LogBytes: s.LogBytes,
		Nodes: r.Nodes, Edges: r.Edges, LabelEntries: r.LabelEntries, IndexEntries: r.IndexEntries,
		Indexes: r.Indexes, Constraints: r.Constraints, ExternalIDs: r.ExternalIDs, Problems: []string{}, Elapsed: elapsed,
	}
	for _, p := range r.Problems {
		c.Problems = append(c.Problems, p.Error())
	}
}

func (c *checkResult) write(w io.Writer) error {
	l := &lines{w: w}
	for _, p := range c.Problems {
		l.f("PROBLEM: %s", p)
	}
	if c.Pages == 0 && len(c.Problems) > 0 { // it could not be opened
		return l.err
	}
	l.f("Verified in %s (%v):", c.Path, c.Elapsed.Round(time.Millisecond))
	for _, row := range [...]struct {
		n    int64
		what string
	}{
		{c.Pages, "pages in use: checksums, page numbers, key order, counts, each reached once"},
		{c.FreePages, "free pages, in reach of nothing"},
		{c.Records, "records, " + bench.Count(c.HistoryRecords) + " superseded versions, " + bench.Count(c.OverflowValues) + " large values"},
		{c.LogRecords, "log records, " + bench.Bytes(c.LogBytes) + ": checksums and their chain"},
		{c.Nodes, "nodes, each in the label and index entries that it calls for"},
		{c.Edges, "edges, each at both of its ends, which exist"},
		{c.LabelEntries, "label entries, each with its node"},
		{c.Indexes, "indexes"},
		{c.Constraints, "constraints, which all nodes and edges obey"},
		{c.IndexEntries, "index entries, each with its node and value"},
		{c.ExternalIDs, "ids of imports"},
	} {
		l.f("%14s %s", bench.Count(row.n), row.what)
	}
	if len(c.Problems) == 0 {
		l.f("No problems.")
	}
	return l.err
}
