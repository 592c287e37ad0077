package chart

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/sombradb/sombra/bench/internal/figures"
)

// Ratio is a row of a plot of ratios: a dot at the median and a line over the range.
type Ratio struct {
	Label  string
	Spread figures.Spread
	// Level is what was aimed at, drawn as a tick; 0 for none. The colour tells whether all rounds reach it (blue),
	// none does (vermilion), or they disagree (grey). Without a level 1 takes its place.
	Level float64
}

var (
	good = Palette[0]
	bad  = Palette[1]
	even = color.RGBA{130, 130, 130, 255}
)

// RatiosSize returns the size of a plot of n ratios.
func RatiosSize(n int) (width, height vg.Length) {
	return 18 * vg.Centimeter, vg.Length(n)*0.42*vg.Centimeter + 2*vg.Centimeter
}

// Ratios draws ratios below each other on a logarithmic axis; nil of none.
func Ratios(title string, list []Ratio) (*plot.Plot, error) {
	if len(list) == 0 {
		return nil, nil
	}
	p := New(title, "", "")
	labels := make([]string, len(list))
	low, high := 0.1, 10.0
	for i, r := range list {
		y := len(list) - 1 - i
		labels[y] = "    " + r.Label // with room for what the font's width lacks
		s := &r.Spread
		s.Min = max(s.Min, 0.001, s.Median/100) // a round of nothing has no place on a logarithmic axis
		s.Median, s.Max = max(s.Median, s.Min), max(s.Max, s.Min)
		low, high = min(low, s.Min), max(high, s.Max)
		if err := r.draw(p, float64(y)); err != nil {
			return nil, err
		}
	}
	parity, err := plotter.NewLine(plotter.XYs{{X: 1, Y: -0.6}, {X: 1, Y: float64(len(list)) - 0.4}})
	if err != nil {
		return nil, err
	}
	parity.Color = color.Gray{60}
	p.Add(parity)
	p.NominalY(labels...)
	p.X.Scale = plot.LogScale{}
	p.X.Min, p.X.Max = powersOfTen(low, high*1.05)
	p.X.Tick.Marker = decades(p.X.Min, p.X.Max)
	p.Y.Tick.Label.Font.Size = vg.Points(7)
	p.Title.TextStyle.Font.Size = vg.Points(11)
	return p, nil
}

func (r *Ratio) colour() color.RGBA {
	level := r.Level
	if level == 0 {
		level = 1
	}
	switch {
	case r.Spread.Min >= level:
		return good
	case r.Spread.Max < level:
		return bad
	}
	return even
}

// draw adds one ratio at height y.
func (r *Ratio) draw(p *plot.Plot, y float64) error {
	span, err := plotter.NewLine(plotter.XYs{{X: r.Spread.Min, Y: y}, {X: r.Spread.Max, Y: y}})
	if err != nil {
		return err
	}
	dot, err := plotter.NewScatter(plotter.XYs{{X: r.Spread.Median, Y: y}})
	if err != nil {
		return err
	}
	span.Color, span.Width = r.colour(), vg.Points(1.5)
	dot.Color, dot.Shape, dot.Radius = r.colour(), draw.CircleGlyph{}, vg.Points(3)
	p.Add(span, dot)
	if r.Level == 0 {
		return nil
	}
	at, err := plotter.NewLine(plotter.XYs{{X: r.Level, Y: y - 0.35}, {X: r.Level, Y: y + 0.35}})
	if err != nil {
		return err
	}
	at.Color = color.Black
	p.Add(at)
	return nil
}
