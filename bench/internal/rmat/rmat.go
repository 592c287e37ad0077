// Package rmat makes random graphs whose degrees are as uneven as those of social networks, by the recursive matrix
// method of Chakrabarti, Zhan and Faloutsos, "R-MAT: A recursive model for graph mining" (SDM 2004), with the
// parameters of the Graph500 benchmark.
package rmat

import (
	"cmp"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// Edge leads from one node to another; nodes are numbered from 0.
type Edge struct{ Src, Dst uint32 }

// Graph is a directed graph without loops and double edges. Edges are sorted by source, then destination.
type Graph struct {
	Nodes int
	Edges []Edge
}

// The probabilities of the quadrants: both ends low, source low, destination low; both high is the rest.
const (
	bothLow = 0.57
	srcLow  = 0.19
	dstLow  = 0.19
)

// New makes the graph that belongs to a size and seed. Nodes are renumbered at random, so that hubs lie everywhere. It
// refuses more edges than a quarter of all pairs, since then the last ones would be hard to find.
func New(nodes, edges int, seed uint64) (*Graph, error) {
	if nodes < 2 || edges < 0 || edges > nodes*(nodes-1)/4 {
		return nil, fmt.Errorf("bench: a graph of %d nodes cannot have %d edges: at least 2 nodes, and edges up to a quarter of all pairs",
			nodes, edges)
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	number := rng.Perm(nodes)
	levels := bits.Len(uint(nodes - 1))
	seen := make(map[Edge]struct{}, edges)
	g := &Graph{Nodes: nodes, Edges: make([]Edge, 0, edges)}
	for len(g.Edges) < edges {
		src, dst := draw(rng, levels)
		if src >= nodes || dst >= nodes || src == dst {
			continue
		}
		e := Edge{uint32(number[src]), uint32(number[dst])}
		if _, double := seen[e]; double {
			continue
		}
		seen[e] = struct{}{}
		g.Edges = append(g.Edges, e)
	}
	slices.SortFunc(g.Edges, func(a, b Edge) int { return cmp.Or(cmp.Compare(a.Src, b.Src), cmp.Compare(a.Dst, b.Dst)) })
	return g, nil
}

// draw chooses a cell of the adjacency matrix, one quadrant after the other.
func draw(rng *rand.Rand, levels int) (src, dst int) {
	for range levels {
		src, dst = src<<1, dst<<1
		switch p := rng.Float64(); {
		case p < bothLow:
		case p < bothLow+srcLow:
			dst |= 1
		case p < bothLow+srcLow+dstLow:
			src |= 1
		default:
			src, dst = src|1, dst|1
		}
	}
	return src, dst
}
