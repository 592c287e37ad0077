package rmat

import "testing"

// distances finds all by relaxing every edge again and again.
func distances(g *Graph, start uint32) map[uint32]int {
	at := map[uint32]int{start: 0}
	for changed := true; changed; {
		changed = false
		for _, e := range g.Edges {
			d, reached := at[e.Src]
			if old, known := at[e.Dst]; reached && (!known || d+1 < old) {
				at[e.Dst], changed = d+1, true
			}
		}
	}
	return at
}

func TestAnArrayAnswersAsRelaxationDoes(t *testing.T) {
	g, err := New(300, 600, 7) // so few edges that not all is connected
	if err != nil {
		t.Fatal(err)
	}
	c := NewCSR(g)
	unreachable := 0
	for start := range uint32(40) {
		all := distances(g, start)
		for _, depth := range []int{1, 2, 3, Unlimited} {
			var want Reach
			for node, d := range all {
				if d > 0 && d <= depth {
					want.Add(uint64(node), d)
				}
			}
			if got := c.Reach(start, depth); got != want {
				t.Fatalf("node %d reaches %+v within %d, want %+v", start, got, depth, want)
			}
		}
		for to := range uint32(g.Nodes) {
			want, there := all[to]
			if !there {
				want = -1
				unreachable++
			}
			if got := c.Distance(start, to); got != want {
				t.Fatalf("node %d is %d away from %d, want %d", to, got, start, want)
			}
		}
	}
	if unreachable == 0 {
		t.Error("nothing was unreachable")
	}
	total := 0
	for n := range uint32(g.Nodes) {
		total += c.Degree(n)
	}
	if total != len(g.Edges) {
		t.Errorf("the degrees sum up to %d, want %d", total, len(g.Edges))
	}
}
