package deadlock

// searchBudget bounds the edges looked at in one component: some milliseconds.
const searchBudget = 1 << 20

// Cycles returns disjoint elementary cycles as indices into waiters, each in
// waiting order: every member waits for the next, the last for the first. Every
// strongly connected component with a cycle yields at least one, a shortest one
// first. Blockers that are not waiters themselves are ignored.
func Cycles(waiters []Waiter) [][]int {
	g := newGraph(waiters)
	components := cyclic(&g)
	if len(components) == 0 {
		return nil
	}
	s := newSearch(&g)
	for _, members := range components {
		s.component(members)
	}
	return s.cycles
}

// search looks for cycles inside one component after the other.
type search struct {
	g      *graph
	home   []int // component of a node; 0 when it is in none, or in a found cycle
	seen   []int // the walk that last reached the node
	via    []int // its predecessor on that walk
	depth  []int // nodes on the path from the start, both ends counted
	queue  []int
	walk   int
	homes  int
	budget int
	cycles [][]int
}

func newSearch(g *graph) *search {
	n := g.nodes()
	return &search{g: g, home: make([]int, n), seen: make([]int, n), via: make([]int, n), depth: make([]int, n)}
}

// component appends the cycles of one strongly connected component.
func (s *search) component(members []int) {
	s.homes++
	s.budget = searchBudget
	for _, m := range members {
		s.home[m] = s.homes
	}
	s.take(s.shortest(members))
	for _, start := range members {
		if s.budget <= 0 {
			return
		}
		if s.home[start] == s.homes {
			s.take(s.through(start, 0))
		}
	}
}

// take appends a cycle and keeps its nodes out of all others (D2).
func (s *search) take(cycle []int) {
	if cycle == nil {
		return
	}
	s.cycles = append(s.cycles, cycle)
	for _, node := range cycle {
		s.home[node] = 0
	}
}

// shortest returns a shortest cycle among the members. The first walk always
// finds one, because from each member a path leads back to it.
func (s *search) shortest(members []int) []int {
	var best []int
	for _, start := range members {
		if best != nil && s.budget <= 0 {
			break
		}
		if shorter := s.through(start, len(best)); shorter != nil {
			best = shorter
		}
	}
	return best
}

// through returns a shortest cycle through start, or nil when there is none or
// none with less than below nodes (0: any length).
func (s *search) through(start, below int) []int {
	s.walk++
	s.queue = s.queue[:0]
	s.reach(start, start, 1)
	for head := 0; head < len(s.queue); head++ {
		node := s.queue[head]
		if below > 0 && s.depth[node] >= below {
			return nil
		}
		for _, to := range s.g.next(node) {
			s.budget--
			if to == start {
				return s.path(node)
			}
			if s.home[to] == s.homes && s.seen[to] != s.walk {
				s.reach(to, node, s.depth[node]+1)
			}
		}
	}
	return nil
}

func (s *search) reach(node, via, depth int) {
	s.seen[node], s.via[node], s.depth[node] = s.walk, via, depth
	s.queue = append(s.queue, node)
}

// path returns the nodes from the start of the walk to last.
func (s *search) path(last int) []int {
	nodes := make([]int, s.depth[last])
	for i := len(nodes) - 1; i >= 0; i-- {
		nodes[i] = last
		last = s.via[last]
	}
	return nodes
}
