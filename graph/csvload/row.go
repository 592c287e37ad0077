package csvload

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sombradb/sombra/graph"
)

// row is a row whose cells have been converted.
type row struct {
	source   *source
	number   int
	line     int
	id       string
	from, to string
	labels   []string // one, the type, of an edge
	props    graph.Props
	size     int // bytes of its cells
}

// nextRow returns the next row, or what is bad about it; io.EOF at the end.
func (s *source) nextRow() (*row, *CellError, error) {
	fields, bad, err := s.next()
	if bad != nil || err != nil {
		return nil, bad, err
	}
	line, _ := s.csv.FieldPos(0)
	r := &row{source: s, number: s.row, line: line, props: make(graph.Props, len(fields))}
	for i := range s.header.columns {
		r.size += len(fields[i])
		if bad := s.convert(r, &s.header.columns[i], fields[i]); bad != nil {
			return nil, bad, nil
		}
	}
	if r.id == "" { // an edge, which goes by its place
		r.id = fmt.Sprintf("\x00%s\x00%d", baseName(s.path), r.number)
	}
	return r, nil, nil
}

// convert takes one cell into the row.
func (s *source) convert(r *row, c *column, cell string) *CellError {
	bad := func(want string) *CellError {
		e := s.rowError(cell, want)
		e.Column = c.title
		return e
	}
	switch c.role {
	case roleProperty:
		if cell == "" {
			return nil
		}
		if _, twice := r.props[c.property]; twice {
			return bad("nothing, because another column has the property")
		}
		v, ok := c.typ.convert(cell)
		if !ok {
			return bad(c.typ.want)
		}
		r.props[c.property] = v
	case roleLabel:
		if r.labels = splitLabels(cell); !validLabels(r.labels) {
			return bad(fmt.Sprintf("names in UTF-8 of at most %d bytes", graph.MaxNameSize))
		}
		if s.kind == edgeRows && len(r.labels) != 1 {
			return bad("one edge type")
		}
	case roleID, roleFrom, roleTo:
		optional := c.role == roleID && s.kind == edgeRows
		if cell == "" && !optional || len(cell) > graph.MaxExternalSize || !utf8.ValidString(cell) {
			return bad(fmt.Sprintf("an id in UTF-8 of 1 to %d bytes", graph.MaxExternalSize))
		}
		r.setID(c, cell)
	}
	return nil
}

func (r *row) setID(c *column, id string) {
	switch c.role {
	case roleID:
		r.id = id
		if c.property != "" && id != "" {
			r.props[c.property] = graph.String(id)
		}
	case roleFrom:
		r.from = id
	case roleTo:
		r.to = id
	}
}

// splitLabels splits at semicolons without a backslash in front, and leaves out empty parts.
func splitLabels(cell string) []string {
	var labels []string
	for part := range elementsOf(cell) {
		if part = strings.TrimSpace(part); part != "" {
			labels = append(labels, part)
		}
	}
	return labels
}

func validLabels(labels []string) bool {
	for _, l := range labels {
		if len(l) > graph.MaxNameSize || !utf8.ValidString(l) {
			return false
		}
	}
	return true
}

// bad is a fault of this row; title and value are of the cell at fault.
func (r *row) bad(title, value, want string, err error) *CellError {
	return &CellError{
		File: r.source.path, Row: r.number, Line: r.line,
		Column: title, Value: value, Want: want, Err: err,
	}
}
