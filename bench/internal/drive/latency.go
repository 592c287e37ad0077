package drive

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency is a distribution of durations, in microseconds.
type Latency struct {
	P50  float64 `json:"p50_us"`
	P90  float64 `json:"p90_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p999_us"`
	Max  float64 `json:"max_us"`
}

// Percentiles are those that a Latency has, the maximum left out.
var Percentiles = [...]float64{50, 90, 99, 99.9}

// Of returns the percentile's field, 0 for one that is not kept.
func (l Latency) Of(percentile float64) float64 {
	switch percentile {
	case 50:
		return l.P50
	case 90:
		return l.P90
	case 99:
		return l.P99
	case 99.9:
		return l.P999
	}
	return 0
}

const (
	shortest = 100          // ns
	longest  = int64(100e9) // ns
	grain    = 3            // digits
	nsPerUs  = float64(time.Microsecond)
)

// Histogram counts durations. Not safe for concurrent use.
type Histogram struct{ hdr *hdrhistogram.Histogram }

// NewHistogram returns an empty one.
func NewHistogram() *Histogram { return &Histogram{hdrhistogram.New(shortest, longest, grain)} }

// Add counts a duration. It clamps, so that an outlier beyond the range is counted as the longest instead of being lost.
func (h *Histogram) Add(d time.Duration) {
	_ = h.hdr.RecordValue(min(max(d.Nanoseconds(), 0), longest))
}

// Merge adds all that another one has counted.
func (h *Histogram) Merge(other *Histogram) { h.hdr.Merge(other.hdr) }

// Count returns how many durations were added.
func (h *Histogram) Count() int64 { return h.hdr.TotalCount() }

// Reset forgets all.
func (h *Histogram) Reset() { h.hdr.Reset() }

// Latency returns the percentiles.
func (h *Histogram) Latency() Latency {
	us := func(ns int64) float64 { return float64(ns) / nsPerUs }
	return Latency{
		P50: us(h.hdr.ValueAtQuantile(50)), P90: us(h.hdr.ValueAtQuantile(90)), P99: us(h.hdr.ValueAtQuantile(99)),
		P999: us(h.hdr.ValueAtQuantile(99.9)), Max: us(h.hdr.Max()),
	}
}
