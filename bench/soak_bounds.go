package bench

import (
	"runtime"
	"time"
)

// leastSteady is the number of samples from which on curves are compared with themselves.
const leastSteady = 16

// steady is a curve that must not grow while the data stay as they are.
type steady struct {
	what, unit string
	value      func(SoakSample) int64
	slack      int64 // growth that is no sign of anything
}

var steadyCurves = []steady{
	{"data file", unitBytes, func(s SoakSample) int64 { return s.FileBytes }, 32 << 20},
	{"pages in use", unitBytes, func(s SoakSample) int64 { return s.LiveBytes }, 16 << 20},
	{"log", unitBytes, func(s SoakSample) int64 { return s.LogBytes }, 128 << 20},
	{"resident memory", unitBytes, func(s SoakSample) int64 { return s.RSS }, 48 << 20},
	{"Go heap", unitBytes, func(s SoakSample) int64 { return s.Heap }, 48 << 20},
	{"versions", unitBytes, func(s SoakSample) int64 { return s.Versions }, 8 << 20},
	{"history", "records", func(s SoakSample) int64 { return s.History }, 100_000},
	{"goroutines", "goroutines", func(s SoakSample) int64 { return int64(s.Goroutines) }, 16},
}

// growth compares the highest value of the last quarter of the samples with that of the second one: what was still
// filling up in the first quarter does not count, and a curve that grows all the time stands out.
func (c *steady) growth(samples []SoakSample) Bound {
	quarter := len(samples) / 4
	before := highest(samples[quarter:2*quarter], c.value)
	return Bound{
		What: c.what + " in the last quarter", Unit: c.unit, Value: highest(samples[len(samples)-quarter:], c.value),
		Limit: before*3/2 + c.slack, How: "1.5 x the highest of the second quarter and some slack",
	}
}

// bound says what may not grow. goroutines is their number before the database was opened; by now it is closed.
func (r *SoakResult) bound(goroutines int) {
	r.Bounds = []Bound{
		{
			What: "most log", Unit: unitBytes, Value: highest(r.Samples, func(s SoakSample) int64 { return s.LogBytes }),
			Limit: logBound(), How: "two checkpoints' worth and four segments",
		},
		{
			What: "goroutines after the end", Unit: "goroutines", Value: int64(awaitGoroutines(goroutines)), Limit: int64(goroutines),
			How: "as many as before the beginning",
		},
	}
	if len(r.Samples) < leastSteady {
		return
	}
	for _, c := range steadyCurves {
		r.Bounds = append(r.Bounds, c.growth(r.Samples))
	}
}

// awaitGoroutines waits a moment for goroutines that are ending, and returns how many are left.
func awaitGoroutines(want int) int {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for range 200 {
		if runtime.NumGoroutine() <= want {
			break
		}
		<-ticker.C
	}
	return runtime.NumGoroutine()
}
