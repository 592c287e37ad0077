package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/sombradb/sombra/graph"
)

func (a *app) neighborsCommand() *cobra.Command {
	var q neighborQuery
	var direction string
	cmd := &cobra.Command{
		Use:   "neighbors DB NODE",
		Short: "Show the edges at a node and the nodes behind them",
		Long:  "neighbors shows the edges at a node and the nodes behind them.\n\n" + nodeHelp,
		Example: `  sombra neighbors social.db 17 --direction in --type KNOWS --limit 5
  sombra neighbors routes.db airport.code=OSL --type route`,
		Args: takes("DB", "NODE"),
	}
	f := cmd.Flags()
	f.StringVar(&direction, "direction", "both", "edges that go out, come in, or both: out, in, both")
	f.StringSliceVar(&q.types, "type", nil, "only edges of these types")
	f.IntVar(&q.limit, "limit", 25, "show at most so many, 0 for all")
	addKeyFlag(cmd, &q.key)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if q.direction, err = parseDirection(cmd, direction); err != nil {
			return err
		}
		if q.limit < 0 {
			return usagef(cmd, "--limit is %d, want 0 or more", q.limit)
		}
		if q.node, err = parseNode(cmd, args[1]); err != nil {
			return err
		}
		return a.viewing(cmd, args[0], func(tx *graph.Txn) error { return a.neighbors(tx, q) })
	}
	return cmd
}

func parseDirection(cmd *cobra.Command, text string) (graph.Direction, error) {
	for _, d := range [...]graph.Direction{graph.Out, graph.In, graph.Both} {
		if text == d.String() {
			return d, nil
		}
	}
	return 0, usagef(cmd, "--direction is %q, want out, in or both", text)
}

// neighborQuery is what neighbors was asked.
type neighborQuery struct {
	node      nodeArg
	key       string
	direction graph.Direction
	types     []string
	limit     int
}

// neighborhood is the answer.
type neighborhood struct {
	Node      nodeJSON   `json:"node"`
	Neighbors []neighbor `json:"neighbors"`
	More      bool       `json:"more"` // than were asked for

	center graph.Node
}

// neighbor is one edge and the node behind it.
type neighbor struct {
	Edge edgeJSON `json:"edge"`
	Node nodeJSON `json:"node"`

	edge graph.Edge
	node graph.Node
}

func (a *app) neighbors(tx *graph.Txn, q neighborQuery) error {
	id, err := q.node.resolve(tx, q.key)
	if err != nil {
		return err
	}
	n := neighborhood{Neighbors: []neighbor{}}
	if n.center, err = tx.Node(id); err != nil {
		return err
	}
	n.Node = nodeToJSON(n.center)
	for e, err := range tx.Edges(id, q.direction, q.types...) {
		if err != nil {
			return err
		}
		if q.limit > 0 && len(n.Neighbors) == q.limit {
			n.More = true
			break
		}
		other, err := tx.Node(e.Other(id))
		if err != nil {
			return err
		}
		n.Neighbors = append(n.Neighbors, neighbor{edgeToJSON(e), nodeToJSON(other), e, other})
	}
	return a.print(n, n.write)
}

func (n *neighborhood) write(w io.Writer) error {
	l := &lines{w: w}
	l.f("%s", nodeText(n.center))
	for _, nb := range n.Neighbors {
		l.f("  %s %s", edgeText(nb.edge, n.center.ID), nodeText(nb.node))
	}
	if n.More {
		l.f("  ... there are more than %s; see --limit", plural(len(n.Neighbors), "edge"))
	} else {
		l.f("%s", plural(len(n.Neighbors), "edge"))
	}
	return l.err
}
