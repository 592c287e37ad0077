package report

import (
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/peers/internal/engine"
	"github.com/sombradb/sombra/bench/peers/internal/suite"
)

// TestEverything runs all workloads with tiny sizes, reports them, and so keeps them from rotting.
func TestEverything(t *testing.T) {
	dir := t.TempDir()
	log := figures.Log[Environment]{Environment: NewEnvironment(dir, 0.001, 1)}
	w, err := figures.CreateLog(filepath.Join(dir, "samples.json"), log.Environment)
	if err != nil {
		t.Fatal(err)
	}
	err = suite.Run(t.Context(), suite.Config{
		Dir: dir, Scale: 0.001, Rounds: 1, Engines: engine.All(),
		Emit: func(s suite.Sample) error {
			log.Samples = append(log.Samples, s)
			return w.Add(s)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	checkMarks(t, log.Samples)
	out := filepath.Join(dir, "report.md")
	if err := Write(out, log.Environment, log.Samples); err != nil {
		t.Fatal(err)
	}
	checkReport(t, out)
	again, err := figures.ReadLog[Environment](filepath.Join(dir, "samples.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := Markdown(again.Environment, again.Samples), Markdown(log.Environment, log.Samples); got != want {
		t.Error("the report made from the file differs from the one made at once")
	}
}

// checkMarks finds marks on settings that no workload has.
func checkMarks(t *testing.T, samples []suite.Sample) {
	t.Helper()
	r := collect(samples)
	for _, m := range marks() {
		for _, at := range []setting{m.at, m.base} {
			if at != (setting{}) && r.figures[at] == nil {
				t.Errorf("the mark %q is on %+v, which was not measured", m.what, at)
			}
		}
	}
}

func checkReport(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range suite.Workloads() {
		if !strings.Contains(string(text), "## "+w.Title+"\n") {
			t.Errorf("the report has no section on %s", w.Name)
		}
	}
	plots := 0
	err = filepath.WalkDir(strings.TrimSuffix(path, ".md"), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		plots++
		if !strings.Contains(string(text), "(report/"+entry.Name()+")") {
			t.Errorf("the plot %s is not in the report", entry.Name())
		}
		return checkPlot(t, name)
	})
	if err != nil {
		t.Error(err)
	}
	if plots != 13 {
		t.Errorf("there are %d plots, want 13", plots)
	}
}

func checkPlot(t *testing.T, path string) error {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Size() > 100_000 {
		t.Errorf("%s is too large for a document: %v, %v", path, info.Size(), err)
	}
	_, err = png.Decode(file)
	return err
}

// sample is one of a workload whose settings are all alike.
func sample(engine string, round int, perSecond float64) suite.Sample {
	return suite.Sample{Workload: "commit", Workers: 128, Engine: engine, Round: round, Unit: "commits", PerSecond: perSecond, Ops: 1000, Elapsed: time.Second}
}

func TestARoundThatWasTooShortIsLeftOutOfTheMarks(t *testing.T) {
	short := sample("Badger", 1, 1)
	short.Ops = 127 // by 128 workers
	samples := []suite.Sample{sample("Sombra", 0, 300), sample("Badger", 0, 100), sample("Sombra", 1, 300), short}
	list := collect(samples).outcomes()
	if len(list) != 1 || list[0].ratio != (figures.Spread{Median: 3, Min: 3, Max: 3}) {
		t.Errorf("the outcomes are %+v, want 3 from the first round", list)
	}
	if text := Markdown(Environment{}, samples); !strings.Contains(text, "50.5 (1.00-100) †") {
		t.Errorf("the figure is not marked in\n%s", text)
	}
	if list := collect([]suite.Sample{sample("Sombra", 1, 300), short}).outcomes(); len(list) != 0 {
		t.Errorf("a mark stands on nothing: %+v", list)
	}
}

func TestAVerdictNeedsAllRounds(t *testing.T) {
	for want, rounds := range map[string][]float64{"reached": {150, 200}, "missed": {149, 50}, "undecided": {140, 160}} {
		var samples []suite.Sample
		for round, perSecond := range rounds {
			samples = append(samples, sample("Sombra", round, perSecond), sample("Pebble", round, 100))
		}
		list := collect(samples).outcomes()
		if len(list) != 1 || list[0].verdict() != want {
			t.Errorf("%v against 100 is %+v, want %s", rounds, list, want)
		}
	}
}

func TestARateIsAMarkByItself(t *testing.T) {
	edges := func(round int, perSecond float64) suite.Sample {
		s := sample(subject, round, perSecond)
		s.Workload, s.Case, s.Workers = "import", suite.CaseImport, 1
		return s
	}
	list := collect([]suite.Sample{edges(0, 1_800_000), edges(1, 900_000)}).outcomes()
	if len(list) != 1 || list[0].ratio != (figures.Spread{Median: 1.5, Min: 1, Max: 2}) || list[0].verdict() != "reached" || list[0].other != "900,000 a second" {
		t.Errorf("the outcomes are %+v", list)
	}
	if list = collect([]suite.Sample{edges(0, 890_000)}).outcomes(); len(list) != 1 || list[0].verdict() != "missed" {
		t.Errorf("the outcomes are %+v", list)
	}
}

func TestTheBestIsADatabase(t *testing.T) {
	at := settingOf("commit", "", 128)
	field := collect([]suite.Sample{
		sample("Sombra", 0, 500), sample(suite.Device, 0, 400), sample("Pebble", 0, 300), sample("bbolt", 0, 200), sample("SQLite", 0, 100),
	}).figures[at]
	if got := best(field, false); got != "Pebble" {
		t.Errorf("the best other is %s, want Pebble", got)
	}
	if got := best(field, true); got != "bbolt" {
		t.Errorf("the best with isolation is %s, want bbolt", got)
	}
}

func TestLossesStandInTheReport(t *testing.T) {
	lost := sample("Pebble", 0, 100)
	lost.Workload, lost.Wrong, lost.Lost = "hotkey", 1, 1234
	text := Markdown(Environment{}, []suite.Sample{lost, sample("Sombra", 0, 10), sample("Pebble", 0, 100)})
	for _, want := range []string{"Without isolation updates were lost", "1; 1,234", "**missed**"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
}

func TestABusyMachineIsNamed(t *testing.T) {
	var env Environment
	env.Load, env.CPUs = 7.25, 2
	if text := Markdown(env, nil); !strings.Contains(text, "| load before the run | 7.2: **other programs") {
		t.Errorf("the report does not say that the machine was busy:\n%s", text)
	}
	env.Load = 0.5
	if text := Markdown(env, nil); strings.Contains(text, "busy") {
		t.Error("the report calls a quiet machine busy")
	}
}
