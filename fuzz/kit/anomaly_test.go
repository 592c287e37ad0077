package kit

import (
	"slices"
	"strings"
	"testing"
)

// story is a history and the most serious thing that is wrong with it.
type story struct {
	name    string
	history string
	opts    Options
	want    string // name of an anomaly, or "" for a legal history
	level   Level
	txns    []int // who takes part; not compared when nil
}

var stories = []story{
	{name: "one after the other", history: `
		ser: ax1 rx[1]
		ser: rx[1] ax2
		ser: rx[1,2] ry[]`},
	{name: "nothing at all", history: ``},

	// Lists that are wrong by themselves.
	{name: "a value from nowhere", want: "garbage read", level: ReadCommitted, txns: []int{1}, history: `
		rc: ax1
		rc: rx[1,7]`},
	{name: "a value of another key", want: "garbage read", level: ReadCommitted, txns: []int{1}, history: `
		rc: ax1 ay2
		rc: rx[1,2]`},
	{name: "a row outside of the range", want: "garbage read", level: ReadCommitted, txns: []int{1}, history: `
		ser: ax1
		ser: Ra-c{x[1]}`},
	{name: "a row twice", want: "garbage read", level: ReadCommitted, txns: []int{1}, history: `
		ser: ax1
		ser: Ra-z{x[1]x[1]}`},
	{name: "a value twice", want: "duplicate", level: ReadCommitted, history: `
		rc: ax1
		rc: ax2
		rc: rx[1,2,1]`},
	{name: "two orders", want: "incompatible order", level: ReadCommitted, txns: []int{2, 3}, history: `
		rc: ax1
		rc: ax2
		rc: rx[1,2]
		rc: rx[2,1]`},
	{name: "one overwrote the other", want: "incompatible order", level: ReadCommitted, txns: []int{2, 3}, history: `
		rc: ax1
		rc: ax2
		rc: rx[1]
		rc: rx[2]`},

	// What a transaction sees of itself.
	{name: "own append not seen", want: "internal", level: ReadCommitted, txns: []int{0}, history: `rc: ax1 rx[]`},
	{name: "own append not last", want: "internal", level: ReadCommitted, txns: []int{0}, history: `
		rc: ax1 rx[1,2]
		rc: ax2`},
	{name: "own append not seen by a range", want: "internal", level: ReadCommitted, txns: []int{0}, history: `ser: ax1 Rx-z{}`},
	{name: "own append seen too early", want: "internal", level: ReadCommitted, txns: []int{0}, history: `rc: rx[1] ax1`},
	{name: "own appends seen", history: `
		ser: ax1
		ser: rx[1] ax2 rx[1,2] ax3 rx[1,2,3] Ra-z{x[1,2,3]}`},
	{name: "a read changes at snapshot", want: "internal", level: ReadCommitted, txns: []int{1}, history: `
		si: ax1
		si: rx[] rx[1]`},
	{name: "a read changes at read committed", history: `
		si: ax1
		rc: rx[] rx[1]`},

	// G1a, G1b, and transactions of which nobody knows how they ended.
	{name: "aborted read", want: "G1a", level: ReadCommitted, txns: []int{0, 1}, history: `
		rc aborted: ax1
		rc: rx[1]`},
	{name: "aborted and not read", history: `
		rc aborted: ax1
		ser: rx[]`},
	{name: "an aborted one may read anything", history: `
		ser aborted: ax1
		ser aborted: rx[1] ry[9]`},
	{name: "aborted read by a range", want: "G1a", level: ReadCommitted, txns: []int{0, 1}, history: `
		rc aborted: ax1
		rc: Ra-z{x[1]}`},
	{name: "dirty update", want: "G1a", level: ReadCommitted, history: `
		rc aborted: ax1
		rc: ax2
		rc: rx[1,2]`},
	{name: "intermediate read", want: "G1b", level: ReadCommitted, txns: []int{0, 1}, history: `
		rc: ax1 ax2
		rc: rx[1]
		rc: rx[1,2]`},
	{name: "intermediate read, the rest was never read", want: "G1b", level: ReadCommitted, txns: []int{0, 1}, history: `
		rc: ax1 ax2
		rc: rx[1]`},
	{name: "several appends read together", history: `
		rc: ax1 ax2
		rc: rx[1,2]`},
	{name: "an unknown one that was read did commit", history: `
		ser unknown: ax1 ay2
		ser: rx[1] ry[2]`},
	{name: "an unknown one is there by halves", want: "G-single", level: Snapshot, txns: []int{0, 1}, history: `
		ser unknown: ax1 ay2
		ser: rx[1] ry[]`},
	{name: "an unknown one that was not read did not commit", history: `
		ser unknown: rx[9] ay2
		ser: ry[]`},
	{name: "an unknown one read by an unknown one that was read", want: "G-single", level: Snapshot, txns: []int{0, 2}, history: `
		ser unknown: ax1 ay2
		ser unknown: rx[1] az3
		ser: ry[] rx[1] rz[3]`},
	{name: "unknown ones that only read each other", history: `
		ser unknown: ax1 ry[2]
		ser unknown: ay2 rx[1]
		ser: rx[] ry[]`},

	// Cycles.
	{name: "dirty write", want: "G0", level: ReadCommitted, txns: []int{0, 1}, history: `
		rc: ax1 ay1
		rc: ax2 ay2
		rc: rx[1,2]
		rc: ry[2,1]`},
	{name: "writes in one order", history: `
		rc: ax1 ay1
		rc: ax2 ay2
		rc: rx[1,2]
		rc: ry[1,2]`},
	{name: "one write between two of another", want: "G0", level: ReadCommitted, txns: []int{0, 1}, history: `
		rc: ax1 ax3
		rc: ax2
		rc: rx[1,2,3]`},
	{name: "dirty write of three", want: "G0", level: ReadCommitted, txns: []int{0, 1, 2}, history: `
		rc: ax1 az1
		rc: ax2 ay2
		rc: ay3 az3
		rc: rx[1,2]
		rc: ry[2,3]
		rc: rz[3,1]`},
	{name: "circular information flow", want: "G1c", level: ReadCommitted, txns: []int{0, 1}, history: `
		rc: ax1 ry[2]
		rc: ay2 rx[1]`},
	{name: "information and a write", want: "G1c", level: ReadCommitted, txns: []int{0, 1}, history: `
		rc: ax1 ry[2]
		rc: ax2 ay2
		rc: rx[1,2]`},
	{name: "information flows one way", history: `
		rc: ax1 ry[]
		rc: ay2 rx[1]`},
	{name: "an observed transaction vanishes", want: "G-monotonic", level: MonotonicView, txns: []int{0, 1}, history: `
		rc: ax1 ay2
		mv: rx[1] ry[]`},
	{name: "an observed transaction vanishes at read committed", history: `
		rc: ax1 ay2
		rc: rx[1] ry[]`},
	{name: "the newest commit at each operation", history: `
		rc: ax1 ay2
		mv: ry[] rx[1] ry[2]`},
	{name: "an older state of the same key", want: "G-monotonic", level: MonotonicView, txns: []int{0, 1}, history: `
		rc: ax1
		mv: rx[1] rx[]`},
	{name: "a range shows part of a transaction", want: "G-monotonic", level: MonotonicView, txns: []int{0, 1}, history: `
		rc: ax1 ay2
		mv: Ra-z{x[1]}`},
	{name: "read skew", want: "G-single", level: Snapshot, txns: []int{0, 1}, history: `
		si: ax1 ay2
		si: rx[1] ry[]`},
	{name: "read skew below snapshot", history: `
		si: ax1 ay2
		mv: ry[] rx[1]`},
	{name: "read skew, the order of reads does not matter", want: "G-single", level: Snapshot, txns: []int{0, 1}, history: `
		si: ax1 ay2
		si: ry[] rx[1]`},
	{name: "read skew at serializable", want: "G-single", level: Snapshot, txns: []int{0, 1}, history: `
		rc: ax1 ay2
		ser: ry[] rx[1]`},
	{name: "read skew by a range", want: "G-single", level: Snapshot, txns: []int{0, 1}, history: `
		si: ax1 ay2
		si: Ra-z{x[1]}`},
	{name: "read skew through another", want: "G-single", level: Snapshot, txns: []int{0, 1, 2}, history: `
		si: ax1
		si: rx[1] ay2
		si: ry[2] rx[]`},
	{name: "lost update", want: "lost update", level: Snapshot, txns: []int{0, 1}, history: `
		si: rx[] ax1
		si: rx[] ax2
		si: rx[1,2]`},
	{name: "lost update that nobody saw", want: "lost update", level: Snapshot, txns: []int{0, 1}, history: `
		si: rx[] ax1
		si: rx[] ax2`},
	{name: "lost update of which one half was seen", want: "lost update", level: Snapshot, txns: []int{0, 1}, history: `
		ser: rx[] ax1
		ser: rx[] ax2
		ser: rx[1]`},
	{name: "lost update at monotonic view", history: `
		mv: rx[] ax1
		mv: rx[] ax2
		mv: rx[1,2]`},
	{name: "an update lost to a weaker level", history: `
		si: rx[] ax1
		rc: rx[] ax2
		si: rx[1,2]`},
	{name: "an update lost by a stronger level", want: "lost update", level: Snapshot, txns: []int{0, 1}, history: `
		rc: rx[] ax1
		si: rx[] ax2
		si: rx[1,2]`},
	{name: "an update lost in spite of a lock", want: "lost update", level: Snapshot, txns: []int{0, 1}, history: `
		rc: hx[] ax1
		rc: hx[] ax2
		rc: rx[1,2]`},
	{name: "an update lost in spite of a lock, unseen", want: "lost update", level: Snapshot, txns: []int{0, 1}, history: `
		rc: hx[] ax1
		rc: hx[] ax2`},
	{name: "concurrent blind writes at snapshot", want: "G-single", level: Snapshot, txns: []int{0, 1}, history: `
		si: ax1 ry[]
		si: ax2 ay2
		si: rx[2,1]`},
	{name: "a long fork", want: "G-nonadjacent", level: Snapshot, txns: []int{0, 2, 1, 3}, history: `
		si: ax1
		si: ay1
		si: rx[1] ry[]
		si: rx[] ry[1]`},
	{name: "a long fork below snapshot", history: `
		mv: ax1
		mv: ay1
		mv: ry[] rx[1]
		mv: rx[] ry[1]`},
	{name: "a long fork that monotonic views forbid", want: "G-nonadjacent", level: MonotonicView, history: `
		mv: ax1
		mv: ay1
		mv: rx[1] ry[]
		mv: ry[1] rx[]`},
	{name: "write skew", want: "G2-item", level: Serializable, txns: []int{0, 1}, history: `
		ser: rx[] ay1
		ser: ry[] ax2
		ser: rx[2] ry[1]`},
	{name: "write skew that nobody saw", want: "G2-item", level: Serializable, txns: []int{0, 1}, history: `
		ser: rx[] ay1
		ser: ry[] ax2`},
	{name: "write skew at snapshot", history: `
		si: rx[] ay1
		si: ry[] ax2
		ser: rx[2] ry[1]`},
	{name: "write skew of two levels", history: `
		si: rx[] ay1
		ser: ry[] ax2
		ser: rx[2] ry[1]`},
	{name: "write skew in spite of locks", want: "G2-item", level: Serializable, txns: []int{0, 1}, history: `
		rc: hx[] ay1
		si: hy[] ax2
		ser: rx[2] ry[1]`},
	{name: "the read-only transaction anomaly", want: "G2-item", level: Serializable, txns: []int{0, 1, 2}, history: `
		ser: rx[] ry[] ax1
		ser: ry[] ay2
		ser: rx[] ry[2]`},
	{name: "the read-only transaction anomaly at snapshot", history: `
		si: rx[] ry[] ax1
		si: ry[] ay2
		si: rx[] ry[2]`},
	{name: "a snapshot shows that serializable ones were not", want: "G2-item", level: Serializable, txns: []int{0, 2, 1}, history: `
		ser: ax1
		ser: rx[] ay2
		si: rx[1] ry[]`},
	{name: "the same without a serializable one", history: `
		si: ax1
		si: rx[] ay2
		si: rx[1] ry[]`},
	{name: "a phantom", want: "G2", level: Serializable, txns: []int{0, 1}, history: `
		ser: Ra-f{} ax1
		ser: Rx-z{} ab2
		ser: rx[1] rb[2]`},
	{name: "a phantom at snapshot", history: `
		si: Ra-f{} ax1
		si: Rx-z{} ab2
		si: rx[1] rb[2]`},
	{name: "a phantom behind a hold", want: "G2", level: Serializable, txns: []int{0, 1}, history: `
		rc: Ha-f{} ax1
		rc: Hx-z{} ab2`},
	{name: "a range of keys that are there", want: "G2-item", level: Serializable, history: `
		ser: ab1 ax1
		ser: Ra-f{b[1]} ax2
		ser: Rx-z{x[1]} ab2
		ser: rx[1,2] rb[1,2]`},
	{name: "two ranges that do not meet", history: `
		ser: Ra-f{} af1
		ser: Rx-z{} az2
		ser: rf[1] rz[2]`},

	// Order of processes and of time.
	{name: "a process forgets", opts: Options{Sessions: true}, want: "G-single-process", level: Snapshot, txns: []int{0, 1}, history: `
		ser p1: ax1
		ser p1: rx[]
		ser p2: rx[1]`},
	{name: "a process forgets, and may", history: `
		ser p1: ax1
		ser p1: rx[]`},
	{name: "a process reads backwards", opts: Options{Sessions: true}, want: "G-single-process", level: Snapshot, txns: []int{0, 1, 2}, history: `
		ser p1: ax1
		ser p2: rx[1]
		ser p2: rx[]`},
	{name: "two processes may disagree", opts: Options{Sessions: true}, history: `
		ser p1: ax1
		ser p2: rx[1]
		ser p3: rx[]`},
	{name: "a process that does not know whether it committed", opts: Options{Sessions: true}, history: `
		ser p1 unknown: ax1
		ser p1: rx[]
		ser p2: rx[1]`},
	{name: "a process reads what it will write", opts: Options{Sessions: true}, want: "G1c-process", level: ReadCommitted, txns: []int{0, 1}, history: `
		rc p1: rx[1]
		rc p1: ax1`},
	{name: "a process overtakes itself", opts: Options{Sessions: true}, want: "G0-process", level: ReadCommitted, txns: []int{0, 1}, history: `
		rc p1: ax1
		rc p1: ax2
		rc p2: rx[2,1]`},
	{name: "write skew in sessions", opts: Options{Sessions: true}, want: "G2-item-process", level: Serializable, txns: []int{0, 1, 2}, history: `
		ser p1: ax1
		ser p1: ry[]
		ser p2: rx[] ay2`},
	{name: "write skew of snapshots in sessions", opts: Options{Sessions: true}, history: `
		si p1: ax1
		si p1: ry[]
		si p2: rx[] ay2`},
	{name: "a long fork in sessions", opts: Options{Sessions: true}, want: "G-nonadjacent-process", level: Snapshot, txns: []int{0, 1, 2, 3}, history: `
		si p1: ax1
		si p1: ry[]
		si p2: ay1
		si p2: rx[]`},
	{name: "a stale read", want: "G-single-realtime", level: StrictSerializable, txns: []int{0, 1}, history: `
		strict 1-2: ax1
		strict 3-4: rx[]`},
	{name: "a stale read that only serializability allows", history: `
		ser 1-2: ax1
		ser 3-4: rx[]`},
	{name: "a stale read of one that is not strict", history: `
		ser 1-2: ax1
		strict 3-4: rx[]`},
	{name: "a read beside the write", history: `
		strict 1-3: ax1
		strict 2-4: rx[]`},
	{name: "time that touches", history: `
		strict 1-2: ax1
		strict 2-4: rx[]`},
	{name: "a stale snapshot", opts: Options{RealTime: true}, want: "G-single-realtime", level: Snapshot, txns: []int{0, 1}, history: `
		si 1-2: ax1
		si 3-4: rx[]`},
	{name: "a stale snapshot that is asked for nothing more", history: `
		si 1-2: ax1
		si 3-4: rx[]`},
	{name: "a stale view", opts: Options{RealTime: true}, want: "G-monotonic-realtime", level: MonotonicView, txns: []int{0, 1}, history: `
		mv 1-2: ax1
		mv 3-4: rx[]`},
	{name: "a read from the future", opts: Options{RealTime: true}, want: "G1c-realtime", level: ReadCommitted, txns: []int{0, 1}, history: `
		rc 1-2: rx[1]
		rc 3-4: ax1`},
	{name: "writes against time", opts: Options{RealTime: true}, want: "G0-realtime", level: ReadCommitted, txns: []int{0, 1}, history: `
		rc 1-2: ax1
		rc 3-4: ax2
		rc: rx[2,1]`},
	{name: "an acknowledged commit is lost", opts: Options{RealTime: true}, want: "G-single-realtime", level: Snapshot, history: `
		si 1-2: ax1
		si 3-4: rx[]
		si 5-6: rx[]`},
	{name: "an unknown one has no end", opts: Options{RealTime: true}, history: `
		si unknown 1-2: ax1
		si 3-4: rx[]
		si 5-6: rx[1]`},
	{name: "an unknown one has a beginning", opts: Options{RealTime: true}, want: "G1c-realtime", level: ReadCommitted, history: `
		si 1-2: rx[1]
		si unknown 3-4: ax1`},
	{name: "time through many", opts: Options{RealTime: true}, want: "G-single-realtime", level: Snapshot, txns: []int{0, 4}, history: `
		si 1-2: ax1
		si 3-4: az1
		si 5-6: az2
		si 7-8: az3
		si 9-10: rx[]`},
	{name: "write skew in time", opts: Options{RealTime: true}, want: "G2-item-realtime", level: Serializable, history: `
		ser 1-2: ax1
		ser 3-4: ry[]
		ser 1-4: rx[] ay2`},
	{name: "write skew of snapshots in time", opts: Options{RealTime: true}, history: `
		si 1-2: ax1
		si 3-4: ry[]
		si 1-4: rx[] ay2`},
}

func TestEachAnomalyIsFoundAndItsNeighbourPasses(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			h := script(t, s.history)
			r := Check(h, s.opts)
			verifyReport(t, h, r)
			if s.want == "" {
				if !r.OK() {
					t.Fatalf("should be legal:\n%v", r)
				}
				return
			}
			if r.OK() {
				t.Fatalf("%s not found", s.want)
			}
			a := r.Anomalies[0]
			if a.Name() != s.want || a.Level != s.level {
				t.Errorf("got %s from %v, want %s from %v:\n%v", a.Name(), a.Level, s.want, s.level, r)
			}
			if s.txns != nil && !slices.Equal(a.Txns, s.txns) {
				t.Errorf("got transactions %v, want %v:\n%v", a.Txns, s.txns, r)
			}
		})
	}
}

// verifyReport checks what holds for every report (K5): cycles are closed, go
// through no transaction twice, and each edge is true.
func verifyReport(t fataler, h History, r Report) {
	t.Helper()
	for _, a := range r.Anomalies {
		if a.Text == "" || r.Counts[a.Name()] == 0 {
			t.Fatalf("%s has no text or was not counted", a.Name())
		}
		for i, e := range a.Cycle {
			if next := a.Cycle[(i+1)%len(a.Cycle)]; e.To != next.From || a.Txns[i] != e.From {
				t.Fatalf("cycle is not closed:\n%v", a)
			}
			if slices.ContainsFunc(a.Cycle[:i], func(before Edge) bool { return before.From == e.From }) {
				t.Fatalf("T%d is in the cycle twice:\n%v", e.From, a)
			}
			if !trueEdge(h, e) {
				t.Fatalf("the edge %+v is not in the history:\n%v", e, a)
			}
		}
	}
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// trueEdge looks an edge up in the history, in the dumbest way.
func trueEdge(h History, e Edge) bool {
	from, to := h.Txns[e.From], h.Txns[e.To]
	switch e.Kind {
	case SessionEdge:
		return from.Process == to.Process && e.From < e.To && from.Status == Committed
	case RealTime:
		return from.Status == Committed && from.Completed != 0 && from.Completed < to.Invoked
	case WW:
		return slices.ContainsFunc(appendsTo(from, e.Key), func(a Value) bool {
			return slices.ContainsFunc(appendsTo(to, e.Key), func(b Value) bool { return precedes(h, e.Key, a, b) })
		})
	case WR:
		return slices.ContainsFunc(appendsTo(from, e.Key), func(a Value) bool {
			return slices.ContainsFunc(readsAt(to, e.Key), func(list []Value) bool { return slices.Contains(list, a) })
		})
	}
	return slices.ContainsFunc(readsAt(from, e.Key), func(list []Value) bool {
		return slices.ContainsFunc(appendsTo(to, e.Key), func(b Value) bool { return !slices.Contains(list, b) })
	})
}

func appendsTo(txn Txn, key Key) (list []Value) {
	for _, o := range txn.Ops {
		if o.Kind == OpAppend && o.Key == key {
			list = append(list, o.Value)
		}
	}
	return list
}

func readsAt(txn Txn, key Key) (lists [][]Value) {
	for _, o := range txn.Ops {
		switch {
		case o.Kind == OpRead && o.Key == key:
			lists = append(lists, o.List)
		case o.Kind == OpReadRange && o.Key <= key && key < o.End:
			i := slices.IndexFunc(o.Rows, func(r Row) bool { return r.Key == key })
			if i < 0 {
				lists = append(lists, nil)
			} else {
				lists = append(lists, o.Rows[i].List)
			}
		}
	}
	return lists
}

// precedes reports whether some list shows a and, later or not at all, b.
func precedes(h History, key Key, a, b Value) bool {
	for _, txn := range h.Txns {
		for _, list := range readsAt(txn, key) {
			i, j := slices.Index(list, a), slices.Index(list, b)
			if i >= 0 && (j < 0 || j > i) {
				return true
			}
		}
	}
	return false
}

func TestHistoriesThatCannotBeJudged(t *testing.T) {
	for _, s := range []struct{ name, history, text string }{
		{"no level", "p1: ax1", "no valid level"},
		{"a value appended twice", "rc: ax1\nrc: ax1", "twice"},
		{"a value appended twice by one", "rc: ax1 ax1", "twice"},
		{"an end before the beginning", "rc 5-3: ax1", "invoked at 5"},
		{"a range that ends before it begins", "rc: Rc-a{}", "ends before it begins"},
		{"a process at two places", "rc p1 1-5: ax1\nrc p1 3-7: ax2", "process 1 began"},
	} {
		t.Run(s.name, func(t *testing.T) {
			r := Check(script(t, s.history), Options{})
			if !r.Has(Malformed) || !strings.Contains(r.String(), s.text) {
				t.Errorf("got %v, want a malformed history with %q", r, s.text)
			}
		})
	}
	for name, txn := range map[string]Txn{
		"no status": {Level: Snapshot},
		"no kind":   {Level: Snapshot, Status: Committed, Ops: []Op{{}}},
		"bad kind":  {Level: Snapshot, Status: Committed, Ops: []Op{{Kind: 9}}},
		"bad level": {Level: 77, Status: Committed},
	} {
		if r := Check(History{Txns: []Txn{txn}}, Options{}); !r.Has(Malformed) {
			t.Errorf("%s: got %v", name, r)
		}
	}
}
