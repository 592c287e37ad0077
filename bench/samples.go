package bench

import (
	"fmt"
	"time"

	"github.com/sombradb/sombra/bench/internal/figures"
)

// What factors count.
const (
	writtenForChanged = "bytes written to the data file for each byte changed"
	memoryForBudget   = "bytes of memory for each byte of the budget"
	fileForData       = "bytes of the data file for each byte of data"
)

// sampleOf makes a sample of a row's throughput.
func sampleOf(workload, name string, workers int, unit string, ops int64, elapsed time.Duration, sum Checksum) Sample {
	s := figures.Timed(unit, ops, elapsed)
	s.Workload, s.Case, s.Workers, s.Checksum = workload, name, workers, sum.String()
	return s
}

// Measurements implements Outcome.
func (r *RateResult) Measurements() (list []Sample) {
	unit := map[string]string{"commit": "commits", "log": "records"}[r.Workload]
	for _, row := range r.Rows {
		s := sampleOf(r.Workload, "", row.Writers, unit, row.Ops, row.Elapsed, row.Checksum)
		s.Latency = row.Latency
		list = append(list, s)
	}
	return list
}

// Measurements implements Outcome.
func (r *ContentionResult) Measurements() (list []Sample) {
	for _, row := range r.Rows {
		s := sampleOf(r.Workload, row.Kind+", "+row.Isolation, row.Writers, "commits", row.Ops, row.Elapsed, row.Checksum)
		s.Latency, s.Aborts = row.Latency, row.Attempts-row.Done
		list = append(list, s)
	}
	return list
}

// Measurements implements Outcome.
func (r *GetResult) Measurements() (list []Sample) {
	for _, row := range r.Rows {
		name := fmt.Sprintf("from %s, %d in a transaction", row.Source, row.ReadsPerTxn)
		s := sampleOf(r.Workload, name, row.Readers, "reads", row.Reads, 0, row.Checksum)
		s.PerSecond = row.PerSecond
		s.Elapsed = time.Duration(per(float64(row.Reads), row.PerSecond) * float64(time.Second))
		list = append(list, s)
	}
	return list
}

// Measurements implements Outcome.
func (r *ScanResult) Measurements() (list []Sample) {
	for _, row := range r.Rows {
		list = append(list, sampleOf(r.Workload, row.Kind+", from "+row.Source, 1, "keys", row.Keys, row.Elapsed, row.Checksum))
	}
	return list
}

// Measurements implements Outcome. Rates are those of the checkpoint alone.
func (r *CheckpointResult) Measurements() (list []Sample) {
	for _, row := range r.Rows {
		s := sampleOf(r.Workload, row.Change, 1, "keys", row.Keys, row.Elapsed, row.Checksum)
		s.Factor, s.FactorOf, s.Bytes = row.Amplification, writtenForChanged, row.FileBytes
		list = append(list, s)
	}
	return list
}

// Measurements implements Outcome.
func (r *RecoveryResult) Measurements() []Sample {
	return []Sample{sampleOf(r.Workload, "bytes of log", 1, "bytes", r.LogBytes, r.Open, r.Checksum)}
}

// Measurements implements Outcome.
func (r *MemoryResult) Measurements() []Sample {
	s := sampleOf(r.Workload, "reads and overwrites", r.Config.Workers, "operations", r.Ops, 0, r.Checksum)
	s.PerSecond, s.Latency, s.Bytes = r.PerSecond, r.Latency, r.Peak
	s.Elapsed = time.Duration(per(float64(r.Ops), r.PerSecond) * float64(time.Second))
	s.Factor, s.FactorOf = r.overBudget(r.Peak), memoryForBudget
	return []Sample{s}
}

// Measurements implements Outcome. A latency is the time from the request that closes a ring to the victim's error.
func (r *DeadlockResult) Measurements() (list []Sample) {
	for _, row := range r.Rows {
		s := sampleOf(r.Workload, fmt.Sprintf("rings of %d", row.Size), row.Size, "rings", row.Rings, row.Elapsed, row.Checksum)
		s.Latency = row.Detection
		list = append(list, s)
	}
	return list
}

// Measurements implements Outcome.
func (r *LongReaderResult) Measurements() []Sample {
	n := r.Config.Records * int64(r.Config.Rounds)
	s := sampleOf(r.Workload, "overwrites beside a reader", r.Config.Writers, "overwrites", n, r.Elapsed, r.Checksum)
	s.Factor, s.FactorOf = per(float64(r.Closed.FileBytes), float64(r.LiveData)), fileForData
	s.Bytes = r.Settled.FileBytes
	return []Sample{s}
}

// Measurements implements Outcome.
func (r *ShrinkResult) Measurements() (list []Sample) {
	for _, row := range r.Rows {
		s := sampleOf(r.Workload, "deletes, "+row.Deletes, r.Config.Deleters, "deletes", row.Deleted, row.Elapsed, row.Checksum)
		s.Factor, s.FactorOf = per(float64(row.Shrunk.FileBytes), float64(row.LiveData)), fileForData
		s.Bytes = row.Shrunk.FileBytes
		list = append(list, s)
	}
	return list
}

// Measurements implements Outcome.
func (r *OverwriteResult) Measurements() []Sample {
	s := sampleOf(r.Workload, "random overwrites", r.Config.Writers, "commits", r.Commits, r.Elapsed, r.Checksum)
	s.Latency, s.Factor, s.FactorOf = r.Latency, r.Amplification, writtenForChanged
	return []Sample{s}
}

// Measurements implements Outcome.
func (r *LargeResult) Measurements() (list []Sample) {
	for _, row := range r.Rows {
		s := sampleOf(r.Workload, row.Order+", "+row.End, 1, "rows", r.Config.Rows, row.Put+row.Ended, row.Checksum)
		s.Factor, s.FactorOf = per(float64(row.Peak-row.Baseline), float64(r.Config.MemoryBudget)), memoryForBudget
		s.Bytes = row.Temporary
		list = append(list, s)
	}
	return list
}

// Measurements implements Outcome.
func (r *SoakResult) Measurements() (list []Sample) {
	for _, row := range r.Rows {
		s := sampleOf(r.Workload, row.Kind, 1, "operations", row.Ops, r.Config.Duration, r.Checksum)
		s.Latency = row.Latency
		list = append(list, s)
	}
	return list
}
