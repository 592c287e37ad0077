package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sombradb/sombra/bench"
)

// benchRun is some workloads that are measured in rounds.
type benchRun struct {
	app     *app
	flags   *reportFlags
	list    []workload
	report  bench.Report
	log     *bench.SampleLog
	results []bench.Outcome
	broken  []error // bounds, of results that are complete
}

// bench measures workloads and prints what shape makes of the results when it is to be JSON. A table of a single round
// is printed as soon as it is there.
func (a *app) bench(cmd *cobra.Command, flags *reportFlags, list []workload, shape func([]bench.Outcome) any) (err error) {
	if err := flags.validate(); err != nil {
		return usagef(cmd, "%v", err)
	}
	r := &benchRun{app: a, flags: flags, list: list, report: bench.Report{Environment: bench.NewEnvironment(flags.dir)}}
	if flags.against != "" {
		if r.report.Against, err = bench.ReadSamples(flags.against); err != nil {
			return err
		}
	}
	if flags.samples != "" {
		if r.log, err = bench.CreateSamples(flags.samples, r.report.Environment); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.log.Close()) }()
	}
	for round := range flags.rounds {
		if err := r.round(cmd, round); err != nil {
			return err
		}
	}
	return errors.Join(append(r.broken, r.print(shape))...)
}

// round measures each workload once. The order rotates, so that none has the same one before it every time.
func (r *benchRun) round(cmd *cobra.Command, round int) error {
	for i := range r.list {
		w := r.list[(i+round)%len(r.list)]
		if r.flags.rounds > 1 {
			r.app.logf("round %d of %d: %s", round+1, r.flags.rounds, w.name)
		}
		res, err := r.measure(cmd, w)
		if err != nil && !complete(err) {
			return err
		}
		r.broken = append(r.broken, err)
		r.results = append(r.results, res)
		if err := r.keep(res, round); err != nil {
			return err
		}
		if r.flags.rounds == 1 && !r.app.json {
			if err := writeTable(r.app.stdout, res); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *benchRun) measure(cmd *cobra.Command, w workload) (bench.Outcome, error) {
	opts, err := r.app.options(cmd)
	if err != nil {
		return nil, err
	}
	return w.run(cmd.Context(), bench.Common{
		Dir: r.flags.dir, MemoryBudget: opts.MemoryBudget, PageSize: opts.PageSize,
		Note: func(text string) { r.app.logf("%s", text) },
	})
}

// keep notes the measurements of a round.
func (r *benchRun) keep(res bench.Outcome, round int) error {
	for _, s := range res.Measurements() {
		s.Round = round
		r.report.Samples = append(r.report.Samples, s)
		if r.log == nil {
			continue
		}
		if err := r.log.Add(s); err != nil {
			return err
		}
	}
	return nil
}

// print writes what is to be seen at the end.
func (r *benchRun) print(shape func([]bench.Outcome) any) error {
	var errs []error
	switch {
	case r.app.json:
		errs = append(errs, r.app.print(shape(r.results), nil))
	case r.flags.rounds > 1 || r.report.Against != nil:
		errs = append(errs, r.report.WriteText(r.app.stdout))
	}
	if r.flags.report != "" {
		errs = append(errs, r.report.WriteMarkdown(r.flags.report))
	}
	return errors.Join(errs...)
}
