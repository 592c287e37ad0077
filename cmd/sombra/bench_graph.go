package main

import (
	"time"

	"github.com/sombradb/sombra/bench"
)

func importWorkload() workload {
	var cfg bench.ImportConfig
	return workload{
		name: "import", short: "edges per second of the import of an R-MAT graph with two indexes",
		flags: graphFlags(&cfg.GraphSize, 100_000, 10),
		run:   run(&cfg, &cfg.Common, bench.Import),
	}
}

func traverseWorkload() workload {
	var cfg bench.TraverseConfig
	return workload{
		name: "traverse", short: "neighbours within 1, 2 and 3 hops, BFS, shortest paths and ranges of an index",
		flags: all(graphFlags(&cfg.GraphSize, 100_000, 10),
			numbers(&cfg.Readers, "readers", []int{1}, "concurrent readers, one set of rows for each"), limit(&cfg.Limit, time.Second)),
		run: run(&cfg, &cfg.Common, bench.Traverse),
	}
}

func graphmixWorkload() workload {
	var cfg bench.GraphMixConfig
	return workload{
		name: "graphmix", short: "readers and durable writers of one graph, alone and beside each other",
		flags: all(graphFlags(&cfg.GraphSize, 20_000, 10),
			number(&cfg.Readers, "readers", 8, "concurrent readers"), number(&cfg.Writers, "writers", 8, "concurrent writers"),
			limit(&cfg.Limit, time.Second)),
		run: run(&cfg, &cfg.Common, bench.GraphMix),
	}
}

func linkbenchWorkload() workload {
	var cfg bench.LinkBenchConfig
	return workload{
		name: "linkbench", short: "the mix of operations of LinkBench: a social graph's reads and durable writes",
		flags: all(graphFlags(&cfg.GraphSize, 20_000, 5),
			number(&cfg.Requesters, "requesters", 16, "concurrent clients"), limit(&cfg.Limit, 5*time.Second)),
		run: run(&cfg, &cfg.Common, bench.LinkBench),
	}
}
