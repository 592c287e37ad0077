package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAReportIsMadeAndMadeAgain(t *testing.T) {
	dir := t.TempDir()
	samples, out := filepath.Join(dir, "samples.json"), filepath.Join(dir, "report.md")
	var stdout, stderr bytes.Buffer
	args := []string{"--only", "hotkey", "--engines", "sombra,pebble", "--scale", "0.02", "--rounds", "1", "--dir", dir, "--json", samples, "--out", out}
	if err := run(t.Context(), args, &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stderr.String(), "hotkey: round 1, Pebble") {
		t.Errorf("the progress is %q", stderr.String())
	}
	first, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"--from", samples, "--out", out}, &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	if second, err := os.ReadFile(out); err != nil || !bytes.Equal(first, second) {
		t.Errorf("the second report differs, %v", err)
	}
	if err := run(t.Context(), []string{"--from", samples}, &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stdout.String(), "## One key that everybody changes") {
		t.Error("without --out the report is not on standard output")
	}
}

func TestWrongUseIsAnError(t *testing.T) {
	for _, args := range [][]string{{"--engines", "oracle"}, {"--only", "commits"}, {"extra"}, {"--scale", "0"}, {"--from", "no such file"}, {"--nonsense"}} {
		var stdout, stderr bytes.Buffer
		if err := run(t.Context(), args, &stdout, &stderr); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}
