package chart

import (
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/figures"
)

// has reports whether the saved plot shows a colour.
func has(t *testing.T, p *plot.Plot, c color.RGBA) bool {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p.png")
	if err := Save(p, Width, Height, path); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	img, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := file.Stat(); err != nil || info.Size() > 100_000 {
		t.Errorf("a plot of %d bytes is too large for a document, %v", info.Size(), err)
	}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			if color.RGBAModel.Convert(img.At(x, y)) == Rounded(c) {
				return true
			}
		}
	}
	return false
}

func TestCurvesAreDrawn(t *testing.T) {
	latency := drive.Latency{P50: 10, P90: 100, P99: 1000, P999: 10_000}
	for name, draw := range map[string]func([]Curve) (*plot.Plot, error){
		"by x":          func(c []Curve) (*plot.Plot, error) { return ByX("title", "x", "y", c) },
		"by percentile": func(c []Curve) (*plot.Plot, error) { return ByPercentile("title", c) },
	} {
		p, err := draw([]Curve{
			{Name: "a", Style: StyleOf(0), Points: plotter.XYs{{X: 1, Y: 10}, {X: 128, Y: 1e6}}},
			{Name: "b", Style: StyleOf(1), Points: Percentiles(latency)},
			{Name: "empty", Style: StyleOf(2)},
		})
		if err != nil {
			t.Fatal(err)
		}
		for n, want := range []bool{true, true, false} {
			if got := has(t, p, Palette[n]); got != want {
				t.Errorf("%s: the colour of curve %d is there: %v, want %v", name, n, got, want)
			}
		}
		if p, err := draw([]Curve{{Name: "empty"}}); p != nil || err != nil {
			t.Errorf("%s: a plot of nothing is %v, %v", name, p, err)
		}
		one, err := draw([]Curve{{Name: "a", Style: StyleOf(0), Points: plotter.XYs{{X: 1, Y: 10}}}})
		if err != nil || !has(t, one, Palette[0]) {
			t.Errorf("%s: a single point is not drawn, %v", name, err)
		}
	}
}

func TestRatiosAreColouredByTheirLevel(t *testing.T) {
	spread := func(median, low, high float64) figures.Spread {
		return figures.Spread{Median: median, Min: low, Max: high}
	}
	for name, c := range map[string]struct {
		ratio Ratio
		want  color.RGBA
	}{
		"reached":        {Ratio{"a", spread(2, 1.5, 3), 1.5}, good},
		"missed":         {Ratio{"a", spread(1.2, 1, 1.4), 1.5}, bad},
		"undecided":      {Ratio{"a", spread(1.5, 1, 2), 1.5}, even},
		"faster":         {Ratio{"a", spread(2, 1.5, 3), 0}, good},
		"nothing at all": {Ratio{"a", spread(0, 0, 0), 1}, bad},
	} {
		p, err := Ratios("title", []Ratio{c.ratio})
		if err != nil {
			t.Fatal(err)
		}
		if !has(t, p, c.want) {
			t.Errorf("%s: the colour is not there", name)
		}
	}
	if p, err := Ratios("title", nil); p != nil || err != nil {
		t.Errorf("a plot of nothing is %v, %v", p, err)
	}
}

func TestAnAxisCoversADecade(t *testing.T) {
	for _, c := range [][4]float64{{1, 1, 1, 10}, {3, 5, 1, 10}, {1, 10, 1, 10}, {0.5, 200, 0.1, 1000}} {
		if low, high := powersOfTen(c[0], c[1]); math.Abs(low/c[2]-1) > 1e-9 || math.Abs(high/c[3]-1) > 1e-9 {
			t.Errorf("%v to %v is drawn from %v to %v, want %v to %v", c[0], c[1], low, high, c[2], c[3])
		}
	}
}

func TestAPlotThatCannotBeWrittenIsAnError(t *testing.T) {
	if err := Save(New("t", "x", "y"), Width, Height, filepath.Join(t.TempDir(), "missing", "p.png")); err == nil {
		t.Error("no error")
	}
}
