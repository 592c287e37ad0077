package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/sombradb/sombra/graph"
)

func (a *app) pathCommand() *cobra.Command {
	var q pathQuery
	var direction string
	cmd := &cobra.Command{
		Use:   "path DB FROM TO",
		Short: "Find a shortest path between two nodes",
		Long: `path finds a path of the fewest edges, or with --weight one with the least sum of an
edge property, which every edge on the way must then have.

FROM and TO are nodes. ` + nodeHelp,
		Example: `  sombra path social.db 17 42 --type KNOWS --direction both
  sombra path routes.db airport.code=AUS airport.code=OSL --type route --weight dist`,
		Args: takes("DB", "FROM", "TO"),
	}
	f := cmd.Flags()
	f.StringSliceVar(&q.rules.Types, "type", nil, "only edges of these types")
	f.StringVar(&direction, "direction", "out", "follow edges out, in or both ways: out, in, both")
	f.StringVar(&q.weight, "weight", "", "edge property to sum up, a number that is not negative")
	f.IntVar(&q.rules.MaxDepth, "max-depth", 0, "at most so many edges (default no limit; not with --weight)")
	addKeyFlag(cmd, &q.key)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if q.rules.Direction, err = parseDirection(cmd, direction); err != nil {
			return err
		}
		if err := q.validate(cmd); err != nil {
			return err
		}
		if q.from, err = parseNode(cmd, args[1]); err != nil {
			return err
		}
		if q.to, err = parseNode(cmd, args[2]); err != nil {
			return err
		}
		return a.viewing(cmd, args[0], func(tx *graph.Txn) error { return a.path(tx, q) })
	}
	return cmd
}

// pathQuery is what path was asked.
type pathQuery struct {
	from, to nodeArg
	key      string
	weight   string
	rules    graph.Traversal
}

func (q *pathQuery) validate(cmd *cobra.Command) error {
	switch {
	case q.rules.MaxDepth < 0:
		return usagef(cmd, "--max-depth is %d, want 0 or more", q.rules.MaxDepth)
	case q.rules.MaxDepth > 0 && q.weight != "":
		return usagef(cmd, "--max-depth cannot be combined with --weight: a cheapest path under a limit of edges is another problem")
	}
	return nil
}

func (q *pathQuery) search(tx *graph.Txn) (graph.Path, error) {
	from, err := q.from.resolve(tx, q.key)
	if err != nil {
		return graph.Path{}, err
	}
	to, err := q.to.resolve(tx, q.key)
	if err != nil {
		return graph.Path{}, err
	}
	if q.weight != "" {
		return tx.WeightedShortestPath(from, to, q.weight, q.rules)
	}
	return tx.ShortestPath(from, to, q.rules)
}

// pathAnswer is a path as it is printed.
type pathAnswer struct {
	Nodes []nodeJSON `json:"nodes"`
	Edges []edgeJSON `json:"edges"`
	Cost  float64    `json:"cost"`

	nodes  []graph.Node
	edges  []graph.Edge
	weight string
}

func (a *app) path(tx *graph.Txn, q pathQuery) error {
	path, err := q.search(tx)
	if err != nil {
		return err
	}
	answer := pathAnswer{Cost: path.Cost, Nodes: []nodeJSON{}, Edges: []edgeJSON{}, edges: path.Edges, weight: q.weight}
	for _, id := range path.Nodes {
		node, err := tx.Node(id)
		if err != nil {
			return err
		}
		answer.nodes = append(answer.nodes, node)
		answer.Nodes = append(answer.Nodes, nodeToJSON(node))
	}
	for _, e := range path.Edges {
		answer.Edges = append(answer.Edges, edgeToJSON(e))
	}
	return a.print(answer, answer.write)
}

func (p *pathAnswer) write(w io.Writer) error {
	l := &lines{w: w}
	for i, node := range p.nodes {
		if i > 0 {
			l.f("  %s", edgeText(p.edges[i-1], p.nodes[i-1].ID))
		}
		l.f("%s", nodeText(node))
	}
	if p.weight != "" {
		l.f("%s, %s %v", plural(len(p.edges), "edge"), p.weight, p.Cost)
	} else {
		l.f("%s", plural(len(p.edges), "edge"))
	}
	return l.err
}
