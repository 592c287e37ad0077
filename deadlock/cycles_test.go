package deadlock

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// waitsFor builds waiters 1..n from a map of blockers.
func waitsFor(n int, edges map[TxnID][]TxnID) []Waiter {
	waiters := make([]Waiter, n)
	for i := range waiters {
		id := TxnID(i + 1)
		waiters[i] = Waiter{ID: id, Blockers: edges[id]}
	}
	return waiters
}

func ids(waiters []Waiter, cycles [][]int) [][]TxnID {
	var out [][]TxnID
	for _, cycle := range cycles {
		var c []TxnID
		for _, i := range cycle {
			c = append(c, waiters[i].ID)
		}
		out = append(out, c)
	}
	return out
}

func TestCyclesOfKnownGraphs(t *testing.T) {
	tests := []struct {
		name    string
		waiters []Waiter
		want    [][]TxnID
	}{
		{"nobody waits", nil, nil},
		{"a chain is no cycle", waitsFor(3, map[TxnID][]TxnID{1: {2}, 2: {3}}), nil},
		{"a running blocker cannot be in a cycle", waitsFor(2, map[TxnID][]TxnID{1: {2}, 2: {9}}), nil},
		{"two wait for each other", waitsFor(2, map[TxnID][]TxnID{1: {2}, 2: {1}}), [][]TxnID{{1, 2}}},
		{"one waits for itself", waitsFor(2, map[TxnID][]TxnID{2: {2}}), [][]TxnID{{2}}},
		{"the second blocker closes the cycle", waitsFor(3, map[TxnID][]TxnID{1: {7, 2}, 2: {8, 3}, 3: {9, 1}}), [][]TxnID{{1, 2, 3}}},
		{"the short cycle is preferred", waitsFor(4, map[TxnID][]TxnID{1: {2}, 2: {3}, 3: {4}, 4: {1, 3}}), [][]TxnID{{4, 3}}},
		{"a bystander who waits for the cycle is not in it", waitsFor(3, map[TxnID][]TxnID{1: {2}, 2: {3}, 3: {2}}), [][]TxnID{{2, 3}}},
		{"two separate cycles", waitsFor(4, map[TxnID][]TxnID{1: {2}, 2: {1}, 3: {4}, 4: {3}}), [][]TxnID{{1, 2}, {3, 4}}},
		{"disjoint cycles of one component", waitsFor(4, map[TxnID][]TxnID{1: {2}, 2: {1, 3}, 3: {4}, 4: {3, 1}}), [][]TxnID{{1, 2}, {3, 4}}},
		{"of two with one id the first counts", []Waiter{{ID: 1, Blockers: []TxnID{2}}, {ID: 2}, {ID: 2, Blockers: []TxnID{1}}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ids(tt.waiters, Cycles(tt.waiters))
			if !slices.EqualFunc(got, tt.want, sameCycle) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// sameCycle compares cycles wherever they start.
func sameCycle(a, b []TxnID) bool {
	for i := range a {
		if slices.Equal(append(slices.Clone(a[i:]), a[:i]...), b) {
			return true
		}
	}
	return len(a)+len(b) == 0
}

func TestLargeGraphsTakeBoundedWork(t *testing.T) {
	const n = 20_000
	t.Run("a long chain", func(t *testing.T) {
		waiters := make([]Waiter, n)
		for i := range waiters {
			waiters[i] = Waiter{ID: TxnID(i), Blockers: []TxnID{TxnID(i + 1)}}
		}
		if got := Cycles(waiters); got != nil {
			t.Errorf("found %d cycles in a chain", len(got))
		}
	})
	t.Run("a long ring", func(t *testing.T) {
		waiters := make([]Waiter, n)
		for i := range waiters {
			waiters[i] = Waiter{ID: TxnID(i), Blockers: []TxnID{TxnID((i + 1) % n)}}
		}
		if got := Cycles(waiters); len(got) != 1 || len(got[0]) != n {
			t.Errorf("found %d cycles in a ring", len(got))
		}
	})
	t.Run("everybody waits for everybody", func(t *testing.T) {
		const all = 300
		waiters := make([]Waiter, all)
		for i := range waiters {
			waiters[i].ID = TxnID(i)
			for j := range all {
				if i != j {
					waiters[i].Blockers = append(waiters[i].Blockers, TxnID(j))
				}
			}
		}
		if got := Cycles(waiters); len(got) != all/2 {
			t.Errorf("found %d cycles, want %d pairs", len(got), all/2)
		}
	})
}

// drawGraph returns a small random graph, with blockers that do not wait and
// blockers named twice.
func drawGraph(t *rapid.T) []Waiter {
	n := rapid.IntRange(1, 7).Draw(t, "nodes")
	waiters := make([]Waiter, n)
	for i := range waiters {
		waiters[i].ID = TxnID(i + 1)
		waiters[i].Blockers = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) TxnID {
			return TxnID(rapid.IntRange(1, n+1).Draw(t, "blocker"))
		}), 0, 3).Draw(t, "blockers")
	}
	return waiters
}

// bruteCycles returns all elementary cycles among the allowed nodes, each
// starting at its smallest node, by trying every path.
func bruteCycles(waiters []Waiter, allowed func(int) bool) [][]int {
	var found [][]int
	var walk func(path []int)
	walk = func(path []int) {
		last := path[len(path)-1]
		for next := range waiters {
			if !allowed(next) || !slices.Contains(waiters[last].Blockers, waiters[next].ID) {
				continue
			}
			switch {
			case next == path[0]:
				found = append(found, slices.Clone(path))
			case next > path[0] && !slices.Contains(path, next):
				walk(append(path, next))
			}
		}
	}
	for start := range waiters {
		if allowed(start) {
			walk([]int{start})
		}
	}
	return found
}

// reachable returns which nodes lead to which others, by repeated joining.
func reachable(waiters []Waiter) [][]bool {
	r := make([][]bool, len(waiters))
	for i := range r {
		r[i] = make([]bool, len(waiters))
		for j := range r[i] {
			r[i][j] = slices.Contains(waiters[i].Blockers, waiters[j].ID)
		}
	}
	for k := range r {
		for i := range r {
			for j := range r {
				r[i][j] = r[i][j] || r[i][k] && r[k][j]
			}
		}
	}
	return r
}

func TestCyclesAgreeWithABruteForceSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		waiters := drawGraph(t)
		all := func(int) bool { return true }
		checkCycles(t, waiters, Cycles(waiters), bruteCycles(waiters, all))
	})
}

func checkCycles(t *rapid.T, waiters []Waiter, got, every [][]int) {
	used := map[int]bool{}
	for _, cycle := range got {
		for i, node := range cycle {
			next := cycle[(i+1)%len(cycle)]
			if !slices.Contains(waiters[node].Blockers, waiters[next].ID) {
				t.Fatalf("D1: %v has no edge from %d to %d", cycle, node, next)
			}
			if used[node] {
				t.Fatalf("D2: node %d is in two places of %v", node, got)
			}
			used[node] = true
		}
	}
	leads := reachable(waiters)
	for _, cycle := range every {
		first := slices.IndexFunc(got, func(c []int) bool {
			return c[0] == cycle[0] || leads[c[0]][cycle[0]] && leads[cycle[0]][c[0]]
		})
		if first < 0 {
			t.Fatalf("D3: nothing found in the component of %v", cycle)
		}
		if len(got[first]) > len(cycle) {
			t.Fatalf("D4: found %v first, but %v is shorter", got[first], cycle)
		}
	}
	if left := bruteCycles(waiters, func(i int) bool { return !used[i] }); len(left) > 0 {
		t.Fatalf("D5: %v overlooks %v", got, left)
	}
}

func BenchmarkCycles(b *testing.B) {
	const n = 1000
	chain := make([]Waiter, n)
	for i := range chain {
		chain[i] = Waiter{ID: TxnID(i), Blockers: []TxnID{TxnID(i + 1), TxnID(i + 2), TxnID(i + 3)}}
	}
	ring := slices.Clone(chain)
	ring[n-1].Blockers = []TxnID{0}
	for _, bm := range []struct {
		name    string
		waiters []Waiter
	}{{"no cycle of 1000", chain}, {"one ring of 1000", ring}} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Cycles(bm.waiters)
			}
		})
	}
}
