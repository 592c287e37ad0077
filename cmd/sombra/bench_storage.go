package main

import (
	"context"
	"time"

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

func shrinkWorkload() workload {
	var cfg bench.ShrinkConfig
	return workload{
		name: "shrink", short: "files after nine tenths of the records were deleted, by how they lie",
		flags: func(f *pflag.FlagSet) {
			f.Int64Var(&cfg.Records, "records", 1_000_000, "number of records")
			f.IntVar(&cfg.ValueSize, "value-size", 100, "bytes of each value")
			f.IntVar(&cfg.Writers, "writers", 2, "writers beside the deletes")
			curvesFlags(f, &cfg.Curves)
		},
		scale: func(by float64) { cfg.Records = max(int64(float64(cfg.Records)*by), 100) },
		run: func(ctx context.Context, c bench.Common) (textWriter, error) {
			cfg.Common = c
			return bench.Shrink(ctx, cfg)
		},
	}
}

func overwriteWorkload() workload {
	var cfg bench.OverwriteConfig
	return workload{
		name: "overwrite", short: "random overwrites at full speed in a database of several times its budget (--memory), by the second",
		flags: func(f *pflag.FlagSet) {
			f.IntVar(&cfg.Times, "times", 4, "size of the data, as a multiple of the budget")
			f.IntVar(&cfg.ValueSize, "value-size", 100, "bytes of each value")
			f.IntVar(&cfg.Writers, "writers", 8, "concurrent writers")
			limitFlags(f, &cfg.Limit, time.Minute)
			curvesFlags(f, &cfg.Curves)
		},
		scale: func(by float64) {
			scaleBy(&cfg.Times, by)
			scaleBy(&cfg.Limit.Duration, by)
		},
		run: func(ctx context.Context, c bench.Common) (textWriter, error) {
			cfg.Common = c
			return bench.Overwrite(ctx, cfg)
		},
	}
}

func largeWorkload() workload {
	var cfg bench.LargeConfig
	return workload{
		name: "large", short: "one transaction larger than memory (--memory): put, commit, merge, read back, roll back",
		flags: func(f *pflag.FlagSet) {
			f.Int64Var(&cfg.Rows, "rows", 10_000_000, "rows of the transaction")
			f.IntVar(&cfg.ValueSize, "value-size", 100, "bytes of each value")
			curvesFlags(f, &cfg.Curves)
		},
		scale: func(by float64) { scaleBy(&cfg.Rows, by) },
		run: func(ctx context.Context, c bench.Common) (textWriter, error) {
			cfg.Common = c
			return bench.Large(ctx, cfg)
		},
	}
}

func soakWorkload() workload {
	var cfg bench.SoakConfig
	return workload{
		name: "soak", short: "everything at once for a long time: answers stay right, and nothing grows",
		flags: func(f *pflag.FlagSet) {
			f.DurationVar(&cfg.Duration, "duration", 5*time.Minute, "time of the load")
			f.Int64Var(&cfg.Records, "records", 100_000, "records that are read, written and deleted")
			f.Int64Var(&cfg.Accounts, "accounts", 10_000, "accounts that money moves between")
			f.Int64Var(&cfg.LargeRows, "large-rows", 50_000, "rows of a large transaction")
			curvesFlags(f, &cfg.Curves)
		},
		scale: func(by float64) {
			scaleBy(&cfg.Duration, by)
			cfg.Records = max(int64(float64(cfg.Records)*by), 100)
			cfg.Accounts = max(int64(float64(cfg.Accounts)*by), 2)
			scaleBy(&cfg.LargeRows, by)
		},
		run: func(ctx context.Context, c bench.Common) (textWriter, error) {
			cfg.Common = c
			return bench.Soak(ctx, cfg)
		},
	}
}

// curvesFlags adds the flags of workloads that sample while they run.
func curvesFlags(f *pflag.FlagSet, c *bench.Curves) {
	f.DurationVar(&c.Every, "sample-every", 0, "time between two samples (default 250ms; large 100ms, overwrite and soak 1s)")
	f.StringVar(&c.Plot, "plot", "", "write the curves to this PNG file")
}
