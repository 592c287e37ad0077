package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// damagePages flips a bit in each page of a file from one on.
func damagePages(t *testing.T, path string, pageSize, from int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	for at := from * pageSize; at < info.Size(); at += pageSize {
		if _, err := f.ReadAt(b, at+100); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 4
		if _, err := f.WriteAt(b, at+100); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRepairOfAGraph(t *testing.T) {
	path := smallWorld(t)
	dst := filepath.Join(t.TempDir(), "saved.db")
	wantLines(t, mustRun(t, "repair", path, dst), "commits from the log", "Nothing was damaged.")
	wantLines(t, mustRun(t, "check", dst), "4 nodes", "3 edges", "No problems.")
	if o := sombra(t, "repair", path, dst); o.code != exitFailed || !strings.Contains(o.stderr, "name a new database") {
		t.Errorf("onto an existing database: %+v", o)
	}

	// One superblock: the other one is enough.
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 4096), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if o := sombra(t, "check", path); o.code != exitCorrupt || !strings.Contains(o.stdout, "page 0") {
		t.Errorf("check of a database with one superblock: %+v", o)
	}
	other := filepath.Join(t.TempDir(), "other.db")
	wantLines(t, mustRun(t, "repair", path, other), "DAMAGE: ", "superblock", "Nothing is lost.")
	wantLines(t, mustRun(t, "check", other), "4 nodes", "No problems.")

	// All pages: what is left is said, and nothing is made up.
	damagePages(t, path, 8192, 2)
	last := filepath.Join(t.TempDir(), "last.db")
	if o := sombra(t, "repair", path, last, "--json"); o.code != exitCorrupt || !strings.Contains(o.stdout, `"records": 0`) {
		t.Errorf("repair of a database without an intact page: %+v", o)
	}
	if o := sombra(t, "repair", filepath.Join(t.TempDir(), "none"), last); o.code != exitFailed {
		t.Errorf("repair of nothing: %+v", o)
	}
}
