package main

import (
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sombradb/sombra/graph"
)

func (a *app) getCommand() *cobra.Command {
	var key, external string
	var edge uint64
	cmd := &cobra.Command{
		Use:   "get DB NODE | get DB --edge EDGE",
		Short: "Show a node or an edge",
		Long:  "get shows a node with its labels, properties and degree, or an edge.\n\n" + nodeHelp,
		Example: `  sombra get social.db 17
  sombra get social.db Person.handle=ada-abe-3
  sombra get routes.db ~1 --key air-routes
  sombra get social.db --edge 12`,
		Args: func(cmd *cobra.Command, args []string) error {
			byEdge, byID := cmd.Flags().Changed("edge"), cmd.Flags().Changed("id")
			switch {
			case byEdge && byID:
				return usagef(cmd, "--edge and --id cannot be combined")
			case byEdge || byID:
				return takes("DB")(cmd, args)
			}
			return takes("DB", "NODE")(cmd, args)
		},
	}
	f := cmd.Flags()
	addKeyFlag(cmd, &key)
	f.StringVar(&external, "id", "", "the node that was imported with this id; the same as ~ID")
	f.Uint64Var(&edge, "edge", 0, "show the edge with this id")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("edge") {
			return a.getEdge(cmd, args[0], graph.EdgeID(edge))
		}
		name := "~" + external
		if len(args) > 1 {
			name = args[1]
		}
		return a.getNode(cmd, args[0], name, key)
	}
	return cmd
}

// addKeyFlag adds the flag that names the import of an external id.
func addKeyFlag(cmd *cobra.Command, key *string) {
	cmd.Flags().StringVar(key, "key", defaultImportKey, "name of the import that ~ID belongs to")
}

// nodeDetails is what get prints of a node.
type nodeDetails struct {
	nodeJSON
	Out int `json:"out"`
	In  int `json:"in"`
}

func (a *app) getNode(cmd *cobra.Command, path, name, key string) error {
	arg, err := parseNode(cmd, name)
	if err != nil {
		return err
	}
	return a.viewing(cmd, path, func(tx *graph.Txn) error {
		id, err := arg.resolve(tx, key)
		if err != nil {
			return err
		}
		node, err := tx.Node(id)
		if err != nil {
			return err
		}
		d := nodeDetails{nodeJSON: nodeToJSON(node)}
		if d.Out, err = tx.Degree(id, graph.Out); err != nil {
			return err
		}
		if d.In, err = tx.Degree(id, graph.In); err != nil {
			return err
		}
		return a.print(d, func(w io.Writer) error { return d.write(w, node) })
	})
}

func (d *nodeDetails) write(w io.Writer, node graph.Node) error {
	l := &lines{w: w}
	l.field("node", "%d", node.ID)
	l.field("labels", "%s", orNone(strings.Join(node.Labels, ", ")))
	l.field("edges", "%d out, %d in", d.Out, d.In)
	l.props(node.Props)
	return l.err
}

func (a *app) getEdge(cmd *cobra.Command, path string, id graph.EdgeID) error {
	return a.viewing(cmd, path, func(tx *graph.Txn) error {
		e, err := tx.Edge(id)
		if err != nil {
			return err
		}
		from, err := tx.Node(e.Src)
		if err != nil {
			return err
		}
		to, err := tx.Node(e.Dst)
		if err != nil {
			return err
		}
		return a.print(edgeToJSON(e), func(w io.Writer) error { return writeEdge(w, e, from, to) })
	})
}

func writeEdge(w io.Writer, e graph.Edge, from, to graph.Node) error {
	l := &lines{w: w}
	l.field("edge", "%d", e.ID)
	l.field("type", "%s", e.Type)
	l.field("from", "%s", nodeText(from))
	l.field("to", "%s", nodeText(to))
	l.props(e.Props)
	return l.err
}

// props writes every property in full.
func (l *lines) props(props graph.Props) {
	for _, name := range propNames(props) {
		l.field("  "+name, "%v", props[name])
	}
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// plural renders a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
