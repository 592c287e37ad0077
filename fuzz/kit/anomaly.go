package kit

import (
	"fmt"
	"slices"
	"strings"
)

// Class is a kind of anomaly. The G classes are Adya's (Weak Consistency, 1999).
type Class string

// The classes, most serious first.
const (
	// Malformed: not a fault of the store, but a history that cannot be judged.
	Malformed Class = "malformed history"
	// Garbage: something was read that nobody wrote, or that was not asked for.
	Garbage Class = "garbage read"
	// Duplicate: a value is in a list more than once.
	Duplicate Class = "duplicate"
	// IncompatibleOrder: of two lists read at a key neither is the beginning of the other.
	IncompatibleOrder Class = "incompatible order"
	// Internal: a transaction does not see its own appends, or sees what it read change.
	Internal Class = "internal"
	// G1a: a value of an aborted transaction was read.
	G1a Class = "G1a"
	// DirtyUpdate: a committed transaction appended behind a value of an aborted one.
	DirtyUpdate Class = "dirty update"
	// G1b: a state of a key from the middle of another transaction was read.
	G1b Class = "G1b"
	// G0: a cycle of writes.
	G0 Class = "G0"
	// G1c: a cycle of writes and reads of what was written.
	G1c Class = "G1c"
	// GMonotonic: a cycle with one anti-dependency, of an operation that saw less
	// than the operations before it. Observed transactions vanish this way.
	GMonotonic Class = "G-monotonic"
	// LostUpdate: two transactions read the same version of a key and both wrote it.
	LostUpdate Class = "lost update"
	// GSingle: a cycle with exactly one anti-dependency, as in read skew.
	GSingle Class = "G-single"
	// GNonadjacent: a cycle with several anti-dependencies, no two in a row.
	GNonadjacent Class = "G-nonadjacent"
	// G2Item: a cycle with anti-dependencies in a row, as in write skew.
	G2Item Class = "G2-item"
	// G2: the same with a phantom: an anti-dependency on a key that a range read did not find.
	G2 Class = "G2"
)

// classes lists them by rank, with the weakest level that forbids each.
var classes = []struct {
	class Class
	level Level
}{
	{Malformed, ReadCommitted}, {Garbage, ReadCommitted}, {Duplicate, ReadCommitted},
	{IncompatibleOrder, ReadCommitted}, {Internal, ReadCommitted}, {G1a, ReadCommitted},
	{DirtyUpdate, ReadCommitted}, {G1b, ReadCommitted}, {G0, ReadCommitted}, {G1c, ReadCommitted},
	{GMonotonic, MonotonicView},
	{LostUpdate, Snapshot}, {GSingle, Snapshot}, {GNonadjacent, Snapshot},
	{G2Item, Serializable}, {G2, Serializable},
}

func (c Class) rank() int {
	for i := range classes {
		if classes[i].class == c {
			return i
		}
	}
	return len(classes)
}

func (c Class) level() Level { return classes[c.rank()].level }

// EdgeKind says why one transaction comes before another.
type EdgeKind uint8

// The kinds of edges.
const (
	intra       EdgeKind = iota // between the events of one transaction; not in reports
	WW                          // To appended behind what From appended
	WR                          // To read what From appended
	RW                          // From read the state before To appended
	PredicateRW                 // From read a range that lacked the key where To appended
	SessionEdge                 // To came after From in their process
	RealTime                    // From had completed when To was invoked
)

var edgeNames = [...]string{"", "ww", "wr", "rw", "predicate rw", "session", "real time"}

func (k EdgeKind) String() string { return edgeNames[min(int(k), len(edgeNames)-1)] }

func (k EdgeKind) anti() bool { return k == RW || k == PredicateRW }

// Edge is a step of a cycle: why From comes before To.
type Edge struct {
	From, To int // indexes in History.Txns
	Kind     EdgeKind
	Key      Key    // of WW, WR, RW and PredicateRW
	Text     string // the reason in words
	held     bool   // the anti-dependency of a held read
}

// Anomaly is something that the level of a transaction forbids.
type Anomaly struct {
	Class Class
	// Order is SessionEdge or RealTime when the anomaly is one only because
	// transactions have to agree with the order of their process, or with real
	// time; else it is zero.
	Order EdgeKind
	// Level is the weakest level that forbids the class. Transactions of a
	// weaker one are part of a cycle only with what their own level asks for.
	Level Level
	Txns  []int  // who takes part, in the order of the cycle, if there is one
	Cycle []Edge // the smallest cycle that was found; the last edge leads back to the first transaction
	Text  string // what happened, in one line
	// transactions as text, since the report outlives the history.
	members []string
}

// Name returns the class with its suffix: "G-single-realtime", "G1c-process".
func (a Anomaly) Name() string {
	switch a.Order {
	case RealTime:
		return string(a.Class) + "-realtime"
	case SessionEdge:
		return string(a.Class) + "-process"
	}
	return string(a.Class)
}

// String explains the anomaly on several lines.
func (a Anomaly) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", a.Name())
	if a.Class != Malformed {
		fmt.Fprintf(&b, ", forbidden from %v on", a.Level)
	}
	fmt.Fprintf(&b, ": %s\n", a.Text)
	for _, m := range a.members {
		fmt.Fprintf(&b, "    %s\n", m)
	}
	return b.String()
}

// Report is the outcome of a check.
type Report struct {
	// Anomalies are what was found, most serious first, at most Options.Limit of each name.
	Anomalies []Anomaly
	// Counts has all that were found, by name.
	Counts map[string]int
	// Txns counts all transactions of the history, Committed those that count as committed.
	Txns, Committed int
	// Edges counts the edges of the graph that was searched for cycles.
	Edges int
}

// OK reports whether nothing was found.
func (r Report) OK() bool { return len(r.Anomalies) == 0 }

// Has reports whether an anomaly of the class was found.
func (r Report) Has(class Class) bool {
	return slices.ContainsFunc(r.Anomalies, func(a Anomaly) bool { return a.Class == class })
}

// Err returns nil when nothing was found, else a *ViolationError.
func (r Report) Err() error {
	if r.OK() {
		return nil
	}
	return &ViolationError{Report: r}
}

// String returns one line, and all anomalies explained below it.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d transactions committed, %d edges: ", r.Committed, r.Txns, r.Edges)
	if r.OK() {
		b.WriteString("no anomaly\n")
		return b.String()
	}
	b.WriteString(r.summary() + "\n")
	for _, a := range r.Anomalies {
		b.WriteString(a.String())
	}
	return b.String()
}

// summary lists the names with their counts, most serious first.
func (r Report) summary() string {
	var parts []string
	seen := map[string]bool{}
	for _, a := range r.Anomalies {
		if name := a.Name(); !seen[name] {
			seen[name] = true
			parts = append(parts, fmt.Sprintf("%d %s", r.Counts[name], name))
		}
	}
	return strings.Join(parts, ", ")
}
