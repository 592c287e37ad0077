package fuzz

import (
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var historyBroken = flag.Bool("history.broken", false, "build broken variants of the engine and see the history checker catch them (a minute)")

// variant is a rule of the engine taken out: in file, old becomes new.
type variant struct {
	name, file, old, new string
	levels               string // subtests that must notice
}

var variants = []variant{
	{"no validation of ranges", "mvcc/readset.go", "for _, s := range r.spans {", "for _, s := range r.spans[:0] {", "serializable"},
	{"no validation of keys", "mvcc/readset.go", "for _, p := range r.points {", "for _, p := range r.points[:0] {", "serializable"},
	{"no check for the first updater", "mvcc/lock.go", "if err != nil || !changed {\n\t\t\treturn err\n\t\t}\n\t\tmoved", "if true || !changed {\n\t\t\treturn err\n\t\t}\n\t\tmoved", "snapshot"},
	{"published before it is applied as a whole", "mvcc/commit.go", "e.table.Apply(uint64(e.ts), e.unapplied())\n\te.applied.Store(true)",
		"e.applied.Store(true)\n\tdb.commits.advanceApplied()\n\tfor _, w := range e.unapplied() {\n\t\truntime.Gosched()\n\t\te.table.Apply(uint64(e.ts), []versions.Write{w})\n\t}", "snapshot"},
	{"snapshots that move although reads have changed", "mvcc/refresh.go", "found, err := tx.reads.againstState(st, tx)", "found, err := conflict{}, error(nil)", "snapshot"},
	{"a write of the value that is there skips lock and checks", "mvcc/txn.go", "\tif err := tx.claim(ikey); err != nil {",
		"\tif v, found, err := tx.read(nil, append([]byte(nil), ikey...)); err == nil && found && string(v) == string(value) {\n\t\treturn nil\n\t}\n\tif err := tx.claim(ikey); err != nil {", "snapshot"},
	{"commits that validate at once do not see each other", "mvcc/commit.go", "if mark != nil {\n\t\tsets", "if false {\n\t\tsets", "serializable"},
	{"locks freed before the commit is applied", "mvcc/commit.go", "e.table.Apply(uint64(e.ts), e.unapplied())", "tx.unlock()\n\truntime.Gosched()\n\te.table.Apply(uint64(e.ts), e.unapplied())", "read_committed"},
}

// broken returns the file with the rule taken out.
func (v *variant) broken(t *testing.T, module string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(module, v.file))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(content), v.old) == 0 {
		t.Fatalf("%s does not hold %q", v.file, v.old)
	}
	broken := strings.ReplaceAll(string(content), v.old, v.new)
	if strings.Contains(v.new, "runtime.Gosched") && !strings.Contains(broken, "\t\"runtime\"\n") {
		broken = strings.Replace(broken, "\t\"slices\"\n", "\t\"runtime\"\n\t\"slices\"\n", 1)
	}
	return broken
}

// The rules that the variants take out are still where they look for them.
func TestTheVariantsFitTheEngine(t *testing.T) {
	for _, v := range variants {
		if text := v.broken(t, ".."); !strings.Contains(text, v.new) {
			t.Errorf("%s: the rule is not taken out", v.name)
		}
	}
}

// The checker is worth its name only if it sees each rule missing.
func TestTheCheckerCatchesBrokenVariants(t *testing.T) {
	if !*historyBroken {
		return
	}
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			dir := t.TempDir()
			copyModule(t, "..", dir)
			if err := os.WriteFile(filepath.Join(dir, v.file), []byte(v.broken(t, "..")), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("go", "test", "./fuzz", "-run", "TestHistoriesKeepTheirLevel/"+v.levels, "-history.txns=60000", "-timeout=5m")
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("not noticed:\n%s", out)
			}
			if !strings.Contains(string(out), "--- FAIL: TestHistoriesKeepTheirLevel") {
				t.Fatalf("it failed for another reason:\n%s", out)
			}
			t.Logf("%s", firstLines(string(out), 12))
		})
	}
}

func firstLines(text string, n int) string {
	lines := strings.SplitAfterN(text, "\n", n+1)
	return strings.Join(lines[:min(n, len(lines))], "")
}

// copyModule copies the module's Go files.
func copyModule(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel != "." && strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		if ext := filepath.Ext(path); ext != ".go" && ext != ".mod" && ext != ".sum" {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), content, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
