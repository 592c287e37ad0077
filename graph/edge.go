package graph

import "slices"

// Edge is an edge as a transaction saw it. It stays valid after the transaction.
type Edge struct {
	ID       EdgeID
	Src, Dst NodeID
	Type     string
	Props    Props // nil when there are none
}

// Other returns the edge's end that is not the given one, or the given one of a loop.
func (e Edge) Other(node NodeID) NodeID {
	if e.Src == node {
		return e.Dst
	}
	return e.Src
}

// CreateEdge creates an edge from src to dst and returns its id. It locks neither
// node and does not conflict with other edges at them, nor with changes of their properties; at commit
// both must exist, and have the labels that a constraint on the type wants, else it is ErrConflict. Errors:
// ErrNodeNotFound, ErrConstraint, ErrInvalid. Edge in a ConstraintError is the id that the edge would have had.
func (tx *Txn) CreateEdge(src, dst NodeID, typ string, props Props) (EdgeID, error) {
	if err := tx.writable(); err != nil {
		return 0, err
	}
	for _, end := range [...]NodeID{src, dst} {
		tx.key = appendNodeKey(tx.key[:0], end)
		if err := tx.kv.RequireExists(tx.db.ks, tx.key); err != nil {
			return 0, nodeMissing(err, end)
		}
	}
	t, err := tx.db.types.intern(tx.Context(), typ)
	if err != nil {
		return 0, err
	}
	list, err := tx.internProps(props)
	if err != nil {
		return 0, err
	}
	id, err := tx.db.edgeIDs.take(tx.Context())
	if err != nil {
		return 0, err
	}
	p := place{src: src, dst: dst, typ: t, edge: EdgeID(id)}
	if err := tx.checkNewEdge(p, list); err != nil {
		return 0, err
	}
	if err := tx.hookEdge(p, true, nil, list); err != nil {
		return 0, err
	}
	return p.edge, tx.putEdge(p, list)
}

// checkNewEdge verifies that the constraints allow an edge.
func (tx *Txn) checkNewEdge(p place, props propList) error {
	s, err := tx.edgeSchema()
	if err != nil {
		return err
	}
	if err := tx.checkEdge(s, p, props); err != nil {
		return err
	}
	return tx.requireEnds(s, p)
}

// putEdge writes the three entries of a new edge.
func (tx *Txn) putEdge(p place, props propList) error {
	if err := tx.putEdgeProps(p, props); err != nil {
		return err
	}
	tx.key = appendInKey(tx.key[:0], p)
	if err := tx.put(nil); err != nil {
		return err
	}
	tx.key = appendEdgeKey(tx.key[:0], p.edge)
	tx.rec = appendPlace(tx.rec[:0], p)
	return tx.put(tx.rec)
}

func (tx *Txn) putEdgeProps(p place, props propList) error {
	tx.key = appendOutKey(tx.key[:0], p)
	tx.rec = appendEdge(tx.rec[:0], props)
	return tx.put(tx.rec)
}

// Edge returns an edge. Errors: ErrEdgeNotFound.
func (tx *Txn) Edge(id EdgeID) (Edge, error) {
	p, err := tx.findEdge(id)
	if err != nil {
		return Edge{}, err
	}
	return tx.edgeAt(p)
}

// SetEdgeProperty sets a property of an edge; null removes it. Errors: ErrEdgeNotFound, ErrConstraint, ErrInvalid.
func (tx *Txn) SetEdgeProperty(id EdgeID, name string, v Value) error {
	return tx.SetEdgeProperties(id, Props{name: v})
}

// RemoveEdgeProperty removes a property of an edge if it has it. Errors: ErrEdgeNotFound, ErrConstraint.
func (tx *Txn) RemoveEdgeProperty(id EdgeID, name string) error {
	return tx.SetEdgeProperties(id, Props{name: Null()})
}

// SetEdgeProperties sets several properties of an edge and leaves the others; null
// removes a property. Errors: as SetEdgeProperty.
func (tx *Txn) SetEdgeProperties(id EdgeID, props Props) error {
	if err := tx.writable(); err != nil {
		return err
	}
	p, err := tx.findEdge(id)
	if err != nil {
		return err
	}
	tx.key = appendOutKey(tx.key[:0], p)
	record, err := tx.lock()
	if err != nil {
		return edgeMissing(err, id)
	}
	list, err := decodeEdge(record)
	if err != nil {
		return tx.db.corrupt(tx.key, "its record is malformed")
	}
	old := list
	if tx.db.hooks.Edge != nil {
		old = slices.Clone(list)
	}
	if err := tx.merge(&list, props); err != nil {
		return err
	}
	s, err := tx.edgeSchema()
	if err != nil {
		return err
	}
	if err := tx.checkEdge(s, p, list); err != nil {
		return err
	}
	if err := tx.hookEdge(p, false, old, list); err != nil {
		return err
	}
	return tx.putEdgeProps(p, list)
}

// DeleteEdge deletes an edge. Errors: ErrEdgeNotFound.
func (tx *Txn) DeleteEdge(id EdgeID) error {
	if err := tx.writable(); err != nil {
		return err
	}
	tx.key = appendEdgeKey(tx.key[:0], id)
	value, err := tx.lock()
	p, err := tx.parsePlace(id, value, err)
	if err != nil {
		return err
	}
	if err := tx.hookEdgeDeletion(p); err != nil {
		return err
	}
	return tx.deletePlace(p)
}

// deletePlace deletes the three entries of an edge.
func (tx *Txn) deletePlace(p place) error {
	tx.key = appendEdgeKey(tx.key[:0], p.edge)
	if err := tx.delete(); err != nil {
		return err
	}
	tx.key = appendInKey(tx.key[:0], p)
	if err := tx.delete(); err != nil {
		return err
	}
	tx.key = appendOutKey(tx.key[:0], p)
	return tx.delete()
}

func (tx *Txn) findEdge(id EdgeID) (place, error) {
	tx.key = appendEdgeKey(tx.key[:0], id)
	value, err := tx.get()
	return tx.parsePlace(id, value, err)
}

func (tx *Txn) parsePlace(id EdgeID, value string, err error) (place, error) {
	if err != nil {
		return place{}, edgeMissing(err, id)
	}
	p, err := parsePlace(id, []byte(value))
	if err != nil {
		return place{}, tx.db.corrupt(tx.key, "its place is malformed")
	}
	return p, nil
}

// edgeAt reads the edge at a place. Where every read is of another moment it may be gone.
func (tx *Txn) edgeAt(p place) (Edge, error) {
	tx.key = appendOutKey(tx.key[:0], p)
	record, err := tx.get()
	if err != nil {
		return Edge{}, edgeMissing(err, p.edge)
	}
	return tx.publicEdge(p, record)
}

func (tx *Txn) publicEdge(p place, record string) (Edge, error) {
	list, err := decodeEdge(record)
	if err != nil {
		return Edge{}, tx.db.corrupt(appendOutKey(nil, p), "its record is malformed")
	}
	return tx.edgeOf(p, list)
}

// edgeOf returns the edge at a place with the properties.
func (tx *Txn) edgeOf(p place, list propList) (Edge, error) {
	e := Edge{ID: p.edge, Src: p.src, Dst: p.dst}
	var ok bool
	if e.Type, ok = tx.db.types.name(p.typ); !ok {
		return Edge{}, tx.db.corrupt(appendOutKey(nil, p), "its type is not in the catalog")
	}
	if e.Props, ok = tx.publicProps(list); !ok {
		return Edge{}, tx.db.corrupt(appendOutKey(nil, p), "it has a property whose name is not in the catalog")
	}
	return e, nil
}
