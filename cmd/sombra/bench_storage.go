package main

import (
	"time"

	"github.com/sombradb/sombra/bench"
)

func longReaderWorkload() workload {
	var cfg bench.LongReaderConfig
	return workload{
		name: "longreader", short: "files while one snapshot stays open and everything is overwritten, and after it",
		flags: all(
			recordsFlag(&cfg.Records, 1_000_000, 1), valueSizeFlag(&cfg.ValueSize, 100),
			number(&cfg.Rounds, "overwrites", 10, "times that everything is overwritten"),
			number(&cfg.Writers, "writers", 4, "concurrent writers"), curvesFlags(&cfg.Curves)),
		run: run(&cfg, &cfg.Common, bench.LongReader),
	}
}

func shrinkWorkload() workload {
	var cfg bench.ShrinkConfig
	return workload{
		name: "shrink", short: "files after nine tenths of the records were deleted, by how they lie",
		flags: all(
			recordsFlag(&cfg.Records, 1_000_000, 100), valueSizeFlag(&cfg.ValueSize, 100),
			number(&cfg.Writers, "writers", 2, "writers beside the deletes"), curvesFlags(&cfg.Curves)),
		run: run(&cfg, &cfg.Common, bench.Shrink),
	}
}

func overwriteWorkload() workload {
	var cfg bench.OverwriteConfig
	return workload{
		name: "overwrite", short: "random overwrites at full speed in a database of several times its budget (--memory), by the second",
		flags: all(
			sizeFlag(&cfg.Times, "times", 4, 1, "size of the data, as a multiple of the budget"),
			valueSizeFlag(&cfg.ValueSize, 100), number(&cfg.Writers, "writers", 8, "concurrent writers"),
			limit(&cfg.Limit, time.Minute), curvesFlags(&cfg.Curves)),
		run: run(&cfg, &cfg.Common, bench.Overwrite),
	}
}

func largeWorkload() workload {
	var cfg bench.LargeConfig
	return workload{
		name: "large", short: "one transaction larger than memory (--memory): put, commit, merge, read back, roll back",
		flags: all(sizeFlag(&cfg.Rows, "rows", 10_000_000, 1, "rows of the transaction"), valueSizeFlag(&cfg.ValueSize, 100), curvesFlags(&cfg.Curves)),
		run:   run(&cfg, &cfg.Common, bench.Large),
	}
}

func soakWorkload() workload {
	var cfg bench.SoakConfig
	return workload{
		name: "soak", short: "everything at once for a long time: answers stay right, and nothing grows",
		flags: all(
			duration(&cfg.Duration, "duration", 5*time.Minute, "time of the load"),
			sizeFlag(&cfg.Records, "records", 100_000, 100, "records that are read, written and deleted"),
			sizeFlag(&cfg.Accounts, "accounts", 10_000, 2, "accounts that money moves between"),
			sizeFlag(&cfg.LargeRows, "large-rows", 50_000, 1, "rows of a large transaction"), curvesFlags(&cfg.Curves)),
		run: run(&cfg, &cfg.Common, bench.Soak),
	}
}
