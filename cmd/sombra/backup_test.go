package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBackupAndRestore(t *testing.T) {
	db := smallWorld(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "world.backup")
	wantLines(t, mustRun(t, "backup", db, file), "1 keyspace", "pairs")
	restored := filepath.Join(dir, "restored.db")
	var r backupResult
	mustJSON(t, &r, "restore", file, restored, "--page-size", "16KiB")
	if info, err := os.Stat(file); err != nil || info.Size() != r.Bytes || r.Pairs == 0 || r.Keyspaces != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	wantLines(t, mustRun(t, "check", restored), "4 nodes", "3 edges", "No problems.")
	wantLines(t, mustRun(t, "info", restored), "16")

	if o := sombra(t, "backup", db, file); o.code != exitFailed || !strings.Contains(o.stderr, "exists") {
		t.Errorf("onto a file: %+v", o)
	}
	if o := sombra(t, "restore", file, restored); o.code != exitFailed || !strings.Contains(o.stderr, "name a new database") {
		t.Errorf("onto a database: %+v", o)
	}
	if o := sombra(t, "backup", filepath.Join(dir, "none.db"), file+"2"); o.code != exitFailed {
		t.Errorf("of nothing: %+v", o)
	}
	if o := sombra(t, "restore", db, filepath.Join(dir, "other.db")); o.code != exitFailed || !strings.Contains(o.stderr, "not a backup") {
		t.Errorf("of what is not a backup: %+v", o)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b[:len(b)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if o := sombra(t, "restore", file, filepath.Join(dir, "other.db")); o.code != exitCorrupt || !strings.Contains(o.stderr, "not whole") {
		t.Errorf("of a part: %+v", o)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.part*"))
	if others, _ := filepath.Glob(filepath.Join(dir, "other.db*")); err != nil || len(left)+len(others) > 0 {
		t.Errorf("left behind: %q %q", left, others)
	}
}

func TestBackupThroughAPipe(t *testing.T) {
	db := smallWorld(t)
	restored := filepath.Join(t.TempDir(), "restored.db")
	r, w := io.Pipe()
	backup := make(chan int, 1)
	go func() {
		code := newApp(w, io.Discard).run(t.Context(), []string{"backup", db, "-"})
		w.Close()
		backup <- code
	}()
	var stdout, stderr bytes.Buffer
	a := newApp(&stdout, &stderr)
	a.stdin = r
	if code := a.run(t.Context(), []string{"restore", "-", restored}); code != exitOK {
		t.Fatalf("restore: exit code %d\n%s", code, stderr.String())
	}
	r.Close()
	if code := <-backup; code != exitOK {
		t.Errorf("backup: exit code %d", code)
	}
	wantLines(t, mustRun(t, "check", restored), "4 nodes", "No problems.")
}
