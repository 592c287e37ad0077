package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sample is a file, or several, and what a rule finds there.
type sample struct {
	rule  string
	files map[string]string // source by path
	want  []string          // "path:line part of the text", none for code that only looks bad
}

// one is a sample of a single file.
func one(rule, path, source string, want ...string) sample {
	for i, w := range want {
		want[i] = path + ":" + w
	}
	return sample{rule, map[string]string{path: source}, want}
}

func importing(paths ...string) string {
	source := "package p\n"
	for _, p := range paths {
		source += fmt.Sprintf("import _ %q\n", p)
	}
	return source
}

func own(dir string) string { return modulePath + "/" + dir }

func lines(n int) string { return strings.Repeat("\t_ = 0\n", n) }

// The words that must not stand here in one piece.
const (
	toDo   = "TO" + "DO"
	fixMe  = "FIX" + "ME"
	myPath = "/wo" + "rk/main"
	myHome = "/ho" + "me/jane"
)

var importSamples = []sample{
	one("imports", "wal/a.go", importing("os", "github.com/cockroachdb/errors", own("internal/vfs"))),
	one("imports", "wal/a.go", importing(own("pagestore")), "2 wal must not import pagestore"),
	one("imports", "deadlock/a.go", importing(own("internal/vfs")), "2 it imports no package of this module"),
	one("imports", "graph/a.go", importing(own("mvcc"), own("wal")), "3 graph must not import wal"),
	one("imports", "graph/a_test.go", importing(own("wal"), own("internal/vfs"), own("internal/script"))),
	one("imports", "graph/a.go", importing(own("internal/script")), "2 graph must not import internal/script"),
	one("imports", "mvcc/a_test.go", importing(own("graph")), "2 mvcc must not import graph"),
	one("imports", "mvcc/a_test.go", importing(own("mvcc"), own("lockmgr"), own("mvcc/internal/versions"))),
	one("imports", "fuzz/a.go", importing(own("mvcc/internal/versions")), "2 used by mvcc only"),
	one("imports", "bench/a.go", importing(own("wal"), own("graph"))),
	one("imports", "bench/a.go", importing(own("fuzz")), "2 used by nobody only"),
	one("imports", "graph/a_test.go", importing(own("bench")), "2 used by cmd/sombra only"),
	one("imports", "cmd/sombra/a.go", importing(own("bench"), own("mvcc"), own("graph"))),
	one("imports", "cmd/sombra/a.go", importing(own("wal")), "2 cmd/sombra must not import wal"),
	one("imports", "common/a.go", importing("os"), "1 package common is not in the picture"),

	one("outside-imports", "mvcc/a.go", importing("testing"), "2 testing is for tests only"),
	one("outside-imports", "mvcc/a.go", importing("testing/synctest"), "2 testing/synctest is for tests only"),
	one("outside-imports", "mvcc/a_test.go", importing("testing", "pgregory.net/rapid", "go.uber.org/goleak")),
	one("outside-imports", "fuzz/a.go", importing("testing", "pgregory.net/rapid")),
	one("outside-imports", "internal/script/a.go", importing("testing")),
	one("outside-imports", "bench/a.go", importing("pgregory.net/rapid", "go.uber.org/goleak"), "2 rapid", "3 goleak"),
	one("outside-imports", "bench/a.go", importing("github.com/spf13/cobra", "github.com/schollz/progressbar/v3"), "2 for cmd only", "3 for cmd only"),
	one("outside-imports", "cmd/sombra/a.go", importing("github.com/spf13/cobra", "github.com/schollz/progressbar/v3", "testingx")),
	one("outside-imports", "bench/a.go", importing("github.com/pkg/profile"), "2 for main packages of cmd and bench only"),
	one("outside-imports", "bench/tool/a.go", "package main\n\nimport _ \"github.com/pkg/profile\"\n"),
	one("outside-imports", "bench/a.go", importing("gonum.org/v1/plot", "gonum.org/v1/plot/vg")),
	one("outside-imports", "mvcc/a.go", importing("gonum.org/v1/plot/vg"), "2 for bench only"),
	one("outside-imports", "deadlock/a.go", importing("slices", "github.com/google/btree"), "3 deadlock imports the standard library only"),
	one("outside-imports", "deadlock/a_test.go", importing("pgregory.net/rapid")),
}

var docSamples = []sample{
	one("package-doc", "wal/a.go", "package wal\n", "1 package wal has no comment"),
	one("package-doc", "wal/a.go", "// The log.\npackage wal\n", "1 package wal has no comment"),
	one("package-doc", "wal/a_test.go", "// Package wal is tested.\npackage wal\n", "1 package wal has no comment"),
	one("package-doc", "cmd/sombra/a.go", "// Sombra is a tool.\npackage main\n"),
	{"package-doc", map[string]string{"wal/a.go": "package wal\n", "wal/doc.go": "// Package wal is a log.\npackage wal\n"}, nil},

	one("exported-doc", "wal/a.go", "package wal\n\nfunc Open() {}\n", "3 exported Open has no comment"),
	one("exported-doc", "wal/a.go", "package wal\n\ntype Log struct{}\n\nfunc (l *Log) Close() {}\n", "3 type Log", "5 Log.Close"),
	one("exported-doc", "wal/a.go", "package wal\n\ntype tree[T any] struct{}\n\nfunc (l *tree[T]) Close() {}\n"),
	one("exported-doc", "wal/a.go", "package wal\n\n// Both.\ntype (\n\tA int\n\t// B is.\n\tB int\n)\n", "5 type A"),
	one("exported-doc", "wal/a.go", "package wal\n\nvar A, b = 1, 2\n\nconst C = 1\n", "3 var A", "5 const C"),
	one("exported-doc", "wal/a.go", "package wal\n\n// Kinds.\nconst (\n\tA = 1\n\tB = 2\n)\n\nvar C = 1 // the third\n"),
	one("exported-doc", "wal/a.go", "package wal\n\n// E is.\ntype E struct{}\n\nfunc (E) Error() string { return \"\" }\n"),
	one("exported-doc", "wal/a_test.go", "package wal\n\nfunc TestX() {}\n"),
}

var sizeSamples = []sample{
	one("file-length", "wal/a.go", "package wal\n"+strings.Repeat("\n", 800), "1 801 lines"),
	one("file-length", "wal/a.go", "package wal\n"+strings.Repeat("\n", 799)),
	one("function-length", "wal/a.go", "package wal\n\nfunc f() {\n"+lines(69)+"}\n", "3 f has 71 lines"),
	one("function-length", "wal/a.go", "package wal\n\nfunc f() {\n"+lines(68)+"}\n"),
	one("function-length", "wal/a_test.go", "package wal\n\nfunc (x *T[K]) f() {\n"+lines(69)+"}\n", "3 T.f has 71 lines"),
	one("function-length", "wal/a.go", "package wal\n\nfunc f(i int) int {\n\tswitch i {\n"+
		strings.Repeat("\tcase 1:\n\t\treturn 1\n", 40)+"\t}\n\treturn 0\n}\n"),
	one("function-length", "wal/a.go", "package wal\n\nfunc f(i int) {\n\tswitch i {\n\tcase 1:\n"+lines(80)+"\t}\n}\n", "3 f has"),
}

var wordSamples = []sample{
	one("machine-path", "docs/a.md", "text\nsee "+myPath+"/x\n", "2 one of a single machine"),
	one("machine-path", "wal/a.go", "package wal\n\n// "+myHome+"/x\nvar a = `"+myPath+"`\n", "3 ", "4 "),
	one("machine-path", "docs/a.md", "homework/mainly, a network/main, /home of the brave\n"),
	one("unfinished", "wal/a.go", "package wal\n\n// "+toDo+": more\nvar a int // "+fixMe+"\n", "3 marks unfinished", "4 marks unfinished"),
	one("unfinished", "wal/a.go", "package wal\n\n// my"+toDo+"s are not meant\n"),
	one("unfinished", "docs/a.md", toDo+" lists are for people\n"),
}

var habitSamples = []sample{
	one("sleep", "wal/a_test.go", "package wal\n\nimport \"time\"\n\nfunc f() { time.Sleep(1) }\n", "5 "),
	one("sleep", "wal/a_test.go", "package wal\n\nimport clock \"time\"\n\nvar wait = clock.Sleep\n", "5 "),
	one("sleep", "wal/a.go", "package wal\n\nimport \"time\"\n\nfunc f() { time.Sleep(1) }\n"),
	one("sleep", "wal/a_test.go", "package wal\n\nimport (\n\t\"testing/synctest\"\n\t\"time\"\n)\n\nfunc f() { time.Sleep(1) }\n"),
	one("sleep", "wal/a_test.go", "package wal\n\nfunc f(time bed) { time.Sleep(1) }\n"),

	one("skip", "wal/a_test.go", "package wal\n\nfunc TestX(t *testing.T) {\n\tt.Skip(\"flaky\")\n}\n", "4 "),
	one("skip", "wal/a_test.go", "package wal\n\nfunc TestX(t *testing.T) {\n\tif slow {\n\t\tt.SkipNow()\n\t}\n\tt.Skipf(\"\")\n}\n", "5 ", "7 "),
	one("skip", "wal/a_test.go", "package wal\n\nfunc TestX(t *testing.T) {\n\tif testing.Short() || x {\n\t\tt.Skip(\"long\")\n\t}\n}\n"),
	one("skip", "wal/a_test.go", "package wal\n\nfunc TestX(t *testing.T) {\n\tif runtime.GOOS == \"windows\" {\n\t\tt.Skip(\"\")\n\t}\n}\n"),
	one("skip", "wal/a_test.go", "package wal\n\nfunc TestX(t *testing.T) {\n\tif errors.Is(err, fs.ErrNotExist) {\n\t\tt.Skip(\"\")\n\t}\n}\n"),
	one("skip", "wal/a_test.go", "package wal\n\nfunc TestX(t *testing.T) {\n\tif dir == \"\" {\n\t\tt.Skip(\"set SOMBRA_DATASETS\")\n\t}\n}\n"),
	one("skip", "wal/a_test.go", "package wal\n\nfunc TestX(t *testing.T) {\n\tif a {\n\t\t_ = runtime.GOOS\n\t\tt.Skip(\"\")\n\t}\n}\n", "6 "),
	one("skip", "wal/a_test.go", "package wal\n\nfunc act(t *rapid.T) {\n\tt.Skip(\"no draw\")\n}\n"),
	one("skip", "wal/a_test.go", "package wal\n\nfunc act(t *rapid.T) {\n\tf := func(t *testing.T) { t.SkipNow() }\n\tt.SkipNow()\n}\n", "4 "),

	one("formatted-errors", "wal/a.go", "package wal\n\nimport \"fmt\"\n\nvar a = fmt.Errorf(\"x\")\n", "5 "),
	one("formatted-errors", "wal/a_test.go", "package wal\n\nimport \"fmt\"\n\nvar a = fmt.Errorf(\"x\")\n"),
	one("formatted-errors", "cmd/sombra/a.go", "package main\n\nimport \"fmt\"\n\nvar a = fmt.Errorf(\"x: %w\", b)\n"),
	one("formatted-errors", "bench/a.go", "package bench\n\nimport \"fmt\"\n\nvar a = fmt.Errorf(\"x: %w\", b)\n"),
	one("formatted-errors", "internal/script/a.go", "package script\n\nimport \"fmt\"\n\nvar a = fmt.Errorf(\"x\")\n"),
	one("formatted-errors", "internal/vfs/a.go", "package vfs\n\nimport f \"fmt\"\n\nvar a = f.Errorf(\"x\")\n", "5 "),
	one("formatted-errors", "wal/a.go", "package wal\n\nimport \"github.com/cockroachdb/errors\"\n\nvar a = errors.Mark(b, c)\n", "5 not see a mark"),
	one("formatted-errors", "wal/a.go", "package wal\n\nimport \"github.com/cockroachdb/errors\"\n\nvar a = errors.Wrap(b, \"c\")\n"),
}

var samples = slices.Concat(importSamples, docSamples, sizeSamples, wordSamples, habitSamples)

func TestRulesFindWhatBreaksThemAndNothingElse(t *testing.T) {
	for i, s := range samples {
		t.Run(fmt.Sprint(s.rule, i), func(t *testing.T) {
			found := ruleNamed(t, s.rule).run(parseAll(t, s.files))
			for _, f := range found {
				if !slices.ContainsFunc(s.want, func(want string) bool { return matches(f, want) }) {
					t.Errorf("not wanted: %v", f)
				}
			}
			for _, want := range s.want {
				if !slices.ContainsFunc(found, func(f finding) bool { return matches(f, want) }) {
					t.Errorf("not found: %s", want)
				}
			}
			if t.Failed() {
				t.Log(s.files)
			}
		})
	}
}

func matches(f finding, want string) bool {
	place, text, _ := strings.Cut(want, " ")
	return place == fmt.Sprintf("%s:%d", f.path, f.line) && strings.Contains(f.text, text)
}

func ruleNamed(t *testing.T, name string) rule {
	t.Helper()
	i := slices.IndexFunc(rules, func(r rule) bool { return r.name == name })
	if i < 0 {
		t.Fatalf("no rule %q", name)
	}
	return rules[i]
}

func parseAll(t *testing.T, sources map[string]string) []*file {
	t.Helper()
	var files []*file
	for path, source := range sources {
		f, err := newFile(path, source)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

func TestEveryRuleHasGoodAndBadSamples(t *testing.T) {
	for _, r := range rules {
		good, bad := 0, 0
		for _, s := range samples {
			switch {
			case s.rule != r.name:
			case len(s.want) == 0:
				good++
			default:
				bad++
			}
		}
		if good == 0 || bad == 0 {
			t.Errorf("%s: %d good samples, %d bad ones", r.name, good, bad)
		}
	}
}

func TestEveryRuleIsDescribed(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if !strings.Contains(string(doc), "//\t"+r.name+" ") {
			t.Errorf("doc.go does not describe %s", r.name)
		}
	}
}

func TestThePictureHasNoCycle(t *testing.T) {
	var visit func(dir string, way []string)
	visit = func(dir string, way []string) {
		if slices.Contains(way, dir) {
			t.Fatalf("a cycle: %v", append(way, dir))
		}
		for _, next := range picture[dir] {
			if _, drawn := picture[next]; !drawn && next != anything {
				t.Errorf("%s stands on %s, which is not in the picture", dir, next)
			}
			visit(next, append(slices.Clone(way), dir))
		}
	}
	for dir := range picture {
		visit(dir, nil)
	}
}

func TestTheListOfTheToleratedOnlyGetsShorter(t *testing.T) {
	long := "package wal\n\nfunc f() {\n" + lines(80) + "}\n\nfunc g() {\n" + lines(80) + "}\n"
	found := ruleNamed(t, "function-length").run(parseAll(t, map[string]string{"wal/a.go": long}))
	list := newTolerance("# comment\n\nfunction-length wal/a.go f\nfunction-length wal/a.go gone\n")
	left := newOffenders(ruleNamed(t, "function-length"), found, list)
	if len(left) != 1 || left[0].name != "g" {
		t.Errorf("left: %v", left)
	}
	if unused := list.unused(); !slices.Equal(unused, []string{"function-length wal/a.go gone"}) {
		t.Errorf("unused: %q", unused)
	}

	strict := ruleNamed(t, "package-doc")
	found = strict.run(parseAll(t, map[string]string{"wal/a.go": "package wal\n"}))
	if left := newOffenders(strict, found, newTolerance("package-doc wal/a.go\n")); len(left) != 1 {
		t.Errorf("a rule without ratchet tolerates: %v", left)
	}
}

func TestLoadTreeReadsTextOfThisModuleOnly(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":            "module m\n",
		"a/a.go":            "package a\n",
		"a/notes.md":        "notes\n",
		"a/binary":          "\x00\x01",
		"a/testdata/bad.go": "package bad\n",
		"go.sum":            "sums\n",
		"nested/go.mod":     "module n\n",
		"nested/n.go":       "package n\n",
		".git/config":       "text\n",
	} {
		full := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := loadTree(root)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := paths(files), "[a/a.go a/notes.md a/testdata/bad.go go.mod]"; got != want {
		t.Errorf("read %s, want %s", got, want)
	}
	if got := paths(goFiles(files)); got != "[a/a.go]" {
		t.Errorf("Go files %s", got)
	}
}

func paths(files []*file) string {
	var all []string
	for _, f := range files {
		all = append(all, f.path)
	}
	slices.Sort(all)
	return fmt.Sprint(all)
}
