package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sombradb/sombra/bench"
)

// workload binds one workload of package bench to its flags.
type workload struct {
	name, short string
	flags       knob
	run         func(context.Context, bench.Common) (bench.Outcome, error)
}

// run makes the function of a workload. common is the part of cfg that the command fills.
func run[C any, R bench.Outcome](cfg *C, common *bench.Common, fn func(context.Context, C) (R, error)) func(context.Context, bench.Common) (bench.Outcome, error) {
	return func(ctx context.Context, c bench.Common) (bench.Outcome, error) {
		*common = c
		return fn(ctx, *cfg)
	}
}

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench WORKLOAD",
		Short: "Measure the engine on this machine",
		Long: `bench runs one of the workloads below and prints a table, or JSON with --json.

Every row carries a checksum of the work done, and what was written is read
back and compared. Scratch files go to --dir and are removed. Choose a
directory on the disk that you want to know about: in memory, syncs cost nothing.

--rounds N measures everything N times, in turns, and prints medians with their
range. --samples keeps every measurement as JSON lines, --report writes a
document with plots, and --against compares with an earlier run.`,
		Example: `  sombra bench commit --dir /data                       # on the disk of /data
  sombra bench ycsb --mixes A,C --rounds 5
  sombra bench commit --writers 128 --profile mutex
  sombra bench all --scale 0.1 --rounds 3 --samples before.jsonl
  sombra bench all --scale 0.1 --rounds 3 --against before.jsonl --report after.md`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return usagef(cmd, "WORKLOAD is missing") },
	}
	flags := &reportFlags{}
	flags.add(cmd.PersistentFlags())
	for _, w := range workloads() {
		cmd.AddCommand(a.workloadCommand(w, flags))
	}
	cmd.AddCommand(a.benchAllCommand(flags))
	return cmd
}

func (a *app) workloadCommand(w workload, flags *reportFlags) *cobra.Command {
	cmd := &cobra.Command{Use: w.name, Short: w.short, Args: takes()}
	w.flags.add(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.bench(cmd, flags, []workload{w}, func(results []bench.Outcome) any {
			if len(results) == 1 {
				return results[0]
			}
			return results
		})
	}
	return cmd
}

func (a *app) benchAllCommand(flags *reportFlags) *cobra.Command {
	cmd := &cobra.Command{Use: "all", Short: "run all of them, with default sizes or scaled ones", Args: takes()}
	scale := cmd.Flags().Float64("scale", 1, "multiply sizes and durations by this")
	only := cmd.Flags().StringSlice("only", nil, "run these workloads only")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *scale <= 0 {
			return usagef(cmd, "--scale is %v, want more than 0", *scale)
		}
		list, err := selected(*only)
		if err != nil {
			return usagef(cmd, "%v", err)
		}
		for _, w := range list {
			w.flags.add(pflag.NewFlagSet(w.name, pflag.ContinueOnError)) // sets the defaults
			if w.flags.scale != nil {
				w.flags.scale(*scale)
			}
		}
		return a.bench(cmd, flags, list, func(results []bench.Outcome) any { return results })
	}
	return cmd
}

// selected returns the named workloads, all for no names.
func selected(names []string) ([]workload, error) {
	if len(names) == 0 {
		return workloads(), nil
	}
	var list []workload
	for _, name := range names {
		before := len(list)
		for _, w := range workloads() {
			if w.name == name {
				list = append(list, w)
			}
		}
		if len(list) == before {
			return nil, fmt.Errorf("--only: there is no workload %q; there are %s", name, strings.Join(workloadNames(), ", "))
		}
	}
	return list, nil
}

func workloadNames() (names []string) {
	for _, w := range workloads() {
		names = append(names, w.name)
	}
	return names
}

// workloads returns the workloads in the order that "all" runs them. Each call
// makes new ones, because they hold their flags' values.
func workloads() []workload {
	return []workload{
		deviceWorkload(), logWorkload(), commitWorkload(), arrivalWorkload(),
		getWorkload(), scanWorkload(), loadWorkload(), ycsbWorkload(), mixedWorkload(),
		checkpointWorkload(), recoveryWorkload(), memoryWorkload(),
		transferWorkload(), hotkeyWorkload(), counterWorkload(), hubWorkload(), deadlockWorkload(),
		importWorkload(), traverseWorkload(), graphmixWorkload(), linkbenchWorkload(),
		longReaderWorkload(), shrinkWorkload(), overwriteWorkload(), largeWorkload(), soakWorkload(),
	}
}

func writeTable(w io.Writer, res bench.Outcome) error {
	if err := res.WriteText(w); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// complete reports whether a workload has a result though it failed: it broke a bound, and the figures tell how.
func complete(err error) bool {
	var bound *bench.BoundError
	return errors.As(err, &bound)
}
