// Package drive runs an operation in many goroutines and measures how long each run took.
//
// A closed loop begins an operation when the last one has ended: it finds the greatest throughput, but while the
// system under test stands still it asks nothing and so does not notice. An open loop begins operations at fixed moments,
// and counts the time that one waited for its turn. So its latencies leave nothing out (no "coordinated omission").
//
// Latencies are HDR histograms with three digits, from 100 ns to 100 s.
//
// A loop that a duration ends has a warm-up of a fifth of it before. An operation belongs to the measured time if
// it ended in it, whenever it began: so slow operations at both ends balance each other. A loop that a number of
// operations ends has none, nor has a cold one: all are measured, so that two of them do the same.
package drive

import (
	"context"
	"sync"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
)

// Limit says when a measurement ends: after Ops operations of all workers together, or after Duration, whichever comes
// first. A zero field does not limit.
type Limit struct {
	Ops      int64         `json:"ops,omitempty"`
	Duration time.Duration `json:"duration_ns,omitempty"`
	// Cold leaves the warm-up out, as a number of operations does.
	Cold bool `json:"-"`
}

// For is the limit of a duration.
func For(d time.Duration) Limit { return Limit{Duration: d} }

// warmUpShare of the measured time goes before it.
const warmUpShare = 5

func (l Limit) warmUp() time.Duration {
	if l.wholly() {
		return 0
	}
	return l.Duration / warmUpShare
}

// wholly reports whether all operations are measured.
func (l Limit) wholly() bool { return l.Ops > 0 || l.Duration == 0 || l.Cold }

// share returns how many operations one of several workers does, -1 for no limit.
func (l Limit) share(worker, workers int) int64 {
	if l.Ops == 0 {
		return -1
	}
	n := l.Ops / int64(workers)
	if int64(worker) < l.Ops%int64(workers) {
		n++
	}
	return n
}

// Op is one operation: the seq-th of a worker, counted from 0.
type Op func(ctx context.Context, worker int, seq uint64) (Did, error)

// Did is what an operation did.
type Did struct {
	Attempts int          // how often it was attempted, once included
	Sum      gen.Checksum // of its work
}

// Attempts makes an operation's result of what an Update returns.
func Attempts(n int, err error) (Did, error) { return Did{Attempts: n}, err }

// Result is what was measured.
type Result struct {
	Ops      int64 // that ended in the measured time
	Attempts int64 // they took
	Elapsed  time.Duration
	Hist     *Histogram // of their durations
	Missed   int64      // of an open loop: arrivals that had no turn before the end

	// Of all operations, those of the warm-up included: what a check must find.
	Done []uint64 // by worker
	Sum  gen.Checksum
}

// All returns the number of all operations, those of the warm-up included.
func (r *Result) All() (n int64) {
	for _, done := range r.Done {
		n += int64(done)
	}
	return n
}

// PerSecond returns the throughput.
func (r *Result) PerSecond() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Ops) / r.Elapsed.Seconds()
}

// Latency returns the percentiles of the operations' durations.
func (r *Result) Latency() Latency { return r.Hist.Latency() }

// part is what one worker found.
type part struct {
	ops, attempts, missed int64
	done                  uint64
	sum                   gen.Checksum
	hist                  *Histogram
	last                  time.Time // when its last measured operation ended
}

// did counts an operation, measured or not.
func (p *part) did(d Did) {
	p.done++
	p.sum += d.Sum
}

// count counts a measured operation.
func (p *part) count(attempts int, d time.Duration, end time.Time) {
	p.ops++
	p.attempts += int64(attempts)
	p.last = end
	p.hist.Add(d)
}

// run starts the workers and adds up their parts. The first error ends all.
func run(ctx context.Context, workers int, begin time.Time, work func(context.Context, int, *part) error) (Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	parts := make([]part, workers)
	var group sync.WaitGroup
	for w := range parts {
		parts[w].hist = NewHistogram()
		group.Go(func() {
			if err := work(ctx, w, &parts[w]); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	total, end := Result{Hist: NewHistogram()}, begin
	for _, p := range parts {
		total.Ops += p.ops
		total.Attempts += p.attempts
		total.Missed += p.missed
		total.Sum += p.sum
		total.Done = append(total.Done, p.done)
		total.Hist.Merge(p.hist)
		if p.last.After(end) {
			end = p.last
		}
	}
	total.Elapsed = end.Sub(begin)
	return total, context.Cause(ctx)
}

// Closed runs op in a closed loop until the limit, or for good without one. Every worker finishes the one that it is at.
func Closed(ctx context.Context, workers int, limit Limit, op Op) (Result, error) {
	begin := time.Now().Add(limit.warmUp())
	end := begin.Add(limit.Duration)
	r, err := run(ctx, workers, begin, func(ctx context.Context, w int, p *part) error {
		left := limit.share(w, workers)
		for before := time.Now(); left != 0 && (limit.Duration == 0 || before.Before(end)); left-- {
			if err := ctx.Err(); err != nil {
				return err
			}
			did, err := op(ctx, w, p.done)
			if err != nil {
				return err
			}
			now := time.Now()
			p.did(did)
			if limit.wholly() || now.After(begin) && !now.After(end) {
				p.count(did.Attempts, now.Sub(before), now)
			}
			before = now
		}
		return nil
	})
	if !limit.wholly() {
		r.Elapsed = limit.Duration
	}
	return r, err
}
