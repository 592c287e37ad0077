package lockmgr

import (
	"context"
	"time"
)

// Acquire takes the key in mode, or keeps what is held when that includes mode.
// Otherwise it upgrades to the weakest mode that includes both: an owner that
// holds A and asks for S gets X. Under Wait it waits at most timeout (0: no limit
// but ctx). The key is copied when it must be kept. The uncontended path does not
// allocate beyond the table's own entries, which are reused.
//
// Errors: ErrNotAvailable under NoWait; *TimeoutError (errors.Is ErrTimeout);
// *deadlock.Error (errors.Is deadlock.ErrDeadlock) when this owner was chosen to
// end a deadlock; the error given to Kill; the cause of ctx; ErrClosed;
// *ArgumentError (errors.Is ErrInvalid). After an error the locks held before are
// still held, in the same modes.
//
// A request that need not wait is granted even when ctx has ended or the owner
// was killed.
func (t *Table) Acquire(ctx context.Context, o *Owner, key []byte, mode Mode, policy Policy, timeout time.Duration) error {
	if err := t.checkRequest(ctx, o, mode, policy, timeout); err != nil {
		return err
	}
	hash := t.hash(key)
	at := o.find(hash, key)
	held := o.modeAt(at)
	if mode = held.join(mode); mode == held {
		return nil
	}
	s := t.shardOf(hash)
	s.mu.Lock()
	e := s.entry(hash, key)
	before, free := e.place(mode, held)
	if free {
		s.grant(e, o, mode, held)
		s.mu.Unlock()
		o.note(at, e, hash, mode)
		return nil
	}
	err := s.join(&o.req, e, before, mode, held, policy)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if len(o.held) > 0 && o.closesCycle() {
		t.detector.urge()
	}
	if err = t.await(ctx, s, &o.req, key, timeout); err == nil {
		o.note(at, e, hash, mode)
	}
	return err
}

func (t *Table) checkRequest(ctx context.Context, o *Owner, mode Mode, policy Policy, timeout time.Duration) error {
	switch {
	case o == nil || o.table != t:
		return &ArgumentError{"owner", "nil or of another table; use one from NewOwner of this table"}
	case mode < S || mode > X:
		return &ArgumentError{"mode", "must be S, U, A or X"}
	case policy > NoWait:
		return &ArgumentError{"policy", "must be Wait or NoWait"}
	case timeout < 0:
		return &ArgumentError{"timeout", timeout.String() + " is negative; 0 means no limit"}
	case ctx == nil:
		return &ArgumentError{"ctx", "nil; use context.Background for no limit"}
	case t.closed.Load():
		return ErrClosed
	}
	return nil
}

// join puts the owner's request into the queue before another one (nil: at the
// end), unless waiting is not wanted or not possible.
//
// REQUIRES: s.mu.
func (s *shard) join(r *request, e *entry, before *request, mode, held Mode, policy Policy) error {
	t := s.table
	if policy == NoWait {
		t.counters.notAvailable.Add(1)
		return ErrNotAvailable
	}
	if t.closed.Load() {
		return ErrClosed
	}
	r.begin(s, e, mode, held)
	// Kill stores the reason first and then looks where the request stands; here it
	// is the other way round. So one of the two always sees the other.
	if reason := r.owner.killed.Load(); reason != nil {
		r.in.Store(nil)
		r.state.Store(uint32(killed))
		return *reason
	}
	s.enqueue(r, before)
	t.counters.waits.Add(1)
	return nil
}

func (r *request) begin(s *shard, e *entry, mode, held Mode) {
	if r.wake == nil {
		r.wake = make(chan struct{}, 1)
	}
	r.entry, r.mode, r.held = e, mode, held
	r.seq = s.table.waitSeq.Add(1)
	r.locks = len(r.owner.held)
	r.since = time.Now()
	r.err = nil
	r.in.Store(s)
	r.state.Store(uint32(waiting))
}

// await blocks until the request has its outcome, and returns its error. The one
// token in wake is always taken here, whoever decided the outcome, so that the
// channel is empty for the next wait (L3).
func (t *Table) await(ctx context.Context, s *shard, r *request, key []byte, timeout time.Duration) error {
	grace := t.opts.Grace
	if timeout > 0 {
		grace = min(grace, timeout)
	}
	r.startTimer(grace)
	for ended := false; !ended; {
		select {
		case <-r.wake:
			ended = true
		case <-ctx.Done():
			s.giveUp(r, cancelled, context.Cause(ctx))
			<-r.wake
			ended = true
		case <-r.timer.C:
			ended = t.expire(s, r, timeout)
		}
	}
	r.timer.Stop()
	t.counters.waitNanos.Add(int64(time.Since(r.since)))
	return t.finish(r, key)
}

// expire acts when the timer has run off: it ends the wait if its time is up, or
// asks for deadlock detection.
func (t *Table) expire(s *shard, r *request, timeout time.Duration) (ended bool) {
	waited := time.Since(r.since)
	if timeout > 0 && waited >= timeout {
		s.giveUpLate(r, &TimeoutError{Mode: r.mode, Waited: waited})
		<-r.wake
		return true
	}
	t.detector.request()
	if timeout > 0 {
		r.timer.Reset(timeout - waited)
	}
	return false
}

// finish returns the error of an ended wait, and lets go of what it was about.
func (t *Table) finish(r *request, key []byte) error {
	err := r.err
	r.entry, r.err = nil, nil
	if late, ok := err.(*TimeoutError); ok && r.outcome() == timedOut {
		late.Key = t.opts.Describe(key)
		t.counters.timeouts.Add(1)
	}
	return err
}

func (r *request) startTimer(d time.Duration) {
	if r.timer == nil {
		r.timer = time.NewTimer(d)
		return
	}
	r.timer.Reset(d)
}

// giveUp withdraws the request, unless its wait has already ended.
func (s *shard) giveUp(r *request, to outcome, err error) {
	s.mu.Lock()
	s.withdraw(r, to, err)
	s.mu.Unlock()
}

// giveUpLate withdraws the request with a report of who was in the way.
func (s *shard) giveUpLate(r *request, late *TimeoutError) {
	s.mu.Lock()
	if r.outcome() == waiting {
		late.obstacles(r)
	}
	s.withdraw(r, timedOut, late)
	s.mu.Unlock()
}

// obstacles fills in the other holders and the requests ahead.
//
// REQUIRES: the mutex of the shard in which r waits.
func (e *TimeoutError) obstacles(r *request) {
	for i := range r.entry.holders {
		h := &r.entry.holders[i]
		switch {
		case h.owner == r.owner:
		case len(e.Holders) < maxTimeoutHolders:
			e.Holders = append(e.Holders, h.state())
		default:
			e.MoreHolders++
		}
	}
	for p := r.prev; p != nil; p = p.prev {
		e.Ahead++
	}
}
