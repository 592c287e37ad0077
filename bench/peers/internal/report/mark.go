package report

import (
	"fmt"
	"slices"

	"github.com/sombradb/sombra/bench/internal/figures"
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

// mark is what Sombra aims at: a ratio of its throughput to another one's, or a rate.
type mark struct {
	what string
	at   setting
	// against is a participant or one of the best. base is where it was measured, at itself if that is zero.
	against string
	base    setting
	level   float64
	// rate is what is aimed at when there is no other: operations a second, of which level is the part that must be there.
	rate float64
}

const parity = 1.0

// marks are the project's aims. They were chosen before measuring and are not adapted to results.
func marks() []mark {
	commit := func(writers int) setting { return settingOf("commit", "", writers) }
	list := []mark{
		{what: "commits, 1 writer", at: commit(1), against: suite.Device, level: 0.9},
		{what: "commits, 128 writers", at: commit(128), against: "Pebble", level: 1.5},
	}
	for _, name := range []string{"bbolt", "Badger", "SQLite"} {
		list = append(list, mark{what: "commits, 128 writers", at: commit(128), against: name, level: 20})
	}
	list = append(list,
		mark{what: "transfers, uniform, 32 writers", at: settingOf("transfer", "uniform", 32), against: "Pebble", level: 1.2},
		mark{what: "transfers, zipf 0.99, 32 writers", at: settingOf("transfer", "zipf 0.99", 32), against: bestSafe, level: 5})
	for _, writers := range []int{32, 128} {
		list = append(list,
			mark{what: fmt.Sprintf("hot key, %d writers", writers), at: settingOf("hotkey", "", writers), against: suite.Device, base: settingOf("hotkey", "", 1), level: 10},
			mark{what: fmt.Sprintf("counter, %d writers", writers), at: settingOf("counter", "", writers), against: suite.Device, base: settingOf("counter", "", 1), level: 50})
	}
	return append(append(list, readMarks()...), graphMarks()...)
}

func readMarks() []mark {
	read := func(variant string, workers int) setting { return settingOf("read", variant, workers) }
	list := []mark{
		{what: "point reads, 1 reader", at: read(suite.CasePoint, 1), against: "bbolt", level: 2.5},
		{what: "point reads, 8 readers", at: read(suite.CasePoint, 8), against: "bbolt", level: 2.5},
		{what: "point reads, 8 readers beside 8 writers", at: read(suite.CaseBeside, 8), against: subject, base: read(suite.CasePoint, 8), level: 0.8},
		{what: "8 writers beside a full scan", at: read(suite.CaseScanned, 8), against: subject, base: read(suite.CaseAlone, 8), level: 0.85},
		{what: "full scan", at: read(suite.CaseScan, 1), against: "bbolt", level: parity},
		{what: "ranges of 100 keys", at: read(suite.CaseRange, 1), against: "bbolt", level: 1.3},
		{what: "load, sorted", at: settingOf("load", "sorted", 1), against: bestOfAll, level: 1.5},
		{what: "load, random", at: settingOf("load", "random", 1), against: bestOfAll, level: 1.5},
	}
	for _, letter := range []string{"A", "B", "C", "D", "E", "F"} {
		for _, name := range engineNames() {
			if name != subject {
				list = append(list, mark{what: "YCSB " + letter, at: settingOf("ycsb", letter, 8), against: name, level: parity})
			}
		}
	}
	return list
}

func graphMarks() (list []mark) {
	for depth := 1; depth <= 3; depth++ {
		at := settingOf("hops", suite.HopsCase(depth), 1)
		list = append(list,
			mark{what: at.Case, at: at, against: memoryLimit, level: 0.25},
			mark{what: at.Case, at: at, against: bestOfAll, level: parity})
	}
	edges := settingOf("import", suite.CaseImport, 1)
	list = append(list,
		mark{what: "import of edges", at: edges, against: bestOfAll, level: parity},
		mark{what: "import of edges", at: edges, rate: 900_000, level: parity})
	insert := func(writers int) setting { return settingOf("insert", "", writers) }
	list = append(list, mark{what: "inserts of nodes, 1 writer", at: insert(1), against: subject, base: settingOf("commit", "", 1), level: 0.85})
	for i, rate := range []float64{54_000, 81_000} {
		writers := []int{32, 128}[i]
		list = append(list, mark{what: "inserts of nodes, " + column(insert(writers)), at: insert(writers), rate: rate, level: parity})
	}
	for _, writers := range []int{1, 32, 128} {
		list = append(list, mark{what: "inserts of nodes, " + column(insert(writers)), at: insert(writers), against: bestOfAll, level: parity})
	}
	return list
}

// outcome is a mark with what was measured.
type outcome struct {
	mark
	other     string // whom it was compared with in the end
	elsewhere bool   // the other was measured in another setting
	ratio     figures.Spread
}

// verdict says whether the mark was reached, and says nothing where rounds disagree.
func (o outcome) verdict() string {
	switch {
	case o.ratio.Min >= o.level:
		return "reached"
	case o.ratio.Max < o.level:
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
	if m.rate > 0 {
		return r.rateOutcome(m)
	}
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
	measured, ok := figures.Ratio(mine, field[other])
	return outcome{m, other, elsewhere, measured}, ok
}

// rateOutcome compares with a rate that was measured before, or elsewhere.
func (r *results) rateOutcome(m mark) (outcome, bool) {
	mine := r.figures[m.at][subject]
	if mine == nil {
		return outcome{}, false
	}
	measured, ok := figures.RatioTo(mine, m.rate)
	if !ok {
		return outcome{}, false
	}
	m.against = figures.Number(m.rate) + " a second"
	return outcome{mark: m, other: m.against, ratio: measured}, true
}

// best returns the fastest other participant that is a database.
func best(field map[string]*figures.Figure, isolated bool) (name string) {
	for candidate, f := range field {
		switch {
		case candidate == subject || candidate == memoryLimit || candidate == suite.Device:
		case isolated && !isolates(candidate):
		case name == "" || f.Rate.Median > field[name].Rate.Median:
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
