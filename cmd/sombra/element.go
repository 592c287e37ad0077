package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sombradb/sombra/graph"
)

// nodeJSON and edgeJSON are elements as --json prints them.
type nodeJSON struct {
	ID     graph.NodeID `json:"id"`
	Labels []string     `json:"labels"`
	Props  propsJSON    `json:"properties"`
}

type edgeJSON struct {
	ID    graph.EdgeID `json:"id"`
	Type  string       `json:"type"`
	From  graph.NodeID `json:"from"`
	To    graph.NodeID `json:"to"`
	Props propsJSON    `json:"properties"`
}

func nodeToJSON(n graph.Node) nodeJSON { return nodeJSON{n.ID, n.Labels, propsJSON(n.Props)} }

func edgeToJSON(e graph.Edge) edgeJSON {
	return edgeJSON{e.ID, e.Type, e.Src, e.Dst, propsJSON(e.Props)}
}

// propsJSON renders properties as a JSON object: bytes as base64, dates, moments, durations, and the floats
// that JSON lacks (NaN, infinities) as strings.
type propsJSON graph.Props

// MarshalJSON implements json.Marshaler.
func (p propsJSON) MarshalJSON() ([]byte, error) {
	object := make(map[string]any, len(p))
	for name, v := range p {
		object[name] = valueJSON(v)
	}
	return json.Marshal(object)
}

func valueJSON(v graph.Value) any {
	switch v.Kind() {
	case graph.KindDate, graph.KindTime, graph.KindDuration:
		return v.String()
	case graph.KindFloat:
		if f, _ := v.AsFloat(); math.IsNaN(f) || math.IsInf(f, 0) {
			return v.String()
		}
	case graph.KindList:
		elements, _ := v.AsList()
		list := make([]any, len(elements))
		for i, e := range elements {
			list[i] = valueJSON(e)
		}
		return list
	case graph.KindMap:
		entries, _ := v.AsMap()
		return propsJSON(entries)
	}
	return v.Any()
}

// shortProps is the number of properties in a short form, maxShortValue the
// length of each value.
const (
	shortProps    = 4
	maxShortValue = 48
)

// telling are names of properties that say what an element is; they come first.
var telling = [...]string{"name", "title", "code", "handle", "desc", "description", "label", "type", "email"}

func rank(name string) int {
	if i := slices.Index(telling[:], strings.ToLower(name)); i >= 0 {
		return i
	}
	return len(telling)
}

// propNames returns the names of properties, the telling ones first.
func propNames(props graph.Props) []string {
	return slices.SortedFunc(maps.Keys(props), func(a, b string) int {
		return cmp.Or(rank(a)-rank(b), cmp.Compare(a, b))
	})
}

// propsText is the short form of properties: { name: "Ann", city: "Oslo" }, with a leading space.
func propsText(props graph.Props) string {
	if len(props) == 0 {
		return ""
	}
	names := propNames(props)
	var parts []string
	for _, name := range names[:min(len(names), shortProps)] {
		parts = append(parts, name+": "+shortValue(props[name]))
	}
	if len(names) > shortProps {
		parts = append(parts, "...")
	}
	return " {" + strings.Join(parts, ", ") + "}"
}

func shortValue(v graph.Value) string {
	if s, ok := v.AsString(); ok {
		if text := []rune(s); len(text) > maxShortValue {
			return strconv.Quote(string(text[:maxShortValue]) + "...")
		}
	}
	if b, ok := v.AsBytes(); ok && len(b) > maxShortValue {
		return graph.Bytes(b[:maxShortValue]).String() + "..."
	}
	text := v.String()
	if nested := v.Kind() == graph.KindList || v.Kind() == graph.KindMap; nested && len(text) > maxShortValue {
		return strings.ToValidUTF8(text[:maxShortValue], "") + "..."
	}
	return text
}

// nodeText is the short form of a node: (17:Person {name: "Ann"}).
func nodeText(n graph.Node) string {
	var labels strings.Builder
	for _, l := range n.Labels {
		labels.WriteString(":" + l)
	}
	return fmt.Sprintf("(%d%s%s)", n.ID, &labels, propsText(n.Props))
}

// edgeText is the short form of an edge, as an arrow seen from a node.
func edgeText(e graph.Edge, from graph.NodeID) string {
	body := fmt.Sprintf("[%d:%s%s]", e.ID, e.Type, propsText(e.Props))
	if e.Src == from {
		return "-" + body + "->"
	}
	return "<-" + body + "-"
}
