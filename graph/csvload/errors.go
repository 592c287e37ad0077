package csvload

import (
	"errors"
	"fmt"
)

// Errors of an import. Those of reading files and of the graph are passed on as they are.
var (
	// ErrBadCell matches *CellError.
	ErrBadCell = errors.New("csvload: bad cell")
	// ErrHeader matches *HeaderError.
	ErrHeader = errors.New("csvload: bad header")
	// ErrConfig matches *ConfigError.
	ErrConfig = errors.New("csvload: bad configuration")
)

// CellError reports a cell, or a whole row, that cannot be imported.
type CellError struct {
	File   string
	Row    int    // the header is row 1
	Line   int    // where the row begins; not Row when fields have line ends in them
	Column string // as in the header; empty when the fault is the row's
	Value  string
	Want   string // what was expected
	Err    error  // of the graph, if it was the graph that refused
}

func (e *CellError) Error() string {
	where := fmt.Sprintf("csvload: %s: row %d", e.File, e.Row)
	if e.Line != e.Row {
		where += fmt.Sprintf(" (line %d)", e.Line)
	}
	if e.Column != "" {
		where += fmt.Sprintf(", column %s", e.Column)
	}
	return fmt.Sprintf("%s: %s, expected %s", where, abbreviate(e.Value), e.Want)
}

// abbreviate quotes a value for a message.
func abbreviate(value string) string {
	const limit = 80
	if len(value) > limit {
		return fmt.Sprintf("%q... (%d bytes)", value[:limit], len(value))
	}
	return fmt.Sprintf("%q", value)
}

// Is matches ErrBadCell.
func (e *CellError) Is(target error) bool { return target == ErrBadCell }

// Unwrap returns the graph's error, if any.
func (e *CellError) Unwrap() error { return e.Err }

// HeaderError reports a file whose first row cannot be used. Nothing was imported.
type HeaderError struct {
	File   string
	Column string // empty when one is missing
	What   string
}

func (e *HeaderError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("csvload: %s: header: %s", e.File, e.What)
	}
	return fmt.Sprintf("csvload: %s: header: column %q: %s", e.File, e.Column, e.What)
}

// Is matches ErrHeader.
func (e *HeaderError) Is(target error) bool { return target == ErrHeader }

// ConfigError reports a fault of the configuration.
type ConfigError struct{ What string }

func (e *ConfigError) Error() string { return "csvload: " + e.What }

// Is matches ErrConfig.
func (e *ConfigError) Is(target error) bool { return target == ErrConfig }
