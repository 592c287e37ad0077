package lockmgr

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var allModes = []Mode{None, S, U, A, X}

func TestModesSay(t *testing.T) {
	if got := fmt.Sprint(None, S, U, A, X, Mode(9)); got != "none S U A X invalid" {
		t.Error(got)
	}
}

// docTable returns the rows of the documentation's table whose heading ends as
// given: for each row's mode the cells, one for each of S, U, A and X. What
// stands beside the table is cut off at the heading's place.
func docTable(t *testing.T, heading string) map[string][]string {
	t.Helper()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	at := -1
	for line := range strings.Lines(string(doc)) {
		if at < 0 {
			if regexp.MustCompile(regexp.QuoteMeta(heading) + ` +S +U +A +X\n$`).MatchString(line) {
				at = strings.Index(line, heading)
			}
			continue
		}
		if len(line) <= at {
			break
		}
		words := strings.Fields(line[at:])
		if len(words) != 5 {
			break
		}
		rows[words[0]] = words[1:]
	}
	if len(rows) == 0 {
		t.Fatalf("doc.go has no table %q", heading)
	}
	return rows
}

func TestTheDocumentedCompatibilityIsThatOfTheCode(t *testing.T) {
	rows := docTable(t, `held \ asked`)
	for _, held := range allModes[1:] {
		cells := rows[held.String()]
		if len(cells) != len(allModes)-1 {
			t.Fatalf("no row for %v in %v", held, rows)
		}
		for i, asked := range allModes[1:] {
			want := "yes"
			if asked.conflictsWith(held) {
				want = "-"
			}
			if cells[i] != want {
				t.Errorf("held %v, asked %v: documented %q, in the code %q", held, asked, cells[i], want)
			}
			if (want == "yes") != modelCompatible(held, asked) {
				t.Errorf("held %v, asked %v: the model of the tests says otherwise", held, asked)
			}
		}
	}
	if len(rows) != len(allModes)-1 {
		t.Errorf("the table has the rows %v", rows)
	}
}

func TestTheDocumentedJoinIsThatOfTheCode(t *testing.T) {
	rows := docTable(t, "join")
	for _, held := range allModes {
		cells := rows[held.String()]
		if len(cells) != len(allModes)-1 {
			t.Fatalf("no row for %v in %v", held, rows)
		}
		for i, asked := range allModes[1:] {
			if got := held.join(asked).String(); cells[i] != got {
				t.Errorf("%v and %v: documented %s, in the code %s", held, asked, cells[i], got)
			}
			if held.join(asked) != modelJoin(held, asked) {
				t.Errorf("%v and %v: the model of the tests says otherwise", held, asked)
			}
		}
	}
	if len(rows) != len(allModes) {
		t.Errorf("the table has the rows %v", rows)
	}
}

func TestConflictsGoBothWays(t *testing.T) {
	for _, a := range allModes {
		for _, b := range allModes {
			if a.conflictsWith(b) != b.conflictsWith(a) {
				t.Errorf("%v and %v", a, b)
			}
		}
	}
}

// The join conflicts with what either conflicts with and with nothing else: so
// it gives no right that was not asked for, and takes none of those.
func TestModesAreALattice(t *testing.T) {
	for _, a := range allModes {
		if a.join(a) != a || a.join(None) != a || a.join(X) != X {
			t.Errorf("%v joined with itself, none and X is %v, %v, %v", a, a.join(a), a.join(None), a.join(X))
		}
		for _, b := range allModes {
			if a.join(b) != b.join(a) {
				t.Errorf("%v and %v: the order matters", a, b)
			}
			if got, want := conflicts[a.join(b)], conflicts[a]|conflicts[b]; got != want {
				t.Errorf("%v and %v: the join conflicts with %b, both together with %b", a, b, got, want)
			}
			for _, c := range allModes {
				if a.join(b).join(c) != a.join(b.join(c)) {
					t.Errorf("%v, %v and %v: the grouping matters", a, b, c)
				}
			}
		}
	}
}
