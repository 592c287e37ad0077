package graph

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ConstraintKind says what a constraint is about.
type ConstraintKind uint8

// Kinds of constraints.
const (
	// RequiredProperty: the nodes with a label, or the edges of a type, have the property.
	RequiredProperty ConstraintKind = iota + 1
	// PropertyKind: the property, where they have it, is a value of certain kinds.
	PropertyKind
	// EndpointLabels: the edges of a type go from nodes with a label to nodes with a label.
	EndpointLabels
	// UniqueValue is what a unique index says, in a ConstraintError only; such an index is made with CreateIndex.
	UniqueValue
)

// String returns the kind in words.
func (k ConstraintKind) String() string {
	switch k {
	case RequiredProperty:
		return "required property"
	case PropertyKind:
		return "kind of property"
	case EndpointLabels:
		return "labels of ends"
	case UniqueValue:
		return "unique value"
	}
	return "constraint(" + strconv.Itoa(int(k)) + ")"
}

// ConstraintState is the stage of a constraint's life:
//
//	(none) --define--> verifying --publish--> ready --drop--> (none)
//	                       \------------- drop ------------------^
//
//	verifying  writers obey it; what was there before may violate it
//	ready      it is in force: G9
type ConstraintState uint8

// States of constraints.
const (
	ConstraintVerifying ConstraintState = iota + 1
	ConstraintReady
)

// String returns the state in words.
func (s ConstraintState) String() string {
	switch s {
	case ConstraintVerifying:
		return "being verified"
	case ConstraintReady:
		return "in force"
	}
	return "state(" + strconv.Itoa(int(s)) + ")"
}

// Kinds is a set of kinds of values.
type Kinds uint16

// KindsOf returns the set of the given kinds.
func KindsOf(kinds ...Kind) (set Kinds) {
	for _, k := range kinds {
		set |= 1 << k
	}
	return set
}

// Has reports whether the kind is in the set.
func (s Kinds) Has(k Kind) bool { return s>>k&1 != 0 }

// String lists the kinds, as in "int or float".
func (s Kinds) String() string {
	var names []string
	for k, name := range kindNames {
		if s.Has(Kind(k)) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// allKinds are the kinds that a property can have.
const allKinds = Kinds(1<<(KindMap+1) - 2)

// Constraint is a rule for the nodes with a label or for the edges of a type. NodesRequire, EdgesRequire, NodesHaveKind,
// EdgesHaveKind and EdgesJoin make them. There is at most one of a kind on the same label or type and property.
type Constraint struct {
	Kind                ConstraintKind
	Label               string // of nodes; empty when it is about edges
	EdgeType            string // of edges; empty when it is about nodes
	Property            string // of RequiredProperty, PropertyKind and UniqueValue
	Kinds               Kinds  // of PropertyKind
	Source, Destination string // of EndpointLabels; empty: any node
	State               ConstraintState
}

// NodesRequire is the constraint that every node with the label has the property.
func NodesRequire(label, property string) Constraint {
	return Constraint{Kind: RequiredProperty, Label: label, Property: property}
}

// EdgesRequire is the constraint that every edge of the type has the property.
func EdgesRequire(typ, property string) Constraint {
	return Constraint{Kind: RequiredProperty, EdgeType: typ, Property: property}
}

// NodesHaveKind is the constraint that the property is of one of the kinds in every node with the label that has it.
func NodesHaveKind(label, property string, kinds ...Kind) Constraint {
	return Constraint{Kind: PropertyKind, Label: label, Property: property, Kinds: KindsOf(kinds...)}
}

// EdgesHaveKind is the constraint that the property is of one of the kinds in every edge of the type that has it.
func EdgesHaveKind(typ, property string, kinds ...Kind) Constraint {
	return Constraint{Kind: PropertyKind, EdgeType: typ, Property: property, Kinds: KindsOf(kinds...)}
}

// EdgesJoin is the constraint that every edge of the type goes from a node with the label source to one with the label
// destination. One of them may be empty: then that end may be any node.
func EdgesJoin(typ, source, destination string) Constraint {
	return Constraint{Kind: EndpointLabels, EdgeType: typ, Source: source, Destination: destination}
}

// String says the constraint in words, such as "every node :Person has email".
func (c Constraint) String() string {
	element := "node :" + printable(c.Label)
	if c.EdgeType != "" {
		element = "edge :" + printable(c.EdgeType)
	}
	switch c.Kind {
	case RequiredProperty:
		return fmt.Sprintf("every %s has %s", element, printable(c.Property))
	case PropertyKind:
		return fmt.Sprintf("%s of every %s is %v", printable(c.Property), element, c.Kinds)
	case EndpointLabels:
		return fmt.Sprintf("every %s goes from %s to %s", element, endText(c.Source), endText(c.Destination))
	case UniqueValue:
		return fmt.Sprintf("%s of every %s is unique", c.Property, element)
	}
	return fmt.Sprintf("%v on every %s", c.Kind, element)
}

func endText(label string) string {
	if label == "" {
		return "any node"
	}
	return ":" + printable(label)
}

// validate verifies that the constraint says something.
func (c Constraint) validate() error {
	switch c.Kind {
	case RequiredProperty, PropertyKind:
		if (c.Label == "") == (c.EdgeType == "") {
			return invalid("a constraint on a property is about a label or about an edge type; got label %q, type %q", c.Label, c.EdgeType)
		}
		if c.Kind == PropertyKind && (c.Kinds == 0 || c.Kinds&^allKinds != 0) {
			return invalid("constraint on %q: it needs kinds of values, and null is none", c.Property)
		}
	case EndpointLabels:
		if c.Label != "" || c.EdgeType == "" || c.Source == "" && c.Destination == "" {
			return invalid("a constraint on ends needs an edge type and at least one label of an end; got %q, from %q to %q", c.EdgeType, c.Source, c.Destination)
		}
	default:
		return invalid("%v is no constraint that can be created", c.Kind)
	}
	return nil
}

// Constraints returns all constraints, sorted by label or edge type, property and kind. Unique indexes are among Indexes.
func (tx *Txn) Constraints() ([]Constraint, error) {
	s, err := tx.readSchema()
	if err != nil {
		return nil, err
	}
	list := make([]Constraint, 0, len(s.rules))
	for _, r := range s.rules {
		list = append(list, tx.db.publicRule(r))
	}
	slices.SortFunc(list, func(a, b Constraint) int {
		return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.EdgeType, b.EdgeType),
			cmp.Compare(a.Property, b.Property), cmp.Compare(a.Kind, b.Kind))
	})
	return list, nil
}

// Constraints returns all constraints, sorted as those of a transaction.
func (db *DB) Constraints(ctx context.Context) (list []Constraint, err error) {
	err = db.View(ctx, func(tx *Txn) error {
		list, err = tx.Constraints()
		return err
	})
	return list, err
}
