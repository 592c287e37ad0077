package drive

import (
	"context"
	"sync/atomic"
	"time"
)

// Open lets operations arrive at a fixed rate for the time, after a fifth of it to warm up. Workers take them in order;
// a latency begins with the arrival, whether a worker was free or not. Arrivals that had no turn until half of
// the time again has passed are given up, and their waiting so far is recorded as their latency.
func Open(ctx context.Context, workers int, perSecond float64, length time.Duration, op Op) (Result, error) {
	start := time.Now()
	begin := start.Add(length / warmUpShare)
	end := begin.Add(length)
	giveUp := end.Add(length / 2)
	gap := float64(time.Second) / perSecond
	arrivals := int64(end.Sub(start).Seconds() * perSecond)
	var next atomic.Int64
	return run(ctx, workers, begin, func(ctx context.Context, w int, p *part) error {
		for n := next.Add(1) - 1; n < arrivals; n = next.Add(1) - 1 {
			due := start.Add(time.Duration(float64(n) * gap))
			if err := wait(ctx, due); err != nil {
				return err
			}
			measured := !due.Before(begin)
			if now := time.Now(); now.After(giveUp) {
				if measured {
					p.missed++
					record(p.hist, now.Sub(due))
				}
				continue
			}
			attempts, err := op(ctx, w, p.done)
			if err != nil {
				return err
			}
			p.done++
			if now := time.Now(); measured {
				p.count(attempts, now.Sub(due), now)
			}
		}
		return nil
	})
}

// wait returns when a moment has come.
func wait(ctx context.Context, until time.Time) error {
	d := time.Until(until)
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
