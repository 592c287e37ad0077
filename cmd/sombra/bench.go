package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sombradb/sombra/bench"
)

// textWriter is a result that can be shown as a table; each workload has its own.
type textWriter interface{ WriteText(io.Writer) error }

// workload binds one workload of package bench to its flags.
type workload struct {
	name, short string
	flags       func(*pflag.FlagSet)
	scale       func(by float64) // of the sizes and durations that flags set
	run         func(context.Context, bench.Common) (textWriter, error)
}

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench WORKLOAD",
		Short: "Measure the engine on this machine",
		Long: `bench runs one of the workloads below and prints a table, or JSON with --json.

Every row carries a checksum of the work done, and what was written is read
back and compared. Scratch files go to --dir and are removed. Choose a
directory on the disk that you want to know about: in memory, syncs cost nothing.`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return usagef(cmd, "WORKLOAD is missing") },
	}
	var dir string
	cmd.PersistentFlags().StringVar(&dir, "dir", "", "directory for scratch files (default the system's for temporary files)")
	for _, w := range workloads() {
		cmd.AddCommand(a.workloadCommand(w, &dir))
	}
	cmd.AddCommand(a.benchAllCommand(&dir))
	return cmd
}

func (a *app) workloadCommand(w workload, dir *string) *cobra.Command {
	cmd := &cobra.Command{Use: w.name, Short: w.short, Args: takes()}
	w.flags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		res, err := a.runWorkload(cmd, w, *dir)
		if err != nil && !complete(err) {
			return err
		}
		return errors.Join(a.print(res, res.WriteText), err)
	}
	return cmd
}

// complete reports whether a workload has a result though it failed: it broke a bound, and the figures tell how.
func complete(err error) bool {
	var bound *bench.BoundError
	return errors.As(err, &bound)
}

func (a *app) runWorkload(cmd *cobra.Command, w workload, dir string) (textWriter, error) {
	opts, err := a.options(cmd)
	if err != nil {
		return nil, err
	}
	return w.run(cmd.Context(), bench.Common{
		Dir: dir, MemoryBudget: opts.MemoryBudget, PageSize: opts.PageSize,
		Note: func(text string) { a.logf("%s", text) },
	})
}

func (a *app) benchAllCommand(dir *string) *cobra.Command {
	cmd := &cobra.Command{Use: "all", Short: "run all of them, with default sizes or scaled ones", Args: takes()}
	scale := cmd.Flags().Float64("scale", 1, "multiply sizes and durations by this")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *scale <= 0 {
			return usagef(cmd, "--scale is %v, want more than 0", *scale)
		}
		return a.benchAll(cmd, *dir, *scale)
	}
	return cmd
}

// benchAll prints each table as soon as it is there; JSON is one array at the end.
func (a *app) benchAll(cmd *cobra.Command, dir string, scale float64) error {
	var results []textWriter
	var broken []error
	for _, w := range workloads() {
		w.flags(pflag.NewFlagSet(w.name, pflag.ContinueOnError)) // sets the defaults
		w.scale(scale)
		res, err := a.runWorkload(cmd, w, dir)
		if err != nil && !complete(err) {
			return err
		}
		broken = append(broken, err)
		results = append(results, res)
		if a.json {
			continue
		}
		if err := writeTable(a.stdout, res); err != nil {
			return err
		}
	}
	if a.json {
		broken = append(broken, a.print(results, nil))
	}
	return errors.Join(broken...)
}

// workloads returns the workloads in the order that "all" runs them. Each call
// makes new ones, because they hold their flags' values.
func workloads() []workload {
	return []workload{
		commitWorkload(), logWorkload(), getWorkload(), scanWorkload(),
		checkpointWorkload(), recoveryWorkload(), memoryWorkload(),
		transferWorkload(), hotkeyWorkload(), counterWorkload(), hubWorkload(), deadlockWorkload(),
		longReaderWorkload(), shrinkWorkload(), overwriteWorkload(), largeWorkload(), soakWorkload(),
	}
}

func writeTable(w io.Writer, res textWriter) error {
	if err := res.WriteText(w); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}
