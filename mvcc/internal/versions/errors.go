package versions

import (
	"errors"
	"strconv"
)

// ErrInconsistent matches every error of Check: a table broke one of its invariants, which is a
// fault of this package or of a caller that broke a rule of Apply or Prune.
var ErrInconsistent = errors.New("versions: table is inconsistent")

// InvariantError says which invariant a table broke, and where.
type InvariantError struct {
	Invariant string // V1 to V7 of the package comment, or "accounting"
	Key       []byte // nil when it is about the whole table
	Problem   string
}

// Error implements error.
func (e *InvariantError) Error() string {
	text := "versions: invariant " + e.Invariant + " is broken"
	if e.Key != nil {
		text += " at key " + strconv.Quote(string(e.Key))
	}
	return text + ": " + e.Problem
}

// Is makes errors.Is(err, ErrInconsistent) true.
func (e *InvariantError) Is(target error) bool { return target == ErrInconsistent }
