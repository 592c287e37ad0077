package graph

import (
	"errors"
	"fmt"

	cerrors "github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/mvcc"
)

// Errors of elements and their use. Each is matched by the typed error of the
// same subject with errors.Is. Errors of the store (conflicts, deadlocks, a
// database closed or failed) match those of package mvcc, with errors.Is and errors.As.
var (
	// ErrNodeNotFound matches *NotFoundError of a node.
	ErrNodeNotFound = errors.New("graph: node not found")
	// ErrEdgeNotFound matches *NotFoundError of an edge.
	ErrEdgeNotFound = errors.New("graph: edge not found")
	// ErrHasEdges matches *HasEdgesError.
	ErrHasEdges = errors.New("graph: node has edges")
	// ErrConstraint matches *ConstraintError.
	ErrConstraint = errors.New("graph: constraint violated")
	// ErrRefused matches *RefusedError.
	ErrRefused = errors.New("graph: refused by a hook")
	// ErrInvalid matches *ArgumentError.
	ErrInvalid = errors.New("graph: invalid argument")
)

// Errors of indexes.
var (
	// ErrNoIndex matches *IndexError where an index is needed and missing, or not ready.
	ErrNoIndex = errors.New("graph: no such index")
	// ErrIndexExists matches *IndexError where an index is in the way.
	ErrIndexExists = errors.New("graph: index exists")
)

// Errors of constraints, beside ErrConstraint.
var (
	// ErrNoConstraint matches *ConstraintDefinitionError where there is no such constraint.
	ErrNoConstraint = errors.New("graph: no such constraint")
	// ErrConstraintExists matches *ConstraintDefinitionError where a constraint is in the way.
	ErrConstraintExists = errors.New("graph: constraint exists")
)

// Errors of traversals.
var (
	// ErrNoPath matches *NoPathError.
	ErrNoPath = errors.New("graph: no path")
	// ErrWeight matches *WeightError.
	ErrWeight = errors.New("graph: unusable weight")
)

// Errors of opening.
var (
	// ErrNotGraph is returned when the database holds no graph and must not be changed.
	ErrNotGraph = errors.New("graph: the database holds no graph")
	// ErrNotEmpty matches *NotEmptyError.
	ErrNotEmpty = errors.New("graph: the database has a graph already")
	// ErrVersion matches *VersionError.
	ErrVersion = errors.New("graph: unsupported format version")
)

// IsRetryable reports whether running the transaction again can help; it is mvcc.IsRetryable.
func IsRetryable(err error) bool { return mvcc.IsRetryable(err) }

// NotFoundError reports that a node or an edge does not exist.
type NotFoundError struct {
	IsEdge   bool
	ID       uint64 // 0 when it was looked up by external id
	External string // external id that it was looked up by
}

func (e *NotFoundError) Error() string {
	what := "node"
	if e.IsEdge {
		what = "edge"
	}
	if e.ID == 0 {
		return fmt.Sprintf("graph: %s with external id %q not found", what, e.External)
	}
	return fmt.Sprintf("graph: %s %d not found", what, e.ID)
}

// Is matches ErrEdgeNotFound or ErrNodeNotFound.
func (e *NotFoundError) Is(target error) bool {
	if e.IsEdge {
		return target == ErrEdgeNotFound
	}
	return target == ErrNodeNotFound
}

// nodeMissing and edgeMissing translate the store's error for an absent record.
func nodeMissing(err error, id NodeID) error {
	if errors.Is(err, mvcc.ErrNotFound) {
		return &NotFoundError{ID: uint64(id)}
	}
	return err
}

func edgeMissing(err error, id EdgeID) error {
	if errors.Is(err, mvcc.ErrNotFound) {
		return &NotFoundError{IsEdge: true, ID: uint64(id)}
	}
	return err
}

// MissingEndError reports that an edge was to be loaded between nodes of which one was not.
type MissingEndError struct{ Src, Dst, Missing NodeID }

func (e *MissingEndError) Error() string {
	return fmt.Sprintf("graph: edge from node %d to node %d: node %d was not loaded; load the nodes first, and use the ids that the load returned",
		e.Src, e.Dst, e.Missing)
}

// Is matches ErrNodeNotFound.
func (e *MissingEndError) Is(target error) bool { return target == ErrNodeNotFound }

// HasEdgesError reports that a node was not deleted because it has edges.
type HasEdgesError struct {
	Node NodeID
	Edge EdgeID // one of them
}

func (e *HasEdgesError) Error() string {
	return fmt.Sprintf("graph: node %d has edges, edge %d is one; delete them first or use DetachDelete", e.Node, e.Edge)
}

// Is matches ErrHasEdges.
func (e *HasEdgesError) Is(target error) bool { return target == ErrHasEdges }

// ConstraintError reports that a write would have broken a constraint or a unique index, or that a constraint or a unique index
// cannot be created, as something breaks it. The operation wrote nothing.
type ConstraintError struct {
	Constraint        // that is broken; a unique index is one of the kind UniqueValue, whose Property lists several with commas
	Value      Value  // of Property, as it is or would have been; null when it is missing; of several, the list of theirs
	Node       NodeID // that has it, or, with Edge, the end that lacks the label; 0: an edge has it
	Edge       EdgeID // that has it, or whose end lacks the label
	Needs      string // the label that Node lacks, or would have lost
	Existing   NodeID // of UniqueValue: the node that has the value
}

func (e *ConstraintError) Error() string {
	element := fmt.Sprintf("node %d", e.Node)
	if e.Edge != 0 {
		element = fmt.Sprintf("edge %d", e.Edge)
	}
	switch {
	case e.Kind == UniqueValue:
		return fmt.Sprintf("graph: %s cannot have %s = %s: node %d has it, and the index on :%s(%s) is unique",
			element, e.Property, e.Value.abbreviate(), e.Existing, e.Label, e.Property)
	case e.Kind == EndpointLabels:
		return fmt.Sprintf("graph: %s needs node %d to have the label %s: %v", element, e.Node, printable(e.Needs), e.Constraint)
	case e.Value.IsNull():
		return fmt.Sprintf("graph: %s cannot be without %s: %v", element, printable(e.Property), e.Constraint)
	}
	return fmt.Sprintf("graph: %s cannot have %s = %s (%v): %v", element, printable(e.Property), e.Value.abbreviate(), e.Value.Kind(), e.Constraint)
}

// Is matches ErrConstraint.
func (e *ConstraintError) Is(target error) bool { return target == ErrConstraint }

// RefusedError reports that one of the Hooks has refused a change. The operation wrote nothing.
type RefusedError struct {
	Node NodeID // that was to be changed; 0: an edge was
	Edge EdgeID
	Err  error // of the hook
}

func (e *RefusedError) Error() string {
	if e.Edge != 0 {
		return fmt.Sprintf("graph: the change of edge %d is refused: %v", e.Edge, e.Err)
	}
	return fmt.Sprintf("graph: the change of node %d is refused: %v", e.Node, e.Err)
}

// Is matches ErrRefused.
func (e *RefusedError) Is(target error) bool { return target == ErrRefused }

// Unwrap returns the hook's error.
func (e *RefusedError) Unwrap() error { return e.Err }

// ConstraintDefinitionError reports that a constraint is missing or in the way.
type ConstraintDefinitionError struct {
	Constraint Constraint // that is in the way, or is missing
	Exists     bool
}

func (e *ConstraintDefinitionError) Error() string {
	if e.Exists {
		return fmt.Sprintf("graph: there is a constraint already (%v, %v); drop it first to change it", e.Constraint, e.Constraint.State)
	}
	return fmt.Sprintf("graph: there is no constraint: %v; create it with CreateConstraint", e.Constraint)
}

// Is matches ErrConstraintExists or ErrNoConstraint.
func (e *ConstraintDefinitionError) Is(target error) bool {
	if e.Exists {
		return target == ErrConstraintExists
	}
	return target == ErrNoConstraint
}

// IndexError reports that an index is missing or in the way.
type IndexError struct {
	Label, Property string // several properties are listed with commas
	Exists          bool
	State           IndexState // of the index, when there is one
}

func (e *IndexError) Error() string {
	name := fmt.Sprintf(":%s(%s)", e.Label, e.Property)
	switch {
	case e.Exists:
		return fmt.Sprintf("graph: there is an index on %s already (%v); drop it first to change it", name, e.State)
	case e.State != 0:
		return fmt.Sprintf("graph: the index on %s cannot be used while it is %v", name, e.State)
	}
	return fmt.Sprintf("graph: there is no index on %s; create it with CreateIndex", name)
}

// Is matches ErrIndexExists or ErrNoIndex.
func (e *IndexError) Is(target error) bool {
	if e.Exists {
		return target == ErrIndexExists
	}
	return target == ErrNoIndex
}

// NoPathError reports that two nodes are not connected under the conditions of the search.
type NoPathError struct{ From, To NodeID }

func (e *NoPathError) Error() string {
	return fmt.Sprintf("graph: no path from node %d to node %d", e.From, e.To)
}

// Is matches ErrNoPath.
func (e *NoPathError) Is(target error) bool { return target == ErrNoPath }

// WeightError reports that an edge has no number, or not a finite and
// non-negative one, as weight.
type WeightError struct {
	Edge     EdgeID
	Property string
	Value    Value // null when it is missing
}

func (e *WeightError) Error() string {
	return fmt.Sprintf("graph: edge %d has %s = %s, a weight must be a finite number that is not negative",
		e.Edge, e.Property, e.Value.abbreviate())
}

// Is matches ErrWeight.
func (e *WeightError) Is(target error) bool { return target == ErrWeight }

// NotEmptyError reports that a graph cannot be loaded into a database because it has one.
type NotEmptyError struct{ Path string }

func (e *NotEmptyError) Error() string {
	return fmt.Sprintf("graph: %s has a graph already, and a load makes a new one; use transactions to add to it", e.Path)
}

// Is matches ErrNotEmpty.
func (e *NotEmptyError) Is(target error) bool { return target == ErrNotEmpty }

// VersionError reports that the graph was written in a format that this release does not know.
type VersionError struct{ Found, Known uint64 }

func (e *VersionError) Error() string {
	return fmt.Sprintf("graph: the graph has format %d, this release knows formats up to %d; open it with the release that wrote it", e.Found, e.Known)
}

// Is matches ErrVersion.
func (e *VersionError) Is(target error) bool { return target == ErrVersion }

// ArgumentError reports a bad argument.
type ArgumentError struct{ What string }

func (e *ArgumentError) Error() string { return "graph: " + e.What }

// Is matches ErrInvalid.
func (e *ArgumentError) Is(target error) bool { return target == ErrInvalid }

func invalid(format string, args ...any) error {
	return &ArgumentError{fmt.Sprintf(format, args...)}
}

// errMalformed is what the decoders of this package report; corrupt adds the place.
var errMalformed = errors.New("graph: malformed encoding")

// corrupt reports that the entry under key cannot be right. It matches mvcc.ErrCorrupt.
func (db *DB) corrupt(key []byte, what string) error {
	return &mvcc.CorruptionError{Cause: cerrors.Newf("graph: %s: %s", db.describeKey(keyspaceName, key), what)}
}
