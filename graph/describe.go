package graph

import (
	"fmt"
	"strconv"
)

// describeKey renders a key of the store for conflict, deadlock and lock
// reports. It uses what is in memory and never calls the store.
func (db *DB) describeKey(keyspace string, key []byte) string {
	if keyspace != keyspaceName {
		if db.describeOther != nil {
			return db.describeOther(keyspace, key)
		}
		return keyspace + "/" + strconv.Quote(string(key))
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
		return fmt.Sprintf("edge %d %s", p.edge, db.describePlace(p)), err == nil
	case keyLabel:
		label, id, err := parseLabelKey(key)
		return fmt.Sprintf("label :%s of node %d", db.labels.describe(label), id), err == nil
	case keyIndex, keyUnique:
		return db.describeIndexKey(key)
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

func (db *DB) describePlace(p place) string {
	return fmt.Sprintf("(%d)-[:%s]->(%d)", p.src, db.types.describe(p.typ), p.dst)
}

func (db *DB) describeIndexKey(key []byte) (text string, ok bool) {
	id, v, node, err := parseIndexKey(key)
	if err != nil {
		return "", false
	}
	text = fmt.Sprintf("index %d", id)
	if s := db.schema.Load(); s != nil && s.byID[id] != nil {
		ix := s.byID[id]
		text = fmt.Sprintf("index :%s(%s)", db.labels.describe(ix.label), db.properties.describe(ix.property))
	}
	text += " value " + v.abbreviate()
	if node != 0 {
		text += fmt.Sprintf(" of node %d", node)
	}
	return text, true
}

func (db *DB) describeCatalogKey(key []byte) (text string, ok bool) {
	rest := key[2:]
	switch key[1] {
	case catVersion:
		return "graph format version", true
	case catEpoch:
		return "graph schema", true
	case catCounter:
		return fmt.Sprintf("graph id counter %q", rest), true
	case catName:
		if len(rest) > 0 {
			return fmt.Sprintf("graph name %q", rest[1:]), true
		}
	case catIndex:
		f, err := cutUints(rest, 1)
		return fmt.Sprintf("definition of graph index %d", f[0]), err == nil
	}
	return "", false
}
