package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExportAndImport(t *testing.T) {
	db := smallWorld(t)
	dir := t.TempDir()
	nodes, edges := filepath.Join(dir, "nodes.csv"), filepath.Join(dir, "edges.csv")
	wantLines(t, mustRun(t, "export", db, "--nodes", nodes, "--edges", edges), "4 nodes and 3 edges")
	text, err := os.ReadFile(edges)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, string(text), "~id,~from,~to,~label,", "1,1,2,ROAD,5")
	again := filepath.Join(dir, "again.db")
	mustRun(t, "import", again, "--nodes", nodes, "--edges", edges, "--key", "k")
	wantLines(t, mustRun(t, "check", again), "4 nodes", "3 edges", "No problems.")
	wantLines(t, mustRun(t, "path", again, "City.name=Oslo", "City.name=Voss"), "Oslo", "Voss")

	if o := sombra(t, "export", db, "--nodes", nodes, "--edges", filepath.Join(dir, "other.csv")); o.code != exitFailed || !strings.Contains(o.stderr, "exists") {
		t.Errorf("onto a file: %+v", o)
	}
	if o := sombra(t, "export", db, "--edges", filepath.Join(dir, "none", "edges.csv"), "--nodes", filepath.Join(dir, "n2.csv")); o.code != exitFailed {
		t.Errorf("into no directory: %+v", o)
	}
	if o := sombra(t, "export", db); o.code != exitUsage {
		t.Errorf("nowhere: %+v", o)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.csv*"))
	if err != nil || len(left) != 2 {
		t.Errorf("files: %q, %v", left, err)
	}
}
