package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sombradb/sombra/graph"
)

// maxMatches is how many nodes of an ambiguous name are told.
const maxMatches = 5

// resolve finds the node that an argument names. importKey belongs to external ids.
func (n *nodeArg) resolve(tx *graph.Txn, importKey string) (graph.NodeID, error) {
	switch {
	case n.external != "":
		id, err := tx.LookupNode(importKey, n.external)
		if errors.Is(err, graph.ErrNodeNotFound) {
			return 0, fmt.Errorf("no node was imported as %q under the key %q", n.external, importKey)
		}
		return id, err
	case n.label != "":
		return n.resolveProperty(tx)
	}
	_, err := tx.Node(n.id)
	return n.id, err
}

func (n *nodeArg) resolveProperty(tx *graph.Txn) (graph.NodeID, error) {
	ids, err := n.find(tx)
	if errors.Is(err, graph.ErrNoIndex) {
		ids, err = n.scan(tx)
	}
	switch {
	case err != nil:
		return 0, err
	case len(ids) == 0:
		return 0, fmt.Errorf("no node of label %s has %s = %s", n.label, n.property, n.valuesText())
	case len(ids) > 1:
		return 0, fmt.Errorf("%s names several nodes: %s; name one by its id", n.text, idsText(ids))
	}
	return ids[0], nil
}

// find asks the index. Candidates are of different kinds, so that no node is found twice.
func (n *nodeArg) find(tx *graph.Txn) (ids []graph.NodeID, err error) {
	for _, v := range n.values {
		for node, err := range tx.Find(n.label, n.property, v) {
			if err != nil {
				return nil, err
			}
			if ids = append(ids, node.ID); len(ids) > maxMatches {
				return ids, nil
			}
		}
	}
	return ids, nil
}

func (n *nodeArg) scan(tx *graph.Txn) (ids []graph.NodeID, err error) {
	for node, err := range tx.NodesByLabel(n.label) {
		if err != nil {
			return nil, err
		}
		if !n.matches(node.Props[n.property]) {
			continue
		}
		if ids = append(ids, node.ID); len(ids) > maxMatches {
			return ids, nil
		}
	}
	return ids, nil
}

func (n *nodeArg) matches(v graph.Value) bool {
	for _, want := range n.values {
		if v.Equal(want) {
			return true
		}
	}
	return false
}

func (n *nodeArg) valuesText() string {
	texts := make([]string, len(n.values))
	for i, v := range n.values {
		texts[i] = v.String()
	}
	return strings.Join(texts, " or ")
}

func idsText(ids []graph.NodeID) string {
	var texts []string
	for _, id := range ids[:min(len(ids), maxMatches)] {
		texts = append(texts, fmt.Sprint(id))
	}
	if len(ids) > maxMatches {
		texts = append(texts, "and more")
	}
	return strings.Join(texts, ", ")
}
