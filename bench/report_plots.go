package bench

import (
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/sombradb/sombra/bench/internal/chart"
	"github.com/sombradb/sombra/bench/internal/figures"
)

const ratiosPlot = "ratios.png"

// mostCurves is how many curves one plot can show.
const mostCurves = len(chart.Palette)

// draw draws what there is to see and returns the names of the files: for each workload throughput by workers where these
// differ, and percentiles of latency; and all ratios.
func (r *Report) draw(dir string) (drawn []string, err error) {
	save := func(name string, p *plot.Plot, err error) error {
		if err != nil || p == nil {
			return err
		}
		width, height := chart.Width, chart.Height
		if name == ratiosPlot {
			width, height = chart.RatiosSize(len(r.ratios()))
		}
		drawn = append(drawn, name)
		return chart.Save(p, width, height, filepath.Join(dir, name))
	}
	for _, workload := range r.workloads() {
		p, err := r.byWorkers(workload)
		if err := save(workload+"-writers.png", p, err); err != nil {
			return drawn, err
		}
		p, err = r.byPercentile(workload)
		if err := save(workload+"-latency.png", p, err); err != nil {
			return drawn, err
		}
	}
	var list []chart.Ratio
	for _, c := range r.ratios() {
		list = append(list, chart.Ratio{Label: c.label, Spread: c.spread})
	}
	title := "Throughput divided by that of fewer workers, or of nothing beside (right of 1 is faster)"
	if r.Against != nil {
		title = "Throughput divided by that of the earlier run (right of 1 is faster)"
	}
	p, err := chart.Ratios(title, list)
	return drawn, save(ratiosPlot, p, err)
}

// byWorkers draws the cases of a workload that were measured with several numbers of workers.
func (r *Report) byWorkers(workload string) (*plot.Plot, error) {
	var curves []chart.Curve
	at := map[string]int{}
	for _, f := range figures.Collect(r.Samples) {
		if f.Workload != workload || f.Rate.Median <= 0 || f.Samples[0].Offered > 0 {
			continue
		}
		i, known := at[f.Case]
		if !known {
			i = len(curves)
			at[f.Case] = i
			curves = append(curves, chart.Curve{Name: named(f.Case, workload), Style: chart.StyleOf(i)})
		}
		curves[i].Points = append(curves[i].Points, plotter.XY{X: float64(f.Workers), Y: f.Rate.Median})
	}
	kept := curves[:0]
	for _, c := range curves {
		if len(c.Points) > 1 && len(kept) < mostCurves {
			kept = append(kept, c)
		}
	}
	return chart.ByX("Throughput of "+workload, "workers", "a second", kept)
}

// byPercentile draws the latencies of a workload.
func (r *Report) byPercentile(workload string) (*plot.Plot, error) {
	var curves []chart.Curve
	for _, f := range figures.Collect(r.Samples) {
		if f.Workload == workload && f.Latency.Max > 0 && len(curves) < mostCurves {
			curves = append(curves, chart.Curve{Name: within(f), Style: chart.StyleOf(len(curves)), Points: chart.Percentiles(f.Latency)})
		}
	}
	return chart.ByPercentile("Latency of "+workload, curves)
}

func named(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
