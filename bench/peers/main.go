// Command peers measures Sombra beside other embedded engines and writes a report with plots.
//
//	go run . --out ../../docs/benchmarks.md
//	go run . --only commit,transfer --scale 0.1
//
// It is a module of its own, so that nobody who embeds Sombra gets the other engines as dependencies.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/peers/internal/engine"
	"github.com/sombradb/sombra/bench/peers/internal/report"
	"github.com/sombradb/sombra/bench/peers/internal/suite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, pflag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	out, json, from string
	engines         []string
	suite           suite.Config
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := pflag.NewFlagSet("peers", pflag.ContinueOnError)
	f.SetOutput(stderr)
	f.SortFlags = false
	f.StringVar(&o.out, "out", "", "write the report to this Markdown `FILE` and plots to the directory FILE without its ending (default: text to standard output)")
	f.StringSliceVar(&o.suite.Only, "only", nil, "workloads to run: "+strings.Join(workloadNames(), ", ")+" (default all)")
	f.StringSliceVar(&o.engines, "engines", nil, "engines to measure (default all)")
	f.IntVar(&o.suite.Rounds, "rounds", 3, "turns of each engine with each workload")
	f.Float64Var(&o.suite.Scale, "scale", 1, "multiply all sizes by this, and the time of each measurement, half a second, by its root")
	f.StringVar(&o.suite.Dir, "dir", "", "`DIR` for scratch files, on the disk that you want to know about (default the system's for temporary files)")
	f.StringVar(&o.json, "json", "", "write the environment and every sample to this `FILE`, as JSON lines")
	f.StringVar(&o.from, "from", "", "measure nothing, and make the report from a `FILE` that --json wrote")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("peers: unexpected argument %q; see --help", f.Arg(0))
	}
	var err error
	o.suite.Engines, err = engine.ByName(o.engines)
	return o, err
}

func workloadNames() (list []string) {
	for _, w := range suite.Workloads() {
		list = append(list, w.Name)
	}
	return list
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	var log figures.Log[report.Environment]
	if o.from != "" {
		log, err = figures.ReadLog[report.Environment](o.from)
	} else {
		log, err = measure(ctx, o, stderr)
	}
	if err != nil {
		return err
	}
	if o.out == "" {
		_, err = io.WriteString(stdout, report.Markdown(log.Environment, log.Samples))
		return err
	}
	if err := report.Write(o.out, log.Environment, log.Samples); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stderr, "wrote %s\n", o.out)
	return err
}

// measure runs the suite and keeps its samples.
func measure(ctx context.Context, o options, stderr io.Writer) (log figures.Log[report.Environment], err error) {
	log.Environment = report.NewEnvironment(o.suite.Dir, o.suite.Scale, o.suite.Rounds)
	keep := func(suite.Sample) error { return nil }
	if o.json != "" {
		w, createErr := figures.CreateLog(o.json, log.Environment)
		if createErr != nil {
			return log, createErr
		}
		defer func() { err = errors.Join(err, w.Close()) }()
		keep = w.Add
	}
	o.suite.Progress = func(step, steps int, what string) {
		_, _ = fmt.Fprintf(stderr, "[%*d/%d] %s\n", len(fmt.Sprint(steps)), step, steps, what)
	}
	o.suite.Emit = func(s suite.Sample) error {
		log.Samples = append(log.Samples, s)
		return keep(s)
	}
	return log, suite.Run(ctx, o.suite)
}
