package lint

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTheTreeKeepsTheRules runs each rule on the whole module.
func TestTheTreeKeepsTheRules(t *testing.T) {
	files, err := loadTree(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if len(goFiles(files)) < 10 {
		t.Fatalf("only %d Go files found: is this the root of the module?", len(goFiles(files)))
	}
	tolerated := readTolerated(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, offender := range newOffenders(r, r.run(files), tolerated) {
				t.Error(offender)
			}
		})
	}
	for _, line := range tolerated.unused() {
		t.Errorf("testdata/tolerated.txt: %q is not needed any more: remove the line", line)
	}
}

// tolerance is the list of the tolerated, with what was used of it.
type tolerance map[string]bool

func readTolerated(t *testing.T) tolerance {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "tolerated.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return newTolerance(string(text))
}

func newTolerance(text string) tolerance {
	list := tolerance{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			list[line] = false
		}
	}
	return list
}

func (l tolerance) unused() []string {
	var lines []string
	for line, used := range l {
		if !used {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}

// newOffenders returns what is not tolerated, in the order of the files.
func newOffenders(r rule, found []finding, tolerated tolerance) []finding {
	var left []finding
	for _, f := range found {
		if _, listed := tolerated[f.key()]; listed && r.ratchet {
			tolerated[f.key()] = true
			continue
		}
		left = append(left, f)
	}
	slices.SortFunc(left, func(a, b finding) int { return strings.Compare(a.String(), b.String()) })
	return left
}
