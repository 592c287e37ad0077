package graph

import (
	"maps"
	"slices"

	"github.com/sombradb/sombra/mvcc"
)

// ruleFault is an element that violates a constraint. Names are not known yet.
type ruleFault struct {
	fault
	node NodeID
	edge place // of faults of edges
	side int   // of EndpointLabels
}

// obey finds the constraints that do not hold. REQUIRES: nodes and edges are as they will be.
func (m *mender) obey() error {
	if len(m.schema.onNodes) > 0 {
		if err := m.walk([]byte{keyNode}, m.nodeObeys); err != nil {
			return err
		}
	}
	if len(m.schema.onEdges)+len(m.schema.ends) > 0 {
		return m.walk([]byte{keyOut}, m.edgeObeys)
	}
	return nil
}

// blame notes that a constraint does not hold, once. One that is not in force is removed by the next Open anyway.
func (m *mender) blame(f ruleFault) {
	if m.faults[f.rule.id] == nil && f.rule.state == ConstraintReady {
		m.faults[f.rule.id] = &f
	}
}

func (m *mender) nodeObeys(item mvcc.Item) error {
	id, err := parseNodeKey(item.Key)
	if err != nil {
		return err
	}
	n, err := decodeNode(string(item.Value))
	if err != nil {
		return err
	}
	for _, label := range n.labels {
		for _, r := range m.schema.onNodes[label] {
			if v, refused := r.refuses(n.props); refused {
				m.blame(ruleFault{fault: fault{r, v}, node: id})
			}
		}
	}
	return nil
}

func (m *mender) edgeObeys(item mvcc.Item) error {
	p, err := parseAdjacency(item.Key)
	if err != nil {
		return err
	}
	props, err := decodeEdge(string(item.Value))
	if err != nil {
		return err
	}
	for _, r := range m.schema.onEdges[p.typ] {
		if v, refused := r.refuses(props); refused {
			m.blame(ruleFault{fault: fault{r, v}, edge: p})
		}
	}
	r := m.schema.ends[p.typ]
	if r == nil {
		return nil
	}
	side, err := m.tx.bareEnd(r, p)
	if err == nil && side >= 0 {
		m.blame(ruleFault{fault: fault{rule: r}, edge: p, side: side})
	}
	return err
}

// dropRules drops the constraints that do not hold.
func (m *mender) dropRules() error {
	db := m.tx.db
	left := maps.Clone(m.schema.rules)
	for _, id := range slices.Sorted(maps.Keys(m.faults)) {
		f := m.faults[id]
		violation := db.nodeViolation(f.fault, f.node)
		switch {
		case f.rule.kind == EndpointLabels:
			violation = db.endViolation(f.rule, f.edge, f.side)
		case f.rule.edges:
			violation = db.edgeViolation(f.fault, f.edge.edge)
		}
		m.report.Broken = append(m.report.Broken, violation)
		delete(left, id)
		if err := m.tx.kv.Delete(db.ks, appendRuleKey(nil, id)); err != nil {
			return err
		}
	}
	return db.markFree(m.tx.kv, left)
}
