package report

import (
	"cmp"
	"fmt"
	"image/color"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"

	"github.com/sombradb/sombra/bench/internal/chart"
	"github.com/sombradb/sombra/bench/peers/internal/suite"
)

// colours are those of Okabe and Ito, which people with any kind of colour vision can tell apart.
var colours = map[string]color.RGBA{
	"Sombra":     {0, 114, 178, 255},
	"bbolt":      {230, 159, 0, 255},
	"Badger":     {0, 158, 115, 255},
	"Pebble":     {204, 121, 167, 255},
	"SQLite":     {86, 180, 233, 255},
	memoryLimit:  {120, 120, 120, 255},
	suite.Device: {0, 0, 0, 255},
}

var glyphs = map[string]draw.GlyphDrawer{
	"Sombra": draw.CircleGlyph{}, "bbolt": draw.SquareGlyph{}, "Badger": draw.TriangleGlyph{}, "Pebble": draw.PyramidGlyph{},
	"SQLite": draw.BoxGlyph{}, memoryLimit: draw.CrossGlyph{}, suite.Device: draw.PlusGlyph{},
}

// plotsOf names the plots of a workload.
func plotsOf(workload string) []string {
	switch workload {
	case "commit":
		return []string{"commit", "latency"}
	case "transfer":
		return []string{"transfer-uniform", "transfer-zipf"}
	}
	return []string{workload}
}

// drawAll draws what was measured and returns the names.
func (r *results) drawAll(dir string) (drawn []string, err error) {
	for _, d := range []struct {
		name string
		draw func() (*plot.Plot, error)
	}{
		{"ratios", r.ratioPlot},
		{"commit", func() (*plot.Plot, error) { return r.byWriters("commit", "", "Durable commits") }},
		{"latency", r.latencyPlot},
		{"arrival", r.arrivalPlot},
		{"transfer-uniform", func() (*plot.Plot, error) { return r.byWriters("transfer", "uniform", "Transfers, uniform") }},
		{"transfer-zipf", func() (*plot.Plot, error) { return r.byWriters("transfer", "zipf 0.99", "Transfers, zipf 0.99") }},
		{"hotkey", func() (*plot.Plot, error) { return r.byWriters("hotkey", "", "Changes of one key") }},
		{"counter", func() (*plot.Plot, error) { return r.byWriters("counter", "", "Additions to one counter") }},
		{"insert", func() (*plot.Plot, error) { return r.byWriters("insert", "", "Inserts of nodes") }},
		{"read", func() (*plot.Plot, error) { return r.bars("read", "Reads") }},
		{"load", func() (*plot.Plot, error) { return r.bars("load", "Loading") }},
		{"ycsb", func() (*plot.Plot, error) { return r.bars("ycsb", "YCSB") }},
		{"hops", func() (*plot.Plot, error) { return r.bars("hops", "Traversals") }},
	} {
		p, err := d.draw()
		if err != nil {
			return nil, err
		}
		if p == nil {
			continue
		}
		width, height := chart.Width, chart.Height
		if d.name == "ratios" {
			width, height = chart.RatiosSize(len(r.outcomes()))
		}
		if err := chart.Save(p, width, height, filepath.Join(dir, d.name+".png")); err != nil {
			return nil, fmt.Errorf("peers: draw %s: %w", d.name, err)
		}
		drawn = append(drawn, d.name)
	}
	return drawn, nil
}

// style is that of a participant's curve.
func style(name string) chart.Style {
	return chart.Style{Color: colours[name], Mark: glyphs[name], Bold: name == subject}
}

// byWriters draws throughput over the number of writers; nil if that was not measured.
func (r *results) byWriters(workload, variant, title string) (*plot.Plot, error) {
	var curves []chart.Curve
	for _, name := range r.rows(workload) {
		c := chart.Curve{Name: name, Style: style(name)}
		for _, at := range r.of(workload) {
			if f := r.figures[at][name]; at.Case == variant && f != nil && f.Rate.Median > 0 {
				c.Points = append(c.Points, plotter.XY{X: float64(at.Workers), Y: f.Rate.Median})
			}
		}
		curves = append(curves, c)
	}
	return chart.ByX(title, "writers", "a second", curves)
}

// latencyPlot draws the percentiles of commits by 32 writers.
func (r *results) latencyPlot() (*plot.Plot, error) {
	at := setting{Workload: "commit", Workers: 32}
	var curves []chart.Curve
	for _, name := range r.rows("commit") {
		if f := r.figures[at][name]; f != nil {
			curves = append(curves, chart.Curve{Name: name, Style: style(name), Points: chart.Percentiles(f.Latency)})
		}
	}
	return chart.ByPercentile("Latency of durable commits, 32 writers", curves)
}

// arrivalPlot draws the 99th percentile over the rate of arrivals.
func (r *results) arrivalPlot() (*plot.Plot, error) {
	var curves []chart.Curve
	for _, name := range r.rows("arrival") {
		c := chart.Curve{Name: name, Style: style(name)}
		for _, at := range r.of("arrival") {
			if f := r.figures[at][name]; f != nil && f.Latency.P99 > 0 {
				c.Points = append(c.Points, plotter.XY{X: f.Samples[0].Offered, Y: f.Latency.P99 / 1e3})
			}
		}
		slices.SortFunc(c.Points, func(a, b plotter.XY) int { return cmp.Compare(a.X, b.X) })
		curves = append(curves, c)
	}
	return chart.ByX("Latency of durable commits that arrive at a fixed rate", "arrivals a second", "99th percentile, ms", curves)
}

// ratioPlot draws the marks that were measured.
func (r *results) ratioPlot() (*plot.Plot, error) {
	var list []chart.Ratio
	for _, o := range r.outcomes() {
		list = append(list, chart.Ratio{Label: o.what + " / " + o.other, Spread: o.ratio, Level: o.level})
	}
	return chart.Ratios("Sombra's throughput divided by others' (right of 1 is faster)", list)
}
