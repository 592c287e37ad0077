package graph

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// describeKey renders a key of the store for conflict, deadlock and lock
// reports. It uses what is in memory and never calls the store, for it may run under the store's mutexes;
// naming.go says the same in terms of what the nodes are. Only keys of the graph are rendered in
// the forms that naming.go takes for nodes and edges: those of others that look so are quoted.
func (db *DB) describeKey(keyspace string, key []byte) string {
	if keyspace != keyspaceName {
		text := strconv.Quote(string(key))
		if db.describeOther != nil {
			if text = db.describeOther(keyspace, key); !namesElement(text) {
				return text
			}
			text = strconv.Quote(text)
		}
		return keyspace + "/" + text
	}
	if len(key) > 1 {
		if text, ok := db.describeGraphKey(key); ok {
			return text
		}
	}
	return "graph key " + strconv.Quote(string(key))
}

func (db *DB) describeGraphKey(key []byte) (text string, ok bool) {
	switch key[0] {
	case keyNode:
		id, err := parseNodeKey(key)
		return fmt.Sprintf("node %d", id), err == nil
	case keyEdge:
		f, err := cutUints(key[1:], 1)
		return fmt.Sprintf("edge %d", f[0]), err == nil
	case keyOut, keyIn:
		p, err := parseAdjacency(key)
		return db.describeEdge(p), err == nil
	case keyLabel:
		label, id, err := parseLabelKey(key)
		return fmt.Sprintf("label :%s of node %d", printable(db.labels.describe(label)), id), err == nil
	case keyIndex, keyUnique:
		return db.describeIndexKey(key)
	case keyRule:
		f, err := cutUints(key[1:], 1)
		return db.describeRule(f[0]), err == nil
	case keyExternal:
		kind, importKey, id, err := parseExternalKey(key)
		element := "node"
		if kind == externalEdge {
			element = "edge"
		}
		return fmt.Sprintf("external %s %q of import %q", element, id, importKey), err == nil
	case keyCatalog:
		return db.describeCatalogKey(key)
	}
	return "", false
}

func (db *DB) describeEdge(p place) string {
	return fmt.Sprintf("edge %d (%d)-[:%s]->(%d)", p.edge, p.src, printable(db.types.describe(p.typ)), p.dst)
}

// describeIndexKey renders an entry as Person(email = "x"), and whose it is where the key says that.
func (db *DB) describeIndexKey(key []byte) (text string, ok bool) {
	id, v, node, err := parseIndexKey(key)
	if err != nil {
		return "", false
	}
	if s := db.schema.Load(); s != nil && s.byID[id] != nil {
		ix := s.byID[id]
		text = fmt.Sprintf("%s(%s = %s)", printable(db.labels.describe(ix.label)), db.printableIndexed(ix), v.abbreviate())
	} else {
		text = fmt.Sprintf("entry %s of index %d", v.abbreviate(), id)
	}
	if node != 0 {
		text += fmt.Sprintf(" of node %d", node)
	}
	return text, true
}

func (db *DB) describeCatalogKey(key []byte) (text string, ok bool) {
	rest := key[2:]
	switch key[1] {
	case catVersion:
		return "the graph's format version", true
	case catFree:
		return "the mark that edges have no constraints", true
	case catEpoch:
		return "the graph's schema", true
	case catCounter:
		return describeCounter(string(rest)), true
	case catName:
		if len(rest) > 0 {
			return fmt.Sprintf("the name of the %s %q", dictionaryName(rest[0]), rest[1:]), true
		}
	case catIndex:
		f, err := cutUints(rest, 1)
		return db.describeDefinition(f[0]), err == nil
	}
	return "", false
}

// describeCounter renders the counters of elements, and those of names, which are called by their dictionaries.
func describeCounter(name string) string {
	switch name {
	case counterNodes, counterEdges, counterIndexes, counterRules:
		return "the counter of " + name + " ids"
	}
	if len(name) == 1 && dictionaryName(name[0]) != "name" {
		return "the counter of " + dictionaryName(name[0]) + " names"
	}
	return fmt.Sprintf("the counter %q", name)
}

func dictionaryName(kind byte) string {
	switch kind {
	case dictLabels:
		return "label"
	case dictTypes:
		return "edge type"
	case dictProperties:
		return "property"
	}
	return "name"
}

func (db *DB) describeDefinition(id uint64) string {
	if s := db.schema.Load(); s != nil && s.byID[id] != nil {
		ix := s.byID[id]
		return fmt.Sprintf("the definition of the index on :%s(%s)", printable(db.labels.describe(ix.label)), db.printableIndexed(ix))
	}
	return fmt.Sprintf("the definition of index %d", id)
}

// printableIndexed returns the names of an index's properties for a report.
func (db *DB) printableIndexed(ix *index) string {
	names := db.propertiesOf(ix)
	for i := range names {
		names[i] = printable(names[i])
	}
	return strings.Join(names, ", ")
}

func (db *DB) describeRule(id uint64) string {
	if s := db.schema.Load(); s != nil && s.rules[id] != nil {
		return fmt.Sprintf("the definition of the constraint that %v", db.publicRule(s.rules[id]))
	}
	return fmt.Sprintf("the definition of constraint %d", id)
}

// printable returns a name for a report: as it is if it is a word, else quoted, so
// that no name can look like another one, or like a line of its own.
func printable(name string) string {
	odd := func(r rune) bool { return r != '_' && r != '#' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	if name == "" || strings.ContainsFunc(name, odd) {
		return strconv.Quote(name)
	}
	return name
}
