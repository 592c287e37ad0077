package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/sombradb/sombra/bench"
)

func (a *app) demoCommand() *cobra.Command {
	var cfg bench.DemoConfig
	cmd := &cobra.Command{
		Use:   "demo [DIR]",
		Short: "Build a social graph and show what the database does",
		Long: `demo builds a social graph with concurrent writers at serializable isolation, lets
them run into conflicts and deadlocks on purpose, asks the graph some questions,
checks it, and says what to try next. It takes less than a minute.

The database is made in DIR, or in a new directory for temporary files, and stays there.`,
		Args: takes("[DIR]"),
	}
	f := cmd.Flags()
	f.IntVar(&cfg.People, "people", 20_000, "number of people")
	f.IntVar(&cfg.Edges, "edges", 0, "number of friendships (default 10 for each of the people)")
	f.IntVar(&cfg.Writers, "writers", 16, "concurrent writers")
	f.Uint64Var(&cfg.Seed, "seed", 1, "of the people and of who knows whom")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opts, err := a.options(cmd)
		if err != nil {
			return err
		}
		cfg.MemoryBudget, cfg.PageSize = opts.MemoryBudget, opts.PageSize
		return a.demo(cmd, cfg, args)
	}
	return cmd
}

// demo runs the demo in the directory that was given, or in a new one, which
// is removed again when the demo fails.
func (a *app) demo(cmd *cobra.Command, cfg bench.DemoConfig, args []string) (err error) {
	if len(args) > 0 {
		cfg.Dir = args[0]
		if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
			return err
		}
	} else {
		if cfg.Dir, err = os.MkdirTemp("", "sombra-demo-*"); err != nil {
			return err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, os.RemoveAll(cfg.Dir))
			}
		}()
	}
	p := a.newPhases()
	cfg.Progress = func(d bench.DemoProgress) { p.set(d.Phase, d.Done, d.Total) }
	res, err := bench.Demo(cmd.Context(), cfg)
	p.finish()
	if err != nil {
		return err
	}
	if err := a.print(res, res.WriteText); err != nil {
		return err
	}
	if n := res.Check.Problems; n > 0 {
		return &corruptError{problems: n}
	}
	return nil
}
