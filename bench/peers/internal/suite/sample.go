package suite

import (
	"time"

	"github.com/sombradb/sombra/bench"
	"github.com/sombradb/sombra/bench/peers/internal/drive"
)

// Device is the participant that is no engine: appending to a preallocated file and syncing it.
const Device = "device"

// Sample is one measurement of one participant.
type Sample struct {
	Workload string `json:"workload"`
	Case     string `json:"case,omitempty"` // variant of the workload
	Workers  int    `json:"workers"`        // goroutines
	Engine   string `json:"engine"`
	Round    int    `json:"round"` // from 0

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
	Bytes   int64   `json:"bytes,omitempty"`              // taken on the disk
	Answer  string  `json:"answer,omitempty"`             // of S3
}

func sampleOf(r drive.Result, unit string) Sample {
	return Sample{
		Unit: unit, Ops: r.Ops, Elapsed: r.Elapsed, PerSecond: r.PerSecond(), Latency: r.Latency,
		Missed: r.Missed, Aborts: max(r.Attempts-r.Ops, 0),
	}
}

// timed is the sample of work that was done once.
func timed(unit string, ops int64, elapsed time.Duration) Sample {
	return Sample{Workers: 1, Unit: unit, Ops: ops, Elapsed: elapsed, PerSecond: float64(ops) / max(elapsed.Seconds(), 1e-9)}
}

// gen makes all keys and values.
var gen bench.Generator
