package main

import (
	"context"
	"time"

	"github.com/spf13/pflag"

	"github.com/sombradb/sombra/bench"
)

func commitWorkload() workload {
	var cfg bench.CommitConfig
	return workload{
		name: "commit", short: "durable, serializable commits per second, by number of writers",
		flags: func(f *pflag.FlagSet) {
			writersFlag(f, &cfg.Writers)
			f.IntVar(&cfg.ValueSize, "value-size", 100, "bytes of each value")
			limitFlags(f, &cfg.Limit, 3*time.Second)
		},
		scale: func(by float64) { scaleBy(&cfg.Limit.Duration, by) },
		run: func(ctx context.Context, c bench.Common) (textWriter, error) {
			cfg.Common = c
			return bench.Commit(ctx, cfg)
		},
	}
}

func logWorkload() workload {
	var cfg bench.LogConfig
	return workload{
		name: "log", short: "the same for the log alone: what the device allows",
		flags: func(f *pflag.FlagSet) {
			writersFlag(f, &cfg.Writers)
			f.IntVar(&cfg.PayloadSize, "payload-size", 100, "bytes of each record")
			limitFlags(f, &cfg.Limit, 3*time.Second)
		},
		scale: func(by float64) { scaleBy(&cfg.Limit.Duration, by) },
		run: func(ctx context.Context, c bench.Common) (textWriter, error) {
			cfg.Common = c
			return bench.Log(ctx, cfg)
		},
	}
}

func getWorkload() workload {
	var cfg bench.GetConfig
	return workload{
		name: "get", short: "ns per point read of cached keys, its transaction included",
		flags: func(f *pflag.FlagSet) {
			keysFlags(f, &cfg.Keys, 1_000_000, &cfg.ValueSize, 100)
			f.IntSliceVar(&cfg.Readers, "readers", nil, "concurrent readers, one set of rows for each (default 1 and the number of CPUs)")
			limitFlags(f, &cfg.Limit, time.Second)
		},
		scale: func(by float64) {
			scaleBy(&cfg.Keys, by)
			scaleBy(&cfg.Limit.Duration, by)
		},
		run: func(ctx context.Context, c bench.Common) (textWriter, error) {
			cfg.Common = c
			return bench.Get(ctx, cfg)
		},
	}
}

func scanWorkload() workload {
	var cfg bench.ScanConfig
	return workload{
		name: "scan", short: "ns per key of a full scan of cached keys",
		flags: func(f *pflag.FlagSet) {
			keysFlags(f, &cfg.Keys, 1_000_000, &cfg.ValueSize, 100)
			f.IntVar(&cfg.Repeat, "repeat", 3, "scans of each kind, the fastest counts")
		},
		scale: func(by float64) { scaleBy(&cfg.Keys, by) },
		run: func(ctx context.Context, c bench.Common) (textWriter, error) {
			cfg.Common = c
			return bench.Scan(ctx, cfg)
		},
	}
}

func checkpointWorkload() workload {
	var cfg bench.CheckpointConfig
	return workload{
		name: "checkpoint", short: "write amplification of a load and of overwrites",
		flags: func(f *pflag.FlagSet) { keysFlags(f, &cfg.Keys, 500_000, &cfg.ValueSize, 100) },
		scale: func(by float64) { scaleBy(&cfg.Keys, by) },
		run: func(ctx context.Context, c bench.Common) (textWriter, error) {
			cfg.Common = c
			return bench.Checkpoint(ctx, cfg)
		},
	}
}

func recoveryWorkload() workload {
	var cfg bench.RecoveryConfig
	return workload{
		name: "recovery", short: "time to open after a crash, by length of the log",
		flags: func(f *pflag.FlagSet) {
			cfg.LogBytes = 256 << 20
			f.Var((*size)(&cfg.LogBytes), "log-size", "log to replay")
			f.IntVar(&cfg.ValueSize, "value-size", 100, "bytes of each value")
		},
		scale: func(by float64) { scaleBy(&cfg.LogBytes, by) },
		run: func(ctx context.Context, c bench.Common) (textWriter, error) {
			cfg.Common = c
			return bench.Recovery(ctx, cfg)
		},
	}
}

func memoryWorkload() workload {
	var cfg bench.MemoryConfig
	return workload{
		name: "memory", short: "resident memory of a database of several times its budget (--memory)",
		flags: func(f *pflag.FlagSet) {
			f.IntVar(&cfg.Times, "times", 5, "size of the data, as a multiple of the budget")
			f.IntVar(&cfg.ValueSize, "value-size", 400, "bytes of each value")
			f.IntVar(&cfg.Workers, "workers", 4, "concurrent readers and writers")
			f.Float64Var(&cfg.Writes, "writes", 0.2, "share of the operations that overwrite")
			f.DurationVar(&cfg.Every, "sample-every", 0, "time between two readings (default a twentieth of the duration)")
			limitFlags(f, &cfg.Limit, 10*time.Second)
		},
		scale: func(by float64) {
			scaleBy(&cfg.Times, by)
			scaleBy(&cfg.Limit.Duration, by)
		},
		run: func(ctx context.Context, c bench.Common) (textWriter, error) {
			cfg.Common = c
			return bench.Memory(ctx, cfg)
		},
	}
}

func writersFlag(f *pflag.FlagSet, writers *[]int) {
	f.IntSliceVar(writers, "writers", []int{1, 8, 32, 128}, "concurrent writers, one row for each")
}

func keysFlags(f *pflag.FlagSet, keys *int64, n int64, valueSize *int, bytes int) {
	f.Int64Var(keys, "keys", n, "number of keys")
	f.IntVar(valueSize, "value-size", bytes, "bytes of each value")
}

// limitFlags adds the flags that end a measurement.
func limitFlags(f *pflag.FlagSet, l *bench.Limit, d time.Duration) {
	f.DurationVar(&l.Duration, "duration", d, "time of each row")
	f.Int64Var(&l.Ops, "ops", 0, "end each row after so many operations, if that is sooner (default no limit)")
}

// scaleBy multiplies a flag's value, which stays at least 1.
func scaleBy[T ~int | ~int64](v *T, by float64) { *v = max(T(float64(*v)*by), 1) }
