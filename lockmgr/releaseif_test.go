package lockmgr

import (
	"fmt"
	"testing"
	"time"
)

// ReleaseIf gives up what it is told to and nothing else, for few locks and for many, and the rest is still found,
// upgraded and released.
func TestReleaseIfGivesUpSomeLocks(t *testing.T) {
	for _, n := range []int{1, 5, searchedLocks, searchedLocks + 1, 100, 3 * keptLocks} {
		for _, keep := range []int{0, 1, 3, 7} {
			t.Run(fmt.Sprintf("%d locks, every %dth stays", n, keep), func(t *testing.T) {
				table := New(Options{})
				defer table.Close()
				o, other := table.NewOwner(OwnerInfo{ID: 1}), table.NewOwner(OwnerInfo{ID: 2})
				key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
				stays := func(i int) bool { return keep > 0 && i%keep == 0 }
				number := map[string]int{}
				for i := range n {
					number[string(key(i))] = i
					mustAcquire(t, table, o, key(i), S)
				}
				table.ReleaseIf(o, func(k []byte) bool { return !stays(number[string(k)]) })
				for i := range n {
					if held := table.Held(o, key(i)); (held == S) != stays(i) {
						t.Fatalf("key %d is held in mode %v", i, held)
					}
					err := table.Acquire(t.Context(), other, key(i), X, NoWait, 0)
					if (err == nil) == stays(i) {
						t.Fatalf("another owner asks for key %d: %v", i, err)
					}
				}
				table.ReleaseAll(other)
				for i := range n {
					mustAcquire(t, table, o, key(i), X)
				}
				if err := table.Check(); err != nil {
					t.Fatal(err)
				}
				table.ReleaseAll(o)
				if m := table.Metrics(); m.Keys != 0 {
					t.Errorf("%d keys are locked at the end", m.Keys)
				}
			})
		}
	}
}

// What ReleaseIf frees is granted to who waits.
func TestReleaseIfServesTheQueue(t *testing.T) {
	table := New(Options{})
	defer table.Close()
	o, waiter := table.NewOwner(OwnerInfo{ID: 1}), table.NewOwner(OwnerInfo{ID: 2})
	mustAcquire(t, table, o, []byte("a"), X)
	mustAcquire(t, table, o, []byte("b"), X)
	done := make(chan error, 1)
	go func() { done <- table.Acquire(t.Context(), waiter, []byte("a"), X, Wait, time.Minute) }()
	for table.Metrics().Waiters == 0 {
		<-time.After(time.Microsecond)
	}
	table.ReleaseIf(o, func(k []byte) bool { return string(k) == "a" })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	table.ReleaseIf(nil, nil)
}

func mustAcquire(t *testing.T, table *Table, o *Owner, key []byte, mode Mode) {
	t.Helper()
	if err := table.Acquire(t.Context(), o, key, mode, NoWait, 0); err != nil {
		t.Fatalf("%s in mode %v: %v", key, mode, err)
	}
}
