package drive

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance*want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func TestClosedCountsWhatEndedAfterTheWarmUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Closed(t.Context(), 4, For(time.Second), func(context.Context, int, uint64) (Did, error) {
			time.Sleep(time.Millisecond)
			return Did{Attempts: 2}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Ops != 4000 || r.Attempts != 8000 {
			t.Errorf("%d operations with %d attempts, want 4000 with 8000", r.Ops, r.Attempts)
		}
		for w, done := range r.Done {
			if done != 1200 {
				t.Errorf("worker %d did %d, want 1200 with the warm-up", w, done)
			}
		}
		near(t, "rate", r.PerSecond(), 4000, 0.001)
		near(t, "median", r.Latency().P50, 1000, 0.002)
		near(t, "maximum", r.Latency().Max, 1000, 0.002)
	})
}

func TestSlowOperationsAreCountedFairly(t *testing.T) {
	// Each of ten workers needs 300 ms: in each second 33 operations end, though some began in the warm-up and others
	// go on after the end.
	synctest.Test(t, func(t *testing.T) {
		r, err := Closed(t.Context(), 10, For(2500*time.Millisecond), func(_ context.Context, w int, seq uint64) (Did, error) {
			if seq == 0 {
				time.Sleep(time.Duration(w) * 30 * time.Millisecond) // workers are out of step
			}
			time.Sleep(300 * time.Millisecond)
			return Did{Attempts: 1, Sum: 1}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		near(t, "rate", r.PerSecond(), 33.3, 0.03)
	})
}

func TestOpenCountsTheTimeInTheQueue(t *testing.T) {
	// 1000 arrivals a second meet one worker that stands still for 100 ms, once. A closed loop would see one slow
	// operation in 900; of the arrivals a tenth has waited, 50 ms on average.
	synctest.Test(t, func(t *testing.T) {
		r, err := Open(t.Context(), 1, 1000, For(time.Second), func(_ context.Context, _ int, seq uint64) (Did, error) {
			if seq == 700 {
				time.Sleep(100 * time.Millisecond)
			}
			return Did{Attempts: 1, Sum: 1}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Ops != 1000 || r.Missed != 0 {
			t.Errorf("%d operations and %d missed, want 1000 and 0", r.Ops, r.Missed)
		}
		near(t, "p99", r.Latency().P99, 90_000, 0.05)
		near(t, "maximum", r.Latency().Max, 100_000, 0.002)
		if r.Latency().P50 > 1 {
			t.Errorf("the median is %v µs, want none", r.Latency().P50)
		}
	})
}

func TestOpenGivesUpAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Open(t.Context(), 1, 1000, For(time.Second), func(context.Context, int, uint64) (Did, error) {
			time.Sleep(10 * time.Millisecond) // a hundred a second
			return Did{Attempts: 1, Sum: 1}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Ops+r.Missed != 1000 || r.Missed < 900 {
			t.Errorf("%d operations and %d missed, want 1000 together, most of them missed", r.Ops, r.Missed)
		}
		if r.Latency().P99 < 500_000 {
			t.Errorf("p99 is %v µs: those that were missed are not in it", r.Latency().P99)
		}
	})
}

func TestTheFirstErrorEndsAllWorkers(t *testing.T) {
	broken := errors.New("broken")
	op := func(ctx context.Context, w int, seq uint64) (Did, error) {
		if w == 2 && seq == 3 {
			return Did{}, broken
		}
		return Did{Attempts: 1, Sum: 1}, nil
	}
	if _, err := Closed(t.Context(), 4, For(time.Hour), op); !errors.Is(err, broken) {
		t.Errorf("the error is %v, want %v", err, broken)
	}
	if _, err := Open(t.Context(), 4, 1e6, For(time.Hour), op); !errors.Is(err, broken) {
		t.Errorf("the error of the open loop is %v, want %v", err, broken)
	}
}

func TestAnOutlierIsCountedAsTheLongest(t *testing.T) {
	h := NewHistogram()
	for range 9 {
		h.Add(time.Millisecond)
	}
	h.Add(time.Hour)
	l := h.Latency()
	near(t, "maximum", l.Max, 100e6, 0.002)
	near(t, "median", l.Of(50), 1000, 0.002)
	near(t, "p99.9", l.Of(99.9), 100e6, 0.002)
}

func TestALimitOfOperationsIsMetExactly(t *testing.T) {
	op := func(_ context.Context, _ int, seq uint64) (Did, error) { return Did{Attempts: 1, Sum: 1}, nil }
	for _, workers := range []int{1, 3, 8} {
		for name, loop := range map[string]func() (Result, error){
			"closed": func() (Result, error) { return Closed(t.Context(), workers, Limit{Ops: 100, Duration: time.Hour}, op) },
			"open":   func() (Result, error) { return Open(t.Context(), workers, 1e6, Limit{Ops: 100}, op) },
		} {
			r, err := loop()
			if err != nil || r.Ops != 100 || r.All() != 100 || r.Sum != 100 || r.Hist.Count() != 100 || r.Elapsed <= 0 {
				t.Errorf("%s, %d workers: %+v, %v; want 100 operations", name, workers, r, err)
			}
		}
	}
}

func TestTheOperationsOfAWorkerAreNumbered(t *testing.T) {
	next := make([]uint64, 4)
	_, err := Closed(t.Context(), 4, Limit{Ops: 50}, func(_ context.Context, worker int, seq uint64) (Did, error) {
		if seq != next[worker] {
			return Did{}, errors.New("out of order")
		}
		next[worker]++
		return Did{}, nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestWhatTheWarmUpDidIsInTheSumOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Closed(t.Context(), 2, For(time.Second), func(context.Context, int, uint64) (Did, error) {
			time.Sleep(100 * time.Millisecond)
			return Did{Attempts: 1, Sum: 1}, nil
		})
		if err != nil || r.Ops != 20 || r.All() != 24 || r.Sum != 24 || r.Elapsed != time.Second {
			t.Errorf("%d of %d operations in %v, sum %d, %v; want 20 of 24 in 1s", r.Ops, r.All(), r.Elapsed, r.Sum, err)
		}
	})
}

func TestAContextThatIsCancelledEndsAllWorkers(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var n atomic.Int64
	_, err := Closed(ctx, 4, Limit{}, func(context.Context, int, uint64) (Did, error) {
		if n.Add(1) == 100 {
			cancel()
		}
		return Did{}, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
