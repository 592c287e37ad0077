package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// open opens a graph with the global flags; change may adjust the options.
func (a *app) open(cmd *cobra.Command, path string, change func(*mvcc.Options)) (*graph.DB, error) {
	opts, err := a.options(cmd)
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(&opts)
	}
	return graph.Open(path, &graph.Options{Options: opts})
}

// reading opens an existing graph without changing anything on disk, calls fn and closes it.
func (a *app) reading(cmd *cobra.Command, path string, fn func(*graph.DB) error) (err error) {
	db, err := a.open(cmd, path, func(o *mvcc.Options) { o.ReadOnly, o.MustExist = true, true })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return fn(db)
}

// viewing is reading in one transaction, so that an answer is of one moment.
func (a *app) viewing(cmd *cobra.Command, path string, fn func(*graph.Txn) error) error {
	return a.reading(cmd, path, func(db *graph.DB) error { return db.View(cmd.Context(), fn) })
}
