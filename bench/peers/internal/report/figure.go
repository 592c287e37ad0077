package report

import (
	"slices"

	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/peers/internal/suite"
)

// setting is what was measured, whoever did it.
type setting = figures.Setting

// settingOf returns a setting.
func settingOf(workload, variant string, workers int) setting {
	return setting{Workload: workload, Case: variant, Workers: workers}
}

// results are all figures.
type results struct {
	settings     []setting // in the order in which they were measured
	participants map[string][]string
	figures      map[setting]map[string]*figures.Figure
}

func collect(samples []suite.Sample) *results {
	r := &results{participants: map[string][]string{}, figures: map[setting]map[string]*figures.Figure{}}
	for _, f := range figures.Collect(samples) {
		if r.figures[f.Setting] == nil {
			r.figures[f.Setting] = map[string]*figures.Figure{}
			r.settings = append(r.settings, f.Setting)
		}
		r.figures[f.Setting][f.Engine] = f
		if !slices.Contains(r.participants[f.Workload], f.Engine) {
			r.participants[f.Workload] = append(r.participants[f.Workload], f.Engine)
		}
	}
	return r
}

// of returns a workload's settings in their order.
func (r *results) of(workload string) (list []setting) {
	for _, at := range r.settings {
		if at.Workload == workload {
			list = append(list, at)
		}
	}
	return list
}

// rows returns a workload's participants, in the order of the suite: rounds rotate, so that of the samples is another.
func (r *results) rows(workload string) []string {
	known := append(engineNames(), memoryLimit, suite.Device)
	list := slices.Clone(r.participants[workload])
	slices.SortStableFunc(list, func(a, b string) int { return slices.Index(known, a) - slices.Index(known, b) })
	return list
}
