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
		flags: all(
			sizeFlag(&cfg.Accounts, "accounts", 100_000, 2, "number of accounts"),
			knob{add: func(f *pflag.FlagSet) {
				f.Float64SliceVar(&cfg.Thetas, "thetas", []float64{0, 0.99}, "skews of the choice of accounts, from 0 (uniform) to below 1")
			}},
			writersFlag(&cfg.Writers, 8, 32, 128), limit(&cfg.Limit, 2*time.Second)),
		run: run(&cfg, &cfg.Common, bench.Transfer),
	}
}

func hotkeyWorkload() workload {
	return hotWorkload("hotkey", "increments of one key: read locked, and read plainly", bench.Hotkey)
}

func counterWorkload() workload {
	return hotWorkload("counter", "additions to one counter, which do not exclude each other", bench.Counter)
}

func hotWorkload(name, short string, fn func(context.Context, bench.HotkeyConfig) (*bench.ContentionResult, error)) workload {
	var cfg bench.HotkeyConfig
	return workload{
		name: name, short: short,
		flags: all(writersFlag(&cfg.Writers, 1, 8, 32, 128), limit(&cfg.Limit, 2*time.Second)),
		run:   run(&cfg, &cfg.Common, fn),
	}
}

func hubWorkload() workload {
	var cfg bench.HubConfig
	return workload{
		name: "hub", short: "edges that all writers add to one node, by isolation",
		flags: all(writersFlag(&cfg.Writers, 8, 32, 128), limit(&cfg.Limit, 2*time.Second)),
		run:   run(&cfg, &cfg.Common, bench.Hub),
	}
}

func deadlockWorkload() workload {
	var cfg bench.DeadlockConfig
	return workload{
		name: "deadlock", short: "how long a deadlock lasts, by size of the ring",
		flags: all(
			numbers(&cfg.Sizes, "sizes", []int{2, 3}, "transactions in a ring, one row for each"),
			sizeFlag(&cfg.Rings, "rings", 500, 1, "rings in each row")),
		run: run(&cfg, &cfg.Common, bench.Deadlock),
	}
}
