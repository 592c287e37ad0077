package report

import (
	"image/color"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/sombradb/sombra/bench/peers/internal/suite"
)

// bars draws the settings of a workload side by side. In each the best database is 1, so that rates of different kinds
// fit one plot.
func (r *results) bars(workload, title string) (*plot.Plot, error) {
	list := r.of(workload)
	if len(list) == 0 {
		return nil, nil
	}
	p := newPlot(title+", throughput relative to the best database", "", "")
	var names []string
	for _, name := range r.rows(workload) {
		if name != memoryLimit && name != suite.Device {
			names = append(names, name)
		}
	}
	width := vg.Length(float64(plotWidth) * 0.62 / float64(len(list)*(len(names)+1)))
	for i, name := range names {
		values := make(plotter.Values, len(list))
		for k, at := range list {
			if f := r.figures[at][name]; f != nil {
				values[k] = f.median / (&page{results: r}).greatest(at)
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

var (
	good = color.RGBA{0, 114, 178, 255}
	bad  = color.RGBA{213, 94, 0, 255}
	even = color.RGBA{130, 130, 130, 255}
)

// ratioPlot draws the marks that were measured: a dot at the ratio, a line over the range of the rounds, a tick at the mark.
func (r *results) ratioPlot() (*plot.Plot, error) {
	list := r.outcomes()
	if len(list) == 0 {
		return nil, nil
	}
	p := newPlot("Sombra's throughput divided by others' (right of 1 is faster)", "", "")
	labels := make([]string, len(list))
	low, high := 0.1, 10.0
	for i, o := range list {
		y := float64(len(list) - 1 - i)
		labels[len(list)-1-i] = "    " + o.what + " / " + o.other // with room for what the font's width lacks
		o.ratio.min = max(o.ratio.min, 0.001, o.ratio.median/100) // a round of nothing has no place on a logarithmic axis
		o.ratio.median = max(o.ratio.median, o.ratio.min)
		low, high = min(low, o.ratio.min), max(high, o.ratio.max)
		if err := o.draw(p, y); err != nil {
			return nil, err
		}
	}
	parityLine, err := plotter.NewLine(plotter.XYs{{X: 1, Y: -0.6}, {X: 1, Y: float64(len(list)) - 0.4}})
	if err != nil {
		return nil, err
	}
	parityLine.Color = color.Gray{60}
	p.Add(parityLine)
	p.NominalY(labels...)
	p.X.Scale = plot.LogScale{}
	p.X.Min, p.X.Max = powersOfTen(low, high*1.05)
	p.X.Tick.Marker = decades(p.X.Min, p.X.Max)
	p.Y.Tick.Label.Font.Size = vg.Points(7)
	p.Title.TextStyle.Font.Size = vg.Points(11)
	return p, nil
}

// draw adds one outcome at height y.
func (o outcome) draw(p *plot.Plot, y float64) error {
	colour := map[string]color.RGBA{"reached": good, "missed": bad, "undecided": even}[o.verdict()]
	span, err := plotter.NewLine(plotter.XYs{{X: o.ratio.min, Y: y}, {X: o.ratio.max, Y: y}})
	if err != nil {
		return err
	}
	span.Color, span.Width = colour, vg.Points(1.5)
	dot, err := plotter.NewScatter(plotter.XYs{{X: o.ratio.median, Y: y}})
	if err != nil {
		return err
	}
	dot.Color, dot.Shape, dot.Radius = colour, draw.CircleGlyph{}, vg.Points(3)
	at, err := plotter.NewLine(plotter.XYs{{X: o.level, Y: y - 0.35}, {X: o.level, Y: y + 0.35}})
	if err != nil {
		return err
	}
	at.Color = color.Black
	p.Add(span, dot, at)
	return nil
}
