package deadlock

// unvisited marks a node that the search has not reached.
const unvisited = -1

// tarjan finds the strongly connected components of a graph. It keeps its own
// call stack: a chain of waits may be longer than a goroutine stack should grow.
type tarjan struct {
	g       *graph
	order   []int // visiting order, or unvisited
	low     []int // lowest order that is reachable within the component
	pending []bool
	stack   []int // visited nodes whose component is not complete (pending)
	calls   []call
	visited int
	found   [][]int
}

// call is one suspended visit: the next edge of node to follow.
type call struct{ node, edge int }

// cyclic returns the components that contain a cycle, each in visiting order.
func cyclic(g *graph) [][]int {
	n := g.nodes()
	t := &tarjan{g: g, order: make([]int, n), low: make([]int, n), pending: make([]bool, n)}
	for i := range t.order {
		t.order[i] = unvisited
	}
	for i := range t.order {
		if t.order[i] == unvisited {
			t.search(i)
		}
	}
	return t.found
}

func (t *tarjan) search(root int) {
	t.enter(root)
	for len(t.calls) > 0 {
		c := &t.calls[len(t.calls)-1]
		if c.edge < t.g.from[c.node+1] {
			to := t.g.to[c.edge]
			c.edge++
			t.follow(c.node, to)
			continue
		}
		t.leave()
	}
}

func (t *tarjan) enter(node int) {
	t.order[node], t.low[node] = t.visited, t.visited
	t.visited++
	t.stack = append(t.stack, node)
	t.pending[node] = true
	t.calls = append(t.calls, call{node: node, edge: t.g.from[node]})
}

func (t *tarjan) follow(node, to int) {
	switch {
	case t.order[to] == unvisited:
		t.enter(to)
	case t.pending[to]:
		t.low[node] = min(t.low[node], t.order[to])
	}
}

// leave ends the innermost visit, and its component when node is the root of it.
func (t *tarjan) leave() {
	node := t.calls[len(t.calls)-1].node
	t.calls = t.calls[:len(t.calls)-1]
	if len(t.calls) > 0 {
		caller := t.calls[len(t.calls)-1].node
		t.low[caller] = min(t.low[caller], t.low[node])
	}
	if t.low[node] == t.order[node] {
		t.complete(node)
	}
}

func (t *tarjan) complete(root int) {
	at := len(t.stack) - 1
	for t.stack[at] != root {
		at--
	}
	members := t.stack[at:]
	for _, m := range members {
		t.pending[m] = false
	}
	if len(members) > 1 || t.g.loops(root) {
		t.found = append(t.found, append([]int(nil), members...))
	}
	t.stack = t.stack[:at]
}
