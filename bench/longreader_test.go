package bench

import (
	"bytes"
	"errors"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sombradb/sombra/bench/internal/chart"
	"github.com/sombradb/sombra/mvcc"
)

// tinyCurves samples often and draws into a directory of its own.
func tinyCurves(t *testing.T) Curves {
	return Curves{Every: 2 * time.Millisecond, Plot: filepath.Join(t.TempDir(), "plot.png")}
}

// checkPlot reads the picture and looks for the first curve's colour in it.
func checkPlot(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("the plot is no PNG: %v", err)
	}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			if color.RGBAModel.Convert(img.At(x, y)) == chart.Rounded(chart.Palette[0]) {
				return
			}
		}
	}
	t.Errorf("the plot %v has no curve", img.Bounds())
}

func TestLongReaderSeesTheSameAndCostsNothingOnceClosed(t *testing.T) {
	dir := t.TempDir()
	cfg := LongReaderConfig{
		Common: Common{Dir: dir, MemoryBudget: mvcc.MinMemoryBudget}, Curves: tinyCurves(t), Records: 3000, Rounds: 3, Writers: 3,
	}
	res, err := LongReader(t.Context(), cfg)
	checkResult(t, "longreader", dir, res, err)
	checkPlot(t, cfg.Plot)
	if res.Loaded.History != 0 || res.Settled.History != 3000 || res.Closed.History != 0 {
		t.Errorf("history of %d, %d and %d records, want 0, 3000 and 0", res.Loaded.History, res.Settled.History, res.Closed.History)
	}
	if res.Overwritten.OldestLabel != "long reader" || res.Overwritten.OldestAge <= 0 {
		t.Errorf("the oldest snapshot is %q of %v", res.Overwritten.OldestLabel, res.Overwritten.OldestAge)
	}
	if res.PointReads == 0 || res.ReaderSum == res.Checksum || len(res.Samples) < 2 || res.Drained == 0 {
		t.Errorf("%d point reads, checksums %v and %v, %d samples, %d checkpoints",
			res.PointReads, res.ReaderSum, res.Checksum, len(res.Samples), res.Drained)
	}
}

func TestPointReadsNoticeAChangedRecord(t *testing.T) {
	s, err := openStore(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	res := &LongReaderResult{Config: LongReaderConfig{Records: 3, ValueSize: 20}}
	if _, err := s.load(t.Context(), 3, 20); err != nil {
		t.Fatal(err)
	}
	if err := s.putVersion(t.Context(), []uint64{2}, 1, 20); err != nil {
		t.Fatal(err)
	}
	err = s.db.View(t.Context(), func(tx *mvcc.Txn) error { return res.pointReads(tx, s) })
	var changed *RecordError
	if !errors.As(err, &changed) || changed.Number != 2 {
		t.Errorf("got %v, want the record 2 reported", err)
	}
}

func TestABrokenBoundIsAnErrorThatNamesIt(t *testing.T) {
	bounds := []Bound{
		{What: "log", Value: 3 << 20, Limit: 4 << 20, Unit: unitBytes, How: "all"},
		{What: "history", Value: 1001, Limit: 1000, Unit: "records", How: "one of each"},
	}
	var broken *BoundError
	if err := brokenBounds(bounds); !errors.As(err, &broken) || len(broken.Broken) != 1 {
		t.Fatalf("got %v, want one broken bound", err)
	}
	if want := "bench: out of bounds: history: 1,001 records, at most 1,000 records (one of each)"; broken.Error() != want {
		t.Errorf("got %q, want %q", broken.Error(), want)
	}
	if err := brokenBounds(bounds[:1]); err != nil {
		t.Errorf("a bound that holds is an error: %v", err)
	}
}
