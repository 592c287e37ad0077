package fuzz

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	moduleRoot     = ".."
	testingDoc     = moduleRoot + "/docs/testing.md"
	matrixHeading  = "## Faults and promises"
	fuzzingHeading = "## Fuzzing"
)

// testFunctions returns the names of tests and fuzz targets of a directory below the module's root.
func testFunctions(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(moduleRoot, dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if ok && fn.Recv == nil && (strings.HasPrefix(fn.Name.Name, "Test") || strings.HasPrefix(fn.Name.Name, "Fuzz")) {
				names = append(names, fn.Name.Name)
			}
		}
	}
	return names
}

// tableUnder returns the rows of the first table behind a heading, without the line of dashes, as cells.
func tableUnder(text, heading string) (rows [][]string, err error) {
	_, rest, found := strings.Cut(text, "\n"+heading+"\n")
	if !found {
		return nil, fmt.Errorf("there is no heading %q", heading)
	}
	for line := range strings.Lines(rest) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "## "), !strings.HasPrefix(line, "|") && len(rows) > 0:
			return rows, nil
		case !strings.HasPrefix(line, "|"), strings.HasPrefix(line, "|--"):
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows, nil
}

var quotedName = regexp.MustCompile("`([^`]+)`")

// matrixFaults says what is wrong with the matrix: each row is a fault and each column a promise, and each cell names
// tests as `package.Name`, or begins with "n/a:" and says why there is nothing to test.
func matrixFaults(rows [][]string, functions func(dir string) []string) (faults []string) {
	bad := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if len(rows) < 10 || len(rows[0]) < 5 {
		bad("the matrix has %d rows", len(rows))
		return faults
	}
	for _, row := range rows[1:] {
		if len(row) != len(rows[0]) {
			bad("%s: %d cells, want %d", row[0], len(row), len(rows[0]))
			continue
		}
		for i, cell := range row[1:] {
			where := row[0] + ", " + rows[0][i+1]
			if why, none := strings.CutPrefix(cell, "n/a:"); none {
				if len(strings.Fields(why)) < 3 {
					bad("%s: n/a without a reason", where)
				}
				continue
			}
			names := quotedName.FindAllStringSubmatch(cell, -1)
			if len(names) == 0 {
				bad("%s: neither a test nor n/a: with a reason", where)
			}
			for _, n := range names {
				dir, name, _ := cutLast(n[1], ".")
				if !slices.Contains(functions(dir), name) {
					bad("%s: there is no %s in %s", where, name, dir)
				}
			}
		}
	}
	return faults
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// The matrix of faults and promises in docs/testing.md is complete, and names tests that exist.
func TestTheMatrixNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile(testingDoc)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := tableUnder(string(text), matrixHeading)
	if err != nil {
		t.Fatal(err)
	}
	cache := map[string][]string{}
	functions := func(dir string) []string {
		if cache[dir] == nil {
			cache[dir] = testFunctions(t, dir)
		}
		return cache[dir]
	}
	for _, fault := range matrixFaults(rows, functions) {
		t.Error(fault)
	}
	// The test sees what it should see.
	for what, change := range map[string]func(row []string){
		"a test that is gone":  func(row []string) { row[1] = "`fuzz.TestThatWasNeverThere`" },
		"an empty cell":        func(row []string) { row[1] = "" },
		"n/a without a reason": func(row []string) { row[1] = "n/a:" },
		"prose without tests":  func(row []string) { row[1] = "well tested" },
	} {
		broken := slices.Clone(rows)
		broken[3] = slices.Clone(rows[3])
		change(broken[3])
		if len(matrixFaults(broken, functions)) == 0 {
			t.Errorf("%s is not noticed", what)
		}
	}
	if len(matrixFaults(append(slices.Clone(rows), []string{"a new fault", "n/a: one cell only"}), functions)) == 0 {
		t.Error("a row that is too short is not noticed")
	}
}

// The table of fuzz targets lists all that there are, and the files that the document names are there.
func TestTheDocumentKnowsTheTree(t *testing.T) {
	text, err := os.ReadFile(testingDoc)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := tableUnder(string(text), fuzzingHeading)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, row := range rows[1:] {
		names := quotedName.FindAllStringSubmatch(row[0], -1)
		for _, n := range names[1:] {
			listed[names[0][1]+"."+n[1]] = true
		}
	}
	there := map[string]bool{}
	err = filepath.WalkDir(moduleRoot, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		dir, err := filepath.Rel(moduleRoot, path)
		if err == nil && (d.Name() == ".git" || d.Name() == "testdata" || dir == filepath.Join("bench", "peers")) {
			return filepath.SkipDir
		}
		for _, name := range testFunctions(t, dir) {
			if strings.HasPrefix(name, "Fuzz") {
				there[filepath.ToSlash(dir)+"."+name] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for target := range there {
		if !listed[target] {
			t.Errorf("the fuzz target %s is not listed", target)
		}
	}
	for target := range listed {
		if !there[target] {
			t.Errorf("the fuzz target %s is listed and does not exist", target)
		}
	}
	for _, n := range quotedName.FindAllStringSubmatch(string(text), -1) {
		if strings.HasSuffix(n[1], "_test.go") && !strings.ContainsAny(n[1], "*{ ") {
			if _, err := os.Stat(filepath.Join(moduleRoot, n[1])); err != nil {
				t.Errorf("%s is named and does not exist", n[1])
			}
		}
	}
}
