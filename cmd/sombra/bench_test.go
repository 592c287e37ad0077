package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sombradb/sombra/bench"
)

func TestEveryWorkloadPrintsJSON(t *testing.T) {
	tiny := map[string][]string{
		"commit":     {"--writers", "1,4", "--ops", "40"},
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
		"longreader": {"--memory", "8MiB", "--records", "2000", "--rounds", "2"},
		"shrink":     {"--memory", "8MiB", "--records", "2000"},
		"overwrite":  {"--memory", "8MiB", "--times", "1", "--value-size", "1000", "--ops", "40"},
		"large":      {"--memory", "8MiB", "--rows", "10000"},
		"soak":       {"--memory", "8MiB", "--duration", "300ms", "--records", "1000", "--accounts", "100", "--large-rows", "1000"},
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

func TestBenchAllRunsEveryWorkloadScaled(t *testing.T) {
	var results []struct {
		Workload string
		Config   json.RawMessage
	}
	mustJSON(t, &results, "bench", "all", "--scale", "0.002", "--memory", "8MiB", "--dir", t.TempDir())
	if len(results) != len(workloads()) {
		t.Fatalf("%d results, want %d", len(results), len(workloads()))
	}
	for i, w := range workloads() {
		if results[i].Workload != w.name {
			t.Errorf("result %d is %s, want %s", i, results[i].Workload, w.name)
		}
	}
	wantLines(t, string(results[2].Config), `"keys":`, "2000")
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
