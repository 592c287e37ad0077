package kit

// kindSet is a set of kinds of edges.
type kindSet uint16

func kinds(list ...EdgeKind) (s kindSet) {
	for _, k := range list {
		s |= 1 << k
	}
	return s
}

func (s kindSet) has(k EdgeKind) bool { return s>>k&1 != 0 }

// component is a set of nodes of which each reaches each other.
type component []int32

// components returns the strongly connected components of more than one node,
// looking only at edges of some kinds. Edges from a node to itself do not exist.
// The algorithm is Tarjan's (Depth-first search and linear graph algorithms,
// 1972), with a stack of its own instead of recursion.
func (g *eventGraph) components(within kindSet) []component {
	n := len(g.head) - 1
	s := &tarjan{
		g: g, within: within,
		index: make([]int32, n), low: make([]int32, n), next: make([]int32, n),
	}
	for v := range n {
		if s.index[v] == 0 {
			s.search(int32(v))
		}
	}
	return s.found
}

// tarjan is the state of one search.
type tarjan struct {
	g      *eventGraph
	within kindSet
	index  []int32 // in the order of discovery, from 1
	low    []int32 // lowest index on the stack that is known to be reachable; done when off it
	next   []int32 // the edge to follow next, relative to head
	open   []int32 // nodes that have no component yet
	path   []int32
	last   int32
	found  []component
}

// done marks a node that has its component.
const done = 1<<31 - 1

func (s *tarjan) search(root int32) {
	s.enter(root)
	for len(s.path) > 0 {
		v := s.path[len(s.path)-1]
		if w, ok := s.step(v); ok {
			s.enter(w)
			continue
		}
		s.path = s.path[:len(s.path)-1]
		low := s.low[v]
		if low == s.index[v] {
			s.close(v)
		} else {
			parent := s.path[len(s.path)-1]
			s.low[parent] = min(s.low[parent], low)
		}
	}
}

func (s *tarjan) enter(v int32) {
	s.last++
	s.index[v], s.low[v] = s.last, s.last
	s.open = append(s.open, v)
	s.path = append(s.path, v)
}

// step follows edges of v up to the first one that leads to a new node.
func (s *tarjan) step(v int32) (int32, bool) {
	g := s.g
	for e := g.head[v] + s.next[v]; e < g.head[v+1]; e++ {
		if !s.within.has(g.kind[e]) {
			continue
		}
		w := g.to[e]
		if s.index[w] == 0 {
			s.next[v] = e - g.head[v] + 1
			return w, true
		}
		if s.low[w] != done {
			s.low[v] = min(s.low[v], s.index[w])
		}
	}
	return 0, false
}

// close takes the component of v from the stack.
func (s *tarjan) close(v int32) {
	i := len(s.open) - 1
	for s.open[i] != v {
		i--
	}
	for _, w := range s.open[i:] {
		s.low[w] = done
	}
	if i < len(s.open)-1 {
		s.found = append(s.found, append(component(nil), s.open[i:]...))
	}
	s.open = s.open[:i]
}
