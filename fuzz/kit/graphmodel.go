package kit

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/sombradb/sombra/graph"
)

// Graph is a model of a property graph: a map of nodes and one of edges. Change the maps as the code under test should
// change the graph, then compare with ReadGraph and Diff.
type Graph struct {
	Nodes map[graph.NodeID]graph.Node
	Edges map[graph.EdgeID]graph.Edge
}

// NewGraph returns an empty graph.
func NewGraph() *Graph {
	return &Graph{Nodes: map[graph.NodeID]graph.Node{}, Edges: map[graph.EdgeID]graph.Edge{}}
}

// ReadGraph returns everything that a transaction sees. It fails when an edge is not found at both of its ends.
func ReadGraph(tx *graph.Txn) (*Graph, error) {
	g := NewGraph()
	for n, err := range tx.Nodes() {
		if err != nil {
			return nil, err
		}
		g.Nodes[n.ID] = n
	}
	for e, err := range tx.AllEdges() {
		if err != nil {
			return nil, err
		}
		g.Edges[e.ID] = e
	}
	for id := range g.Nodes {
		for e, err := range tx.Edges(id, graph.Both) {
			if err != nil {
				return nil, err
			}
			if known, ok := g.Edges[e.ID]; !ok || !sameEdge(known, e) {
				return nil, &differ{fmt.Sprintf("kit: node %d has the edge %v, the list of all edges has %v", id, e, known), nil}
			}
		}
	}
	return g, nil
}

// Clone returns a copy. Nodes and edges share their labels and properties with it, so replace these as a whole.
func (g *Graph) Clone() *Graph {
	return &Graph{Nodes: maps.Clone(g.Nodes), Edges: maps.Clone(g.Edges)}
}

// Detach deletes a node and its edges.
func (g *Graph) Detach(id graph.NodeID) {
	delete(g.Nodes, id)
	maps.DeleteFunc(g.Edges, func(_ graph.EdgeID, e graph.Edge) bool { return e.Src == id || e.Dst == id })
}

// Diff describes the first difference between the graph and another one, got, that should be the same; "" when there is none. The
// order of labels does not matter.
func (g *Graph) Diff(got *Graph) string {
	for _, id := range slices.Sorted(maps.Keys(g.Nodes)) {
		if n, ok := got.Nodes[id]; !ok || !sameNode(n, g.Nodes[id]) {
			return fmt.Sprintf("node %d is %v, found %v, want %v", id, n, ok, g.Nodes[id])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(g.Edges)) {
		if e, ok := got.Edges[id]; !ok || !sameEdge(e, g.Edges[id]) {
			return fmt.Sprintf("edge %d is %v, found %v, want %v", id, e, ok, g.Edges[id])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(got.Nodes)) {
		if _, ok := g.Nodes[id]; !ok {
			return fmt.Sprintf("node %d should not be there", id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(got.Edges)) {
		if _, ok := g.Edges[id]; !ok {
			return fmt.Sprintf("edge %d should not be there", id)
		}
	}
	return ""
}

func sameNode(a, b graph.Node) bool {
	la, lb := slices.Sorted(slices.Values(a.Labels)), slices.Sorted(slices.Values(b.Labels))
	return a.ID == b.ID && slices.Equal(la, lb) && sameProps(a.Props, b.Props)
}

func sameEdge(a, b graph.Edge) bool {
	return a.ID == b.ID && a.Src == b.Src && a.Dst == b.Dst && a.Type == b.Type && sameProps(a.Props, b.Props)
}

func sameProps(a, b graph.Props) bool { return len(a)+len(b) == 0 || reflect.DeepEqual(a, b) }
