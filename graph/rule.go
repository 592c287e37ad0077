package graph

import (
	"errors"

	"github.com/sombradb/sombra/mvcc"
)

// rule is the definition of a constraint. Immutable.
type rule struct {
	id       uint64
	kind     ConstraintKind
	state    ConstraintState
	edges    bool   // about edges of a type, else about nodes with a label
	on       uint64 // label or type
	property uint64
	kinds    Kinds
	ends     [2]uint64 // labels of source and destination; 0: any node
}

// Sides of an edge, as indexes of rule.ends.
const (
	sourceEnd = iota
	destinationEnd
)

// ruleKey is what a rule is found by: there is one of a kind on a property of a label or type.
type ruleKey struct {
	kind         ConstraintKind
	edges        bool
	on, property uint64
}

func (r *rule) key() ruleKey { return ruleKey{r.kind, r.edges, r.on, r.property} }

func appendRuleKey(dst []byte, id uint64) []byte {
	return appendUint(append(dst, keyRule), id)
}

// appendRule appends a definition: kind, state, 0 for nodes or 1 for edges, label or type, and by kind
//
//	1 required property   property
//	2 kind of property    property, set of kinds: bit 1<<Kind
//	3 labels of ends      source, destination; 0: any node
func appendRule(dst []byte, r *rule) []byte {
	edges := uint64(0)
	if r.edges {
		edges = 1
	}
	fields := []uint64{uint64(r.kind), uint64(r.state), edges, r.on}
	switch r.kind {
	case RequiredProperty:
		fields = append(fields, r.property)
	case PropertyKind:
		fields = append(fields, r.property, uint64(r.kinds))
	case EndpointLabels:
		fields = append(fields, r.ends[sourceEnd], r.ends[destinationEnd])
	}
	for _, u := range fields {
		dst = appendUint(dst, u)
	}
	return dst
}

// ruleFields is how many fields follow the head, by kind.
var ruleFields = [...]int{RequiredProperty: 1, PropertyKind: 2, EndpointLabels: 2}

func parseRule(id uint64, b []byte) (*rule, error) {
	head, rest, err := cutHead(b)
	if err != nil {
		return nil, err
	}
	kind, state, edges := head[0], head[1], head[2]
	if kind == 0 || kind >= uint64(len(ruleFields)) || state == 0 || state > uint64(ConstraintReady) || edges > 1 || head[3] == 0 {
		return nil, errMalformed
	}
	tail, err := cutUints(rest, ruleFields[kind])
	if err != nil {
		return nil, err
	}
	r := &rule{id: id, kind: ConstraintKind(kind), state: ConstraintState(state), edges: edges == 1, on: head[3]}
	switch r.kind {
	case EndpointLabels:
		r.ends = [2]uint64(tail[:2])
		if !r.edges || r.ends == [2]uint64{} {
			return nil, errMalformed
		}
		return r, nil
	case PropertyKind:
		r.kinds = Kinds(tail[1])
		if tail[1] == 0 || tail[1]&^uint64(allKinds) != 0 {
			return nil, errMalformed
		}
	}
	if r.property = tail[0]; r.property == 0 {
		return nil, errMalformed
	}
	return r, nil
}

// refuses returns the property that the rule is about, and whether it must not be so.
func (r *rule) refuses(ps propList) (v Value, refused bool) {
	v = ps.get(r.property)
	if r.kind == RequiredProperty {
		return v, v.IsNull()
	}
	return v, !v.IsNull() && !r.kinds.Has(v.kind)
}

// fault is what a rule has against an element.
type fault struct {
	rule  *rule
	value Value
}

// faultIn returns the first fault of an element, whose rules are given; its rule is nil when there is none.
func faultIn(rules []*rule, ps propList) fault {
	for _, r := range rules {
		if v, refused := r.refuses(ps); refused {
			return fault{r, v}
		}
	}
	return fault{}
}

// nodeFault returns the first fault of a node.
func (s *schema) nodeFault(n *nodeRec) fault {
	if len(s.onNodes) == 0 || n == nil {
		return fault{}
	}
	for _, label := range n.labels {
		if f := faultIn(s.onNodes[label], n.props); f.rule != nil {
			return f
		}
	}
	return fault{}
}

// edgeFault returns the first fault of an edge, apart from its ends.
func (s *schema) edgeFault(typ uint64, ps propList) fault { return faultIn(s.onEdges[typ], ps) }

// checkNode verifies that a node may become what it is to be, before anything is written. A nil old or new is no node.
func (tx *Txn) checkNode(s *schema, id NodeID, old, new *nodeRec) error {
	if f := s.nodeFault(new); f.rule != nil {
		return tx.db.nodeViolation(f, id)
	}
	if len(s.endsWith) == 0 || old == nil || new == nil {
		return nil // a node that goes has no edges (G2)
	}
	for _, label := range old.labels {
		if new.hasLabel(label) {
			continue
		}
		for _, r := range s.endsWith[label] {
			if err := tx.checkLabelLoss(r, id, label); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkLabelLoss verifies that no edge needs the label at the node, now and when the transaction commits (G9).
func (tx *Txn) checkLabelLoss(r *rule, id NodeID, label uint64) error {
	for side, needed := range r.ends {
		if needed != label {
			continue
		}
		edges := idSpan{lo: r.on, hi: r.on}.keys(sidePrefix(id, side))
		if err := tx.kv.RequireUnchanged(tx.db.ks, edges); err != nil {
			return err
		}
		for key, err := range tx.kv.Keys(tx.db.ks, edges) {
			if err != nil {
				return err
			}
			p, err := parseAdjacency(key)
			if err != nil {
				return tx.db.corrupt(key, "its key is malformed")
			}
			return tx.db.endViolation(r, p, side)
		}
	}
	return nil
}

// noRules is the schema of edges without constraints.
var noRules = newSchema(0)

// edgeSchema returns the constraints that edges are written under: the commit fails when there are others by then. Transactions
// that write edges do not depend on the schema as a whole: indexes are none of their business, and as long as no
// constraint is about edges a mark in the catalog says so. Then they only require that it exists, which costs
// less than the epoch; who defines the first such constraint deletes it.
func (tx *Txn) edgeSchema() (*schema, error) {
	switch {
	case tx.guarded:
		return tx.schema, nil
	case tx.free:
		return noRules, nil
	}
	err := tx.kv.RequireExists(tx.db.ks, freeKey)
	if errors.Is(err, mvcc.ErrNotFound) {
		return tx.writeSchema()
	}
	tx.free = err == nil
	return noRules, err
}

// markFree keeps the mark that edges have no constraints as the rules want it. REQUIRES: the transaction changes the schema.
func (db *DB) markFree(kv *mvcc.Txn, rules map[uint64]*rule) error {
	for _, r := range rules {
		if r.edges {
			return kv.Delete(db.ks, freeKey)
		}
	}
	return kv.Put(db.ks, freeKey, nil)
}

// checkEdge verifies that an edge may have the properties.
func (tx *Txn) checkEdge(s *schema, p place, props propList) error {
	if f := s.edgeFault(p.typ, props); f.rule != nil {
		return tx.db.edgeViolation(f, p.edge)
	}
	return nil
}

// requireEnds verifies that a new edge's ends have the labels that its type needs, now and when the transaction commits (G9).
func (tx *Txn) requireEnds(s *schema, p place) error {
	r := s.ends[p.typ]
	if r == nil {
		return nil
	}
	for side, label := range r.ends {
		if label == 0 {
			continue
		}
		tx.key = appendLabelKey(tx.key[:0], label, p.end(side))
		err := tx.kv.RequireExists(tx.db.ks, tx.key)
		if errors.Is(err, mvcc.ErrNotFound) {
			return tx.db.endViolation(r, p, side)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// end returns the node on a side.
func (p place) end(side int) NodeID {
	if side == sourceEnd {
		return p.src
	}
	return p.dst
}

// nameID is the id of a name in a dictionary.
type nameID struct {
	dict *dict
	id   uint64
}

// names lists the names that a definition consists of.
func (r *rule) names(db *DB) []nameID {
	list := []nameID{{db.labels, r.on}}
	if r.edges {
		list[0].dict = db.types
	}
	if r.property != 0 {
		list = append(list, nameID{db.properties, r.property})
	}
	for _, label := range r.ends {
		if label != 0 {
			list = append(list, nameID{db.labels, label})
		}
	}
	return list
}

// publicRule returns the definition in the user's terms.
func (db *DB) publicRule(r *rule) Constraint {
	c := Constraint{Kind: r.kind, Kinds: r.kinds, State: r.state}
	if r.edges {
		c.EdgeType = db.types.describe(r.on)
	} else {
		c.Label = db.labels.describe(r.on)
	}
	if r.property != 0 {
		c.Property = db.properties.describe(r.property)
	}
	for side, end := range [...]*string{&c.Source, &c.Destination} {
		if r.ends[side] != 0 {
			*end = db.labels.describe(r.ends[side])
		}
	}
	return c
}

func (db *DB) nodeViolation(f fault, id NodeID) *ConstraintError {
	return &ConstraintError{Constraint: db.publicRule(f.rule), Value: f.value, Node: id}
}

func (db *DB) edgeViolation(f fault, id EdgeID) *ConstraintError {
	return &ConstraintError{Constraint: db.publicRule(f.rule), Value: f.value, Edge: id}
}

// endViolation reports that the end of an edge lacks a label.
func (db *DB) endViolation(r *rule, p place, side int) *ConstraintError {
	return &ConstraintError{
		Constraint: db.publicRule(r), Edge: p.edge, Node: p.end(side), Needs: db.labels.describe(r.ends[side]),
	}
}
