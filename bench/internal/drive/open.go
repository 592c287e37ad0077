package drive

import (
	"context"
	"sync/atomic"
	"time"
)

// schedule is when the operations of an open loop arrive.
type schedule struct {
	start, begin, giveUp time.Time
	gap                  float64 // ns between two arrivals
	arrivals             int64
}

func newSchedule(perSecond float64, limit Limit) schedule {
	length, warmUp := limit.Duration, limit.warmUp()
	arrivals := int64((length + warmUp).Seconds() * perSecond)
	if limit.Ops > 0 {
		arrivals = limit.Ops
		length = time.Duration(float64(limit.Ops) / perSecond * float64(time.Second))
	}
	s := schedule{start: time.Now(), gap: float64(time.Second) / perSecond, arrivals: arrivals}
	s.begin = s.start.Add(warmUp)
	s.giveUp = s.begin.Add(length + length/2)
	return s
}

// due returns when the n-th operation arrives, counted from 0.
func (s *schedule) due(n int64) time.Time { return s.start.Add(time.Duration(float64(n) * s.gap)) }

// Open lets operations arrive at a fixed rate until the limit, which must not be zero. Workers take them in order;
// a latency begins with the arrival, whether a worker was free or not. Arrivals that had no turn until half of
// the time again has passed are given up, and their waiting so far is recorded as their latency. With a limit of operations
// that is the number of arrivals, and none is given up.
func Open(ctx context.Context, workers int, perSecond float64, limit Limit, op Op) (Result, error) {
	s := newSchedule(perSecond, limit)
	var next atomic.Int64
	return run(ctx, workers, s.begin, func(ctx context.Context, w int, p *part) error {
		for n := next.Add(1) - 1; n < s.arrivals; n = next.Add(1) - 1 {
			due := s.due(n)
			if err := wait(ctx, due); err != nil {
				return err
			}
			measured := !due.Before(s.begin)
			if now := time.Now(); now.After(s.giveUp) && limit.Ops == 0 {
				if measured {
					p.missed++
					p.hist.Add(now.Sub(due))
				}
				continue
			}
			did, err := op(ctx, w, p.done)
			if err != nil {
				return err
			}
			p.did(did)
			if now := time.Now(); measured {
				p.count(did.Attempts, now.Sub(due), now)
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
