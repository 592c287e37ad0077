package bench

import (
	"context"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/gen"
)

// Limit says when a measurement ends: after Ops operations of all workers together, or after Duration, whichever comes
// first. A zero field does not limit. With Ops there is no warm-up; else it takes a fifth of Duration before.
type Limit = drive.Limit

// Latency is a distribution of durations, in microseconds.
type Latency = drive.Latency

// Checksum sums up records or operations, whatever their order.
type Checksum = gen.Checksum

func orDuration(l Limit, d time.Duration) Limit {
	if l == (Limit{}) {
		l.Duration = d
	}
	return l
}

// work is one operation: the seq-th of the worker. It returns the checksum of what it did.
type work func(ctx context.Context, worker int, seq uint64) (Checksum, error)

// once makes an operation of the loop, which counts one attempt.
func (do work) once(ctx context.Context, worker int, seq uint64) (drive.Did, error) {
	sum, err := do(ctx, worker, seq)
	return drive.Did{Attempts: 1, Sum: sum}, err
}

// closed runs do in a closed loop.
func closed(ctx context.Context, workers int, limit Limit, do work) (drive.Result, error) {
	return drive.Closed(ctx, workers, limit, do.once)
}
