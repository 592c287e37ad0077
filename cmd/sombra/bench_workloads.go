package main

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/sombradb/sombra/bench"
)

func deviceWorkload() workload {
	var cfg bench.DeviceConfig
	return workload{
		name: "device", short: "appends to a preallocated file, synced for all that wait: what the disk allows, by number of writers",
		flags: all(writersFlag(&cfg.Writers, 1, 8, 32, 128), number(&cfg.RecordSize, "record-size", 128, "bytes of each record"), limit(&cfg.Limit, 3*time.Second)),
		run:   run(&cfg, &cfg.Common, bench.Device),
	}
}

func logWorkload() workload {
	var cfg bench.LogConfig
	return workload{
		name: "log", short: "durable records of the log alone, by number of writers",
		flags: all(writersFlag(&cfg.Writers, 1, 8, 32, 128), number(&cfg.PayloadSize, "payload-size", 100, "bytes of each record"), limit(&cfg.Limit, 3*time.Second)),
		run:   run(&cfg, &cfg.Common, bench.Log),
	}
}

func commitWorkload() workload {
	var cfg bench.CommitConfig
	return workload{
		name: "commit", short: "durable, serializable commits per second, by number of writers",
		flags: all(writersFlag(&cfg.Writers, 1, 8, 32, 128), valueSizeFlag(&cfg.ValueSize, 100), limit(&cfg.Limit, 3*time.Second)),
		run:   run(&cfg, &cfg.Common, bench.Commit),
	}
}

func arrivalWorkload() workload {
	var cfg bench.ArrivalConfig
	return workload{
		name: "arrival", short: "latency of durable commits that arrive at a fixed rate (an open loop)",
		flags: all(
			numbers(&cfg.Rates, "rates", []int{1000, 4000, 16_000}, "arrivals a second, one row for each"),
			number(&cfg.Writers, "writers", 128, "concurrent writers that take them in order"),
			valueSizeFlag(&cfg.ValueSize, 100), limit(&cfg.Limit, 3*time.Second)),
		run: run(&cfg, &cfg.Common, bench.Arrival),
	}
}

func getWorkload() workload {
	var cfg bench.GetConfig
	return workload{
		name: "get", short: "ns per point read of cached keys, its transaction included",
		flags: all(
			keysFlag(&cfg.Keys, 1_000_000), valueSizeFlag(&cfg.ValueSize, 100),
			numbers(&cfg.Readers, "readers", nil, "concurrent readers, one set of rows for each (default 1 and the number of CPUs)"),
			limit(&cfg.Limit, time.Second)),
		run: run(&cfg, &cfg.Common, bench.Get),
	}
}

func scanWorkload() workload {
	var cfg bench.ScanConfig
	return workload{
		name: "scan", short: "ns per key of full scans and of ranges of 100 keys, cached",
		flags: all(keysFlag(&cfg.Keys, 1_000_000), valueSizeFlag(&cfg.ValueSize, 100),
			number(&cfg.Repeat, "repeat", 3, "scans of each kind, the fastest counts")),
		run: run(&cfg, &cfg.Common, bench.Scan),
	}
}

func loadWorkload() workload {
	var cfg bench.LoadConfig
	return workload{
		name: "load", short: "bulk loads, sorted and in random order, until all is durable",
		flags: all(keysFlag(&cfg.Keys, 1_000_000), valueSizeFlag(&cfg.ValueSize, 100)),
		run:   run(&cfg, &cfg.Common, bench.Load),
	}
}

func ycsbWorkload() workload {
	var cfg bench.YCSBConfig
	return workload{
		name: "ycsb", short: "the core workloads A to F of YCSB, durable and serializable",
		flags: all(
			recordsFlag(&cfg.Records, 100_000, 100), valueSizeFlag(&cfg.ValueSize, 1000),
			number(&cfg.Workers, "workers", 8, "concurrent clients"),
			knob{add: func(f *pflag.FlagSet) { f.StringSliceVar(&cfg.Mixes, "mixes", nil, "of A to F (default all)") }},
			limit(&cfg.Limit, 2*time.Second)),
		run: run(&cfg, &cfg.Common, bench.YCSB),
	}
}

func mixedWorkload() workload {
	var cfg bench.MixedConfig
	return workload{
		name: "mixed", short: "readers alone and beside durable writers, and writers alone and beside full scans",
		flags: all(
			keysFlag(&cfg.Keys, 1_000_000), valueSizeFlag(&cfg.ValueSize, 100),
			number(&cfg.Readers, "readers", 8, "concurrent readers"), number(&cfg.Writers, "writers", 8, "concurrent writers"),
			duration(&cfg.Limit.Duration, "duration", time.Second, "time of each row")),
		run: run(&cfg, &cfg.Common, bench.Mixed),
	}
}

func checkpointWorkload() workload {
	var cfg bench.CheckpointConfig
	return workload{
		name: "checkpoint", short: "write amplification of a load and of overwrites",
		flags: all(keysFlag(&cfg.Keys, 500_000), valueSizeFlag(&cfg.ValueSize, 100)),
		run:   run(&cfg, &cfg.Common, bench.Checkpoint),
	}
}

func recoveryWorkload() workload {
	var cfg bench.RecoveryConfig
	return workload{
		name: "recovery", short: "time to open after a crash, by length of the log",
		flags: all(knob{
			add: func(f *pflag.FlagSet) {
				cfg.LogBytes = 256 << 20
				f.Var((*size)(&cfg.LogBytes), "log-size", "log to replay")
			},
			scale: func(by float64) { cfg.LogBytes = max(int64(float64(cfg.LogBytes)*by), 1) },
		}, valueSizeFlag(&cfg.ValueSize, 100)),
		run: run(&cfg, &cfg.Common, bench.Recovery),
	}
}

func memoryWorkload() workload {
	var cfg bench.MemoryConfig
	return workload{
		name: "memory", short: "resident memory of a database of several times its budget (--memory)",
		flags: all(
			sizeFlag(&cfg.Times, "times", 5, 1, "size of the data, as a multiple of the budget"),
			valueSizeFlag(&cfg.ValueSize, 400),
			number(&cfg.Workers, "workers", 4, "concurrent readers and writers"),
			knob{add: func(f *pflag.FlagSet) {
				f.Float64Var(&cfg.Writes, "writes", 0.2, "share of the operations that overwrite")
			}},
			limit(&cfg.Limit, 10*time.Second)),
		run: run(&cfg, &cfg.Common, bench.Memory),
	}
}
