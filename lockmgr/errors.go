package lockmgr

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Errors of a request that was not granted. The victim of a deadlock receives a
// *deadlock.Error instead, and a cancelled request the cause of its context.
var (
	// ErrTimeout matches every *TimeoutError.
	ErrTimeout = errors.New("lockmgr: lock wait timed out")
	// ErrNotAvailable is returned under NoWait when the lock is not free.
	ErrNotAvailable = errors.New("lockmgr: lock not available without waiting")
	// ErrKilled is what the waits of an owner return that was killed without a reason.
	ErrKilled = errors.New("lockmgr: lock owner was killed")
	// ErrClosed is returned by Acquire once Close has been called.
	ErrClosed = errors.New("lockmgr: lock table is closed")
)

// ErrInvalid matches every *ArgumentError.
var ErrInvalid = errors.New("lockmgr: invalid argument")

// ArgumentError says which argument of a call is unusable: a fault of the caller.
type ArgumentError struct {
	Name    string // of the argument
	Problem string // what it is and should be
}

func (e *ArgumentError) Error() string {
	return "lockmgr: invalid " + e.Name + ": " + e.Problem
}

// Is reports whether target is ErrInvalid.
func (e *ArgumentError) Is(target error) bool { return target == ErrInvalid }

// maxTimeoutHolders bounds the holders that a TimeoutError names.
const maxTimeoutHolders = 8

// TimeoutError reports a wait that took longer than the caller allowed, and who
// was in the way when it ended. errors.Is matches it with ErrTimeout.
type TimeoutError struct {
	Key         string // rendered by Options.Describe
	Mode        Mode   // that was waited for: what was asked for, joined with what was held
	Waited      time.Duration
	Holders     []HolderState // the other holders, at most 8
	MoreHolders int           // holders that are not listed
	Ahead       int           // requests that stood before this one in the queue
}

// Is reports whether target is ErrTimeout.
func (e *TimeoutError) Is(target error) bool { return target == ErrTimeout }

// Error names the lock, the time, and who holds it.
func (e *TimeoutError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "lockmgr: no %v lock on %s after waiting %v", e.Mode, e.Key, e.Waited.Round(time.Microsecond))
	separator := ": held by "
	for i := range e.Holders {
		b.WriteString(separator)
		e.Holders[i].write(&b)
		separator = ", "
	}
	if e.MoreHolders > 0 {
		fmt.Fprintf(&b, " and %d more", e.MoreHolders)
	}
	if e.Ahead > 0 {
		fmt.Fprintf(&b, "; requests ahead in the queue: %d", e.Ahead)
	}
	b.WriteString("; retry, or allow a longer wait")
	return b.String()
}

func (h *HolderState) write(b *strings.Builder) {
	fmt.Fprintf(b, "txn %d", h.Owner)
	if h.Label != "" {
		b.WriteString(" " + strconv.Quote(h.Label))
	}
	fmt.Fprintf(b, " (%v)", h.Mode)
}
