package bench

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestDriveDoesExactlyTheOperationsAskedFor(t *testing.T) {
	for _, workers := range []int{1, 3, 8} {
		m, err := drive(t.Context(), workers, Limit{Ops: 100}, func(_ context.Context, worker int, seq uint64) (Checksum, error) {
			return Checksum(1), nil
		})
		if err != nil || m.ops != 100 || m.sum != 100 || m.hist.TotalCount() != 100 {
			t.Errorf("%d workers: %d operations, sum %d, %d durations, %v; want 100 of each", workers, m.ops, m.sum, m.hist.TotalCount(), err)
		}
	}
}

func TestDriveNumbersEachWorkersOperations(t *testing.T) {
	next := make([]uint64, 4)
	_, err := drive(t.Context(), 4, Limit{Ops: 50}, func(_ context.Context, worker int, seq uint64) (Checksum, error) {
		if seq != next[worker] {
			return 0, errors.New("out of order")
		}
		next[worker]++
		return 0, nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDriveEndsWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := drive(t.Context(), 2, Limit{Duration: time.Second}, func(context.Context, int, uint64) (Checksum, error) {
			<-time.After(100 * time.Millisecond)
			return 1, nil
		})
		if err != nil || m.ops != 20 || m.elapsed != time.Second {
			t.Errorf("%d operations in %v, %v; want 20 in 1s", m.ops, m.elapsed, err)
		}
	})
}

func TestDriveEndsAllWorkersAtTheFirstError(t *testing.T) {
	boom := errors.New("boom")
	_, err := drive(t.Context(), 4, Limit{}, func(_ context.Context, worker int, seq uint64) (Checksum, error) {
		if worker == 2 && seq == 10 {
			return 0, boom
		}
		return 0, nil
	})
	if !errors.Is(err, boom) {
		t.Errorf("got %v, want boom", err)
	}
}

func TestDriveEndsWhenItsContextIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var n atomic.Int64
	_, err := drive(ctx, 4, Limit{}, func(context.Context, int, uint64) (Checksum, error) {
		if n.Add(1) == 100 {
			cancel()
		}
		return 0, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
