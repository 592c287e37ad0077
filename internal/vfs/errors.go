package vfs

import (
	"errors"
	"fmt"
	"os"
)

var (
	// ErrLocked is matched by every *LockedError.
	ErrLocked = errors.New("vfs: file is locked")

	// ErrPowerOff is what every operation of a Faulty returns after its power
	// was cut.
	ErrPowerOff = errors.New("vfs: power is off")
)

// LockedError says that another open of the same lock file holds a lock that
// excludes the wanted one. It matches ErrLocked.
type LockedError struct {
	// Path is the lock file.
	Path string
	// PID is the process that wrote its id into the file last. It is a hint
	// for a person: 0 when the file has none, and of several shared holders
	// only the latest one is known.
	PID int
}

// Error names the holder and the way out.
func (e *LockedError) Error() string {
	switch e.PID {
	case 0:
		return fmt.Sprintf("vfs: lock file %q is held by another process: close the database there and try again", e.Path)
	case os.Getpid():
		return fmt.Sprintf("vfs: lock file %q is held by this process (pid %d): "+
			"the database is open here already, share that handle or close it first", e.Path, e.PID)
	default:
		return fmt.Sprintf("vfs: lock file %q is held by process %d: "+
			"close the database there or end that process, then try again", e.Path, e.PID)
	}
}

// Is reports whether target is ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }
