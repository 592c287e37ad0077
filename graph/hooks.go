package graph

import (
	"errors"

	"github.com/sombradb/sombra/mvcc"
)

// Hooks are a service's own rules for nodes and edges, beside constraints. Nil functions are no rules.
//
// A hook is called for each write of an element, on the goroutine of the caller, after constraints and indexes have allowed
// it and before anything of it is written. It gets copies: before is nil for an element that is created, after for one that is
// deleted; DetachDelete calls it for each edge, and then for the node. An error refuses the operation, which writes
// nothing (DetachDelete may have deleted some edges by then: roll back), and comes back inside of a *RefusedError. The transaction
// can go on. In one that is retried the hook is called again, so it must have no effects of its own.
//
// What a hook may do with tx: read, lock nodes, and use tx.Store() for keyspaces of the application. Writing to the graph,
// Commit and RollbackTo are ErrInvalid in it. What it reads of other elements may change until the commit, as for any other reader at the
// transaction's isolation level: a rule about several elements needs Serializable, or locks. In a Load tx is nil, and nothing
// can be read.
//
// Hooks are code, not data: they do not verify what is there already, Check and Mend do not know them, and another
// program that opens the database does not call them. Several goroutines call them at once.
//
// A hook costs the names and values of the element as Txn.Node and Txn.Edge return them, before and after, and the deletion of an
// edge has to read it. Without a hook nothing of that happens.
type Hooks struct {
	Node func(tx *Txn, before, after *Node) error
	Edge func(tx *Txn, before, after *Edge) error
}

// hooked calls fn, in which the transaction can read only.
func (tx *Txn) hooked(fn func() error) error {
	tx.inHook = true
	defer func() { tx.inHook = false }()
	return fn()
}

// hookNode asks the hook about a node. A nil old or new is no node.
func (tx *Txn) hookNode(id NodeID, old, new *nodeRec) error {
	if tx.db.hooks.Node == nil {
		return nil
	}
	before, err := tx.hookedNode(id, old)
	if err != nil {
		return err
	}
	after, err := tx.hookedNode(id, new)
	if err != nil {
		return err
	}
	return refusedBy(tx.hooked(func() error { return tx.db.hooks.Node(tx, before, after) }), id, 0)
}

func (tx *Txn) hookedNode(id NodeID, n *nodeRec) (*Node, error) {
	if n == nil {
		return nil, nil
	}
	node, err := tx.publicNode(id, n)
	return &node, err
}

// hookEdge asks the hook about an edge that is written; created says that there was none before.
func (tx *Txn) hookEdge(p place, created bool, old, new propList) error {
	if tx.db.hooks.Edge == nil {
		return nil
	}
	after, err := tx.edgeOf(p, new)
	if err != nil {
		return err
	}
	if created {
		return tx.askEdge(p, nil, &after)
	}
	before, err := tx.edgeOf(p, old)
	if err != nil {
		return err
	}
	return tx.askEdge(p, &before, &after)
}

// hookEdgeDeletion asks the hook about an edge that is to be deleted.
func (tx *Txn) hookEdgeDeletion(p place) error {
	if tx.db.hooks.Edge == nil {
		return nil
	}
	before, err := tx.edgeAt(p)
	if errors.Is(err, ErrEdgeNotFound) { // without a snapshot somebody else may have deleted it
		return nil
	}
	if err != nil {
		return err
	}
	return tx.askEdge(p, &before, nil)
}

func (tx *Txn) askEdge(p place, before, after *Edge) error {
	return refusedBy(tx.hooked(func() error { return tx.db.hooks.Edge(tx, before, after) }), 0, p.edge)
}

// refusedBy says what a hook has refused. What Update has to see in order to retry stays as it is.
func refusedBy(err error, node NodeID, edge EdgeID) error {
	if err == nil || mvcc.IsRetryable(err) {
		return err
	}
	return &RefusedError{Node: node, Edge: edge, Err: err}
}

// hookNode asks the hook about a new node.
func (l *Loader) hookNode(id NodeID, n *nodeRec) error {
	if l.db.hooks.Node == nil {
		return nil
	}
	after, err := (&Txn{db: l.db}).publicNode(id, n)
	if err != nil {
		return err
	}
	return refusedBy(l.db.hooks.Node(nil, nil, &after), id, 0)
}

// hookEdge asks the hook about a new edge.
func (l *Loader) hookEdge(p place, props propList) error {
	if l.db.hooks.Edge == nil {
		return nil
	}
	after, err := (&Txn{db: l.db}).edgeOf(p, props)
	if err != nil {
		return err
	}
	return refusedBy(l.db.hooks.Edge(nil, nil, &after), 0, p.edge)
}
