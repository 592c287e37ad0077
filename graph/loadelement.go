package graph

import (
	"cmp"
	"slices"
)

// CreateNode adds a node and returns its id. Labels that occur twice count once, null properties are left out.
// Errors: ErrConstraint, ErrInvalid; Node in the ConstraintError is the id that the node would have had.
func (l *Loader) CreateNode(labels []string, props Props) (NodeID, error) {
	if err := l.ready(); err != nil {
		return 0, err
	}
	n := &nodeRec{}
	for _, name := range labels {
		label, err := l.labels.intern(name)
		if err != nil {
			return 0, err
		}
		n.addLabel(label)
	}
	var err error
	if n.props, err = l.internProps(props); err != nil {
		return 0, err
	}
	return l.addNode(n)
}

func (l *Loader) addNode(n *nodeRec) (NodeID, error) {
	id := NodeID(l.nodes + 1)
	if f := l.schema.nodeFault(n); f.rule != nil {
		return 0, l.db.nodeViolation(f, id)
	}
	changes := l.schema.changes(nil, n)
	if err := l.checkChanges(id, changes); err != nil {
		return 0, err
	}
	if err := l.hookNode(id, n); err != nil {
		return 0, err
	}
	l.key = appendNodeKey(l.key[:0], id)
	l.rec = appendNode(l.rec[:0], n)
	if err := l.put(l.rec); err != nil { // the one entry that can be too large comes first
		return 0, err
	}
	l.nodes++
	for _, label := range n.labels {
		l.key = appendLabelKey(l.key[:0], label, id)
		if err := l.put(nil); err != nil {
			return 0, err
		}
		if set := l.labelled[label]; set != nil {
			set.add(id)
		}
	}
	return id, l.putEntries(id, changes)
}

// checkChanges verifies that the index entries of a new node are possible, before anything is written.
func (l *Loader) checkChanges(id NodeID, list []indexChange) error {
	for _, c := range list {
		if err := l.db.checkIndexed(id, c); err != nil {
			return err
		}
		if !c.ix.unique || c.new.IsNull() {
			continue
		}
		l.key = appendIndexKey(l.key[:0], c.ix, c.new, 0)
		owner, err := l.claimed()
		if err != nil {
			return err
		}
		if owner != 0 {
			return l.db.constraintError(id, c, NodeID(owner))
		}
	}
	return nil
}

func (l *Loader) putEntries(id NodeID, list []indexChange) (err error) {
	for _, c := range list {
		if c.new.IsNull() {
			continue
		}
		l.key = appendIndexKey(l.key[:0], c.ix, c.new, id)
		if c.ix.unique {
			err = l.claim(uint64(id))
		} else {
			err = l.put(nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// CreateEdge adds an edge from src to dst and returns its id. Both must have been added: an end that
// was not is a *MissingEndError. Errors: ErrNodeNotFound, ErrConstraint, ErrInvalid.
func (l *Loader) CreateEdge(src, dst NodeID, typ string, props Props) (EdgeID, error) {
	if err := l.ready(); err != nil {
		return 0, err
	}
	for _, end := range [...]NodeID{src, dst} {
		if end == 0 || uint64(end) > l.nodes {
			return 0, &MissingEndError{Src: src, Dst: dst, Missing: end}
		}
	}
	t, err := l.types.intern(typ)
	if err != nil {
		return 0, err
	}
	list, err := l.internProps(props)
	if err != nil {
		return 0, err
	}
	p := place{src: src, dst: dst, typ: t, edge: EdgeID(l.edges + 1)}
	if err := l.checkEdge(p, list); err != nil {
		return 0, err
	}
	if err := l.hookEdge(p, list); err != nil {
		return 0, err
	}
	return l.addEdge(p, list)
}

// checkEdge verifies that the constraints allow an edge.
func (l *Loader) checkEdge(p place, props propList) error {
	if f := l.schema.edgeFault(p.typ, props); f.rule != nil {
		return l.db.edgeViolation(f, p.edge)
	}
	r := l.schema.ends[p.typ]
	if r == nil {
		return nil
	}
	for side, label := range r.ends {
		if label != 0 && !l.labelled[label].has(p.end(side)) {
			return l.db.endViolation(r, p, side)
		}
	}
	return nil
}

func (l *Loader) addEdge(p place, props propList) (EdgeID, error) {
	l.key = appendOutKey(l.key[:0], p)
	l.rec = appendEdge(l.rec[:0], props)
	if err := l.put(l.rec); err != nil { // the one entry that can be too large comes first
		return 0, err
	}
	l.edges++
	l.key = appendInKey(l.key[:0], p)
	if err := l.put(nil); err != nil {
		return 0, err
	}
	l.key = appendEdgeKey(l.key[:0], p.edge)
	l.rec = appendPlace(l.rec[:0], p)
	return p.edge, l.put(l.rec)
}

// CreateNodeAs adds a node under an external id unless there is one, which it returns with created
// false and leaves as it is. Errors: as CreateNode.
func (l *Loader) CreateNodeAs(importKey, id string, labels []string, props Props) (node NodeID, created bool, err error) {
	existing, err := l.external(externalNode, importKey, id)
	if err != nil || existing != 0 {
		return NodeID(existing), false, err
	}
	if node, err = l.CreateNode(labels, props); err != nil {
		return 0, false, err
	}
	return node, true, l.bindExternal(externalNode, importKey, id, uint64(node))
}

// CreateEdgeAs adds an edge under an external id unless there is one, which it returns with created
// false and leaves as it is. Errors: as CreateEdge.
func (l *Loader) CreateEdgeAs(importKey, id string, src, dst NodeID, typ string, props Props) (edge EdgeID, created bool, err error) {
	existing, err := l.external(externalEdge, importKey, id)
	if err != nil || existing != 0 {
		return EdgeID(existing), false, err
	}
	if edge, err = l.CreateEdge(src, dst, typ, props); err != nil {
		return 0, false, err
	}
	return edge, true, l.bindExternal(externalEdge, importKey, id, uint64(edge))
}

// LookupNode returns the node that was added under an external id. Errors: ErrNodeNotFound.
func (l *Loader) LookupNode(importKey, id string) (NodeID, error) {
	node, err := l.external(externalNode, importKey, id)
	if err == nil && node == 0 {
		err = &NotFoundError{External: id}
	}
	return NodeID(node), err
}

// external returns the element under an external id, 0 when there is none.
func (l *Loader) external(kind byte, importKey, id string) (uint64, error) {
	if err := l.ready(); err != nil {
		return 0, err
	}
	if err := checkExternal(importKey, id); err != nil {
		return 0, err
	}
	l.key = appendExternalKey(l.key[:0], kind, importKey, id)
	return l.claimed()
}

func (l *Loader) bindExternal(kind byte, importKey, id string, element uint64) error {
	l.key = appendExternalKey(l.key[:0], kind, importKey, id)
	return l.claim(element)
}

// internProps turns properties into a list for a record.
func (l *Loader) internProps(props Props) (propList, error) {
	list := make(propList, 0, len(props))
	for name, v := range props {
		if v.IsNull() {
			continue
		}
		if err := v.storable(name); err != nil {
			return nil, err
		}
		id, err := l.properties.intern(name)
		if err != nil {
			return nil, err
		}
		list = append(list, prop{id, v})
	}
	slices.SortFunc(list, func(a, b prop) int { return cmp.Compare(a.name, b.name) })
	return list, nil
}
