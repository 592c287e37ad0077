package kit

import (
	"errors"
	"strconv"
)

var (
	// ErrViolation matches the errors of Report.Err.
	ErrViolation = errors.New("kit: the history violates its isolation levels")
	// ErrRecorder matches the errors of Recorder.History.
	ErrRecorder = errors.New("kit: the recorder was used wrongly")
	// ErrWorkload matches the errors of Workload.Generator.
	ErrWorkload = errors.New("kit: the workload is not valid")
	// ErrConflict is what a transaction of a Map ends with that lost against another one.
	ErrConflict = errors.New("kit: conflict")
	// ErrLocked is what a transaction of a Map gets for a key that another one holds.
	ErrLocked = errors.New("kit: locked by another transaction")
)

// ViolationError carries the report of a history with anomalies.
type ViolationError struct {
	Report Report
}

// Error names the anomalies and explains the most serious one.
func (e *ViolationError) Error() string {
	text := ErrViolation.Error()
	if len(e.Report.Anomalies) > 0 {
		text += ": " + e.Report.summary() + "\n" + e.Report.Anomalies[0].String()
	}
	return text
}

// Is makes the error match ErrViolation.
func (e *ViolationError) Is(target error) bool { return target == ErrViolation }

// misuse is an error of the program that uses the package.
type misuse struct {
	kind error
	text string
}

func (e *misuse) Error() string { return e.kind.Error() + ": " + e.text }
func (e *misuse) Unwrap() error { return e.kind }

func txnName(t int) string { return "T" + strconv.Itoa(t) }
