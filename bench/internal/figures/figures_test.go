package figures

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// sample is one of a workload whose settings are all alike.
func sample(engine string, round int, perSecond float64) Sample {
	return Sample{Workload: "commit", Workers: 128, Engine: engine, Round: round, Unit: "commits", PerSecond: perSecond, Ops: 1000, Elapsed: time.Second}
}

func TestAMedianIsTheMiddle(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := Median(c.values); got != c.want {
			t.Errorf("the median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

func TestRatiosAreTakenWithinRounds(t *testing.T) {
	// The machine is half as fast in the second round, and a third in the last. One is always twice as fast.
	list := Collect([]Sample{
		sample("Sombra", 0, 200), sample("Pebble", 0, 100), sample("Sombra", 1, 100), sample("Pebble", 1, 50),
		sample("Sombra", 2, 66), sample("Pebble", 2, 33),
	})
	if len(list) != 2 || list[0].Engine != "Sombra" || list[1].Engine != "Pebble" {
		t.Fatalf("the figures are %+v", list)
	}
	if got, ok := Ratio(list[0], list[1]); !ok || got != (Spread{2, 2, 2}) {
		t.Errorf("the ratio is %+v, %v, want 2 in all rounds", got, ok)
	}
	if got := list[0].Rate; got != (Spread{100, 66, 200}) || got.String() != "100 (66.0-200)" {
		t.Errorf("the figure is %v, want 100 (66.0-200)", got)
	}
	if got, ok := RatioTo(list[1], 50); !ok || got != (Spread{1, 0.66, 2}) {
		t.Errorf("the ratio to a rate is %+v, %v, want 1 from 0.66 to 2", got, ok)
	}
}

func TestASampleThatSaysNothingIsInNoRatio(t *testing.T) {
	short := sample("Badger", 0, 1)
	short.Ops = 127 // by 128 workers
	list := Collect([]Sample{sample("Sombra", 0, 300), short})
	if _, ok := Ratio(list[0], list[1]); ok || !list[1].Short() || list[0].Short() {
		t.Error("a ratio stands on a sample that was too short")
	}
	if _, ok := RatioTo(list[1], 1); ok {
		t.Error("a ratio to a rate does")
	}
}

func TestALogIsReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w, err := CreateLog(path, map[string]int{"cpus": 2})
	if err != nil {
		t.Fatal(err)
	}
	want := []Sample{sample("a", 0, 1), sample("b", 1, 2)}
	for _, s := range want {
		if err := w.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	log, err := ReadLog[map[string]int](path)
	if err != nil || log.Environment["cpus"] != 2 || len(log.Samples) != 2 || log.Samples[0] != want[0] || log.Samples[1] != want[1] {
		t.Errorf("got %+v, %v", log, err)
	}
}

func TestALogThatIsNoneIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for _, text := range []string{"", "{}\n{", "{}\n[]"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadLog[map[string]any](path); err == nil {
			t.Errorf("%q was read as a log", text)
		}
	}
}
