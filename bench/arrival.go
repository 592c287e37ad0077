package bench

import (
	"context"
	"errors"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/figures"
)

// ArrivalConfig configures the arrival workload: the commits of the commit workload, which arrive at a fixed rate whether
// earlier ones are done or not (an open loop). A latency begins with the arrival: waiting for a turn counts.
type ArrivalConfig struct {
	Common
	Rates     []int `json:"rates"`      // arrivals a second, one row for each; default 1000, 4000, 16000
	Writers   int   `json:"writers"`    // that take them in order; default 128
	ValueSize int   `json:"value_size"` // bytes; default 100
	// Limit ends each row; default 3 s. What had no turn when half of the time again has passed is given up.
	Limit Limit `json:"limit"`
}

func (c ArrivalConfig) withDefaults() ArrivalConfig {
	if len(c.Rates) == 0 {
		c.Rates = []int{1000, 4000, 16_000}
	}
	setDefault(&c.Writers, 128)
	setDefault(&c.ValueSize, 100)
	c.Limit = orDuration(c.Limit, 3*time.Second)
	return c
}

func (c *ArrivalConfig) validate() error {
	return errors.Join(allPositive("Rates", c.Rates), atLeast("Writers", c.Writers, 1), atLeast("ValueSize", c.ValueSize, 0))
}

// Arrival measures the latency of durable commits below the greatest throughput.
func Arrival(ctx context.Context, cfg ArrivalConfig) (*Result, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	res := &Result{Workload: "arrival", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	for _, perSecond := range cfg.Rates {
		name := Count(perSecond) + " a second"
		cfg.note("arrival: %s", name)
		err := cfg.inScratch("arrival", func(dir string) error {
			return withStore(ctx, dir, cfg.options(), func(s *store) error {
				r, err := drive.Open(ctx, cfg.Writers, float64(perSecond), cfg.Limit, s.commitOne(cfg.Writers, cfg.ValueSize).once)
				if err != nil {
					return err
				}
				row := figures.SampleOf(r, "commits")
				row.Offered = float64(perSecond)
				res.add(name, cfg.Writers, row)
				return s.audit(ctx, r.All(), r.Sum)
			})
		})
		if err != nil {
			return nil, err
		}
	}
	return res, nil
}
