package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/sombradb/sombra/bench"
)

// knob is a flag of a workload, and how its value follows the scale of "bench all".
type knob struct {
	add   func(*pflag.FlagSet) // sets the default too
	scale func(by float64)     // nil for a value that keeps
}

// all makes one knob of several.
func all(list ...knob) knob {
	return knob{
		add: func(f *pflag.FlagSet) {
			for _, k := range list {
				k.add(f)
			}
		},
		scale: func(by float64) {
			for _, k := range list {
				if k.scale != nil {
					k.scale(by)
				}
			}
		},
	}
}

// size is a number that is scaled; it stays at least least.
func sizeFlag[T int | int64](v *T, name string, value, least T, usage string) knob {
	k := number(v, name, value, usage)
	k.scale = func(by float64) { *v = max(T(float64(*v)*by), least) }
	return k
}

// number is one that is not scaled.
func number[T int | int64](v *T, name string, value T, usage string) knob {
	return knob{add: func(f *pflag.FlagSet) {
		switch v := any(v).(type) {
		case *int:
			f.IntVar(v, name, int(value), usage)
		case *int64:
			f.Int64Var(v, name, int64(value), usage)
		}
	}}
}

func numbers(v *[]int, name string, values []int, usage string) knob {
	return knob{add: func(f *pflag.FlagSet) { f.IntSliceVar(v, name, values, usage) }}
}

// duration is scaled; it stays at least a millisecond.
func duration(v *time.Duration, name string, value time.Duration, usage string) knob {
	return knob{
		add:   func(f *pflag.FlagSet) { f.DurationVar(v, name, value, usage) },
		scale: func(by float64) { *v = max(time.Duration(float64(*v)*by), time.Millisecond) },
	}
}

// limit ends a measurement. Without a duration of the user's, --ops needs none.
func limit(l *bench.Limit, d time.Duration) knob {
	return all(
		duration(&l.Duration, "duration", d, "time of each row, after a warm-up of a fifth of it"),
		number(&l.Ops, "ops", 0, "end each row after so many operations, if that is sooner, and leave out the warm-up (default no limit)"),
	)
}

func writersFlag(v *[]int, values ...int) knob {
	return numbers(v, "writers", values, "concurrent writers, one row for each")
}

func keysFlag(v *int64, n int64) knob { return sizeFlag(v, "keys", n, 1, "number of keys") }

func recordsFlag(v *int64, n, least int64) knob {
	return sizeFlag(v, "records", n, least, "number of records")
}

func valueSizeFlag(v *int, n int) knob { return number(v, "value-size", n, "bytes of each value") }

// graphFlags are those of an R-MAT graph.
func graphFlags(g *bench.GraphSize, nodes, perNode int) knob {
	return all(
		sizeFlag(&g.Nodes, "nodes", nodes, 100, "nodes of the graph"),
		sizeFlag(&g.Edges, "edges", nodes*perNode, 100*perNode, "edges of the graph"),
	)
}

// curvesFlags are those of workloads that sample while they run.
func curvesFlags(c *bench.Curves) knob {
	return knob{add: func(f *pflag.FlagSet) {
		f.DurationVar(&c.Every, "sample-every", 0, "time between two samples (default 250ms; large 100ms, overwrite and soak 1s)")
		f.StringVar(&c.Plot, "plot", "", "write the curves to this PNG file")
	}}
}

// reportFlags are what all workloads have: where they write, how often they run and what becomes of it.
type reportFlags struct {
	dir                      string
	rounds                   int
	samples, report, against string
}

func (r *reportFlags) add(f *pflag.FlagSet) {
	f.StringVar(&r.dir, "dir", "", "directory for scratch files (default the system's for temporary files)")
	f.IntVar(&r.rounds, "rounds", 1, "times that everything is measured; rounds are interleaved, and a table shows medians with their range")
	f.StringVar(&r.samples, "samples", "", "write the environment and every measurement to this `FILE`, as JSON lines")
	f.StringVar(&r.report, "report", "", "write a Markdown report to this `FILE`, and plots to the directory that has its name without the ending")
	f.StringVar(&r.against, "against", "", "compare with an earlier run: a `FILE` that --samples wrote")
}

func (r *reportFlags) validate() error {
	if r.rounds < 1 {
		return fmt.Errorf("--rounds is %d, want at least 1", r.rounds)
	}
	if r.report != "" && !strings.HasSuffix(r.report, ".md") {
		return fmt.Errorf("--report is %q, want a name that ends in .md", r.report)
	}
	return nil
}
