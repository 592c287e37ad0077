package graph

import (
	"bytes"
	"context"
	"errors"
	"maps"

	"github.com/sombradb/sombra/mvcc"
)

// verifyBatch is how many entries of nodes or edges are read in one snapshot.
const verifyBatch = 4096

// CreateConstraint puts a constraint in force, and returns when what is there obeys it. Writers go on meanwhile and are held
// to it from the start; those that began before it was defined are retried. It reads all nodes with the label, or all
// edges.
//
// If an element violates it, the error is a *ConstraintError that names one, and no constraint is left. One of the same kind on
// the same property of the same label or type, or on the ends of the same type, is ErrConstraintExists; to change a constraint, drop it and create
// the other one.
//
// The first constraint of a graph makes its format one that releases without constraints do not open.
func (db *DB) CreateConstraint(ctx context.Context, c Constraint) error {
	if err := c.validate(); err != nil {
		return err
	}
	r, err := c.rule(func(d *dict, name string) (uint64, error) { return d.intern(ctx, name) }, db)
	if err != nil {
		return err
	}
	r.state = ConstraintVerifying
	if r.id, err = db.ruleIDs.take(ctx); err != nil {
		return err
	}
	if err := db.defineRule(ctx, r); err != nil {
		return err
	}
	if err = db.verifyRule(ctx, r); err == nil {
		err = db.publishRule(ctx, r)
	}
	if err == nil || errors.Is(err, mvcc.ErrCommitUnknown) {
		return err
	}
	if undo := db.forgetRule(context.WithoutCancel(ctx), r); undo != nil && !errors.Is(undo, ErrNoConstraint) {
		return errors.Join(err, undo)
	}
	return err
}

// rule returns the definition under the ids that find gives names.
func (c Constraint) rule(find func(d *dict, name string) (uint64, error), db *DB) (*rule, error) {
	r := &rule{kind: c.Kind, edges: c.Label == "", kinds: c.Kinds}
	for _, f := range []struct {
		dict *dict
		name string
		id   *uint64
		free bool // may be empty
	}{
		{db.labels, c.Label, &r.on, r.edges},
		{db.types, c.EdgeType, &r.on, !r.edges},
		{db.properties, c.Property, &r.property, c.Kind == EndpointLabels},
		{db.labels, c.Source, &r.ends[sourceEnd], true},
		{db.labels, c.Destination, &r.ends[destinationEnd], true},
	} {
		if f.free && f.name == "" {
			continue
		}
		var err error
		if *f.id, err = find(f.dict, f.name); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// DropConstraint removes a constraint: the one of the kind on the label or type and property; what else it says does not
// matter. ErrNoConstraint when there is none. Transactions that began before are retried.
func (db *DB) DropConstraint(ctx context.Context, c Constraint) error {
	missing := &ConstraintDefinitionError{Constraint: c}
	if (c.Label == "") == (c.EdgeType == "") {
		return missing // it is about nothing, or about both
	}
	c.Source, c.Destination = "", ""
	if c.Kind == EndpointLabels {
		c.Property = ""
	}
	r, err := c.rule(func(d *dict, name string) (uint64, error) {
		id, known := d.lookup(name)
		if !known {
			return 0, missing
		}
		return id, nil
	}, db)
	if err != nil {
		return err
	}
	return db.changeRules(ctx, func(kv *mvcc.Txn, s *schema) error {
		now := s.ruleOn[r.key()]
		if now == nil {
			return missing
		}
		return db.deleteRule(kv, s, now)
	})
}

// changeRules runs fn in a schema change, in which it also makes the rules of s what they will be.
func (db *DB) changeRules(ctx context.Context, fn func(kv *mvcc.Txn, s *schema) error) error {
	return db.changeSchema(ctx, func(kv *mvcc.Txn, s *schema) error {
		next := *s
		next.rules = maps.Clone(s.rules)
		if err := fn(kv, &next); err != nil {
			return err
		}
		return db.markFree(kv, next.rules)
	})
}

func (db *DB) putRule(kv *mvcc.Txn, s *schema, r *rule) error {
	s.rules[r.id] = r
	return kv.Put(db.ks, appendRuleKey(nil, r.id), appendRule(nil, r))
}

func (db *DB) deleteRule(kv *mvcc.Txn, s *schema, r *rule) error {
	delete(s.rules, r.id)
	return kv.Delete(db.ks, appendRuleKey(nil, r.id))
}

func (db *DB) defineRule(ctx context.Context, r *rule) error {
	return db.changeRules(ctx, func(kv *mvcc.Txn, s *schema) error {
		if other := s.ruleOn[r.key()]; other != nil {
			return &ConstraintDefinitionError{Constraint: db.publicRule(other), Exists: true}
		}
		if err := db.raiseFormat(kv); err != nil {
			return err
		}
		return db.putRule(kv, s, r)
	})
}

func (db *DB) publishRule(ctx context.Context, r *rule) error {
	ready := *r
	ready.state = ConstraintReady
	return db.changeRules(ctx, func(kv *mvcc.Txn, s *schema) error {
		if s.rules[r.id] == nil {
			return &ConstraintDefinitionError{Constraint: db.publicRule(r)}
		}
		return db.putRule(kv, s, &ready)
	})
}

func (db *DB) forgetRule(ctx context.Context, r *rule) error {
	return db.changeRules(ctx, func(kv *mvcc.Txn, s *schema) error {
		if s.rules[r.id] == nil {
			return &ConstraintDefinitionError{Constraint: db.publicRule(r)}
		}
		return db.deleteRule(kv, s, r)
	})
}

// verifyRule reads what was there before writers obeyed the constraint, each batch in a snapshot of its own.
func (db *DB) verifyRule(ctx context.Context, r *rule) error {
	next := mvcc.Prefix([]byte{keyOut})
	if !r.edges {
		next = mvcc.Prefix(appendUint([]byte{keyLabel}, r.on))
	}
	for next.Lo != nil {
		err := db.View(ctx, func(tx *Txn) (err error) {
			next.Lo, err = tx.verifySome(r, next)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// verifySome verifies the elements of some entries and returns the key to go on with, nil at the end.
func (tx *Txn) verifySome(r *rule, keys mvcc.Range) (next []byte, err error) {
	verify := tx.verifyNode
	if r.edges {
		verify = tx.verifyEdge
	}
	seen := 0
	for item, err := range tx.kv.Scan(tx.db.ks, keys) {
		if err != nil {
			return nil, err
		}
		if seen++; seen > verifyBatch {
			return bytes.Clone(item.Key), nil
		}
		if err := verify(r, item); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// verifyNode verifies the node of a label entry.
func (tx *Txn) verifyNode(r *rule, item mvcc.Item) error {
	_, id, err := tx.labelEntry(item.Key)
	if err != nil {
		return err
	}
	n, err := tx.readNode(id)
	if err != nil {
		return err
	}
	if v, refused := r.refuses(n.props); refused {
		return tx.db.nodeViolation(fault{r, v}, id)
	}
	return nil
}

// verifyEdge verifies the edge of an out record.
func (tx *Txn) verifyEdge(r *rule, item mvcc.Item) error {
	p, err := parseAdjacency(item.Key)
	if err != nil {
		return tx.db.corrupt(item.Key, "its key is malformed")
	}
	if p.typ != r.on {
		return nil
	}
	if r.kind == EndpointLabels {
		side, err := tx.bareEnd(r, p)
		if err == nil && side >= 0 {
			err = tx.db.endViolation(r, p, side)
		}
		return err
	}
	props, err := decodeEdge(string(item.Value))
	if err != nil {
		return tx.db.corrupt(item.Key, "its record is malformed")
	}
	if v, refused := r.refuses(props); refused {
		return tx.db.edgeViolation(fault{r, v}, p.edge)
	}
	return nil
}

// bareEnd returns the side on which an edge lacks the label, -1 when it has both.
func (tx *Txn) bareEnd(r *rule, p place) (side int, err error) {
	for side, label := range r.ends {
		if label == 0 {
			continue
		}
		tx.key = appendLabelKey(tx.key[:0], label, p.end(side))
		if found, err := tx.kv.Has(tx.db.ks, tx.key); err != nil || !found {
			return side, err
		}
	}
	return -1, nil
}
