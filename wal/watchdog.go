package wal

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// State is the watchdog's verdict.
type State uint8

// The watchdog's states, in order of gravity. Failed is final.
//
//	OK <--> Slow <--> Stalled     by the time that one operation takes; each may follow each
//	 any ---------> Failed        a write or sync failed, or the flushing goroutine died
const (
	StateOK State = iota
	StateSlow
	StateStalled
	StateFailed
)

// String names the state.
func (s State) String() string {
	switch s {
	case StateOK:
		return "ok"
	case StateSlow:
		return "slow"
	case StateStalled:
		return "stalled"
	case StateFailed:
		return "failed"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// StateChange is one transition of the watchdog.
type StateChange struct {
	From, To State
	Reason   string        // for a person
	Pending  time.Duration // how long the pending write or sync has been running
	Err      error         // the failure, for StateFailed
}

// operation is what the flusher is doing.
type operation uint8

const (
	opNone     operation = iota
	opQueued             // records wait, and the syncer has not begun
	opWrite              // a write to the segment
	opSync               // a sync of the segment
	opRollover           // waiting for the next segment
	opOrphaned           // somebody waits, and nobody has the flush token
)

func (op operation) String() string {
	return [...]string{"nothing", "a flush that does not begin", "a write", "a sync", "a change of segment", "a flush that nobody does"}[op]
}

// heartbeat is what the flusher does and since when, in one word, so that the
// I/O path takes no lock: microseconds since epoch, and the operation in the low byte.
type heartbeat struct {
	epoch time.Time
	word  atomic.Uint64
}

func (h *heartbeat) begin(op operation) {
	h.word.Store(uint64(time.Since(h.epoch).Microseconds())<<8 | uint64(op))
}

func (h *heartbeat) end() { h.word.Store(0) }

func (h *heartbeat) read() (op operation, running time.Duration) {
	word := h.word.Load()
	if op = operation(word & 0xff); op == opNone {
		return op, 0
	}
	return op, time.Since(h.epoch) - time.Duration(word>>8)*time.Microsecond
}

// sample is what the watchdog looks at.
type sample struct {
	op      operation
	pending time.Duration // how long op has been running
	failure error
}

// limits are the watchdog's.
type limits struct{ slow, stalled time.Duration }

// nextState is the watchdog's judgement.
func nextState(from State, s sample, limit limits) State {
	switch {
	case from == StateFailed || s.failure != nil:
		return StateFailed
	case s.op == opNone:
		return StateOK
	case s.pending > limit.stalled:
		return StateStalled
	case s.pending > limit.slow:
		return StateSlow
	}
	return StateOK
}

// runMonitor watches the flusher from outside, since a flusher that hangs or
// has died cannot report it. Close ends it.
func (l *Log) runMonitor() {
	m := monitor{log: l, limit: limits{l.opts.SlowAfter, l.opts.StalledAfter}}
	ticker := time.NewTicker(max(l.opts.SlowAfter/2, time.Millisecond))
	defer ticker.Stop()
	dead := l.dead
	for {
		select {
		case <-ticker.C:
		case <-dead:
			dead = nil
		case <-l.quit:
			m.observe()
			return
		}
		m.observe()
	}
}

// monitor is the state of the monitor goroutine.
type monitor struct {
	log    *Log
	limit  limits
	state  State
	orphan time.Time // since when somebody waits while nobody flushes
}

// observe takes a sample and reports a change.
func (m *monitor) observe() {
	s := m.sample()
	to := nextState(m.state, s, m.limit)
	if to == m.state {
		return
	}
	change := StateChange{From: m.state, To: to, Pending: s.pending, Err: s.failure, Reason: reason(to, s)}
	m.state = to
	m.log.setVerdict(to)
	m.log.report(change)
}

// sample reads the heartbeat, and notices waiters whom nobody serves.
func (m *monitor) sample() sample {
	l := m.log
	op, pending := l.beat.read()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := sample{op: op, pending: pending}
	if l.mu.failure != nil {
		s.failure = l.mu.failure
	}
	switch {
	case op != opNone || l.mu.active != nil || !l.mu.pending.want:
		m.orphan = time.Time{}
	case m.orphan.IsZero():
		m.orphan = time.Now()
	default:
		s.op, s.pending = opOrphaned, time.Since(m.orphan)
	}
	return s
}

// reason explains a state.
func reason(to State, s sample) string {
	switch to {
	case StateFailed:
		return "a write or sync failed: the log takes no more records until it is opened again"
	case StateSlow:
		return fmt.Sprintf("%s has been running for %v", s.op, s.pending.Round(time.Millisecond))
	case StateStalled:
		return fmt.Sprintf("%s has been running for %v: new records are refused until it ends", s.op, s.pending.Round(time.Millisecond))
	}
	return "the device answers in time again"
}

// setVerdict publishes the state, and lets those go who wait for a device that does not answer.
func (l *Log) setVerdict(s State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.verdict.Store(uint32(s))
	if s >= StateStalled {
		l.wakeAdmitLocked()
	}
}

// report tells the owner and the log book about a change.
func (l *Log) report(c StateChange) {
	level := slog.LevelWarn
	if c.To >= StateStalled {
		level = slog.LevelError
	}
	attrs := []any{"from", c.From.String(), "to", c.To.String(), "reason", c.Reason, "pending", c.Pending, "dir", l.opts.Dir}
	if c.Err != nil {
		attrs = append(attrs, "error", c.Err)
	}
	l.opts.Logger.Log(context.Background(), level, "wal: state changed", attrs...)
	if l.opts.OnStateChange != nil {
		l.opts.OnStateChange(c)
	}
}

// State returns the watchdog's verdict, and the failure when it is StateFailed.
func (l *Log) State() (State, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.failure != nil {
		return StateFailed, l.mu.failure
	}
	return State(l.verdict.Load()), nil
}
