package bench

import (
	"fmt"
	"os"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/sombradb/sombra/bench/internal/chart"
)

// panel is one diagram of a plot: curves over time in one unit.
type panel struct {
	title, unit string
	curves      []curve
}

// curve is a line of a panel; x in seconds.
type curve struct {
	name   string
	points plotter.XYs
}

// curveOf makes a curve of samples.
func curveOf[T any](name string, samples []T, at func(T) time.Duration, value func(T) float64) curve {
	c := curve{name: name, points: make(plotter.XYs, len(samples))}
	for i, s := range samples {
		c.points[i] = plotter.XY{X: at(s).Seconds(), Y: value(s)}
	}
	return c
}

// storageCurve makes a curve of readings of a database.
func storageCurve(name string, samples []StorageSample, value func(StorageSample) float64) curve {
	return curveOf(name, samples, func(s StorageSample) time.Duration { return s.At }, value)
}

func toMiB(n int64) float64 { return float64(n) / (1 << 20) }

// sizePanel shows the files of a database.
func sizePanel(title string, samples []StorageSample) panel {
	return panel{title: title, unit: "MiB", curves: []curve{
		storageCurve("data file", samples, func(s StorageSample) float64 { return toMiB(s.FileBytes) }),
		storageCurve("pages in use", samples, func(s StorageSample) float64 { return toMiB(s.LiveBytes) }),
		storageCurve("log", samples, func(s StorageSample) float64 { return toMiB(s.LogBytes) }),
	}}
}

// historyPanel shows the superseded versions in the data file.
func historyPanel(samples []StorageSample) panel {
	return panel{title: "history", unit: "thousand records", curves: []curve{
		storageCurve("history", samples, func(s StorageSample) float64 { return float64(s.History) / 1e3 }),
	}}
}

// memoryPanel shows the memory of the process.
func memoryPanel(samples []StorageSample) panel {
	return panel{title: "memory", unit: "MiB", curves: []curve{
		storageCurve("resident", samples, func(s StorageSample) float64 { return toMiB(s.RSS) }),
		storageCurve("Go heap", samples, func(s StorageSample) float64 { return toMiB(s.Heap) }),
		storageCurve("versions", samples, func(s StorageSample) float64 { return toMiB(s.Versions) }),
	}}
}

// Size of a panel.
const (
	panelWidth  = 9 * vg.Inch
	panelHeight = 2.6 * vg.Inch
)

// reservePlot creates the file of a plot, so that a name that cannot be written is an error before the work and not after it.
func reservePlot(path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("bench: plot: %w", err)
	}
	return f.Close()
}

// drawPlot writes panels, one below the other, as a PNG file. With an empty path it does nothing.
func drawPlot(path string, panels ...panel) error {
	if path == "" {
		return nil
	}
	rows := make([][]*plot.Plot, len(panels))
	for i, p := range panels {
		drawn, err := p.draw()
		if err != nil {
			return fmt.Errorf("bench: plot of %s: %w", p.title, err)
		}
		rows[i] = []*plot.Plot{drawn}
	}
	img := vgimg.New(panelWidth, panelHeight*vg.Length(len(panels)))
	tiles := draw.Tiles{Rows: len(panels), Cols: 1, PadY: vg.Points(10), PadTop: vg.Points(4), PadBottom: vg.Points(4),
		PadLeft: vg.Points(4), PadRight: vg.Points(12)}
	for i, canvas := range plot.Align(rows, tiles, draw.New(img)) {
		rows[i][0].Draw(canvas[0])
	}
	return chart.SaveImage(img.Image(), path)
}

func (p *panel) draw() (*plot.Plot, error) {
	drawn := plot.New()
	drawn.Title.Text = p.title
	drawn.X.Label.Text, drawn.Y.Label.Text = "s", p.unit
	drawn.X.Min, drawn.Y.Min = 0, 0
	drawn.Legend.Top, drawn.Legend.Left, drawn.Legend.Padding = true, true, vg.Points(2)
	drawn.Add(plotter.NewGrid())
	for i, c := range p.curves {
		line, err := plotter.NewLine(c.points)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		line.Color, line.Width = chart.Palette[i%len(chart.Palette)], vg.Points(1.5)
		drawn.Add(line)
		drawn.Legend.Add(c.name, line)
	}
	drawn.Y.Min = min(drawn.Y.Min, 0)
	drawn.Y.Max = max(drawn.Y.Max*1.25, 1) // room for the legend, and no empty axis
	return drawn, nil
}
