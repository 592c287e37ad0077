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
