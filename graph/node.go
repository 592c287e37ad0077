package graph

import (
	"github.com/sombradb/sombra/mvcc"
)

// Node is a node as a transaction saw it. It stays valid after the transaction.
type Node struct {
	ID     NodeID
	Labels []string // in the order in which the names were first used
	Props  Props    // nil when there are none
}

// HasLabel reports whether the node has the label.
func (n Node) HasLabel(label string) bool {
	for _, l := range n.Labels {
		if l == label {
			return true
		}
	}
	return false
}

// CreateNode creates a node and returns its id. Labels that occur twice count once, null properties are left out.
// Errors: ErrConstraint, ErrInvalid.
func (tx *Txn) CreateNode(labels []string, props Props) (NodeID, error) {
	if err := tx.writable(); err != nil {
		return 0, err
	}
	n := &nodeRec{}
	for _, name := range labels {
		label, err := tx.db.labels.intern(tx.Context(), name)
		if err != nil {
			return 0, err
		}
		n.addLabel(label)
	}
	var err error
	if n.props, err = tx.internProps(props); err != nil {
		return 0, err
	}
	id, err := tx.db.nodeIDs.take(tx.Context())
	if err != nil {
		return 0, err
	}
	if err := tx.writeNode(NodeID(id), nil, n); err != nil {
		return 0, err
	}
	return NodeID(id), nil
}

// Node returns a node. Errors: ErrNodeNotFound.
func (tx *Txn) Node(id NodeID) (Node, error) {
	n, err := tx.readNode(id)
	if err != nil {
		return Node{}, err
	}
	return tx.publicNode(id, n)
}

// LockNode returns a node and locks it until the transaction ends, so that its labels and properties can be changed
// after what they are. Errors: ErrNodeNotFound; ErrConflict when it was changed after the snapshot.
func (tx *Txn) LockNode(id NodeID) (Node, error) {
	n, err := tx.lockNode(id)
	if err != nil {
		return Node{}, err
	}
	return tx.publicNode(id, n)
}

// HasNode reports whether the node exists.
func (tx *Txn) HasNode(id NodeID) (bool, error) {
	tx.key = appendNodeKey(tx.key[:0], id)
	return tx.kv.Has(tx.db.ks, tx.key)
}

// Property returns one property of a node, null when it does not have it; it
// costs less than Node. Errors: ErrNodeNotFound.
func (tx *Txn) Property(id NodeID, name string) (Value, error) {
	tx.key = appendNodeKey(tx.key[:0], id)
	record, err := tx.get()
	if err != nil {
		return Value{}, nodeMissing(err, id)
	}
	property, known := tx.db.properties.lookup(name) // after the record was read (G8)
	if !known {
		return Value{}, nil
	}
	r := recordReader{rest: record, ok: true}
	for range r.count() {
		r.uvarint()
	}
	v := r.find(property)
	if !r.ok {
		return Value{}, tx.db.corrupt(tx.key, "its record is malformed")
	}
	return v, nil
}

// SetProperty sets a property of a node; null removes it. Errors: ErrNodeNotFound, ErrConstraint, ErrInvalid.
func (tx *Txn) SetProperty(id NodeID, name string, v Value) error {
	return tx.SetProperties(id, Props{name: v})
}

// RemoveProperty removes a property of a node if it has it. Errors: ErrNodeNotFound, ErrConstraint.
func (tx *Txn) RemoveProperty(id NodeID, name string) error {
	return tx.SetProperties(id, Props{name: Null()})
}

// SetProperties sets several properties of a node and leaves the others; null removes
// a property. Errors: as SetProperty.
func (tx *Txn) SetProperties(id NodeID, props Props) error {
	return tx.changeNode(id, func(n *nodeRec) error { return tx.merge(&n.props, props) })
}

// AddLabel adds a label to a node if it does not have it. Errors: ErrNodeNotFound, ErrConstraint, ErrInvalid.
func (tx *Txn) AddLabel(id NodeID, label string) error {
	return tx.changeNode(id, func(n *nodeRec) error {
		l, err := tx.db.labels.intern(tx.Context(), label)
		if err == nil {
			n.addLabel(l)
		}
		return err
	})
}

// RemoveLabel removes a label from a node if it has it. Errors: ErrNodeNotFound; ErrConstraint when an edge of the node
// needs the label; one that somebody adds meanwhile is ErrConflict at commit, for one of the two (G9).
func (tx *Txn) RemoveLabel(id NodeID, label string) error {
	return tx.changeNode(id, func(n *nodeRec) error {
		if l, known := tx.db.labels.lookup(label); known {
			n.removeLabel(l)
		}
		return nil
	})
}

// DeleteNode deletes a node without edges. Errors: ErrNodeNotFound, ErrHasEdges;
// an edge that somebody adds meanwhile is ErrConflict at commit, for one of the two (G2).
func (tx *Txn) DeleteNode(id NodeID) error {
	n, err := tx.lockForDelete(id)
	if err != nil {
		return err
	}
	for p, err := range tx.adjacent(id, Both, allTypes) {
		if err != nil {
			return err
		}
		return &HasEdgesError{Node: id, Edge: p.edge}
	}
	return tx.writeNode(id, n, nil)
}

// DetachDelete deletes a node and its edges. Errors: ErrNodeNotFound; ErrConflict
// at commit when its edges have changed.
func (tx *Txn) DetachDelete(id NodeID) error {
	n, err := tx.lockForDelete(id)
	if err != nil {
		return err
	}
	for p, err := range tx.adjacent(id, Both, allTypes) {
		if err != nil {
			return err
		}
		if err := tx.hookEdgeDeletion(p); err != nil {
			return err
		}
		if err := tx.deletePlace(p); err != nil {
			return err
		}
	}
	return tx.writeNode(id, n, nil)
}

// lockForDelete requires the node's adjacency to stay as it is from now, or from the snapshot, and locks the node.
func (tx *Txn) lockForDelete(id NodeID) (*nodeRec, error) {
	if err := tx.writable(); err != nil {
		return nil, err
	}
	for _, tag := range []byte{keyOut, keyIn} {
		r := mvcc.Prefix(appendUint([]byte{tag}, uint64(id)))
		if err := tx.kv.RequireUnchanged(tx.db.ks, r); err != nil {
			return nil, err
		}
	}
	return tx.lockNode(id)
}

// changeNode locks a node and writes what fn makes of it.
func (tx *Txn) changeNode(id NodeID, fn func(*nodeRec) error) error {
	if err := tx.writable(); err != nil {
		return err
	}
	old, err := tx.lockNode(id)
	if err != nil {
		return err
	}
	n := old.clone()
	if err := fn(n); err != nil {
		return err
	}
	return tx.writeNode(id, old, n)
}

// writeNode replaces a node's record, labels and index entries. A nil old
// creates the node, a nil new deletes it. After a *ConstraintError or *RefusedError nothing was written.
func (tx *Txn) writeNode(id NodeID, old, new *nodeRec) error {
	s, err := tx.writeSchema()
	if err != nil {
		return err
	}
	if err := tx.checkNode(s, id, old, new); err != nil {
		return err
	}
	changes := s.changes(old, new)
	if err := tx.checkChanges(id, changes); err != nil {
		return err
	}
	if err := tx.hookNode(id, old, new); err != nil {
		return err
	}
	if err := tx.writeRecord(id, new); err != nil {
		return err
	}
	if err := tx.writeLabels(id, old, new); err != nil {
		return err
	}
	return tx.applyChanges(id, changes)
}

func (tx *Txn) writeRecord(id NodeID, n *nodeRec) error {
	tx.key = appendNodeKey(tx.key[:0], id)
	if n == nil {
		return tx.delete()
	}
	tx.rec = appendNode(tx.rec[:0], n)
	return tx.put(tx.rec)
}

func (tx *Txn) writeLabels(id NodeID, old, new *nodeRec) error {
	if old != nil {
		for _, label := range old.labels {
			if new.hasLabel(label) {
				continue
			}
			tx.key = appendLabelKey(tx.key[:0], label, id)
			if err := tx.delete(); err != nil {
				return err
			}
		}
	}
	if new == nil {
		return nil
	}
	for _, label := range new.labels {
		if old.hasLabel(label) {
			continue
		}
		tx.key = appendLabelKey(tx.key[:0], label, id)
		if err := tx.put(nil); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Txn) readNode(id NodeID) (*nodeRec, error) {
	tx.key = appendNodeKey(tx.key[:0], id)
	record, err := tx.get()
	return tx.parseNode(id, record, err)
}

func (tx *Txn) lockNode(id NodeID) (*nodeRec, error) {
	tx.key = appendNodeKey(tx.key[:0], id)
	record, err := tx.lock()
	return tx.parseNode(id, record, err)
}

func (tx *Txn) parseNode(id NodeID, record string, err error) (*nodeRec, error) {
	if err != nil {
		return nil, nodeMissing(err, id)
	}
	n, err := decodeNode(record)
	if err != nil {
		return nil, tx.db.corrupt(tx.key, "its record is malformed")
	}
	return n, nil
}

func (tx *Txn) publicNode(id NodeID, n *nodeRec) (Node, error) {
	node := Node{ID: id, Labels: make([]string, len(n.labels))}
	var ok bool
	if node.Props, ok = tx.publicProps(n.props); !ok {
		return Node{}, tx.db.corrupt(appendNodeKey(nil, id), "it has a property whose name is not in the catalog")
	}
	for i, label := range n.labels {
		if node.Labels[i], ok = tx.db.labels.name(label); !ok {
			return Node{}, tx.db.corrupt(appendNodeKey(nil, id), "it has a label whose name is not in the catalog")
		}
	}
	return node, nil
}
