package fuzz

import (
	"slices"
	"strings"
	"time"
)

// shrinkMeta returns a smaller case that still fails, and how, by delta debugging (Zeller and Hildebrandt, Simplifying and
// Isolating Failure-Inducing Input, 2002). What fails only now and then, because the database's own goroutines are part
// of it, is tried three times.
func shrinkMeta(c metaCase, what string) (metaCase, string) {
	s := &metaShrinker{until: time.Now().Add(*metaShrink), best: c, what: what}
	s.fewerRuns()
	s.onlyEffective()
	s.fewerOps()
	s.simplerOptions()
	s.smallerArgs()
	s.fewerOps()
	return s.best, s.what
}

type metaShrinker struct {
	until time.Time
	best  metaCase
	what  string
}

// try takes the case if it fails.
func (s *metaShrinker) try(c metaCase) bool {
	for range 3 {
		if time.Now().After(s.until) {
			return false
		}
		if what := checkMeta(c, func(*metaRun) {}); what != "" {
			s.best, s.what = c, what
			return true
		}
	}
	return false
}

// fewerRuns keeps the first run and the one that fails, or that one alone.
func (s *metaShrinker) fewerRuns() {
	runs := s.best.runs
	for _, o := range runs {
		if strings.Contains(s.what, o.String()) && s.try(metaCase{runs: []metaOptions{o}, ops: s.best.ops}) {
			return
		}
	}
	for _, o := range runs[1:] {
		if strings.Contains(s.what, o.String()) && s.try(metaCase{runs: []metaOptions{runs[0], o}, ops: s.best.ops}) {
			return
		}
	}
}

// onlyEffective leaves out all operations at once that had nothing to work on.
func (s *metaShrinker) onlyEffective() {
	m := runMeta(s.best.runs[0], s.best.ops)
	var ops []metaOp
	for i, o := range s.best.ops {
		if i >= len(m.lines) || m.lines[i] != "busy" && !strings.HasPrefix(m.lines[i], "no ") {
			ops = append(ops, o)
		}
	}
	s.try(metaCase{runs: s.best.runs, ops: ops})
}

// fewerOps leaves operations out, half of them at a time, then a quarter, down to single ones.
func (s *metaShrinker) fewerOps() {
	for size := max(len(s.best.ops)/2, 1); ; size /= 2 {
		for at := 0; at < len(s.best.ops); {
			end := min(at+size, len(s.best.ops))
			if !s.try(metaCase{runs: s.best.runs, ops: slices.Concat(s.best.ops[:at], s.best.ops[end:])}) {
				at = end
			}
		}
		if size <= 1 || time.Now().After(s.until) {
			return
		}
	}
}

func (s *metaShrinker) simplerOptions() {
	for again := true; again; {
		again = false
		last := len(s.best.runs) - 1
		for _, o := range s.best.runs[last].simpler() {
			if s.try(metaCase{runs: append(slices.Clone(s.best.runs[:last]), o), ops: s.best.ops}) {
				again = true
				break
			}
		}
	}
}

// smallerArgs halves sizes and counts.
func (s *metaShrinker) smallerArgs() {
	for i := range s.best.ops {
		for j, name := range s.best.ops[i].verb.args {
			if name != "size" && name != "count" && name != "limit" && name != "seed" {
				continue
			}
			for s.best.ops[i].args[j] > 1 {
				ops := slices.Clone(s.best.ops)
				ops[i].args = slices.Clone(ops[i].args)
				ops[i].args[j] /= 2
				if !s.try(metaCase{runs: s.best.runs, ops: ops}) {
					break
				}
			}
		}
	}
}
