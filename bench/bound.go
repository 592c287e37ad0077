package bench

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bound is a limit that a workload holds the engine to, and what it found.
type Bound struct {
	What  string `json:"what"`
	Value int64  `json:"value"`
	Limit int64  `json:"limit"` // Value may be this much
	Unit  string `json:"unit"`  // bytes, or what is counted
	How   string `json:"how"`   // the limit in words
}

func (b Bound) holds() bool { return b.Value <= b.Limit }

// String renders the bound with its value and limit.
func (b Bound) String() string {
	return fmt.Sprintf("%s: %s, at most %s (%s)", b.What, b.quantity(b.Value), b.quantity(b.Limit), b.How)
}

func (b Bound) quantity(n int64) string {
	if b.Unit == unitBytes {
		return Bytes(n)
	}
	return Count(n) + " " + b.Unit
}

const unitBytes = "bytes"

// BoundError reports bounds that were broken. Unlike after an [AuditError] the result is complete and its figures are true.
type BoundError struct{ Broken []Bound }

func (e *BoundError) Error() string {
	lines := make([]string, len(e.Broken))
	for i, b := range e.Broken {
		lines[i] = b.String()
	}
	return "bench: out of bounds: " + strings.Join(lines, "; ")
}

// brokenBounds returns a *BoundError, or nil when all bounds hold.
func brokenBounds(bounds []Bound) error {
	var broken []Bound
	for _, b := range bounds {
		if !b.holds() {
			broken = append(broken, b)
		}
	}
	if len(broken) == 0 {
		return nil
	}
	return &BoundError{Broken: broken}
}

func writeBounds(w io.Writer, bounds []Bound) error {
	var errs []error
	for _, b := range bounds {
		verdict := "holds "
		if !b.holds() {
			verdict = "BROKEN"
		}
		_, err := fmt.Fprintf(w, "%s %v\n", verdict, b)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
