package report

import (
	"fmt"
	"slices"

	"github.com/sombradb/sombra/bench"
	"github.com/sombradb/sombra/bench/peers/internal/engine"
	"github.com/sombradb/sombra/bench/peers/internal/suite"
)

// Whom a mark compares with, besides single participants.
const (
	bestOfAll   = "best other"
	bestSafe    = "best with isolation"
	subject     = "Sombra"
	memoryLimit = "CSR array"
)

// mark is what Sombra aims at: a ratio of its throughput to another one's.
type mark struct {
	what string
	at   setting
	// against is a participant or one of the best. base is where it was measured, at itself if that is zero.
	against string
	base    setting
	level   float64
}

// parity is the level of most marks: as fast as the other.
const parity = 1.0

// marks are the project's aims. They were chosen before measuring and are not adapted to results.
func marks() []mark {
	commit := func(writers int) setting { return setting{"commit", "", writers} }
	list := []mark{
		{what: "commits, 1 writer", at: commit(1), against: suite.Device, level: 0.8},
		{what: "commits, 128 writers", at: commit(128), against: "Pebble", level: parity},
	}
	for _, name := range []string{"bbolt", "Badger", "SQLite"} {
		list = append(list, mark{what: "commits, 128 writers", at: commit(128), against: name, level: parity})
	}
	list = append(list,
		mark{what: "transfers, uniform, 32 writers", at: setting{"transfer", "uniform", 32}, against: "Pebble", level: parity},
		mark{what: "transfers, zipf 0.99, 32 writers", at: setting{"transfer", "zipf 0.99", 32}, against: bestSafe, level: parity})
	for _, writers := range []int{32, 128} {
		list = append(list,
			mark{what: fmt.Sprintf("hot key, %d writers", writers), at: setting{"hotkey", "", writers}, against: suite.Device, base: commit(1), level: parity},
			mark{what: fmt.Sprintf("counter, %d writers", writers), at: setting{"counter", "", writers}, against: suite.Device, base: commit(1), level: parity})
	}
	return append(append(list, readMarks()...), graphMarks()...)
}

func readMarks() []mark {
	list := []mark{
		{what: "point reads, 1 reader", at: setting{"read", suite.CasePoint, 1}, against: "bbolt", level: parity},
		{what: "point reads, 8 readers", at: setting{"read", suite.CasePoint, 8}, against: "bbolt", level: parity},
		{what: "full scan", at: setting{"read", suite.CaseScan, 1}, against: "bbolt", level: parity},
		{what: "ranges of 100 keys", at: setting{"read", suite.CaseRange, 1}, against: "bbolt", level: parity},
		{what: "load, sorted", at: setting{"load", "sorted", 1}, against: bestOfAll, level: parity},
		{what: "load, random", at: setting{"load", "random", 1}, against: bestOfAll, level: parity},
	}
	for _, letter := range []string{"A", "B", "C", "F"} {
		for _, name := range engineNames() {
			if name != subject {
				list = append(list, mark{what: "YCSB " + letter, at: setting{"ycsb", letter, 8}, against: name, level: parity})
			}
		}
	}
	return list
}

func graphMarks() (list []mark) {
	for depth := 1; depth <= 3; depth++ {
		at := setting{"hops", suite.HopsCase(depth), 1}
		list = append(list,
			mark{what: at.variant, at: at, against: memoryLimit, level: 0.25},
			mark{what: at.variant, at: at, against: bestOfAll, level: parity})
	}
	list = append(list, mark{what: "import of edges", at: setting{"import", suite.CaseImport, 1}, against: bestOfAll, level: parity})
	for _, writers := range []int{1, 32, 128} {
		at := setting{"insert", "", writers}
		list = append(list, mark{
			what: "inserts of nodes, " + column(at), at: at,
			against: bestOfAll, level: parity,
		})
	}
	return list
}

// outcome is a mark with what was measured.
type outcome struct {
	mark
	other     string // whom it was compared with in the end
	elsewhere bool   // the other was measured in another setting
	ratio     spread
}

// verdict says whether the mark was reached, and says nothing where rounds disagree.
func (o outcome) verdict() string {
	switch {
	case o.ratio.min >= o.level:
		return "reached"
	case o.ratio.max < o.level:
		return "missed"
	}
	return "undecided"
}

// outcomes are those of the marks that were measured.
func (r *results) outcomes() (list []outcome) {
	for _, m := range marks() {
		if o, ok := r.outcome(m); ok {
			list = append(list, o)
		}
	}
	return list
}

func (r *results) outcome(m mark) (outcome, bool) {
	elsewhere := m.base != (setting{})
	if !elsewhere {
		m.base = m.at
	}
	mine, field := r.figures[m.at][subject], r.figures[m.base]
	other := m.against
	if other == bestOfAll || other == bestSafe {
		other = best(field, other == bestSafe)
	}
	if mine == nil || field[other] == nil {
		return outcome{}, false
	}
	measured, ok := ratio(mine, field[other])
	return outcome{m, other, elsewhere, measured}, ok
}

// best returns the fastest other participant that is a database.
func best(field map[string]*figure, isolated bool) (name string) {
	for candidate, f := range field {
		switch {
		case candidate == subject || candidate == memoryLimit || candidate == suite.Device:
		case isolated && !isolates(candidate):
		case name == "" || f.median > field[name].median:
			name = candidate
		}
	}
	return name
}

func engineNames() (list []string) {
	for _, e := range engine.All() {
		list = append(list, e.Name)
	}
	return list
}

func isolates(name string) bool {
	return slices.ContainsFunc(engine.All(), func(e engine.Engine) bool { return e.Name == name && e.Isolated })
}

// number renders a rate or ratio with as many digits as mean something.
func number(v float64) string {
	switch {
	case v >= 100:
		return bench.Count(int64(v + 0.5))
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.1 || v == 0:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
