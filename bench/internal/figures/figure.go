package figures

import (
	"slices"

	"github.com/sombradb/sombra/bench/internal/drive"
)

// Figure is what one participant did in one setting, in all rounds.
type Figure struct {
	Setting
	Engine      string
	Samples     []Sample
	Rate        Spread        // operations per second
	Latency     drive.Latency // medians of the rounds
	Aborts      float64       // share of all attempts
	Wrong, Lost int64         // of all rounds
	Bytes       int64
	Beside      float64
	Factor      float64
}

// Collect makes figures of samples, in the order in which settings and participants first occur.
func Collect(samples []Sample) []*Figure {
	type place struct {
		Setting
		engine string
	}
	at := map[place]*Figure{}
	var list []*Figure
	for _, s := range samples {
		p := place{s.Setting(), s.Engine}
		if at[p] == nil {
			at[p] = &Figure{Setting: p.Setting, Engine: s.Engine}
			list = append(list, at[p])
		}
		at[p].Samples = append(at[p].Samples, s)
	}
	for _, f := range list {
		f.sumUp()
	}
	return list
}

func (f *Figure) sumUp() {
	rates := make([]float64, len(f.Samples))
	var ops, aborts int64
	for i, s := range f.Samples {
		rates[i] = s.PerSecond
		ops += s.Ops
		aborts += s.Aborts
		f.Wrong += s.Wrong
		f.Lost += s.Lost
	}
	f.Rate = SpreadOf(rates)
	if aborts > 0 {
		f.Aborts = float64(aborts) / float64(ops+aborts)
	}
	f.Latency = drive.Latency{
		P50:  f.medianOf(func(s Sample) float64 { return s.Latency.P50 }),
		P90:  f.medianOf(func(s Sample) float64 { return s.Latency.P90 }),
		P99:  f.medianOf(func(s Sample) float64 { return s.Latency.P99 }),
		P999: f.medianOf(func(s Sample) float64 { return s.Latency.P999 }),
		Max:  f.medianOf(func(s Sample) float64 { return s.Latency.Max }),
	}
	f.Bytes = int64(f.medianOf(func(s Sample) float64 { return float64(s.Bytes) }))
	f.Beside = f.medianOf(func(s Sample) float64 { return s.Beside })
	f.Factor = f.medianOf(func(s Sample) float64 { return s.Factor })
}

func (f *Figure) medianOf(field func(Sample) float64) float64 {
	values := make([]float64, len(f.Samples))
	for i, s := range f.Samples {
		values[i] = field(s)
	}
	return Median(values)
}

// Short reports whether one of the samples was too short.
func (f *Figure) Short() bool {
	return slices.ContainsFunc(f.Samples, func(s Sample) bool { return !s.Enough() })
}

// Median is the middle value, or the mean of the two in the middle; 0 of nothing.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// Spread is a median with the least and the greatest value.
type Spread struct{ Median, Min, Max float64 }

// SpreadOf returns that of values; zeros of none.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	return Spread{Median(values), slices.Min(values), slices.Max(values)}
}
