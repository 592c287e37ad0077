package lockmgr

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// t0 is a birth time for owners whose age does not matter.
var t0 = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// crowd drives owners of a table without detector goroutine from one goroutine:
// requests that wait do so in goroutines of their own. All outcomes are decided
// inside the call that causes them, so that no test needs to wait for time.
type crowd struct {
	t     testing.TB
	table *Table
}

func newCrowd(t testing.TB) *crowd {
	c := &crowd{t: t, table: newTable(Options{Grace: time.Hour})}
	t.Cleanup(c.table.Close)
	return c
}

func (c *crowd) owner(info OwnerInfo) *Owner {
	if info.Began.IsZero() {
		info.Began = t0
	}
	return c.table.NewOwner(info)
}

// attempt is one call of Acquire in its own goroutine.
type attempt struct {
	owner  *Owner
	cancel context.CancelCauseFunc
	result chan error
}

// start calls Acquire and returns when it has returned or waits in the queue.
func (c *crowd) start(o *Owner, key string, mode Mode, timeout time.Duration) *attempt {
	ctx, cancel := context.WithCancelCause(context.Background())
	a := &attempt{owner: o, cancel: cancel, result: make(chan error, 1)}
	done := make(chan struct{})
	seq := o.req.seq
	go func() {
		a.result <- c.table.Acquire(ctx, o, []byte(key), mode, Wait, timeout)
		close(done)
	}()
	for {
		select {
		case <-done:
			return a
		default:
		}
		if s := o.req.in.Load(); s != nil {
			s.mu.Lock() // the request is complete only when its shard is unlocked
			queued := o.req.in.Load() == s && o.req.seq != seq
			s.mu.Unlock()
			if queued {
				return a
			}
		}
		runtime.Gosched()
	}
}

// waits reports whether the attempt is still in its queue.
func (a *attempt) waits() bool { return a.owner.req.in.Load() != nil }

func (c *crowd) mustHold(o *Owner, key string, mode Mode) {
	c.t.Helper()
	if err := c.table.Acquire(context.Background(), o, []byte(key), mode, NoWait, 0); err != nil {
		c.t.Fatalf("owner %d, %v on %s: %v", o.info.ID, mode, key, err)
	}
}

func (c *crowd) check() {
	c.t.Helper()
	if err := c.table.Check(); err != nil {
		c.t.Fatal(err)
	}
}
