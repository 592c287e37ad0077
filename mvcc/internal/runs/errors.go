package runs

import (
	"errors"
	"fmt"
)

// Errors of use.
var (
	// ErrOrder is returned by Writer.Add when the key is not above the one before. Nothing was added, and the writer
	// takes further keys.
	ErrOrder = errors.New("runs: keys are not in strictly ascending order")
	// ErrTooLarge is returned by Writer.Add when the key is longer than MaxKeySize or the value longer than
	// MaxValueSize. Nothing was added, and the writer takes further writes.
	ErrTooLarge = errors.New("runs: key or value is too large")
	// ErrClosed is returned by a Dir, Writer or cursor that was closed, finished or aborted.
	ErrClosed = errors.New("runs: already closed, finished or aborted")
)

// ErrDropped is returned by reads of a run that was dropped: something newer has its content. Callers take that and
// seek to the same key.
var ErrDropped = errors.New("runs: the run was dropped; read what replaced it")

// ErrCorrupt matches every *CorruptionError.
var ErrCorrupt = errors.New("runs: temporary file is corrupt")

// CorruptionError says that a file does not hold what was written to it.
type CorruptionError struct {
	File   string
	Offset int64 // of the block or value in the file, in bytes
	Reason string
}

// Error names the place and what to do.
func (e *CorruptionError) Error() string {
	return fmt.Sprintf("runs: temporary file %s is corrupt at offset %d: %s; nothing durable is lost: repeat the operation, and check disk and memory",
		e.File, e.Offset, e.Reason)
}

// Is reports whether target is ErrCorrupt.
func (e *CorruptionError) Is(target error) bool { return target == ErrCorrupt }
