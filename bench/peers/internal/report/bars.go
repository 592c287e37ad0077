package report

import (
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/sombradb/sombra/bench/internal/chart"
	"github.com/sombradb/sombra/bench/peers/internal/suite"
)

// bars draws the settings of a workload side by side. In each the best database is 1, so that rates of different kinds
// fit one plot.
func (r *results) bars(workload, title string) (*plot.Plot, error) {
	list := r.of(workload)
	if len(list) == 0 {
		return nil, nil
	}
	p := chart.New(title+", throughput relative to the best database", "", "")
	var names []string
	for _, name := range r.rows(workload) {
		if name != memoryLimit && name != suite.Device {
			names = append(names, name)
		}
	}
	width := vg.Length(float64(chart.Width) * 0.62 / float64(len(list)*(len(names)+1)))
	for i, name := range names {
		values := make(plotter.Values, len(list))
		for k, at := range list {
			if f := r.figures[at][name]; f != nil {
				values[k] = f.Rate.Median / (&page{results: r}).greatest(at)
			}
		}
		b, err := plotter.NewBarChart(values, width)
		if err != nil {
			return nil, err
		}
		b.Color, b.LineStyle.Width = colours[name], 0
		b.Offset = width * vg.Length(float64(i)-float64(len(names)-1)/2)
		p.Add(b)
		p.Legend.Add(name, b)
	}
	labels := make([]string, len(list))
	for i, at := range list {
		labels[i] = short(column(at))
	}
	p.NominalX(labels...)
	p.X.Max += 0.22 * float64(len(list)) // room for the legend
	p.Y.Min, p.Y.Max = 0, 1.02
	p.Y.Tick.Marker = plot.ConstantTicks{{Value: 0, Label: "0"}, {Value: 0.25}, {Value: 0.5, Label: "0.5"}, {Value: 0.75}, {Value: 1, Label: "1"}}
	return p, nil
}

// short breaks a label into lines.
func short(label string) string {
	return strings.NewReplacer(" beside ", "\nbeside ", " of 100", "\nof 100", ", ", ",\n", " durable", "\ndurable").Replace(label)
}
