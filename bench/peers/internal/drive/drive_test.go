package drive

import (
	"context"
	"errors"
	"math"
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
		r, err := Closed(t.Context(), 4, time.Second, func(context.Context, int, uint64) (int, error) {
			time.Sleep(time.Millisecond)
			return 2, nil
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
		near(t, "median", r.Latency.P50, 1000, 0.002)
		near(t, "maximum", r.Latency.Max, 1000, 0.002)
	})
}

func TestSlowOperationsAreCountedFairly(t *testing.T) {
	// Each of ten workers needs 300 ms: in each second 33 operations end, though some began in the warm-up and others
	// go on after the end.
	synctest.Test(t, func(t *testing.T) {
		r, err := Closed(t.Context(), 10, 2500*time.Millisecond, func(_ context.Context, w int, seq uint64) (int, error) {
			if seq == 0 {
				time.Sleep(time.Duration(w) * 30 * time.Millisecond) // workers are out of step
			}
			time.Sleep(300 * time.Millisecond)
			return 1, nil
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
		r, err := Open(t.Context(), 1, 1000, time.Second, func(_ context.Context, _ int, seq uint64) (int, error) {
			if seq == 700 {
				time.Sleep(100 * time.Millisecond)
			}
			return 1, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Ops != 1000 || r.Missed != 0 {
			t.Errorf("%d operations and %d missed, want 1000 and 0", r.Ops, r.Missed)
		}
		near(t, "p99", r.Latency.P99, 90_000, 0.05)
		near(t, "maximum", r.Latency.Max, 100_000, 0.002)
		if r.Latency.P50 > 1 {
			t.Errorf("the median is %v µs, want none", r.Latency.P50)
		}
	})
}

func TestOpenGivesUpAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Open(t.Context(), 1, 1000, time.Second, func(context.Context, int, uint64) (int, error) {
			time.Sleep(10 * time.Millisecond) // a hundred a second
			return 1, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Ops+r.Missed != 1000 || r.Missed < 900 {
			t.Errorf("%d operations and %d missed, want 1000 together, most of them missed", r.Ops, r.Missed)
		}
		if r.Latency.P99 < 500_000 {
			t.Errorf("p99 is %v µs: those that were missed are not in it", r.Latency.P99)
		}
	})
}

func TestTheFirstErrorEndsAllWorkers(t *testing.T) {
	broken := errors.New("broken")
	op := func(ctx context.Context, w int, seq uint64) (int, error) {
		if w == 2 && seq == 3 {
			return 0, broken
		}
		return 1, nil
	}
	if _, err := Closed(t.Context(), 4, time.Hour, op); !errors.Is(err, broken) {
		t.Errorf("the error is %v, want %v", err, broken)
	}
	if _, err := Open(t.Context(), 4, 1e6, time.Hour, op); !errors.Is(err, broken) {
		t.Errorf("the error of the open loop is %v, want %v", err, broken)
	}
}

func TestAnOutlierIsCountedAsTheLongest(t *testing.T) {
	h := newHistogram()
	for range 9 {
		record(h, time.Millisecond)
	}
	record(h, time.Hour)
	l := latencyOf(h)
	near(t, "maximum", l.Max, 100e6, 0.002)
	near(t, "median", l.Of(50), 1000, 0.002)
	near(t, "p99.9", l.Of(99.9), 100e6, 0.002)
}
