package graph

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The forms in which describeKey renders nodes and edges.
var (
	nodeForm  = regexp.MustCompile(`^node (\d+)$`)
	ownedForm = regexp.MustCompile(`(?s)^(.*) of node (\d+)$`)
	edgeForm  = regexp.MustCompile(`^edge (\d+)$`)
	placeForm = regexp.MustCompile(`(?s)^edge (\d+) \((\d+)\)-(.*)->\((\d+)\)$`)
)

// namesElement reports whether text has one of these forms.
func namesElement(text string) bool {
	for _, form := range []*regexp.Regexp{nodeForm, ownedForm, edgeForm, placeForm} {
		if form.MatchString(text) {
			return true
		}
	}
	return false
}

// namer renders names of keys in terms of what is in the graph, in one snapshot:
//
//	node 7                      (:Person {email: "ann@x.org"})   by the unique index of a label
//	                            (:Person 7)                      with a label, but no such index
//	label :Person of node 7     label :Person of (:Person 7)
//	edge 12 (3)-[:KNOWS]->(9)   edge 12 (:Person 3)-[:KNOWS]->(:Person 9)
//	edge 12                     the same
//
// What is not in the snapshot, has no label or cannot be read keeps its name.
type namer struct{ tx *Txn }

// withNames calls fn, once, with a function that renders the store's names of keys. It
// opens a view for that: it takes no key lock, waits for no transaction, and costs a point read for each
// node, which is in memory as a rule, since somebody has just fought about it.
func (db *DB) withNames(fn func(name func(string) string)) {
	called := false
	_ = db.View(context.Background(), func(tx *Txn) error {
		called = true
		fn(namer{tx}.name)
		return nil
	})
	if !called { // the database is closed
		fn(func(text string) string { return text })
	}
}

func (n namer) name(text string) string {
	if m := nodeForm.FindStringSubmatch(text); m != nil {
		return n.node(m[1], text)
	}
	if m := edgeForm.FindStringSubmatch(text); m != nil {
		id, _ := strconv.ParseUint(m[1], 10, 64)
		if p, err := n.tx.findEdge(EdgeID(id)); err == nil {
			text = n.tx.db.describeEdge(p)
		}
	}
	if m := placeForm.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("edge %s %s-%s->%s", m[1], n.node(m[2], "("+m[2]+")"), m[3], n.node(m[4], "("+m[4]+")"))
	}
	if m := ownedForm.FindStringSubmatch(text); m != nil {
		return m[1] + " of " + n.node(m[2], "node "+m[2])
	}
	return text
}

// node renders the node with the id, or returns the other text.
func (n namer) node(digits, otherwise string) string {
	id, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return otherwise
	}
	rec, err := n.tx.readNode(NodeID(id))
	if err != nil || len(rec.labels) == 0 {
		return otherwise
	}
	db := n.tx.db
	if ix := n.key(rec); ix != nil {
		var props []string
		for _, p := range ix.properties {
			props = append(props, printable(db.properties.describe(p))+": "+rec.props.get(p).abbreviate())
		}
		return fmt.Sprintf("(:%s {%s})", printable(db.labels.describe(ix.label)), strings.Join(props, ", "))
	}
	return fmt.Sprintf("(:%s %d)", printable(db.labels.describe(rec.labels[0])), id)
}

// key returns the index that tells the node from all others: the oldest of the first label that has one.
func (n namer) key(rec *nodeRec) *index {
	s, err := n.tx.readSchema()
	if err != nil {
		return nil
	}
	for _, label := range rec.labels {
		for _, ix := range s.maintained[label] {
			if ix.unique && ix.state == IndexReady && !ix.valueIn(rec).IsNull() {
				return ix
			}
		}
	}
	return nil
}
