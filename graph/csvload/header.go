package csvload

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sombradb/sombra/graph"
)

// role is what a column is for.
type role uint8

const (
	roleProperty role = iota
	roleID
	roleLabel // labels of a node, type of an edge
	roleFrom
	roleTo
	roleIgnore
)

// column is one column of a header.
type column struct {
	title    string // as written
	role     role
	property string // name, also of an id that is stored
	typ      cellType
	typName  string
}

// header is a file's first row.
type header struct {
	columns []column
	at      [roleIgnore]int // index of the column with a role, -1 when there is none
}

// kind is what the rows of a file are.
type kind uint8

const (
	nodeRows kind = iota
	edgeRows
)

func (k kind) String() string {
	if k == edgeRows {
		return "edges"
	}
	return "nodes"
}

// title returns the header of the column with a role.
func (h *header) title(r role) string {
	if i := h.at[r]; i >= 0 {
		return h.columns[i].title
	}
	return ""
}

// propertyColumn returns the index of a property's column, -1 when there is none.
func (h *header) propertyColumn(name string) int {
	for i, c := range h.columns {
		if c.property == name {
			return i
		}
	}
	return -1
}

func parseHeader(file string, fields []string, k kind) (*header, error) {
	h := &header{}
	for i := range h.at {
		h.at[i] = -1
	}
	names, typed := map[string]bool{}, map[string]bool{} // of properties, the latter with their types
	for i, title := range fields {
		c, fault := parseColumn(strings.TrimSpace(title), k)
		key := c.property + ":" + c.typName
		if fault == "" && c.property != "" && (typed[key] || names[c.property] && (c.role == roleID || h.isID(c.property))) {
			fault = fmt.Sprintf("there is another column for the property %q", c.property)
		}
		if fault == "" && c.role != roleProperty && c.role != roleIgnore {
			if h.at[c.role] >= 0 {
				fault = fmt.Sprintf("it means the same as column %q", h.title(c.role))
			}
			h.at[c.role] = i
		}
		if fault != "" {
			return nil, &HeaderError{File: file, Column: title, What: fault}
		}
		names[c.property], typed[key] = true, true
		h.columns = append(h.columns, c)
	}
	return h, h.require(file, k)
}

// require reports a column that rows of the kind cannot do without.
func (h *header) require(file string, k kind) error {
	needed := map[role]string{roleID: "~id (or :ID)"}
	if k == edgeRows {
		needed = map[role]string{roleFrom: "~from (or :START_ID)", roleTo: "~to (or :END_ID)", roleLabel: "~label (or :TYPE)"}
	}
	for r := roleProperty; r < roleIgnore; r++ {
		if name, ok := needed[r]; ok && h.at[r] < 0 {
			return &HeaderError{File: file, What: "there is no column " + name}
		}
	}
	return nil
}

// parseColumn understands one header field; fault says what is wrong with it.
func parseColumn(title string, k kind) (c column, fault string) {
	c.title = title
	if title == "" {
		return c, "it has no name; use :IGNORE for a column that is not to be read"
	}
	name, typ := splitTitle(title)
	if r, special := specialColumn(title, name, typ); special {
		if misplaced(strings.ToLower(title), r, k) {
			return c, "it does not belong in a file of " + k.String()
		}
		if c.role = r; r == roleID && !strings.HasPrefix(title, "~") {
			c.property = name
		}
		return c, ""
	}
	switch {
	case strings.HasPrefix(title, "~"):
		return c, "unknown system column; known are ~id, ~label, ~from and ~to"
	case strings.HasPrefix(typ, "id(") || strings.HasPrefix(typ, "start_id(") || strings.HasPrefix(typ, "end_id("):
		return c, "id groups are not supported; make the ids unique in all files"
	case name == "":
		return c, "the property has no name"
	case len(name) > graph.MaxNameSize || !utf8.ValidString(name):
		return c, fmt.Sprintf("the name of a property is UTF-8 of at most %d bytes", graph.MaxNameSize)
	}
	element, list := strings.CutSuffix(typ, "[]")
	known := false
	if c.typ, known = cellTypes[strings.TrimSpace(element)]; !known {
		return c, fmt.Sprintf("unknown type %q, want %s", typ, typeNames)
	}
	if list {
		c.typ = listOf(c.typ)
	}
	c.property, c.typName = name, typ
	return c, ""
}

// isID reports whether a property is the id of its rows.
func (h *header) isID(property string) bool {
	i := h.at[roleID]
	return i >= 0 && h.columns[i].property == property
}

// splitTitle splits name:type at the last colon without a backslash before it; the
// type is in lower case, string when it is missing.
func splitTitle(title string) (name, typ string) {
	name, typ = title, "string"
	for i := len(title) - 1; i >= 0; i-- {
		if title[i] == ':' && (i == 0 || title[i-1] != '\\') {
			name, typ = title[:i], strings.ToLower(strings.TrimSpace(title[i+1:]))
			break
		}
	}
	return strings.ReplaceAll(name, `\:`, ":"), typ
}

// specialColumn returns the role of a column that is not, or not only, a property.
func specialColumn(title, name, typ string) (role, bool) {
	switch strings.ToLower(title) {
	case "~id":
		return roleID, true
	case "~label", ":label", ":type":
		return roleLabel, true
	case "~from", ":start_id":
		return roleFrom, true
	case "~to", ":end_id":
		return roleTo, true
	}
	switch {
	case typ == "ignore":
		return roleIgnore, true
	case typ == "id" && !strings.HasPrefix(name, "~"):
		return roleID, true
	}
	return 0, false
}

// misplaced reports whether a special column belongs in files of the other kind.
func misplaced(title string, r role, k kind) bool {
	if k == nodeRows {
		return r == roleFrom || r == roleTo || title == ":type"
	}
	return title == ":label"
}
