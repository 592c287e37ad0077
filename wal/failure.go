package wal

import "errors"

// errUnserved would mean that a round ended without a result.
var errUnserved = errors.New("the round ended without a result")

// errEnded is a round's result unless another comes: runtime.Goexit below.
var errEnded = errors.New("the flushing goroutine ended in the middle of a flush")

// fail makes the log fail for good (W8).
func (l *Log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failLocked(err)
}

// failLocked keeps the first failure and wakes everybody who waits. REQUIRES: mu.
func (l *Log) failLocked(err error) {
	if l.mu.failure != nil {
		return
	}
	l.mu.failure = &FailedError{Err: err}
	close(l.dead)
	l.mu.pending.wakeLocked()
	if l.mu.active != nil {
		l.mu.active.wakeLocked()
	}
	l.wakeAdmitLocked()
}

// unknownLocked is the error of a waiter whose records are not known to be durable. REQUIRES: mu.
func (l *Log) unknownLocked() error {
	cause := errUnserved
	if l.mu.failure != nil {
		cause = l.mu.failure.Err
	}
	return &FailedError{OutcomeUnknown: true, Err: cause}
}
