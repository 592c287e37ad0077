package report

import (
	"math"
	"slices"

	"github.com/sombradb/sombra/bench/peers/internal/drive"
	"github.com/sombradb/sombra/bench/peers/internal/suite"
)

// setting is what was measured, whoever did it.
type setting struct {
	workload, variant string
	workers           int
}

// figure is what one participant did in a setting, in all rounds.
type figure struct {
	samples          []suite.Sample
	median, min, max float64 // operations per second
	latency          drive.Latency
	aborts           float64 // share of all attempts
	wrong, lost      int64   // of all rounds
	bytes            int64
	beside           float64
}

// results are all figures.
type results struct {
	settings     []setting // in the order in which they were measured
	participants map[string][]string
	figures      map[setting]map[string]*figure
}

func collect(samples []suite.Sample) *results {
	r := &results{participants: map[string][]string{}, figures: map[setting]map[string]*figure{}}
	for _, s := range samples {
		at := setting{s.Workload, s.Case, s.Workers}
		if r.figures[at] == nil {
			r.figures[at] = map[string]*figure{}
			r.settings = append(r.settings, at)
		}
		if r.figures[at][s.Engine] == nil {
			r.figures[at][s.Engine] = &figure{}
		}
		f := r.figures[at][s.Engine]
		f.samples = append(f.samples, s)
		if !slices.Contains(r.participants[s.Workload], s.Engine) {
			r.participants[s.Workload] = append(r.participants[s.Workload], s.Engine)
		}
	}
	for _, byEngine := range r.figures {
		for _, f := range byEngine {
			f.sumUp()
		}
	}
	return r
}

func (f *figure) sumUp() {
	f.median = f.medianOf(func(s suite.Sample) float64 { return s.PerSecond })
	f.min, f.max = math.Inf(1), 0
	var ops, aborts int64
	for _, s := range f.samples {
		f.min, f.max = min(f.min, s.PerSecond), max(f.max, s.PerSecond)
		ops += s.Ops
		aborts += s.Aborts
		f.wrong += s.Wrong
		f.lost += s.Lost
	}
	if aborts > 0 {
		f.aborts = float64(aborts) / float64(ops+aborts)
	}
	f.latency = drive.Latency{
		P50:  f.medianOf(func(s suite.Sample) float64 { return s.Latency.P50 }),
		P90:  f.medianOf(func(s suite.Sample) float64 { return s.Latency.P90 }),
		P99:  f.medianOf(func(s suite.Sample) float64 { return s.Latency.P99 }),
		P999: f.medianOf(func(s suite.Sample) float64 { return s.Latency.P999 }),
		Max:  f.medianOf(func(s suite.Sample) float64 { return s.Latency.Max }),
	}
	f.bytes = int64(f.medianOf(func(s suite.Sample) float64 { return float64(s.Bytes) }))
	f.beside = f.medianOf(func(s suite.Sample) float64 { return s.Beside })
}

func (f *figure) medianOf(field func(suite.Sample) float64) float64 {
	values := make([]float64, len(f.samples))
	for i, s := range f.samples {
		values[i] = field(s)
	}
	return median(values)
}

// median is the middle value, or the mean of the two in the middle; 0 of nothing.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// spread is a median with the least and the greatest value.
type spread struct{ median, min, max float64 }

func spreadOf(values []float64) spread {
	return spread{median(values), slices.Min(values), slices.Max(values)}
}

// enough reports whether a sample says something: if fewer operations ended than there were workers, it was too short for
// the engine, and what ended in it is chance.
func enough(s suite.Sample) bool { return s.Ops >= int64(s.Workers) && s.PerSecond > 0 }

// short reports whether one of the samples was too short.
func (f *figure) short() bool {
	return slices.ContainsFunc(f.samples, func(s suite.Sample) bool { return !enough(s) })
}

// ratio divides two figures: it is the median of the ratios within rounds, without those that say nothing. ok is false if
// none is left.
func ratio(a, b *figure) (r spread, ok bool) {
	var values []float64
	for _, s := range a.samples {
		for _, t := range b.samples {
			if s.Round == t.Round && enough(s) && enough(t) {
				values = append(values, s.PerSecond/t.PerSecond)
			}
		}
	}
	if len(values) == 0 {
		return r, false
	}
	return spreadOf(values), true
}

// of returns a workload's settings in their order.
func (r *results) of(workload string) (list []setting) {
	for _, at := range r.settings {
		if at.workload == workload {
			list = append(list, at)
		}
	}
	return list
}

// rows returns a workload's participants, in the order of the suite: rounds rotate, so that of the samples is another.
func (r *results) rows(workload string) []string {
	known := append(engineNames(), "CSR array", suite.Device)
	list := slices.Clone(r.participants[workload])
	slices.SortStableFunc(list, func(a, b string) int { return slices.Index(known, a) - slices.Index(known, b) })
	return list
}
