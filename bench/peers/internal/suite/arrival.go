package suite

import (
	"context"

	"github.com/sombradb/sombra/bench"
	"github.com/sombradb/sombra/bench/internal/drive"
)

const arrivalWorkers = 128

// arrivalRates are arrivals per second; the greatest is more than a disk syncs.
var arrivalRates = []int{1000, 4000, 16_000}

func arrivalWorkload() workload {
	return workload{
		Info: Info{
			Name: "arrival", Title: "Latency of durable commits that arrive at a fixed rate",
			About: "An open loop: commits as above arrive at fixed moments, whether earlier ones are done or not, and 128 goroutines take them " +
				"in order. A latency begins with the arrival, so that waiting for a turn counts (no coordinated omission). " +
				"An engine that cannot keep up has latencies that grow for as long as one measures. After half the time again the rest is given up.",
		},
		start: func(cfg Config, root string) (contest, error) {
			return &arrivals{commits{field: newField(cfg, root), want: make([]tally, len(cfg.Engines))}}, nil
		},
	}
}

type arrivals struct{ commits }

func (c *arrivals) names() []string { return c.field.names() }

func (c *arrivals) turn(ctx context.Context, i, round int, emit func(Sample) error) error {
	for n, rate := range arrivalRates {
		err := c.with(i, arrivalWorkers, func(a *arena) error {
			s, err := c.measure(ctx, a, &c.want[i], round*len(arrivalRates)+n, func(op drive.Op) (drive.Result, error) {
				return drive.Open(ctx, arrivalWorkers, float64(rate), drive.For(c.cfg.length()), op)
			})
			if err != nil {
				return err
			}
			s.Case, s.Workers, s.Offered = rateName(rate), arrivalWorkers, float64(rate)
			return emit(s)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func rateName(perSecond int) string { return bench.Count(perSecond) + " a second" }
