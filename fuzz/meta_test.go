package fuzz

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	metaSequences = flag.Int("meta.sequences", 4, "sequences that TestOptionsDoNotChangeAnswers draws")
	metaLength    = flag.Int("meta.ops", 400, "operations of each sequence")
	metaRuns      = flag.Int("meta.runs", 3, "drawn options under which each sequence runs, besides the plain ones")
	metaTime      = flag.Duration("meta.for", 0, "draw sequences for so long, instead of their number")
	metaSeed      = flag.Uint64("meta.seed", 1, "of the first sequence")
	metaShrink    = flag.Duration("meta.shrink", 2*time.Minute, "how long a sequence that fails is made smaller")
	metaReplay    = flag.String("meta.replay", "", "run the sequence in this file, in the form in which a failure prints it")
)

// One random sequence of operations has one answer, whatever the options, and whatever happens between the operations:
// checkpoints, compactions, restarts, crashes. (After the metamorphic tests of Pebble and Segura et al., A Survey on
// Metamorphic Testing, 2016.) What may vary is taken out: timestamps are numbers of commits, and what a run need not
// retain of the past may be pruned.
func TestOptionsDoNotChangeAnswers(t *testing.T) {
	if *metaReplay != "" {
		replayMeta(t, *metaReplay)
		return
	}
	var sum metaTally
	for seed, began := *metaSeed, time.Now(); sum.more(time.Since(began)); seed++ {
		r := rand.New(rand.NewPCG(seed, 7))
		c := metaCase{runs: []metaOptions{plainMeta}, ops: drawMetaOps(r, *metaLength)}
		for range *metaRuns {
			c.runs = append(c.runs, drawMetaOptions(r))
		}
		if what := sum.check(c); what != "" {
			t.Fatalf("sequence %d: %s", seed, reportMeta(c, what))
		}
	}
	t.Log(sum.String())
	sum.verify(t)
}

// Sequences that found something once are run again.
func TestSequencesThatFoundSomething(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "meta", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no sequences: %v", err)
	}
	for _, f := range files {
		replayMeta(t, f)
	}
}

func replayMeta(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseMetaCase(string(text))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if len(c.runs) == 0 {
		t.Fatalf("%s has no line that begins with run", path)
	}
	if what := new(metaTally).check(c); what != "" {
		t.Fatalf("%s: %s", path, what)
	}
}

// reportMeta shrinks a sequence that fails and tells how to run it again.
func reportMeta(c metaCase, what string) string {
	small, again := shrinkMeta(c, what)
	return fmt.Sprintf("%s\n\nshrunk to %d operations: %s\nTo run it again, write the following into FILE:\ngo test ./fuzz -run TestOptionsDoNotChangeAnswers -meta.replay FILE\n\n%s",
		what, len(small.ops), again, small)
}

// checkMeta runs a case and returns what is wrong, or "".
func checkMeta(c metaCase, seen func(*metaRun)) string {
	var plain *metaRun
	for _, o := range c.runs {
		m := runMeta(o, c.ops)
		seen(m)
		if m.err != nil {
			return fmt.Sprintf("%v\n%v", o, m.err)
		}
		if plain == nil {
			plain = m
			continue
		}
		if i := slices.IndexFunc(plain.lines, differs(plain, m)); i >= 0 {
			at := "the end"
			if i < len(c.ops) {
				at = c.ops[i].String()
			}
			return fmt.Sprintf("operation %d, %s, has two answers:\n%v\n\t%s\n%v\n\t%s", i, at, plain.o, plain.lines[i], o, m.lines[i])
		}
	}
	return ""
}

// differs returns a function that compares the next line of two runs of one sequence.
func differs(plain, m *metaRun) func(string) bool {
	at := -1
	return func(want string) bool {
		at++
		got := m.lines[at]
		switch {
		case got == want:
			return false
		case m.o.strict() || !plain.o.strict():
			return true
		}
		return got != "pruned" && !(strings.HasPrefix(want, "versions") && strings.HasPrefix(want+" ", got+" "))
	}
}

// metaTally counts what was done, so that a test that does nothing is noticed.
type metaTally struct {
	sequences, runs, ops, commits, conflicts, locked, pruned, spills, checkpoints int
	quiets                                                                        map[string]int
}

func (s *metaTally) more(took time.Duration) bool {
	if *metaTime > 0 {
		return took < *metaTime
	}
	return s.sequences < *metaSequences
}

func (s *metaTally) check(c metaCase) string {
	s.sequences++
	return checkMeta(c, s.add)
}

func (s *metaTally) add(m *metaRun) {
	s.runs++
	s.ops += len(m.lines)
	s.commits += m.model.Version()
	s.spills += int(m.spills)
	s.checkpoints += int(m.checkpoints)
	if s.quiets == nil {
		s.quiets = map[string]int{}
	}
	for way, n := range m.quiets {
		s.quiets[way] += n
	}
	for _, line := range m.lines {
		switch {
		case strings.HasPrefix(line, "conflict"):
			s.conflicts++
		case strings.HasPrefix(line, "locked"):
			s.locked++
		case line == "pruned":
			s.pruned++
		}
	}
}

func (s *metaTally) String() string {
	return fmt.Sprintf("%d sequences, %d runs, %d operations: %d commits, %d conflicts, %d refused locks, %d pruned answers, %d spills, %d checkpoints, at quiet points %v",
		s.sequences, s.runs, s.ops, s.commits, s.conflicts, s.locked, s.pruned, s.spills, s.checkpoints, s.quiets)
}

// verify demands that the sequences said something.
func (s *metaTally) verify(t *testing.T) {
	t.Helper()
	if s.runs < 12 || *metaLength < 400 {
		return
	}
	for what, n := range map[string]int{
		"commits": s.commits, "conflicts": s.conflicts, "refused locks": s.locked, "spills": s.spills, "checkpoints": s.checkpoints,
		"crashes": s.quiets["crash"], "restarts": s.quiets["restart"],
	} {
		if n == 0 {
			t.Errorf("no %s in %d runs: the test tests little", what, s.runs)
		}
	}
}

// FuzzSequences: any text is a sequence, which prints as itself, or an error that names the line.
func FuzzSequences(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "meta", "*.txt"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("run\nput txn=1")
	f.Add("begin txn=9 level=snapshot mode=write\nrun quiet=never")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseMetaCase(text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "line ") && !strings.Contains(err.Error(), "token too long") {
				t.Fatalf("the error names no line: %v", err)
			}
			return
		}
		again, err := parseMetaCase(c.String())
		if err != nil || again.String() != c.String() {
			t.Fatalf("%q prints as %q, which is %q, %v", text, c, again, err)
		}
	})
}
