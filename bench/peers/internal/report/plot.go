package report

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/sombradb/sombra/bench"
	"github.com/sombradb/sombra/bench/peers/internal/suite"
)

const (
	plotWidth  = 16 * vg.Centimeter
	plotHeight = 9 * vg.Centimeter
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
		width, height := plotWidth, plotHeight
		if d.name == "ratios" {
			width, height = 18*vg.Centimeter, vg.Length(len(r.outcomes()))*0.42*vg.Centimeter+2*vg.Centimeter
		}
		if err := save(p, width, height, filepath.Join(dir, d.name+".png")); err != nil {
			return nil, fmt.Errorf("peers: draw %s: %w", d.name, err)
		}
		drawn = append(drawn, d.name)
	}
	return drawn, nil
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = 2 * vg.Millimeter
	p.Legend.Top, p.Legend.Padding = true, vg.Points(2.5)
	p.Legend.ThumbnailWidth = 6 * vg.Millimeter
	for _, style := range []*text.Style{
		&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle,
	} {
		style.Font.Variant = "Sans"
		style.Font.Size *= 0.9
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{240}
	p.Add(grid)
	return p
}

// line is one participant's points.
func (r *results) line(p *plot.Plot, name string, points plotter.XYs) error {
	if len(points) == 0 {
		return nil
	}
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	line.Color, dots.Color = colours[name], colours[name]
	line.Width = vg.Points(1.2)
	if name == subject {
		line.Width = vg.Points(2.4)
	}
	dots.Shape, dots.Radius = glyphs[name], vg.Points(3)
	p.Add(line, dots)
	p.Legend.Add(name, line, dots)
	return nil
}

// byWriters draws throughput over the number of writers, both logarithmic; nil if that was not measured.
func (r *results) byWriters(workload, variant, title string) (*plot.Plot, error) {
	p := newPlot(title, "writers", "a second")
	var ticks []float64
	for _, name := range r.rows(workload) {
		var points plotter.XYs
		for _, at := range r.of(workload) {
			f := r.figures[at][name]
			if at.variant != variant || f == nil || f.median <= 0 {
				continue
			}
			points = append(points, plotter.XY{X: float64(at.workers), Y: f.median})
			ticks = append(ticks, float64(at.workers))
		}
		if err := r.line(p, name, points); err != nil {
			return nil, err
		}
	}
	if len(ticks) == 0 {
		return nil, nil
	}
	p.X.Scale = plot.LogScale{}
	p.Y.Scale = plot.LogScale{}
	p.X.Tick.Marker = ticksAt(ticks)
	widen(p)
	return p, nil
}

// widen moves the ends of a logarithmic Y axis to powers of ten, and that of the X axis so far that the legend has room.
func widen(p *plot.Plot) {
	p.Y.Min, p.Y.Max = powersOfTen(p.Y.Min, p.Y.Max)
	var ticks []plot.Tick
	for _, t := range decades(p.Y.Min, p.Y.Max) {
		ticks = append(ticks, plot.Tick{Value: t.Value, Label: number(t.Value)})
		for n := 2.0; n < 10 && t.Value < p.Y.Max; n++ {
			ticks = append(ticks, plot.Tick{Value: n * t.Value})
		}
	}
	p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	if _, ok := p.X.Scale.(plot.LogScale); ok {
		p.X.Min, p.X.Max = p.X.Min*0.9, p.X.Max*math.Pow(p.X.Max/p.X.Min, 0.25)
		return
	}
	p.X.Max += (p.X.Max - p.X.Min) * 0.25
}

// powersOfTen returns those around a range.
func powersOfTen(low, high float64) (below, above float64) {
	return math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
}

// decades labels the powers of ten of a range.
func decades(low, high float64) plot.ConstantTicks {
	var ticks []plot.Tick
	for e := math.Round(math.Log10(low)); e <= math.Round(math.Log10(high)); e++ {
		v := math.Pow(10, e)
		ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', -1, 64)})
	}
	return ticks
}

// ticksAt labels values of an axis, each once.
func ticksAt(values []float64) plot.ConstantTicks {
	var ticks []plot.Tick
	slices.Sort(values)
	for _, v := range slices.Compact(values) {
		ticks = append(ticks, plot.Tick{Value: v, Label: bench.Count(int64(v))})
	}
	return ticks
}

var percentiles = []float64{50, 90, 99, 99.9}

// latencyPlot draws the percentiles of commits by 32 writers.
func (r *results) latencyPlot() (*plot.Plot, error) {
	at := setting{"commit", "", 32}
	if r.figures[at] == nil {
		return nil, nil
	}
	p := newPlot("Latency of durable commits, 32 writers", "percentile", "µs")
	for _, name := range r.rows("commit") {
		f := r.figures[at][name]
		if f == nil {
			continue
		}
		var points plotter.XYs
		for i, q := range percentiles {
			if v := f.latency.Of(q); v > 0 {
				points = append(points, plotter.XY{X: float64(i + 1), Y: v})
			}
		}
		if err := r.line(p, name, points); err != nil {
			return nil, err
		}
	}
	p.Y.Scale = plot.LogScale{}
	widen(p)
	var ticks []plot.Tick
	for i, q := range percentiles {
		ticks = append(ticks, plot.Tick{Value: float64(i + 1), Label: fmt.Sprint(q)})
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	return p, nil
}

// arrivalPlot draws the 99th percentile over the rate of arrivals.
func (r *results) arrivalPlot() (*plot.Plot, error) {
	list := r.of("arrival")
	if len(list) == 0 {
		return nil, nil
	}
	p := newPlot("Latency of durable commits that arrive at a fixed rate", "arrivals a second", "99th percentile, ms")
	var ticks []float64
	for _, name := range r.rows("arrival") {
		var points plotter.XYs
		for _, at := range list {
			f := r.figures[at][name]
			if f == nil || f.latency.P99 <= 0 {
				continue
			}
			offered := f.samples[0].Offered
			points = append(points, plotter.XY{X: offered, Y: f.latency.P99 / 1e3})
			ticks = append(ticks, offered)
		}
		slices.SortFunc(points, func(a, b plotter.XY) int { return int(a.X - b.X) })
		if err := r.line(p, name, points); err != nil {
			return nil, err
		}
	}
	p.X.Scale = plot.LogScale{}
	p.Y.Scale = plot.LogScale{}
	p.X.Tick.Marker = ticksAt(ticks)
	widen(p)
	return p, nil
}
