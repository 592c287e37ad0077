package fuzz

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/sombradb/sombra/graph"
)

// graphState is what the workload's graph holds, or should hold.
type graphState struct {
	commits map[commitID]*graphCommit
	items   map[string]int64  // counts by key
	links   map[string]string // "a>b" by key
	next    map[commitID]commitID
}

type graphCommit struct {
	nonce uint64
	ops   []string
}

func newGraphState() *graphState {
	return &graphState{
		commits: map[commitID]*graphCommit{}, items: map[string]int64{},
		links: map[string]string{}, next: map[commitID]commitID{},
	}
}

// auditGraph verifies that the graph is what the commits in it made, and Check.
func auditGraph(ctx context.Context, db *graph.DB) (*survivors, error) {
	s := &survivors{entries: map[commitID]*entry{}, heads: map[uint64]head{}}
	err := db.View(ctx, func(tx *graph.Txn) error {
		found, err := loadGraph(tx)
		if err != nil {
			return err
		}
		for id, c := range found.commits {
			s.entries[id] = &entry{id: id, nonce: c.nonce}
			s.heads[id.writer] = head{seq: max(s.heads[id.writer].seq, id.seq)}
		}
		if err := s.contiguous(); err != nil {
			return err
		}
		return found.compare(found.replay())
	})
	if err != nil {
		return s, err
	}
	report, err := db.Check(ctx)
	if len(report.Problems) > 0 {
		return s, violated("Check: %v", errors.Join(report.Problems...))
	}
	return s, err
}

// loadGraph reads the whole graph.
func loadGraph(tx *graph.Txn) (*graphState, error) {
	s, names := newGraphState(), map[graph.NodeID]string{}
	for node, err := range tx.Nodes() {
		if err == nil {
			err = s.addNode(node)
		}
		if err != nil {
			return s, err
		}
		names[node.ID] = nameOf(node)
	}
	for edge, err := range tx.AllEdges() {
		if err == nil {
			err = s.addEdge(edge, names)
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *graphState) addNode(node graph.Node) error {
	number := func(name string) uint64 {
		n, _ := node.Props[name].AsInt()
		return uint64(n)
	}
	switch {
	case node.HasLabel("Item"):
		s.items[nameOf(node)] = int64(number("count"))
	case node.HasLabel("Commit"):
		ops, _ := node.Props["ops"].AsString()
		s.commits[commitID{number("writer"), number("seq")}] = &graphCommit{nonce: number("nonce"), ops: strings.Fields(ops)}
	default:
		return violated("node %d was never written", node.ID)
	}
	return nil
}

func (s *graphState) addEdge(edge graph.Edge, names map[graph.NodeID]string) error {
	from, to := names[edge.Src], names[edge.Dst]
	switch edge.Type {
	case "LINK":
		key, _ := edge.Props["key"].AsString()
		s.links[key] = from + ">" + to
		return nil
	case "NEXT":
		a, b := parseID(from), parseID(to)
		s.next[a] = b
		return nil
	}
	return violated("edge %d of type %q was never written", edge.ID, edge.Type)
}

func parseID(text string) (id commitID) {
	_, _ = fmt.Sscanf(text, "%d/%d", &id.writer, &id.seq) // what does not parse matches nothing
	return id
}

// replay returns the graph that the commits in s should have made. The order
// of commits does not matter: a key is created once, and what is deleted stays so.
func (s *graphState) replay() *graphState {
	want := newGraphState()
	var gone []string
	want.commits = s.commits
	for id, c := range s.commits {
		if id.seq > 1 {
			want.next[commitID{id.writer, id.seq - 1}] = id
		}
		for _, op := range c.ops {
			switch key := op[1:]; op[0] {
			case '+':
				want.items[key] += 0
			case '*':
				want.items[key]++
			case '-', '!':
				gone = append(gone, key)
			default:
				ends, link, _ := strings.Cut(op, "#")
				want.links[link] = ends
			}
		}
	}
	for _, key := range gone {
		delete(want.items, key)
		delete(want.links, key)
	}
	maps.DeleteFunc(want.links, func(_, ends string) bool {
		from, to, _ := strings.Cut(ends, ">")
		_, fromThere := want.items[from]
		_, toThere := want.items[to]
		return !fromThere || !toThere
	})
	return want
}

// compare verifies that the graph is as its commits say.
func (s *graphState) compare(want *graphState) error {
	return errors.Join(
		same("item", s.items, want.items),
		same("link", s.links, want.links),
		same("order of commits, after", s.next, want.next),
	)
}

// same compares two maps and names the first difference.
func same[K comparable, V comparable](what string, got, want map[K]V) error {
	for key, w := range want {
		if g, found := got[key]; !found || g != w {
			return violated("%s %v: got %v (there: %t), want %v", what, key, g, found, w)
		}
	}
	for key, g := range got {
		if _, found := want[key]; !found {
			return violated("%s %v: %v, which no commit made or which was deleted", what, key, g)
		}
	}
	return nil
}
