package rmat

import (
	"hash/crc32"
	"slices"
	"testing"
)

func make10k(t *testing.T, seed uint64) *Graph {
	t.Helper()
	g, err := New(1000, 10_000, seed)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func sum(g *Graph) uint32 {
	var b []byte
	for _, e := range g.Edges {
		b = append(b, byte(e.Src), byte(e.Src>>8), byte(e.Dst), byte(e.Dst>>8))
	}
	return crc32.ChecksumIEEE(b)
}

func TestAGraphFollowsFromSizeAndSeed(t *testing.T) {
	a, b := make10k(t, 1), make10k(t, 1)
	if !slices.Equal(a.Edges, b.Edges) {
		t.Error("one seed gave two graphs")
	}
	if slices.Equal(a.Edges, make10k(t, 2).Edges) {
		t.Error("two seeds gave one graph")
	}
	// Results of different releases can be compared only while this does not change.
	if got, want := sum(a), uint32(0x9e8990a0); got != want {
		t.Errorf("the graph of seed 1 has checksum %#x, want %#x", got, want)
	}
}

func TestEdgesAreDistinctSortedAndInRange(t *testing.T) {
	g := make10k(t, 3)
	if len(g.Edges) != 10_000 {
		t.Fatalf("%d edges, want 10000", len(g.Edges))
	}
	for i, e := range g.Edges {
		if e.Src == e.Dst || int(e.Src) >= g.Nodes || int(e.Dst) >= g.Nodes {
			t.Fatalf("edge %v is a loop or out of range", e)
		}
		if i > 0 && (g.Edges[i-1].Src > e.Src || g.Edges[i-1].Src == e.Src && g.Edges[i-1].Dst >= e.Dst) {
			t.Fatalf("edge %v follows %v", e, g.Edges[i-1])
		}
	}
}

func TestDegreesAreUneven(t *testing.T) {
	g := make10k(t, 4)
	degrees := make([]int, g.Nodes)
	for _, e := range g.Edges {
		degrees[e.Src]++
	}
	slices.Sort(degrees)
	top := 0
	for _, d := range degrees[g.Nodes*9/10:] {
		top += d
	}
	if share := float64(top) / 10_000; share < 0.35 || share > 0.75 {
		t.Errorf("a tenth of the nodes has %.2f of the edges, want about half", share)
	}
}

func TestTooManyEdgesAreRefused(t *testing.T) {
	for _, c := range []struct{ nodes, edges int }{{1, 0}, {10, 23}, {10, -1}} {
		if _, err := New(c.nodes, c.edges, 1); err == nil {
			t.Errorf("%d nodes with %d edges were made", c.nodes, c.edges)
		}
	}
}
