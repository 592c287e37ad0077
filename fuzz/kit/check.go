package kit

import (
	"fmt"
	"math"
	"slices"
)

// Options say what is asked of a history beyond the levels of its transactions.
// The zero value asks for nothing more.
type Options struct {
	// Sessions demands that transactions of all levels see what their process did
	// before, and nothing older than what it saw.
	Sessions bool
	// RealTime demands that transactions of all levels see whatever had completed
	// when they were invoked. It turns Snapshot into strong snapshot isolation.
	// StrictSerializable transactions are held to it among themselves in any case.
	RealTime bool
	// Limit is how many anomalies of each name the report explains; all are
	// counted. Default 10.
	Limit int
}

const defaultLimit = 10

// Check looks for everything in a history that the levels of its transactions
// forbid. It does not change the history, and it is safe to check one from
// several goroutines.
//
// Time and memory grow linearly with operations, elements of lists, and keys
// within range reads.
//
// The method is that of Kingsbury and Alvaro, Elle (VLDB 2020); the package
// comment says how levels are mixed.
func Check(h History, opts Options) Report {
	if opts.Limit <= 0 {
		opts.Limit = defaultLimit
	}
	c := &checker{h: h, opts: opts}
	c.report.Counts = map[string]int{}
	c.report.Txns = len(h.Txns)
	if c.validate(); c.report.OK() {
		c.register()
	}
	if c.report.OK() {
		c.run()
	}
	slices.SortStableFunc(c.report.Anomalies, moreSerious)
	return c.report
}

// moreSerious puts plain anomalies before those that need the order of sessions
// or real time, and then goes by rank.
func moreSerious(a, b Anomaly) int {
	if a.Order != b.Order {
		return int(a.Order) - int(b.Order)
	}
	return a.Class.rank() - b.Class.rank()
}

// checker is one run of Check.
type checker struct {
	h      History
	opts   Options
	report Report

	keys     []Key // sorted, so that a range of keys is a range of indexes
	keyIndex map[Key]int32
	appends  []appended
	byValue  map[element]int32 // index into appends

	counted []bool // transactions that count as committed
	pending []int32
	orders  []keyOrder // by key index
	obs     []observation
	obsOf   []span  // by transaction, into obs
	own     []local // by key index: scratch of the transaction being visited
	present []int32 // by key index: the range read that found the key last
	ranges  int32

	lost map[keyTxn]struct{} // who lost an update that nobody read

	nodes nodes
}

// span is a half-open range of indexes.
type span struct{ from, to int32 }

func (c *checker) run() {
	c.observe()
	c.resolve()
	c.direct()
	c.lostUnobserved()
	c.layout()
	g, ok := c.build()
	if !ok {
		return
	}
	c.report.Edges = len(g.to)
	c.cycles(g)
}

// validate finds what makes a history impossible to judge.
func (c *checker) validate() {
	if len(c.h.Txns) > math.MaxInt32/4 {
		c.malformed(0, "%d transactions are too many for one check; check in epochs", len(c.h.Txns))
		return
	}
	last := map[int]int{}
	for i := range c.h.Txns {
		t := &c.h.Txns[i]
		c.validateTxn(i, t)
		if before, ok := last[t.Process]; ok && t.Invoked != 0 && c.h.Txns[before].Completed > t.Invoked {
			c.malformed(i, "process %d began %s at %d, before its %s completed at %d", t.Process,
				txnName(i), t.Invoked, txnName(before), c.h.Txns[before].Completed)
		}
		last[t.Process] = i
	}
}

func (c *checker) validateTxn(i int, t *Txn) {
	switch {
	case !t.Level.valid():
		c.malformed(i, "%s has no valid level: %v", txnName(i), t.Level)
	case !t.Status.valid():
		c.malformed(i, "%s has no valid status: %v", txnName(i), t.Status)
	case t.Invoked < 0 || t.Completed < 0 || t.Completed != 0 && t.Completed < t.Invoked:
		c.malformed(i, "%s was invoked at %d and completed at %d", txnName(i), t.Invoked, t.Completed)
	}
	for n := range t.Ops {
		o := &t.Ops[n]
		switch {
		case o.Kind < OpAppend || o.Kind > OpReadRange:
			c.malformed(i, "operation %d of %s has no valid kind: %d", n, txnName(i), o.Kind)
		case o.Kind == OpReadRange && o.End < o.Key:
			c.malformed(i, "operation %d of %s reads the range [%d,%d), which ends before it begins", n, txnName(i), o.Key, o.End)
		}
	}
}

func (c *checker) malformed(t int, format string, args ...any) {
	c.found(Malformed, []int{t}, func() string { return fmt.Sprintf(format, args...) })
}

// found adds an anomaly that is not a cycle. The text is made only if it is kept.
func (c *checker) found(class Class, txns []int, text func() string) {
	c.keep(Anomaly{Class: class, Level: class.level(), Txns: txns}, func(a *Anomaly) { a.Text = text() })
}

// keep counts an anomaly, and completes and adds it as long as there are not too
// many of its name.
func (c *checker) keep(a Anomaly, complete func(*Anomaly)) {
	name := a.Name()
	c.report.Counts[name]++
	if c.report.Counts[name] > c.opts.Limit {
		return
	}
	complete(&a)
	for i, t := range a.Txns {
		if t < len(c.h.Txns) && !slices.Contains(a.Txns[:i], t) {
			a.members = append(a.members, txnName(t)+": "+c.h.Txns[t].String())
		}
	}
	c.report.Anomalies = append(c.report.Anomalies, a)
}
