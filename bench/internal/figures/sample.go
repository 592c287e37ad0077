package figures

import (
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
)

// Sample is one measurement of one participant in one setting.
type Sample struct {
	Workload string `json:"workload"`
	Case     string `json:"case,omitempty"`   // variant of the workload
	Workers  int    `json:"workers"`          // goroutines
	Engine   string `json:"engine,omitempty"` // the participant, where there are several
	Round    int    `json:"round"`            // from 0

	Unit      string        `json:"unit"` // of Ops
	Ops       int64         `json:"ops"`
	Elapsed   time.Duration `json:"elapsed_ns"`
	PerSecond float64       `json:"per_second"`
	Latency   drive.Latency `json:"latency"` // zeros where single operations were not timed

	Offered float64 `json:"offered_per_second,omitempty"` // arrivals of an open loop
	Missed  int64   `json:"missed,omitempty"`             // arrivals that had no turn
	Aborts  int64   `json:"aborts,omitempty"`             // attempts that were lost to a conflict and made again
	Wrong   int64   `json:"wrong,omitempty"`              // records that do not hold what was acknowledged
	Lost    int64   `json:"lost,omitempty"`               // what is missing in the sum of all: money, increments
	Beside  float64 `json:"beside_per_second,omitempty"`  // commits of those who write beside readers
	Bytes   int64   `json:"bytes,omitempty"`              // taken on the disk, or in memory where the workload is about that
	// Factor is what the workload is about when that is no rate, and FactorOf says what it counts.
	Factor   float64 `json:"factor,omitempty"`
	FactorOf string  `json:"factor_of,omitempty"`
	// Answer, or else the checksum, is equal in all samples of a setting whose work does not depend on the clock.
	Answer   string `json:"answer,omitempty"`
	Checksum string `json:"checksum,omitempty"`
}

// SampleOf is the sample of a loop.
func SampleOf(r drive.Result, unit string) Sample {
	return Sample{
		Unit: unit, Ops: r.Ops, Elapsed: r.Elapsed, PerSecond: r.PerSecond(), Latency: r.Latency(),
		Missed: r.Missed, Aborts: max(r.Attempts-r.Ops, 0), Checksum: r.Sum.String(),
	}
}

// Timed is the sample of work that was done once by one worker.
func Timed(unit string, ops int64, elapsed time.Duration) Sample {
	return Sample{Workers: 1, Unit: unit, Ops: ops, Elapsed: elapsed, PerSecond: float64(ops) / max(elapsed.Seconds(), 1e-9)}
}

// Enough reports whether a sample says something: if fewer operations ended than there were workers, it was too short for
// the engine, and what ended in it is chance.
func (s Sample) Enough() bool { return s.Ops >= int64(s.Workers) && s.PerSecond > 0 }

// Setting is what was measured, whoever did it.
type Setting struct {
	Workload, Case string
	Workers        int
}

// Setting returns the sample's.
func (s Sample) Setting() Setting { return Setting{s.Workload, s.Case, s.Workers} }
