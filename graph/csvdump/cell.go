package csvdump

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sombradb/sombra/graph"
)

// column is a property with values of one type.
type column struct{ property, typ string }

// columns are those of a file. Their order is that of names, then types.
type columns struct {
	fixed []string
	at    map[column]int // where each one is, after header
	names map[string]bool
}

func newColumns(fixed []string) *columns {
	return &columns{fixed: fixed, at: map[column]int{}, names: map[string]bool{}}
}

// learn adds the columns that properties need.
func (c *columns) learn(props graph.Props) error {
	for name, v := range props {
		if !c.names[name] {
			if err := checkProperty(name); err != nil {
				return err
			}
			c.names[name] = true
		}
		c.at[column{name, typeOf(v)}] = 0
	}
	return nil
}

func checkProperty(name string) error {
	switch {
	case strings.HasPrefix(name, "~"):
		return &NameError{"property", name, "names with ~ are those of system columns"}
	case name != strings.TrimSpace(name):
		return &NameError{"property", name, "it begins or ends with white space"}
	case strings.Contains(name, `\`):
		return &NameError{"property", name, "it contains a backslash"}
	case strings.Contains(name, "\r"):
		return &NameError{"property", name, "it contains a carriage return"}
	}
	return nil
}

// header puts the columns in order and returns their titles.
func (c *columns) header() []string {
	sorted := slices.SortedFunc(maps.Keys(c.at), func(a, b column) int {
		return strings.Compare(a.property+"\x00"+a.typ, b.property+"\x00"+b.typ)
	})
	header := slices.Clone(c.fixed)
	for _, col := range sorted {
		c.at[col] = len(header)
		header = append(header, strings.ReplaceAll(col.property, ":", `\:`)+":"+col.typ)
	}
	return header
}

// row returns the cells of an element, and how many of them will come back as another kind.
func (c *columns) row(e element) (cells []string, changed int) {
	cells = make([]string, len(c.fixed)+len(c.at))
	copy(cells, e.fixed)
	for name, v := range e.props {
		typ := typeOf(v)
		cells[c.at[column{name, typ}]] = cellOf(v, typ)
		if changes(v, typ) {
			changed++
		}
	}
	return cells, changed
}

// typeOf returns the type of the column that holds a value.
func typeOf(v graph.Value) string {
	switch v.Kind() {
	case graph.KindString:
		s, _ := v.AsString()
		switch {
		case !utf8.ValidString(s):
			return "bytes"
		case s == "" || strings.Contains(s, "\r"): // an empty cell is no property, and CSV makes \n of \r\n
			return "json"
		}
		return "string"
	case graph.KindList:
		elements, _ := v.AsList()
		return listType(elements)
	case graph.KindMap:
		return "json"
	}
	return scalarTypes[v.Kind()]
}

var scalarTypes = map[graph.Kind]string{
	graph.KindBool: "bool", graph.KindInt: "long", graph.KindFloat: "double", graph.KindString: "string", graph.KindBytes: "bytes",
	graph.KindDate: "date", graph.KindTime: "datetime", graph.KindDuration: "duration",
}

// listType returns the type of a list if its elements are of one kind that cells can hold.
func listType(elements []graph.Value) string {
	typ := ""
	for _, e := range elements {
		own := scalarTypes[e.Kind()]
		s, _ := e.AsString()
		if own == "" || typ != "" && own != typ || strings.Contains(s, "\r") || !utf8.ValidString(s) {
			return "json"
		}
		typ = own
	}
	if s := elements; len(s) == 0 || len(s) == 1 && s[0] == graph.String("") {
		return "json" // the cell would be empty
	}
	return typ + "[]"
}

// cellOf returns a value as its column has it.
func cellOf(v graph.Value, typ string) string {
	if typ == "json" {
		return string(appendJSON(nil, v))
	}
	if elements, ok := v.AsList(); ok {
		parts := make([]string, len(elements))
		for i, e := range elements {
			parts[i] = escapeElement(cellOf(e, strings.TrimSuffix(typ, "[]")))
		}
		return strings.Join(parts, ";")
	}
	if s, ok := v.AsString(); ok && typ == "bytes" {
		return graph.Bytes([]byte(s)).String()
	} else if ok {
		return s
	}
	return v.String()
}

// appendJSON appends a value as JSON. Floats have a point or an exponent, integers have not.
func appendJSON(dst []byte, v graph.Value) []byte {
	switch v.Kind() {
	case graph.KindNull, graph.KindBool, graph.KindInt:
		return append(dst, v.String()...)
	case graph.KindFloat:
		return appendFloat(dst, v)
	case graph.KindList:
		elements, _ := v.AsList()
		dst = append(dst, '[')
		for i, e := range elements {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, e)
		}
		return append(dst, ']')
	case graph.KindMap:
		entries, _ := v.AsMap()
		dst = append(dst, '{')
		for i, name := range slices.Sorted(maps.Keys(entries)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, name), ':')
			dst = appendJSON(dst, entries[name])
		}
		return append(dst, '}')
	case graph.KindString:
		s, _ := v.AsString()
		return appendText(dst, s)
	}
	return appendText(dst, v.String())
}

func appendFloat(dst []byte, v graph.Value) []byte {
	f, _ := v.AsFloat()
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return appendText(dst, v.String())
	}
	n := len(dst)
	dst = strconv.AppendFloat(dst, f, 'g', -1, 64)
	if !strings.ContainsAny(string(dst[n:]), ".e") {
		dst = append(dst, ".0"...)
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return append(dst, `""`...) // a string has none
	}
	return append(dst, b...)
}

// changes reports whether csvload makes another value of the cell.
func changes(v graph.Value, typ string) bool {
	if typ != "json" {
		return v.Kind() == graph.KindString && typ == "bytes"
	}
	switch v.Kind() {
	case graph.KindNull, graph.KindBool, graph.KindInt:
		return false
	case graph.KindFloat:
		f, _ := v.AsFloat()
		return math.IsNaN(f) || math.IsInf(f, 0)
	case graph.KindString:
		s, _ := v.AsString()
		return !utf8.ValidString(s)
	case graph.KindList:
		elements, _ := v.AsList()
		return slices.ContainsFunc(elements, func(e graph.Value) bool { return changes(e, typ) })
	case graph.KindMap:
		entries, _ := v.AsMap()
		for name, e := range entries {
			if changes(e, typ) || !utf8.ValidString(name) {
				return true
			}
		}
		return false
	}
	return true
}
