package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/sombradb/sombra/bench"
)

func TestEveryWorkloadPrintsJSON(t *testing.T) {
	tiny := map[string][]string{
		"device":     {"--ops", "20"},
		"commit":     {"--writers", "1,4", "--ops", "40"},
		"arrival":    {"--rates", "1000", "--writers", "4", "--ops", "40"},
		"load":       {"--keys", "1000"},
		"ycsb":       {"--records", "200", "--value-size", "100", "--workers", "2", "--ops", "100"},
		"mixed":      {"--keys", "1000", "--readers", "2", "--writers", "2", "--duration", "5ms"},
		"import":     {"--nodes", "200", "--edges", "800"},
		"traverse":   {"--nodes", "200", "--edges", "800", "--ops", "20"},
		"graphmix":   {"--nodes", "200", "--edges", "800", "--readers", "2", "--writers", "2", "--ops", "20"},
		"linkbench":  {"--nodes", "200", "--edges", "800", "--requesters", "2", "--ops", "100"},
		"log":        {"--writers", "2", "--ops", "40"},
		"get":        {"--keys", "1000", "--ops", "2000", "--readers", "1"},
		"scan":       {"--keys", "1000", "--repeat", "1"},
		"checkpoint": {"--keys", "2000"},
		"recovery":   {"--log-size", "256KiB"},
		"memory":     {"--memory", "8MiB", "--times", "1", "--ops", "500"},
		"transfer":   {"--accounts", "100", "--thetas", "0.5", "--writers", "4", "--ops", "40"},
		"hotkey":     {"--writers", "4", "--ops", "40"},
		"counter":    {"--writers", "4", "--ops", "40"},
		"hub":        {"--writers", "4", "--ops", "40"},
		"deadlock":   {"--sizes", "3", "--rings", "2"},
		"longreader": {"--memory", "8MiB", "--records", "2000", "--overwrites", "2"},
		"shrink":     {"--memory", "8MiB", "--records", "2000"},
		"overwrite":  {"--memory", "8MiB", "--times", "1", "--value-size", "1000", "--ops", "40"},
		"large":      {"--memory", "8MiB", "--rows", "10000"},
		"soak":       {"--memory", "8MiB", "--duration", "300ms", "--records", "1000", "--accounts", "100", "--large-rows", "1000"},
	}
	if len(tiny) != len(workloads()) {
		t.Errorf("%d workloads are tried, want %d", len(tiny), len(workloads()))
	}
	for _, w := range workloads() {
		args := append([]string{"bench", w.name, "--dir", t.TempDir()}, tiny[w.name]...)
		var res struct {
			Workload    string
			Environment struct{ Go string }
		}
		mustJSON(t, &res, args...)
		if res.Workload != w.name || !strings.HasPrefix(res.Environment.Go, "go") {
			t.Errorf("%s: got %+v", w.name, res)
		}
	}
}

func TestWorkloadsOverTimeDrawTheirCurves(t *testing.T) {
	plot := filepath.Join(t.TempDir(), "curves.png")
	mustRun(t, "bench", "overwrite", "--memory", "8MiB", "--times", "1", "--value-size", "1000", "--ops", "40", "--plot", plot, "--dir", t.TempDir())
	if text, err := os.ReadFile(plot); err != nil || !strings.HasPrefix(string(text), "\x89PNG") {
		t.Errorf("the plot has %d bytes, %v", len(text), err)
	}
	for bad, code := range map[string]int{filepath.Join(t.TempDir(), "missing", "x.png"): exitFailed, "curves.jpg": exitUsage} {
		if o := sombra(t, "bench", "overwrite", "--ops", "1", "--plot", bad, "--dir", t.TempDir()); o.code != code {
			t.Errorf("--plot %s exits with %d, want %d: %s", bad, o.code, code, o.stderr)
		}
	}
}

func TestBrokenBoundsLeaveAResultOthersDoNot(t *testing.T) {
	if !complete(fmt.Errorf("x: %w", &bench.BoundError{})) || complete(&bench.AuditError{}) || complete(nil) {
		t.Error("a result with broken bounds is to be shown, one with a wrong answer is not")
	}
}

func TestBenchPrintsATable(t *testing.T) {
	out := mustRun(t, "bench", "commit", "--writers", "2", "--ops", "10", "--dir", t.TempDir())
	wantLines(t, out, "commit\n", "CPUs", "checksum")
}

func TestBenchAllRunsWorkloadsScaledAndInOrder(t *testing.T) {
	var results []struct {
		Workload string
		Config   json.RawMessage
	}
	only := []string{"commit", "get", "hub", "import", "soak"}
	mustJSON(t, &results, "bench", "all", "--scale", "0.002", "--only", strings.Join(only, ","), "--memory", "8MiB", "--dir", t.TempDir())
	if len(results) != len(only) {
		t.Fatalf("%d results, want %d", len(results), len(only))
	}
	for i, name := range only {
		if results[i].Workload != name {
			t.Errorf("result %d is %s, want %s", i, results[i].Workload, name)
		}
	}
	wantLines(t, string(results[1].Config), `"keys":`, "2000")
}

func TestEveryWorkloadCanBeScaled(t *testing.T) {
	for _, w := range workloads() {
		f := pflag.NewFlagSet(w.name, pflag.ContinueOnError)
		w.flags.add(f)
		before := map[string]string{}
		f.VisitAll(func(flag *pflag.Flag) { before[flag.Name] = flag.Value.String() })
		if w.flags.scale == nil {
			t.Errorf("%s has nothing to scale", w.name)
			continue
		}
		w.flags.scale(0.5)
		changed := 0
		f.VisitAll(func(flag *pflag.Flag) {
			if flag.Value.String() != before[flag.Name] {
				changed++
			}
		})
		w.flags.scale(1e-9)
		f.VisitAll(func(flag *pflag.Flag) {
			if was := before[flag.Name]; flag.Value.String() == "0" && was != "0" || flag.Value.String() == "0s" && was != "0s" {
				t.Errorf("%s: --%s becomes nothing", w.name, flag.Name)
			}
		})
		if changed == 0 {
			t.Errorf("%s: half the size changes no flag", w.name)
		}
	}
}

func TestRoundsAreKeptReportedAndCompared(t *testing.T) {
	dir := t.TempDir()
	samples, report := filepath.Join(dir, "a.jsonl"), filepath.Join(dir, "report.md")
	args := []string{"bench", "all", "--only", "commit,device", "--scale", "0.01", "--rounds", "3", "--dir", t.TempDir()}
	out := mustRun(t, append(args, "--samples", samples, "--report", report)...)
	wantLines(t, out, "medians of 3 rounds", "commit", "device: append and sync")
	lines, err := os.ReadFile(samples)
	if err != nil {
		t.Fatal(err)
	}
	// The environment, and in each round four numbers of writers of both.
	if got := strings.Count(string(lines), "\n"); got != 1+3*(4+4) {
		t.Errorf("%d lines of samples, want 25:\n%s", got, lines)
	}
	first, second := strings.Index(string(lines), `"workload":"device"`), strings.LastIndex(string(lines), `"workload":"device"`)
	if !strings.Contains(string(lines[:first]), `"workload":"commit"`) || strings.Contains(string(lines[second:]), `"round":0`) {
		t.Errorf("the rounds are not in order:\n%s", lines)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, string(text), "## commit", "![commit-writers](report/commit-writers.png)", "![commit-latency](report/commit-latency.png)", "![ratios](report/ratios.png)")
	for _, plot := range []string{"commit-writers", "commit-latency", "ratios"} {
		if png, err := os.ReadFile(filepath.Join(dir, "report", plot+".png")); err != nil || !strings.HasPrefix(string(png), "\x89PNG") {
			t.Errorf("the plot %s has %d bytes, %v", plot, len(png), err)
		}
	}
	again := mustRun(t, append(args, "--against", samples)...)
	wantLines(t, again, "before", "x ")
}

func TestWrongReportFlagsAreRefused(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"--rounds", "0"}, exitUsage}, {[]string{"--report", "report"}, exitUsage},
		{[]string{"--against", "missing.jsonl"}, exitFailed}, {[]string{"--samples", filepath.Join(t.TempDir(), "no", "a.jsonl")}, exitFailed},
	} {
		args := append([]string{"bench", "log", "--writers", "1", "--ops", "1", "--dir", t.TempDir()}, c.args...)
		if o := sombra(t, args...); o.code != c.code {
			t.Errorf("%v exits with %d, want %d: %s", c.args, o.code, c.code, o.stderr)
		}
	}
	if o := sombra(t, "bench", "all", "--only", "commits"); o.code != exitUsage || !strings.Contains(o.stderr, "ycsb") {
		t.Errorf("an unknown workload exits with %d: %s", o.code, o.stderr)
	}
}

func TestDemoTellsItsStoryAndWhatToTryNext(t *testing.T) {
	dir := t.TempDir()
	out := mustRun(t, "demo", dir, "--people", "200", "--edges", "800", "--writers", "4")
	wantLines(t, out, "200 people and 800 friendships", "commits/s", "deadlock", "victim", "Check: ", "no problems", "Try:")
	// Every command that it proposes works.
	tried := 0
	for line := range strings.Lines(out) {
		if args, ok := strings.CutPrefix(strings.TrimSpace(line), "sombra "); ok && strings.Contains(args, dir) {
			mustRun(t, strings.Fields(args)...)
			tried++
		}
	}
	if tried < 5 {
		t.Errorf("%d commands were proposed, want at least 5:\n%s", tried, out)
	}
	if o := sombra(t, "demo", dir); o.code != exitUsage {
		t.Errorf("a second demo in one directory exits with %d: %s", o.code, o.stderr)
	}
}

func TestProfilesAreWritten(t *testing.T) {
	for _, name := range profileNames() {
		dir := filepath.Join(t.TempDir(), "profiles")
		o := sombra(t, "bench", "log", "--writers", "1", "--ops", "5", "--dir", t.TempDir(), "--profile", name, "--profile-dir", dir)
		if o.code != exitOK {
			t.Fatalf("%s: exit code %d: %s", name, o.code, o.stderr)
		}
		path := filepath.Join(dir, profileKinds[name].file)
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		wantLines(t, o.stderr, "profile written to "+path)
	}
}

func TestAProfileThatCannotBeWrittenIsAnErrorNotAnExit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if o := sombra(t, "bench", "log", "--ops", "1", "--profile", "cpu", "--profile-dir", file); o.code != exitFailed {
		t.Errorf("exit code %d: %s", o.code, o.stderr)
	}
}
