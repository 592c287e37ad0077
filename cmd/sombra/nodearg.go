package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sombradb/sombra/graph"
)

// nodeArg is a node as named on the command line. Exactly one of id, external
// and label is set.
type nodeArg struct {
	text            string
	id              graph.NodeID
	external        string
	label, property string
	values          []graph.Value // what the text may stand for
}

// nodeHelp explains the forms of a node; the commands that take one show it.
const nodeHelp = `A NODE is one of
  17                     the node with that id
  Label.property=value   the node of that label with that value; uses the index if
                         there is one, else reads all nodes of the label
  ~ID                    the node that was imported with that id (--key names the import)`

func parseNode(cmd *cobra.Command, text string) (nodeArg, error) {
	n := nodeArg{text: text}
	if external, ok := strings.CutPrefix(text, "~"); ok && external != "" {
		n.external = external
		return n, nil
	}
	if where, value, ok := strings.Cut(text, "="); ok {
		n.label, n.property, ok = strings.Cut(where, ".")
		if ok && n.label != "" && n.property != "" {
			n.values = candidates(value)
			return n, nil
		}
	}
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id == 0 {
		return n, usagef(cmd, "%q does not name a node: want an id (a number from 1), Label.property=value or ~ID", text)
	}
	n.id = graph.NodeID(id)
	return n, nil
}

// candidates returns the values that a text may stand for. A number or bool
// may have been stored as a string as well.
func candidates(text string) []graph.Value {
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		return []graph.Value{graph.String(text[1 : len(text)-1])}
	}
	var values []graph.Value
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		values = append(values, graph.Int(i))
	} else if f, err := strconv.ParseFloat(text, 64); err == nil {
		values = append(values, graph.Float(f))
	} else if text == "true" || text == "false" {
		values = append(values, graph.Bool(text == "true"))
	}
	return append(values, graph.String(text))
}
