package kit

// finder looks for small cycles in the tangled part of a graph.
type finder struct {
	g    *eventGraph // of the nodes that are in some component, and the edges within components
	node []int32     // number of a node in the whole graph
	from []int32     // source of each edge
	// by node: it is a barrier, and leaving it is free
	barrier []bool

	part  []int32 // by node: the component that is being searched, or an earlier one
	parts int32
	seen  []int32 // by node: the search that reached it last
	via   []int32 // by node: the edge through which it was reached
	round int32
	here  []visit
	later []visit
}

// visit is a node to go to, and the edge that leads there.
type visit struct{ node, edge int32 }

// noEdge leads to the start of a search.
const noEdge = -1

// newFinder copies what lies within components.
func (c *checker) newFinder(g *eventGraph, tangled []component) *finder {
	f := &finder{g: &eventGraph{head: []int32{0}}}
	number := map[int32]int32{}
	home := map[int32]int{}
	for i, part := range tangled {
		for _, v := range part {
			number[v] = int32(len(f.node))
			home[v] = i
			f.node = append(f.node, v)
			f.barrier = append(f.barrier, c.nodes.isBarrier(v))
		}
	}
	for i, v := range f.node {
		for e := g.head[v]; e < g.head[v+1]; e++ {
			if w := g.to[e]; sameHome(home, v, w) {
				f.g.to = append(f.g.to, number[w])
				f.g.kind = append(f.g.kind, g.kind[e])
				f.g.key = append(f.g.key, g.key[e])
				f.from = append(f.from, int32(i))
			}
		}
		f.g.head = append(f.g.head, int32(len(f.g.to)))
	}
	n := len(f.node)
	f.part, f.seen, f.via = make([]int32, n), make([]int32, n), make([]int32, n)
	return f
}

func sameHome(home map[int32]int, v, w int32) bool {
	there, ok := home[w]
	return ok && there == home[v]
}

const (
	// tries is from how many edges of a component cycles are looked for.
	tries = 256
	// visits bounds the search for smaller cycles in a component; the first cycle
	// is found whatever it takes (K4).
	visits = 1 << 20
)

// smallest returns the edges of a small cycle within a component, or nil when
// none goes through an edge of a fresh kind. One with a single anti-dependency is
// preferred to shorter ones with more.
func (f *finder) smallest(part component, p phase) []int32 {
	f.enter(part)
	starts := f.starts(part, p.fresh)
	if len(starts) == 0 {
		return nil
	}
	budget := visits
	if anti := kinds(RW, PredicateRW); p.within&anti != 0 {
		if single := f.shortest(f.starts(part, anti), p.within&^anti, &budget, false); single != nil {
			return single
		}
	}
	return f.shortest(starts, p.within, &budget, true)
}

// shortest returns the shortest of the cycles that begin with one of some edges
// and go back over edges of some kinds.
func (f *finder) shortest(starts []int32, within kindSet, budget *int, must bool) (best []int32) {
	for _, e := range starts {
		must := must && best == nil
		if *budget <= 0 && !must {
			break
		}
		back := f.path(f.g.to[e], f.from[e], within, budget, must)
		if cycle := append([]int32{e}, back...); back != nil && (best == nil || f.length(cycle) < f.length(best)) {
			best = cycle
		}
	}
	return best
}

// enter makes a component the one to search in.
func (f *finder) enter(part component) {
	f.parts++
	for _, v := range part {
		f.part[v] = f.parts
	}
}

// starts chooses edges of some kinds within a component, evenly. Real time
// begins at a transaction, not at a barrier.
func (f *finder) starts(part component, of kindSet) []int32 {
	var all []int32
	for _, v := range part {
		for e := f.g.head[v]; e < f.g.head[v+1]; e++ {
			if of.has(f.g.kind[e]) && f.part[f.g.to[e]] == f.parts && !f.barrier[v] {
				all = append(all, e)
			}
		}
	}
	if len(all) <= tries {
		return all
	}
	some := make([]int32, tries)
	for i := range some {
		some[i] = all[i*len(all)/tries]
	}
	return some
}

// weight is what an edge adds to the length of a cycle of transactions.
func (f *finder) weight(e int32) int {
	if f.g.kind[e] == intra || f.barrier[f.from[e]] {
		return 0
	}
	return 1
}

func (f *finder) length(path []int32) (n int) {
	for _, e := range path {
		n += f.weight(e)
	}
	return n
}

// path returns the edges of a shortest way between two nodes of the component at
// hand, in the order of weight, or nil. It gives up when the budget is spent,
// unless it has to go on.
func (f *finder) path(from, to int32, within kindSet, budget *int, must bool) []int32 {
	f.round++
	f.here, f.later = append(f.here[:0], visit{from, noEdge}), f.later[:0]
	for len(f.here) > 0 {
		next := f.here[len(f.here)-1]
		f.here = f.here[:len(f.here)-1]
		if f.seen[next.node] != f.round {
			f.seen[next.node], f.via[next.node] = f.round, next.edge
			if next.node == to {
				return f.trace(to)
			}
			if *budget--; *budget < 0 && !must {
				return nil
			}
			f.expand(next.node, within)
		}
		if len(f.here) == 0 {
			f.here, f.later = f.later, f.here
		}
	}
	return nil
}

func (f *finder) expand(v int32, within kindSet) {
	for e := f.g.head[v]; e < f.g.head[v+1]; e++ {
		w := f.g.to[e]
		if !within.has(f.g.kind[e]) || f.part[w] != f.parts || f.seen[w] == f.round {
			continue
		}
		if f.weight(e) == 0 {
			f.here = append(f.here, visit{w, e})
		} else {
			f.later = append(f.later, visit{w, e})
		}
	}
}

// trace follows the edges back to the start of the search.
func (f *finder) trace(to int32) []int32 {
	path := []int32{}
	for v := to; f.via[v] != noEdge; v = f.from[f.via[v]] {
		path = append(path, f.via[v])
	}
	for i, j := 0, len(path)-1; i < j; i, j = i+1, j-1 {
		path[i], path[j] = path[j], path[i]
	}
	return path
}
