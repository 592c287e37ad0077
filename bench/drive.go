package bench

import (
	"context"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Limit says when a measurement ends: after Ops operations of all workers
// together, or after Duration, whichever comes first. A zero field does not limit.
type Limit struct {
	Ops      int64         `json:"ops,omitempty"`
	Duration time.Duration `json:"duration_ns,omitempty"`
}

func (l Limit) orDuration(d time.Duration) Limit {
	if l == (Limit{}) {
		l.Duration = d
	}
	return l
}

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

// work is one operation: the seq-th of the worker. It returns the checksum of what it did.
type work func(ctx context.Context, worker int, seq uint64) (Checksum, error)

// measured is what drive found.
type measured struct {
	ops     int64
	elapsed time.Duration
	sum     Checksum
	hist    *hdrhistogram.Histogram // of the operations' durations, in ns
}

func (m *measured) perSecond() float64 { return float64(m.ops) / m.elapsed.Seconds() }

// newHistogram holds 100 ns to 100 s with three digits.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(100, 100e9, 3) }

// drive runs do in a number of goroutines until the limit. The first error ends all.
func drive(ctx context.Context, workers int, limit Limit, do work) (measured, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	parts := make([]measured, workers)
	start := time.Now()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			var err error
			if parts[w], err = driveOne(ctx, w, limit.share(w, workers), start, limit.Duration, do); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	total := measured{elapsed: time.Since(start), hist: newHistogram()}
	for _, p := range parts {
		total.ops += p.ops
		total.sum += p.sum
		total.hist.Merge(p.hist)
	}
	return total, context.Cause(ctx)
}

func driveOne(ctx context.Context, worker int, ops int64, start time.Time, limit time.Duration, do work) (measured, error) {
	m := measured{hist: newHistogram()}
	for before := time.Now(); ops < 0 || m.ops < ops; {
		if ctx.Err() != nil || limit > 0 && before.Sub(start) >= limit {
			return m, ctx.Err()
		}
		sum, err := do(ctx, worker, uint64(m.ops))
		if err != nil {
			return m, err
		}
		now := time.Now()
		// A value outside the histogram's range is only missing from the percentiles.
		_ = m.hist.RecordValue(now.Sub(before).Nanoseconds())
		before = now
		m.ops++
		m.sum += sum
	}
	return m, nil
}

// Latency is the distribution of durations, in microseconds.
type Latency struct {
	P50  float64 `json:"p50_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p999_us"`
	Max  float64 `json:"max_us"`
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	us := func(ns int64) float64 { return float64(ns) / 1e3 }
	return Latency{
		P50:  us(h.ValueAtQuantile(50)),
		P99:  us(h.ValueAtQuantile(99)),
		P999: us(h.ValueAtQuantile(99.9)),
		Max:  us(h.Max()),
	}
}
