package kit

import (
	"fmt"
	"slices"
)

// phase looks for cycles of some kinds of edges that have at least one edge of
// the kinds that are new in it. Phases go from the most serious to the least, so
// that a cycle is not hidden by another that needs more kinds of edges.
type phase struct{ within, fresh kindSet }

var phases = func() (list []phase) {
	var order kindSet
	for _, add := range []kindSet{0, kinds(SessionEdge), kinds(RealTime)} {
		order |= add
		within := order | kinds(intra)
		for _, more := range []kindSet{kinds(WW), kinds(WR), kinds(RW, PredicateRW)} {
			within |= more
			fresh := add
			if add == 0 {
				fresh = more
			}
			list = append(list, phase{within, fresh})
		}
	}
	return list
}()

// cycles reports one small cycle for each component of each phase.
func (c *checker) cycles(g *eventGraph) {
	all := ^kindSet(0)
	tangled := g.components(all)
	if len(tangled) == 0 {
		return
	}
	f := c.newFinder(g, tangled)
	reported := map[string]bool{}
	for _, p := range phases {
		for _, part := range f.g.components(p.within) {
			if cycle := f.smallest(part, p); cycle != nil {
				c.reportCycle(f, cycle, reported)
			}
		}
	}
}

// link is an edge of a cycle, between events of transactions.
type link struct {
	from, to       int32 // nodes
	fromTxn, toTxn int32
	kind           EdgeKind
	key            int32
	held           bool
}

// reportCycle turns a cycle of events into one of transactions and reports it,
// unless it was reported already.
func (c *checker) reportCycle(f *finder, path []int32, reported map[string]bool) {
	links := rotate(simple(c.lift(f, path)))
	a := Anomaly{Class: c.classify(links), Order: ordering(links)}
	a.Level = c.levelOf(a, links)
	id := string(a.Class)
	for _, l := range links {
		a.Txns = append(a.Txns, int(l.fromTxn))
		id += fmt.Sprint(" ", l.fromTxn, l.kind)
	}
	if reported[id] {
		return
	}
	reported[id] = true
	c.keep(a, func(a *Anomaly) {
		for _, l := range links {
			a.Cycle = append(a.Cycle, c.edge(l))
		}
		a.Text = cycleText(a.Cycle)
	})
}

// lift maps the edges of a cycle to transactions: edges within a transaction go,
// and a way through barriers becomes one edge.
func (c *checker) lift(f *finder, path []int32) []link {
	var links []link
	for _, e := range path {
		from, to, kind := f.node[f.from[e]], f.node[f.g.to[e]], f.g.kind[e]
		switch {
		case kind == intra:
		case kind == RealTime && c.nodes.isBarrier(from):
			if !c.nodes.isBarrier(to) {
				last := &links[len(links)-1]
				last.to, last.toTxn = to, c.nodes.txn(to)
			}
		default:
			l := link{from: from, to: to, fromTxn: c.nodes.txn(from), kind: kind, key: f.g.key[e]}
			if !c.nodes.isBarrier(to) {
				l.toTxn = c.nodes.txn(to)
			}
			l.held = kind.anti() && from == c.nodes.commit(l.fromTxn) && c.h.Txns[l.fromTxn].Level < Serializable
			links = append(links, l)
		}
	}
	return links
}

// simple cuts a cycle short until no transaction is in it twice (K5). Of the two
// parts that a repeated transaction makes of it, at least one is a cycle: events
// are in a line, and a part is closed if it comes back at or before the event
// where it left.
func simple(links []link) []link {
	for {
		i, j, found := repeated(links)
		if !found {
			return links
		}
		if inner := links[i:j]; inner[len(inner)-1].to <= inner[0].from {
			links = inner
		} else {
			links = slices.Concat(links[j:], links[:i])
		}
	}
}

func repeated(links []link) (int, int, bool) {
	at := map[int32]int{}
	for j, l := range links {
		if i, ok := at[l.fromTxn]; ok {
			return i, j, true
		}
		at[l.fromTxn] = j
	}
	return 0, 0, false
}

// rotate makes the cycle begin at its first transaction by number.
func rotate(links []link) []link {
	first := 0
	for i, l := range links {
		if l.fromTxn < links[first].fromTxn {
			first = i
		}
	}
	return slices.Concat(links[first:], links[:first])
}

func ordering(links []link) (order EdgeKind) {
	for _, l := range links {
		if l.kind == SessionEdge || l.kind == RealTime {
			order = max(order, l.kind)
		}
	}
	return order
}

// classify names a cycle after its edges.
func (c *checker) classify(links []link) Class {
	var anti []int
	reads, predicate, adjacent := false, false, false
	for i, l := range links {
		if !l.kind.anti() {
			reads = reads || l.kind == WR
			continue
		}
		anti = append(anti, i)
		predicate = predicate || l.kind == PredicateRW
		adjacent = adjacent || links[(i+1)%len(links)].kind.anti()
	}
	switch {
	case len(anti) == 0 && !reads:
		return G0
	case len(anti) == 0:
		return G1c
	case len(anti) == 1:
		return c.classifySingle(links, links[anti[0]])
	case !adjacent:
		return GNonadjacent
	case predicate:
		return G2
	}
	return G2Item
}

func (c *checker) classifySingle(links []link, anti link) Class {
	for _, l := range links {
		if len(links) == 2 && l.kind == WW && l.key == anti.key {
			return LostUpdate
		}
	}
	if c.monotonic(anti) {
		return GMonotonic
	}
	return GSingle
}

// levelOf returns the weakest level that forbids a cycle.
func (c *checker) levelOf(a Anomaly, links []link) Level {
	if a.Order == RealTime && !c.opts.RealTime {
		return StrictSerializable
	}
	if a.Class == GNonadjacent && slices.ContainsFunc(links, c.monotonic) {
		return MonotonicView
	}
	return a.Class.level()
}

// monotonic reports whether a link is there because views are monotonic.
func (c *checker) monotonic(l link) bool {
	return l.kind.anti() && !l.held && c.h.Txns[l.fromTxn].Level == MonotonicView
}
