package lockmgr

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// detector is the goroutine that looks for deadlocks. It sleeps until a waiter
// asks; then it looks, pauses, and looks again every Sweep until nobody waits.
//
//	          request                  done, pause over
//	asleep ------------> looking -----------------------> resting
//	   ^                    ^                               |   |
//	   |                    +------- request or Sweep ------+   |
//	   +------------------------ nobody waits ------------------+
//
// The sweep is a backstop: a cycle is complete when its last wait begins, and
// that waiter asks after Grace, so the answer to that request must find it. One
// that sees the cycle as it begins to wait (closesCycle) asks at once, and ends a rest.
type detector struct {
	asked   chan struct{} // room for one: requests during a search become one more search
	urged   chan struct{} // room for one, too
	stopped chan struct{}
	once    sync.Once
	done    sync.WaitGroup

	searches atomic.Int64 // so far
}

func (d *detector) start(t *Table) {
	d.asked = make(chan struct{}, 1)
	d.urged = make(chan struct{}, 1)
	d.stopped = make(chan struct{})
	d.done.Go(func() { d.run(t) })
}

func (d *detector) stop() {
	d.once.Do(func() {
		if d.stopped != nil {
			close(d.stopped)
		}
	})
	d.done.Wait()
}

// request asks for a search that begins after this call.
func (d *detector) request() {
	select {
	case d.asked <- struct{}{}:
	default:
	}
}

// urge is request for a waiter that has seen a cycle.
func (d *detector) urge() {
	select {
	case d.urged <- struct{}{}:
	default:
	}
}

func (d *detector) run(t *Table) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	timer.Stop()
	var sv survey
	for {
		select {
		case <-d.stopped:
			return
		case <-d.asked:
		case <-d.urged:
		case <-timer.C:
		}
		d.searches.Add(1)
		began := time.Now()
		t.detect(&sv)
		if !d.rest(timer, time.Since(began), t.opts.Grace) {
			return
		}
		if t.waiters.Load() > 0 {
			timer.Reset(t.opts.Sweep)
		}
	}
}

// rest pauses after a search. However many wait and ask, detection takes at most
// half of one processor. The pause delays nobody's answer as long as searches take
// less than Grace: whose wait began after this search asks no earlier than the pause
// ends, or urges and need only wait for as long as the search took. It returns false
// when the detector is stopped.
func (d *detector) rest(timer *time.Timer, took, grace time.Duration) bool {
	ended := time.Now()
	timer.Reset(max(grace, took))
	select {
	case <-d.stopped:
		return false
	case <-timer.C:
		return true
	case <-d.urged:
	}
	// A timer is late by up to a millisecond, so a short rest is spent letting others run.
	for left := took - time.Since(ended); left > 0; left = took - time.Since(ended) {
		if left < time.Millisecond {
			runtime.Gosched()
			continue
		}
		timer.Reset(left)
		select {
		case <-d.stopped:
			return false
		case <-timer.C:
		}
	}
	d.urge() // for the search that comes now
	return true
}

// detect resolves the deadlocks that it finds, until it finds no more: cycles
// may overlap, and of those that do the search returns one at a time.
func (t *Table) detect(sv *survey) {
	for resolved := true; resolved; {
		resolved = false
		if t.waiters.Load() < 2 {
			return
		}
		sv.take(t)
		for _, cycle := range sv.cycles() {
			if report := t.resolve(sv, cycle); report != nil {
				t.publish(report)
				resolved = true
			}
		}
		sv.forget()
	}
}
