// Package chart draws what benchmarks measured, with gonum/plot: throughput by writers, percentiles of latency and ratios.
// Colours are those of Okabe and Ito ("Color Universal Design", 2008), which people who see few colours can tell
// apart; each curve has a mark of its own too.
package chart

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/figures"
)

// Size of a plot.
const (
	Width  = 16 * vg.Centimeter
	Height = 9 * vg.Centimeter
)

// Palette is the order in which colours are taken.
var Palette = [...]color.RGBA{
	{0, 114, 178, 255}, {213, 94, 0, 255}, {0, 158, 115, 255}, {204, 121, 167, 255}, {230, 159, 0, 255}, {86, 180, 233, 255},
}

var marks = [...]draw.GlyphDrawer{
	draw.CircleGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.PyramidGlyph{}, draw.BoxGlyph{}, draw.CrossGlyph{},
}

// Style is how a curve looks.
type Style struct {
	Color color.RGBA
	Mark  draw.GlyphDrawer
	Bold  bool
}

// StyleOf is that of the n-th curve.
func StyleOf(n int) Style { return Style{Color: Palette[n%len(Palette)], Mark: marks[n%len(marks)]} }

// Curve is a line of a plot.
type Curve struct {
	Name   string
	Style  Style
	Points plotter.XYs
}

// New returns an empty plot with a grid.
func New(title, x, y string) *plot.Plot {
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

// add draws a curve, unless it is empty.
func add(p *plot.Plot, c Curve) error {
	if len(c.Points) == 0 {
		return nil
	}
	line, dots, err := plotter.NewLinePoints(c.Points)
	if err != nil {
		return fmt.Errorf("bench: plot of %s: %w", c.Name, err)
	}
	line.Color, dots.Color = c.Style.Color, c.Style.Color
	line.Width = vg.Points(1.2)
	if c.Style.Bold {
		line.Width = vg.Points(2.4)
	}
	dots.Shape, dots.Radius = c.Style.Mark, vg.Points(3)
	p.Add(line, dots)
	p.Legend.Add(c.Name, line, dots)
	return nil
}

// ByX draws curves over what was asked for (writers, arrivals), both axes logarithmic; nil if there is no point. All
// coordinates must be positive.
func ByX(title, x, y string, curves []Curve) (*plot.Plot, error) {
	p := New(title, x, y)
	var ticks []float64
	for _, c := range curves {
		for _, point := range c.Points {
			ticks = append(ticks, point.X)
		}
		if err := add(p, c); err != nil {
			return nil, err
		}
	}
	if len(ticks) == 0 {
		return nil, nil
	}
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker = ticksAt(ticks)
	widen(p, room(curves))
	return p, nil
}

// Percentiles makes the points of a latency for ByPercentile.
func Percentiles(l drive.Latency) (points plotter.XYs) {
	for i, q := range drive.Percentiles {
		if v := l.Of(q); v > 0 {
			points = append(points, plotter.XY{X: float64(i + 1), Y: v})
		}
	}
	return points
}

// ByPercentile draws latencies in µs over their percentiles; nil if there is no point.
func ByPercentile(title string, curves []Curve) (*plot.Plot, error) {
	p := New(title, "percentile", "µs")
	empty := true
	for _, c := range curves {
		empty = empty && len(c.Points) == 0
		if err := add(p, c); err != nil {
			return nil, err
		}
	}
	if empty {
		return nil, nil
	}
	p.Y.Scale = plot.LogScale{}
	p.X.Min, p.X.Max = 1, float64(len(drive.Percentiles))
	widen(p, room(curves))
	var ticks []plot.Tick
	for i, q := range drive.Percentiles {
		ticks = append(ticks, plot.Tick{Value: float64(i + 1), Label: fmt.Sprint(q)})
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	return p, nil
}

// room is what a legend takes beside the curves, as a part of their width.
func room(curves []Curve) float64 {
	longest := 0
	for _, c := range curves {
		longest = max(longest, len(c.Name))
	}
	share := min(0.08+0.0125*float64(longest), 0.55) // of the whole plot
	return share / (1 - share)
}

// widen moves the ends of a logarithmic Y axis to powers of ten, and that of the X axis so far that the legend has room.
func widen(p *plot.Plot, room float64) {
	p.Y.Min, p.Y.Max = powersOfTen(p.Y.Min, p.Y.Max)
	var ticks []plot.Tick
	for _, t := range decades(p.Y.Min, p.Y.Max) {
		ticks = append(ticks, plot.Tick{Value: t.Value, Label: figures.Number(t.Value)})
		for n := 2.0; n < 10 && t.Value < p.Y.Max; n++ {
			ticks = append(ticks, plot.Tick{Value: n * t.Value})
		}
	}
	p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	if _, ok := p.X.Scale.(plot.LogScale); !ok {
		p.X.Max += (p.X.Max - p.X.Min) * room
		return
	}
	if p.X.Min == p.X.Max {
		p.X.Max *= 2
	}
	p.X.Min, p.X.Max = p.X.Min*0.9, p.X.Max*math.Pow(p.X.Max/p.X.Min, room)
}

// powersOfTen returns those around a range, which is a decade at least.
func powersOfTen(low, high float64) (below, above float64) {
	below, above = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
	return below, max(above, 10*below)
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
		ticks = append(ticks, plot.Tick{Value: v, Label: figures.Count(int64(v))})
	}
	return ticks
}
