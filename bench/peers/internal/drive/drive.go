// Package drive runs an operation in many goroutines and measures how long each run took.
//
// A closed loop begins an operation when the last one has ended: it finds the greatest throughput, but while the
// system under test stands still it asks nothing and so does not notice. An open loop begins operations at fixed moments,
// and counts the time that one waited for its turn. So its latencies leave nothing out (no "coordinated omission").
//
// Latencies are HDR histograms with three digits, from 100 ns to 100 s.
package drive

import (
	"context"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Op is one operation: the seq-th of a worker, counted from 0. It returns how often it was attempted, once included.
type Op func(ctx context.Context, worker int, seq uint64) (attempts int, err error)

// Result is what was measured. Operations of the warm-up are in Done only.
type Result struct {
	Ops      int64 // that ended in the measured time
	Attempts int64 // they took
	Elapsed  time.Duration
	Latency  Latency
	Done     []uint64 // by worker, all operations
	Missed   int64    // of an open loop: arrivals that had no turn before the end
}

// PerSecond returns the throughput.
func (r *Result) PerSecond() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Ops) / r.Elapsed.Seconds()
}

// Latency is a distribution of durations, in microseconds.
type Latency struct {
	P50  float64 `json:"p50_us"`
	P90  float64 `json:"p90_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p999_us"`
	Max  float64 `json:"max_us"`
}

// Of returns the percentile's field, 0 for one that is not kept.
func (l Latency) Of(percentile float64) float64 {
	switch percentile {
	case 50:
		return l.P50
	case 90:
		return l.P90
	case 99:
		return l.P99
	case 99.9:
		return l.P999
	}
	return 0
}

const (
	shortest = 100          // ns
	longest  = int64(100e9) // ns
	grain    = 3            // digits
	nsPerUs  = float64(time.Microsecond)
)

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(shortest, longest, grain) }

// record clamps, so that an outlier beyond the range is counted as the longest instead of being lost.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Nanoseconds(), 0), longest))
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	us := func(ns int64) float64 { return float64(ns) / nsPerUs }
	return Latency{
		P50: us(h.ValueAtQuantile(50)), P90: us(h.ValueAtQuantile(90)), P99: us(h.ValueAtQuantile(99)),
		P999: us(h.ValueAtQuantile(99.9)), Max: us(h.Max()),
	}
}

// part is what one worker found.
type part struct {
	ops, attempts, missed int64
	done                  uint64
	hist                  *hdrhistogram.Histogram
	last                  time.Time // when its last measured operation ended
}

func (p *part) count(attempts int, d time.Duration, end time.Time) {
	p.ops++
	p.attempts += int64(attempts)
	p.last = end
	record(p.hist, d)
}

// run starts the workers and adds up their parts. The first error ends all.
func run(ctx context.Context, workers int, begin time.Time, work func(context.Context, int, *part) error) (Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	parts := make([]part, workers)
	var group sync.WaitGroup
	for w := range parts {
		parts[w].hist = newHistogram()
		group.Go(func() {
			if err := work(ctx, w, &parts[w]); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	total := Result{}
	hist, end := newHistogram(), begin
	for _, p := range parts {
		total.Ops += p.ops
		total.Attempts += p.attempts
		total.Missed += p.missed
		total.Done = append(total.Done, p.done)
		hist.Merge(p.hist)
		if p.last.After(end) {
			end = p.last
		}
	}
	total.Elapsed, total.Latency = end.Sub(begin), latencyOf(hist)
	return total, context.Cause(ctx)
}

// warmUpShare of the measured time goes before it.
const warmUpShare = 5

// Closed runs op in a closed loop for a fifth of the time to warm up, then for the time. An operation belongs to the
// measured time if it ended in it, whenever it began: so slow operations at both ends balance each other. Every worker
// finishes the one that it is at.
func Closed(ctx context.Context, workers int, length time.Duration, op Op) (Result, error) {
	begin := time.Now().Add(length / warmUpShare)
	r, err := run(ctx, workers, begin, func(ctx context.Context, w int, p *part) error {
		for before := time.Now(); before.Sub(begin) < length; {
			if err := ctx.Err(); err != nil {
				return err
			}
			attempts, err := op(ctx, w, p.done)
			if err != nil {
				return err
			}
			now := time.Now()
			p.done++
			if now.After(begin) && !now.After(begin.Add(length)) {
				p.count(attempts, now.Sub(before), now)
			}
			before = now
		}
		return nil
	})
	r.Elapsed = length
	return r, err
}
