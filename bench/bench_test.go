package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
	"github.com/sombradb/sombra/wal"
)

// benchKeys is small enough to load in moments; the command's default is a million.
const benchKeys = 100_000

func openBench(b *testing.B) *store {
	b.Helper()
	s, err := openStore(b.Context(), b.TempDir(), &mvcc.Options{MemoryBudget: 256 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.db.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

func loadBench(b *testing.B, checkpointed bool) *store {
	b.Helper()
	s := openBench(b)
	sum, err := s.load(b.Context(), benchKeys, 100)
	if err == nil && checkpointed {
		err = s.db.Checkpoint(b.Context())
	}
	if err == nil {
		err = s.audit(b.Context(), benchKeys, sum)
	}
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// driveBench runs b.N operations of the work.
func driveBench(b *testing.B, workers int, do work) drive.Result {
	b.ReportAllocs()
	b.ResetTimer()
	m, err := closed(b.Context(), workers, Limit{Ops: int64(b.N)}, do)
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	return m
}

func BenchmarkCommit(b *testing.B) {
	for _, writers := range defaultWriters {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := openBench(b)
			m := driveBench(b, writers, s.commitOne(writers, 100))
			b.ReportMetric(m.PerSecond(), "commits/s")
			b.ReportMetric(m.Latency().P99, "p99-µs")
			if err := s.audit(b.Context(), m.All(), m.Sum); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkLog(b *testing.B) {
	for _, writers := range defaultWriters {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			opts := wal.Options{FS: vfs.OS, Dir: b.TempDir(), DatabaseID: logID}
			log, _, err := wal.Open(opts, 0, func(wal.Record) error { return nil })
			if err != nil {
				b.Fatal(err)
			}
			m := driveBench(b, writers, logOne(log, writers, 100))
			b.ReportMetric(m.PerSecond(), "records/s")
			if err := log.Close(); err != nil {
				b.Fatal(err)
			}
			if err := auditLog(opts, m); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	for _, source := range []string{FromVersions, FromPages} {
		s := loadBench(b, source == FromPages)
		for _, perTxn := range readsPerTxn {
			b.Run(fmt.Sprintf("source=%s/txn=%d", source, perTxn), func(b *testing.B) {
				r := &reader{s: s, keys: benchKeys, reads: perTxn}
				r.fn = r.body
				b.ReportAllocs()
				for b.Loop() {
					if err := s.db.View(b.Context(), r.fn); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(perTxn), "ns/read")
			})
		}
	}
}

func BenchmarkScan(b *testing.B) {
	for _, source := range []string{FromVersions, FromPages} {
		s := loadBench(b, source == FromPages)
		for _, kind := range scanKinds {
			b.Run(fmt.Sprintf("source=%s/kind=%s", source, kind.name), func(b *testing.B) {
				audit := newScanAudit(ScanConfig{Keys: benchKeys, ValueSize: 100})
				var total time.Duration
				for b.Loop() {
					row, err := s.scanRow(b.Context(), audit, kind, false)
					if err != nil {
						b.Fatal(err)
					}
					total += row.Elapsed
				}
				b.ReportMetric(float64(total.Nanoseconds())/float64(b.N)/benchKeys, "ns/key")
			})
		}
	}
}

// runBench runs a whole workload in each iteration; its own figures are what counts.
func runBench[R any](b *testing.B, run func() (R, error), report func(R)) {
	for b.Loop() {
		res, err := run()
		if err != nil {
			b.Fatal(err)
		}
		report(res)
	}
}

func BenchmarkCheckpoint(b *testing.B) {
	runBench(b, func() (*CheckpointResult, error) {
		return Checkpoint(b.Context(), CheckpointConfig{Common: Common{Dir: b.TempDir()}, Keys: benchKeys})
	}, func(res *CheckpointResult) {
		b.ReportMetric(res.Rows[1].Amplification, "ampl-1%")
		b.ReportMetric(res.Rows[3].Amplification, "ampl-100%")
	})
}

func BenchmarkRecovery(b *testing.B) {
	runBench(b, func() (*RecoveryResult, error) {
		return Recovery(b.Context(), RecoveryConfig{Common: Common{Dir: b.TempDir()}, LogBytes: 32 << 20})
	}, func(res *RecoveryResult) {
		b.ReportMetric(float64(res.LogBytes)/(1<<20)/res.Open.Seconds(), "MiB/s")
	})
}

func BenchmarkMemory(b *testing.B) {
	runBench(b, func() (*MemoryResult, error) {
		return Memory(b.Context(), MemoryConfig{Common: Common{Dir: b.TempDir(), MemoryBudget: 16 << 20}, Limit: Limit{Duration: 2 * time.Second}})
	}, func(res *MemoryResult) {
		b.ReportMetric(res.overBudget(res.Peak), "rss/budget")
		b.ReportMetric(res.PerSecond, "ops/s")
	})
}

// reportRows reports the goodput of each row. Units must not have spaces.
func reportRows(b *testing.B) func(*ContentionResult) {
	return func(res *ContentionResult) {
		for _, row := range res.Rows {
			unit := strings.ReplaceAll(fmt.Sprintf("%s/%s/%d-commits/s", row.Kind, row.Isolation, row.Writers), " ", "")
			b.ReportMetric(row.PerSecond, unit)
		}
	}
}

func BenchmarkTransfer(b *testing.B) {
	runBench(b, func() (*ContentionResult, error) {
		return Transfer(b.Context(), TransferConfig{Common: Common{Dir: b.TempDir()}, Writers: []int{32}, Limit: Limit{Duration: time.Second}})
	}, reportRows(b))
}

func BenchmarkHotkey(b *testing.B) {
	runBench(b, func() (*ContentionResult, error) {
		return Hotkey(b.Context(), HotkeyConfig{Common: Common{Dir: b.TempDir()}, Writers: []int{32}, Limit: Limit{Duration: time.Second}})
	}, reportRows(b))
}

func BenchmarkCounter(b *testing.B) {
	runBench(b, func() (*ContentionResult, error) {
		return Counter(b.Context(), HotkeyConfig{Common: Common{Dir: b.TempDir()}, Writers: []int{32}, Limit: Limit{Duration: time.Second}})
	}, reportRows(b))
}

func BenchmarkHub(b *testing.B) {
	runBench(b, func() (*ContentionResult, error) {
		return Hub(b.Context(), HubConfig{Common: Common{Dir: b.TempDir()}, Writers: []int{32}, Limit: Limit{Duration: time.Second}})
	}, reportRows(b))
}

func BenchmarkDeadlock(b *testing.B) {
	runBench(b, func() (*DeadlockResult, error) {
		return Deadlock(b.Context(), DeadlockConfig{Common: Common{Dir: b.TempDir()}, Rings: 200})
	}, func(res *DeadlockResult) {
		for _, row := range res.Rows {
			b.ReportMetric(row.Detection.P99, fmt.Sprintf("ring%d-p99-µs", row.Size))
		}
	})
}

// reportSamples reports the throughput of each row. Units must not have spaces.
func reportSamples(b *testing.B) func(*Result) {
	return func(res *Result) {
		for _, row := range res.Rows {
			unit := strings.NewReplacer(" ", "-", ",", "").Replace(fmt.Sprintf("%s/%d-%s/s", row.Case, row.Workers, row.Unit))
			b.ReportMetric(row.PerSecond, unit)
		}
	}
}

func BenchmarkDevice(b *testing.B) {
	runBench(b, func() (*Result, error) {
		return Device(b.Context(), DeviceConfig{Common: Common{Dir: b.TempDir()}, Limit: Limit{Duration: time.Second}})
	}, reportSamples(b))
}

func BenchmarkArrival(b *testing.B) {
	runBench(b, func() (*Result, error) {
		return Arrival(b.Context(), ArrivalConfig{Common: Common{Dir: b.TempDir()}, Rates: []int{1000}, Limit: Limit{Duration: time.Second}})
	}, func(res *Result) { b.ReportMetric(res.Rows[0].Latency.P99, "p99-µs") })
}

func BenchmarkLoad(b *testing.B) {
	runBench(b, func() (*Result, error) {
		return Load(b.Context(), LoadConfig{Common: Common{Dir: b.TempDir()}, Keys: benchKeys})
	}, reportSamples(b))
}

func BenchmarkYCSB(b *testing.B) {
	runBench(b, func() (*Result, error) {
		return YCSB(b.Context(), YCSBConfig{Common: Common{Dir: b.TempDir()}, Records: 20_000, Limit: Limit{Duration: time.Second / 2}})
	}, reportSamples(b))
}

func BenchmarkMixed(b *testing.B) {
	runBench(b, func() (*Result, error) {
		return Mixed(b.Context(), MixedConfig{Common: Common{Dir: b.TempDir()}, Keys: benchKeys, Limit: Limit{Duration: time.Second / 2}})
	}, reportSamples(b))
}

// benchGraph is small enough to import in moments; the command's default is ten times as large.
var benchGraph = GraphSize{Nodes: 10_000}

func BenchmarkImport(b *testing.B) {
	runBench(b, func() (*Result, error) {
		return Import(b.Context(), ImportConfig{Common: Common{Dir: b.TempDir()}, GraphSize: benchGraph})
	}, reportSamples(b))
}

func BenchmarkTraverse(b *testing.B) {
	runBench(b, func() (*Result, error) {
		return Traverse(b.Context(), TraverseConfig{Common: Common{Dir: b.TempDir()}, GraphSize: benchGraph, Limit: Limit{Duration: time.Second / 4}})
	}, reportSamples(b))
}

func BenchmarkGraphMix(b *testing.B) {
	runBench(b, func() (*Result, error) {
		return GraphMix(b.Context(), GraphMixConfig{Common: Common{Dir: b.TempDir()}, GraphSize: benchGraph, Limit: Limit{Duration: time.Second / 2}})
	}, reportSamples(b))
}

func BenchmarkLinkBench(b *testing.B) {
	runBench(b, func() (*Result, error) {
		return LinkBench(b.Context(), LinkBenchConfig{Common: Common{Dir: b.TempDir()}, GraphSize: GraphSize{Nodes: 10_000}, Limit: Limit{Duration: time.Second}})
	}, reportSamples(b))
}

// The workloads over time are benchmarks too, small ones.

func BenchmarkLongReader(b *testing.B) {
	runBench(b, func() (*LongReaderResult, error) {
		return LongReader(b.Context(), LongReaderConfig{Common: Common{Dir: b.TempDir(), MemoryBudget: 16 << 20}, Records: 20_000, Rounds: 3})
	}, func(res *LongReaderResult) { b.ReportMetric(res.PerSecond, "overwrites/s") })
}

func BenchmarkShrink(b *testing.B) {
	runBench(b, func() (*ShrinkResult, error) {
		return Shrink(b.Context(), ShrinkConfig{Common: Common{Dir: b.TempDir(), MemoryBudget: 16 << 20}, Records: 20_000})
	}, func(res *ShrinkResult) {
		for _, s := range res.Measurements() {
			b.ReportMetric(s.Factor, strings.ReplaceAll(s.Case, ", ", "-")+"-file/data")
		}
	})
}

func BenchmarkOverwrite(b *testing.B) {
	runBench(b, func() (*OverwriteResult, error) {
		return Overwrite(b.Context(), OverwriteConfig{Common: Common{Dir: b.TempDir(), MemoryBudget: 16 << 20}, Limit: Limit{Duration: 2 * time.Second}})
	}, func(res *OverwriteResult) {
		b.ReportMetric(res.PerSecond, "commits/s")
		b.ReportMetric(res.Amplification, "ampl")
	})
}

func BenchmarkLarge(b *testing.B) {
	runBench(b, func() (*LargeResult, error) {
		return Large(b.Context(), LargeConfig{Common: Common{Dir: b.TempDir(), MemoryBudget: 16 << 20}, Rows: benchKeys})
	}, func(res *LargeResult) {
		for _, row := range res.Rows {
			b.ReportMetric(row.PerSecond, row.Order+"-"+row.End+"-rows/s")
		}
	})
}

func BenchmarkSoak(b *testing.B) {
	runBench(b, func() (*SoakResult, error) {
		return Soak(b.Context(), SoakConfig{Common: Common{Dir: b.TempDir(), MemoryBudget: 32 << 20}, Duration: 3 * time.Second, Records: 10_000, LargeRows: 5000})
	}, func(res *SoakResult) {
		for _, row := range res.Rows {
			b.ReportMetric(float64(row.Ops)/res.Config.Duration.Seconds(), strings.ReplaceAll(row.Kind, " ", "-")+"/s")
		}
	})
}
