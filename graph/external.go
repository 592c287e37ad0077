package graph

import (
	"errors"
	"unicode/utf8"

	"github.com/sombradb/sombra/mvcc"
)

// MaxExternalSize is the longest import key and the longest external id, in bytes.
const MaxExternalSize = 4096

// External ids are the ids that elements have where they come from. They are unique per
// import key and kind of element, so an import that is run again finds what it has made. An external
// id whose element was deleted is free again; its entry stays until then.

// LookupNode returns the node that was created under an external id. Errors: ErrNodeNotFound.
func (tx *Txn) LookupNode(importKey, id string) (NodeID, error) {
	n, err := tx.lookup(externalNode, importKey, id)
	return NodeID(n), err
}

// LookupEdge returns the edge that was created under an external id. Errors: ErrEdgeNotFound.
func (tx *Txn) LookupEdge(importKey, id string) (EdgeID, error) {
	e, err := tx.lookup(externalEdge, importKey, id)
	return EdgeID(e), err
}

// CreateNodeAs creates a node under an external id unless there is one, which it returns with created
// false and leaves as it is. Errors: as CreateNode; ErrConflict when somebody does the same.
func (tx *Txn) CreateNodeAs(importKey, id string, labels []string, props Props) (node NodeID, created bool, err error) {
	existing, err := tx.claimExternal(externalNode, importKey, id)
	if err != nil {
		return 0, false, err
	}
	if existing != 0 {
		if found, err := tx.hasElement(externalNode, existing); err != nil || found {
			return NodeID(existing), false, err
		}
	}
	if node, err = tx.CreateNode(labels, props); err != nil {
		return 0, false, err
	}
	return node, true, tx.bindExternal(externalNode, importKey, id, uint64(node))
}

// CreateEdgeAs creates an edge under an external id unless there is one, which it returns with created
// false and leaves as it is. Errors: as CreateEdge; ErrConflict when somebody does the same.
func (tx *Txn) CreateEdgeAs(importKey, id string, src, dst NodeID, typ string, props Props) (edge EdgeID, created bool, err error) {
	existing, err := tx.claimExternal(externalEdge, importKey, id)
	if err != nil {
		return 0, false, err
	}
	if existing != 0 {
		if found, err := tx.hasElement(externalEdge, existing); err != nil || found {
			return EdgeID(existing), false, err
		}
	}
	if edge, err = tx.CreateEdge(src, dst, typ, props); err != nil {
		return 0, false, err
	}
	return edge, true, tx.bindExternal(externalEdge, importKey, id, uint64(edge))
}

func (tx *Txn) hasElement(kind byte, id uint64) (bool, error) {
	tx.key = tx.key[:0]
	if kind == externalEdge {
		tx.key = appendEdgeKey(tx.key, EdgeID(id))
	} else {
		tx.key = appendNodeKey(tx.key, NodeID(id))
	}
	return tx.kv.Has(tx.db.ks, tx.key)
}

// lookup returns the element under an external id if it still exists.
func (tx *Txn) lookup(kind byte, importKey, id string) (uint64, error) {
	absent := &NotFoundError{IsEdge: kind == externalEdge, External: id}
	tx.key = appendExternalKey(tx.key[:0], kind, importKey, id)
	value, err := tx.get()
	if errors.Is(err, mvcc.ErrNotFound) {
		return 0, absent
	}
	if err != nil {
		return 0, err
	}
	element, err := tx.db.uintValue(tx.key, []byte(value))
	if err != nil {
		return 0, err
	}
	found, err := tx.hasElement(kind, element)
	if err == nil && !found {
		err = absent
	}
	return element, err
}

// claimExternal locks an external id and returns its element, 0 when there is none.
func (tx *Txn) claimExternal(kind byte, importKey, id string) (uint64, error) {
	if err := checkExternal(importKey, id); err != nil {
		return 0, err
	}
	if err := tx.writable(); err != nil {
		return 0, err
	}
	tx.key = appendExternalKey(tx.key[:0], kind, importKey, id)
	value, err := tx.lock()
	if errors.Is(err, mvcc.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return tx.db.uintValue(tx.key, []byte(value))
}

func checkExternal(importKey, id string) error {
	for _, s := range [...]string{importKey, id} {
		if s == "" || len(s) > MaxExternalSize || !utf8.ValidString(s) {
			return invalid("import key %.40q, external id %.40q: each must be UTF-8 of 1 to %d bytes", importKey, id, MaxExternalSize)
		}
	}
	return nil
}

func (tx *Txn) bindExternal(kind byte, importKey, id string, element uint64) error {
	tx.key = appendExternalKey(tx.key[:0], kind, importKey, id)
	return tx.put(appendUint(nil, element))
}
