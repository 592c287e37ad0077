package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sombradb/sombra/graph"
)

// ask answers a question in one read-only transaction and notes what it took.
func (r *demoRun) ask(ctx context.Context, question string, answer func(*graph.Txn) (string, error)) error {
	r.progress("questions", int64(len(r.res.Questions)), 4)
	start := time.Now()
	var text string
	err := r.db.View(ctx, func(tx *graph.Txn) (err error) {
		text, err = answer(tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("bench: %s: %w", question, err)
	}
	r.res.Questions = append(r.res.Questions, DemoQuestion{Question: question, Answer: text, Elapsed: time.Since(start)})
	return nil
}

// explore asks the graph some questions.
func (r *demoRun) explore(ctx context.Context) error {
	last := len(r.people) - 1
	r.res.Pair = [2]graph.NodeID{r.ids[last-1], r.ids[last]}
	handle := r.people[last].handle
	return errors.Join(
		r.ask(ctx, "Who is best known?", r.bestKnown),
		r.ask(ctx, fmt.Sprintf("Who has the handle %s?", handle), func(tx *graph.Txn) (string, error) { return findHandle(tx, handle) }),
		r.ask(ctx, "How many friends of friends has that person?", func(tx *graph.Txn) (string, error) {
			return friendsOfFriends(tx, r.res.Pair[1])
		}),
		r.ask(ctx, fmt.Sprintf("How is %s connected to %s?", r.people[last-1].name, r.people[last].name), func(tx *graph.Txn) (string, error) {
			return connection(tx, r.res.Pair[0], r.res.Pair[1])
		}),
	)
}

// bestKnown counts everybody's edges and names the top three.
func (r *demoRun) bestKnown(tx *graph.Txn) (string, error) {
	type known struct{ number, by int }
	var all []known
	for i, id := range r.ids {
		n, err := tx.Degree(id, graph.In, "KNOWS")
		if err != nil {
			return "", err
		}
		all = append(all, known{i, n})
	}
	slices.SortFunc(all, func(a, b known) int { return cmp.Or(b.by-a.by, a.number-b.number) })
	r.res.Hub = DemoExample{ID: r.ids[all[0].number], Handle: r.people[all[0].number].handle}
	var names []string
	for _, k := range all[:3] {
		names = append(names, fmt.Sprintf("%s (%s)", r.people[k.number].name, Count(k.by)))
	}
	return strings.Join(names, ", "), nil
}

func findHandle(tx *graph.Txn, handle string) (string, error) {
	for n, err := range tx.Find("Person", "handle", graph.String(handle)) {
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%s, node %d", nameOf(n), n.ID), nil
	}
	return "nobody", nil
}

func nameOf(n graph.Node) string {
	name, _ := n.Props["name"].AsString()
	return name
}

func friendsOfFriends(tx *graph.Txn, id graph.NodeID) (string, error) {
	var byDepth [3]int
	for v, err := range tx.BFS(id, graph.Traversal{Direction: graph.Both, Types: []string{"KNOWS"}, MaxDepth: 2}) {
		if err != nil {
			return "", err
		}
		byDepth[v.Depth]++
	}
	return fmt.Sprintf("%s friends, %s friends of friends", Count(byDepth[1]), Count(byDepth[2])), nil
}

func connection(tx *graph.Txn, from, to graph.NodeID) (string, error) {
	path, err := tx.ShortestPath(from, to, graph.Traversal{Direction: graph.Both, Types: []string{"KNOWS"}})
	if errors.Is(err, graph.ErrNoPath) {
		return "not at all", nil
	}
	if err != nil {
		return "", err
	}
	var names []string
	for _, id := range path.Nodes {
		n, err := tx.Node(id)
		if err != nil {
			return "", err
		}
		names = append(names, nameOf(n))
	}
	return strings.Join(names, " - "), nil
}
