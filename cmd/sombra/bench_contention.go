package main

import (
	"context"
	"time"

	"github.com/spf13/pflag"

	"github.com/sombradb/sombra/bench"
)

func transferWorkload() workload {
	var cfg bench.TransferConfig
	return workload{
		name: "transfer", short: "goodput of transfers between accounts, by skew, writers and isolation",
		flags: func(f *pflag.FlagSet) {
			f.Int64Var(&cfg.Accounts, "accounts", 100_000, "number of accounts")
			f.Float64SliceVar(&cfg.Thetas, "thetas", []float64{0, 0.99}, "skews of the choice of accounts, from 0 (uniform) to below 1")
			contendedWritersFlag(f, &cfg.Writers)
			limitFlags(f, &cfg.Limit, 2*time.Second)
		},
		scale: func(by float64) {
			cfg.Accounts = max(int64(float64(cfg.Accounts)*by), 2)
			scaleBy(&cfg.Limit.Duration, by)
		},
		run: func(ctx context.Context, c bench.Common) (textWriter, error) {
			cfg.Common = c
			return bench.Transfer(ctx, cfg)
		},
	}
}

func hotkeyWorkload() workload {
	return hotWorkload("hotkey", "increments of one key: read locked, and read plainly", bench.Hotkey)
}

func counterWorkload() workload {
	return hotWorkload("counter", "additions to one counter, which do not exclude each other", bench.Counter)
}

func hotWorkload(name, short string, run func(context.Context, bench.HotkeyConfig) (*bench.ContentionResult, error)) workload {
	var cfg bench.HotkeyConfig
	return workload{
		name: name, short: short,
		flags: func(f *pflag.FlagSet) {
			writersFlag(f, &cfg.Writers)
			limitFlags(f, &cfg.Limit, 2*time.Second)
		},
		scale: func(by float64) { scaleBy(&cfg.Limit.Duration, by) },
		run: func(ctx context.Context, c bench.Common) (textWriter, error) {
			cfg.Common = c
			return run(ctx, cfg)
		},
	}
}

func hubWorkload() workload {
	var cfg bench.HubConfig
	return workload{
		name: "hub", short: "edges that all writers add to one node, by isolation",
		flags: func(f *pflag.FlagSet) {
			contendedWritersFlag(f, &cfg.Writers)
			limitFlags(f, &cfg.Limit, 2*time.Second)
		},
		scale: func(by float64) { scaleBy(&cfg.Limit.Duration, by) },
		run: func(ctx context.Context, c bench.Common) (textWriter, error) {
			cfg.Common = c
			return bench.Hub(ctx, cfg)
		},
	}
}

func deadlockWorkload() workload {
	var cfg bench.DeadlockConfig
	return workload{
		name: "deadlock", short: "how long a deadlock lasts, by size of the ring",
		flags: func(f *pflag.FlagSet) {
			f.IntSliceVar(&cfg.Sizes, "sizes", []int{2, 3}, "transactions in a ring, one row for each")
			f.Int64Var(&cfg.Rings, "rings", 500, "rings in each row")
		},
		scale: func(by float64) { scaleBy(&cfg.Rings, by) },
		run: func(ctx context.Context, c bench.Common) (textWriter, error) {
			cfg.Common = c
			return bench.Deadlock(ctx, cfg)
		},
	}
}

func contendedWritersFlag(f *pflag.FlagSet, writers *[]int) {
	f.IntSliceVar(writers, "writers", []int{8, 32, 128}, "concurrent writers, one row for each")
}
