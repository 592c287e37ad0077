package mvcc

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// inEachForm runs f for transactions that wait for locks and for those that do not, each in a bubble with a database of its own.
func inEachForm(t *testing.T, f func(t *testing.T, db *DB, failFast bool)) {
	for _, failFast := range []bool{false, true} {
		t.Run(formName(failFast), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := openOn(t, newMem(t))
				defer db.Close()
				f(t, db, failFast)
			})
		})
	}
}

func formName(failFast bool) string {
	if failFast {
		return "fail-fast"
	}
	return "waiting"
}

// possible says whether the story of an anomaly may, and so must, come true.
func (s *story) possible(c cast, failFast bool) bool {
	if s.by == "" || failFast && s.refused {
		return false
	}
	return !slices.ContainsFunc(strings.Fields(s.by), func(name string) bool { return reaches(c[name], s.from) })
}

// testAnomaly tells each schedule with every transaction at every level, so the mixed ones too. The anomaly
// happens exactly where it may, and where not, something is seen to prevent it. Checkpoints between all steps, which turn the version store over and
// move it to the trees, change nothing of what anybody sees; -short has them for one level at a time.
func testAnomaly(t *testing.T, a *anomaly) {
	for i := range a.stories {
		s := &a.stories[i]
		t.Run(s.name, func(t *testing.T) {
			inEachForm(t, func(t *testing.T, db *DB, failFast bool) {
				for n, c := range s.casts() {
					plain := s.tell(t, db, keyspace(t, db, fmt.Sprint("plain", n)), c, failFast, nil)
					if !c.mixed() {
						t.Logf("%v\n%v", c, plain)
					}
					if possible := s.possible(c, failFast); plain.came != possible {
						t.Errorf("%v: the anomaly happened: %v, want %v\n%v", c, plain.came, possible, plain)
					}
					if !plain.came && len(plain.causes) == 0 {
						t.Errorf("%v: prevented by nothing that is known\n%v", c, plain)
					}
					if c.mixed() && testing.Short() {
						continue
					}
					between := func() { checkpoint(t, db) }
					moved := s.tell(t, db, keyspace(t, db, fmt.Sprint("moved", n)), c, failFast, between)
					if !slices.Equal(plain.lines, moved.lines) {
						t.Errorf("%v: without checkpoints\n%v\nwith checkpoints\n%v", c, plain, moved)
					}
				}
			})
		})
	}
}

// The matrix says what came of the schedules when all are at one level. The one in the documentation is the same.
func TestTheMatrixOfAnomalies(t *testing.T) {
	lines := []string{"| anomaly |", "|---|"}
	for _, level := range levels {
		for _, failFast := range []bool{false, true} {
			lines[0] += fmt.Sprintf(" %v, %s |", level, formName(failFast))
			lines[1] += "---|"
		}
	}
	for _, a := range anomalies {
		synctest.Test(t, func(t *testing.T) { lines = append(lines, matrixRow(t, a)) })
	}
	matrix := strings.Join(lines, "\n") + "\n"
	t.Logf("\n%s", matrix)
	text, err := os.ReadFile(filepath.Join("..", "docs", "isolation.md"))
	must(t, err)
	if !strings.Contains(string(text), "\n\n"+matrix+"\n") {
		t.Errorf("docs/isolation.md does not have this table: put it there if the change is wanted\n%s", matrix)
	}
}

func matrixRow(t *testing.T, a *anomaly) string {
	db := openOn(t, newMem(t))
	defer db.Close()
	row := "| " + a.name + " |"
	for _, level := range levels {
		for _, failFast := range []bool{false, true} {
			row += " " + matrixCell(t, db, a, level, failFast) + " |"
		}
	}
	return row
}

// matrixCell says that the anomaly is possible, in one schedule at least, or how it is prevented in each.
func matrixCell(t *testing.T, db *DB, a *anomaly, level Isolation, failFast bool) string {
	var causes []string
	for i := range a.stories {
		s := &a.stories[i]
		ks := keyspace(t, db, fmt.Sprint(level, failFast, i))
		told := s.tell(t, db, ks, s.uniform(level), failFast, nil)
		if told.came {
			return "**possible**"
		}
		causes = append(causes, told.causes...)
	}
	return strings.Join(inOrder(causes), ", ")
}

// causesInOrder are all ways to prevent an anomaly, in the order in which the matrix names them.
var causesInOrder = []string{
	"not visible", "lock wait", "lock refused", "deadlock", "conflict at write", "conflict at commit", "timeout",
}

// inOrder returns each cause once.
func inOrder(causes []string) (sorted []string) {
	for _, cause := range causesInOrder {
		if slices.Contains(causes, cause) {
			sorted = append(sorted, cause)
		}
	}
	return sorted
}
