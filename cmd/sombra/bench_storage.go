package main

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/sombradb/sombra/bench"
)

func longReaderWorkload() workload {
	var cfg bench.LongReaderConfig
	return workload{
		name: "longreader", short: "files while one snapshot stays open and everything is overwritten, and after it",
		flags: func(f *pflag.FlagSet) {
			f.Int64Var(&cfg.Records, "records", 1_000_000, "number of records")
			f.IntVar(&cfg.ValueSize, "value-size", 100, "bytes of each value")
			f.IntVar(&cfg.Rounds, "rounds", 10, "times that everything is overwritten")
			f.IntVar(&cfg.Writers, "writers", 4, "concurrent writers")
			curvesFlags(f, &cfg.Curves)
		},
		scale: func(by float64) { scaleBy(&cfg.Records, by) },
		run: func(ctx context.Context, c bench.Common) (textWriter, error) {
			cfg.Common = c
			return bench.LongReader(ctx, cfg)
		},
	}
}

// curvesFlags adds the flags of workloads that sample while they run.
func curvesFlags(f *pflag.FlagSet, c *bench.Curves) {
	f.DurationVar(&c.Every, "sample-every", 0, "time between two samples (default 250ms; overwrite and soak 1s)")
	f.StringVar(&c.Plot, "plot", "", "write the curves to this PNG file")
}
