package lockmgr

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sombradb/sombra/deadlock"
)

// crossed makes two owners wait for each other, and returns their attempts.
func crossed(c *crowd, a, b *Owner) (*attempt, *attempt) {
	c.mustHold(a, "k", X)
	c.mustHold(b, "l", X)
	return c.start(a, "l", X, 0), c.start(b, "k", X, 0)
}

// ring makes n owners wait for each other in a circle, and returns the attempt of the last.
func ring(c *crowd, n int, name string) (last *attempt) {
	owners := make([]*Owner, n)
	key := func(i int) string { return fmt.Sprint(name, i%n) }
	for i := range owners {
		owners[i] = c.owner(OwnerInfo{ID: uint64(i + 1)})
		c.mustHold(owners[i], key(i), X)
	}
	for i, o := range owners {
		last = c.start(o, key(i+1), X, 0)
	}
	return last
}

// L7, step by step: after the picture was taken one of the waits ends, so that
// nobody may be ended for the cycle in the picture.
func TestACycleThatIsGoneHasNoVictim(t *testing.T) {
	tests := []struct {
		name    string
		meddle  func(c *crowd, a, b *attempt)
		stillIn []string // who waits afterwards
	}{
		{"one was cancelled", func(c *crowd, a, b *attempt) {
			a.cancel(errGone)
			<-a.result
		}, []string{"b"}},
		{"one was cancelled and waits for the same again", func(c *crowd, a, b *attempt) {
			a.cancel(errGone)
			<-a.result
			*a = *c.start(a.owner, "l", X, 0)
		}, []string{"a", "b"}},
		{"one gave up all and waits for the same again", func(c *crowd, a, b *attempt) {
			a.cancel(errGone)
			<-a.result
			c.table.ReleaseAll(a.owner)
			if err := <-b.result; err != nil {
				c.t.Fatal(err)
			}
			*a = *c.start(a.owner, "l", X, 0)
		}, []string{"a"}},
		{"one was killed", func(c *crowd, a, b *attempt) {
			c.table.Kill(b.owner, nil)
			<-b.result
		}, []string{"a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCrowd(t)
			a, b := crossed(c, c.owner(OwnerInfo{ID: 1}), c.owner(OwnerInfo{ID: 2}))
			var sv survey
			sv.take(c.table)
			cycles := sv.cycles()
			if len(cycles) != 1 {
				t.Fatalf("found %v", cycles)
			}
			tt.meddle(c, a, b)
			if report := c.table.resolve(&sv, cycles[0]); report != nil {
				t.Errorf("ended somebody:\n%v", report)
			}
			for name, attempt := range map[string]*attempt{"a": a, "b": b} {
				if slices.Contains(tt.stillIn, name) != attempt.waits() {
					t.Errorf("%s waits: %v", name, attempt.waits())
				}
			}
			c.check()
		})
	}
}

func TestDeadlocksOfManyMembers(t *testing.T) {
	for _, n := range []int{3, 10, 100} {
		c := newCrowd(t)
		owners := make([]*Owner, n)
		attempts := make([]*attempt, n)
		for i := range owners {
			owners[i] = c.owner(OwnerInfo{ID: uint64(i)})
			c.mustHold(owners[i], string(benchKey(i)), X)
		}
		for i := range owners {
			attempts[i] = c.start(owners[i], string(benchKey((i+1)%n)), S, 0)
		}
		var sv survey
		c.table.detect(&sv)
		report := c.table.Deadlocks()[0]
		if len(report.Cycle) != n || report.Cycle[0].ID != deadlock.TxnID(n-1) {
			t.Errorf("%d members, report about %d, victim %d", n, len(report.Cycle), report.Cycle[0].ID)
		}
		if err := <-attempts[n-1].result; err != error(report) {
			t.Errorf("the victim got %v", err)
		}
		for _, a := range attempts[:n-1] {
			if !a.waits() {
				t.Errorf("%d members: owner %d does not wait any more", n, a.owner.info.ID)
			}
		}
		c.check()
	}
}

func TestTheLastReportsAreKeptNewestFirst(t *testing.T) {
	c := newCrowd(t)
	const all = keptReports + 6
	for i := range all {
		a, b := crossed(c, c.owner(OwnerInfo{ID: uint64(2 * i)}), c.owner(OwnerInfo{ID: uint64(2*i + 1)}))
		var sv survey
		c.table.detect(&sv)
		if err := <-b.result; !errors.Is(err, deadlock.ErrDeadlock) {
			t.Fatal(err)
		}
		c.table.ReleaseAll(b.owner)
		if err := <-a.result; err != nil {
			t.Fatal(err)
		}
		c.table.ReleaseAll(a.owner)
	}
	kept := c.table.Deadlocks()
	if len(kept) != keptReports {
		t.Fatalf("%d reports", len(kept))
	}
	for i, report := range kept {
		if want := deadlock.TxnID(2*(all-1-i) + 1); report.Cycle[0].ID != want {
			t.Errorf("report %d is about victim %d, want %d", i, report.Cycle[0].ID, want)
		}
	}
	if got := c.table.Metrics().Deadlocks; got != all {
		t.Errorf("counted %d", got)
	}
}

func TestTheObserverMayLookAtTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table *Table
		var seen []*deadlock.Error
		table = New(Options{
			OnDeadlock: func(e *deadlock.Error) {
				seen = append(seen, e)
				table.Locks(true)
				table.Metrics()
				if kept := table.Deadlocks(); len(kept) == 0 || kept[0] != e {
					t.Error("the report is not kept yet")
				}
			},
		})
		defer table.Close()
		c := &crowd{t: t, table: table}
		a, b := crossed(c, c.owner(OwnerInfo{ID: 1}), c.owner(OwnerInfo{ID: 2}))
		time.Sleep(DefaultGrace)
		synctest.Wait()
		if err := <-b.result; len(seen) != 1 || err != error(seen[0]) {
			t.Errorf("observer saw %v, the victim %v", seen, err)
		}
		table.ReleaseAll(b.owner)
		<-a.result
	})
}

func TestTheDetectorPausesBetweenSearches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const grace = 10 * time.Millisecond
		began := time.Now()
		var found []time.Duration
		table := New(Options{
			Grace:      grace,
			OnDeadlock: func(*deadlock.Error) { found = append(found, time.Since(began)) },
		})
		defer table.Close()
		c := &crowd{t: t, table: table}
		ring(c, maxWalk+1, "k")
		time.Sleep(grace / 2)
		ring(c, maxWalk+1, "m")
		time.Sleep(time.Second)
		synctest.Wait()
		// The second ring would ask after 15 ms, in the pause; but the first search
		// finds it as well, for it looks at all that wait.
		if want := []time.Duration{grace, grace}; !slices.Equal(found, want) {
			t.Errorf("resolved after %v, want %v", found, want)
		}
		if got, most := table.Metrics().Searches, int64(time.Second/DefaultSweep)+2; got > most {
			t.Errorf("%d searches, want %d at most", got, most)
		}
	})
}

// Who closes a circle that it can see does not wait for the grace, nor for the end of a pause.
func TestACircleThatIsSeenIsEndedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const grace = 10 * time.Millisecond
		began := time.Now()
		found := make(map[int]time.Duration)
		table := New(Options{
			Grace:      grace,
			OnDeadlock: func(e *deadlock.Error) { found[len(e.Cycle)] = time.Since(began) },
		})
		defer table.Close()
		c := &crowd{t: t, table: table}
		for n := 2; n <= maxWalk; n++ {
			ring(c, n, fmt.Sprint(n, " "))
			synctest.Wait()
			time.Sleep(time.Millisecond)
		}
		for n := 2; n <= maxWalk; n++ {
			if at, seen := found[n]; !seen || at != time.Duration(n-2)*time.Millisecond {
				t.Errorf("the circle of %d was ended after %v (%v)", n, at, seen)
			}
		}
	})
}

// Long queues are no circles: nobody urges, and the detector does not search more than it must.
func TestAQueueUrgesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(Options{Grace: time.Hour})
		defer table.Close()
		c := &crowd{t: t, table: table}
		holder := c.owner(OwnerInfo{ID: 1})
		c.mustHold(holder, "k", X)
		var waiters []*attempt
		for i := range 50 {
			o := c.owner(OwnerInfo{ID: uint64(i + 2)})
			c.mustHold(o, fmt.Sprint("own ", i), X)
			waiters = append(waiters, c.start(o, "k", X, 0))
		}
		time.Sleep(time.Minute)
		if n := table.Metrics().Searches; n != 0 {
			t.Errorf("%d searches", n)
		}
		table.ReleaseAll(holder)
		for _, w := range waiters {
			if err := <-w.result; err != nil {
				t.Fatal(err)
			}
			table.ReleaseAll(w.owner)
		}
	})
}

// A request for detection that was lost must not matter for long: here the sweep
// comes before the waiters ask.
func TestTheSweepFindsWhatNobodyAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const grace, sweep = 50 * time.Millisecond, 20 * time.Millisecond
		table := New(Options{Grace: grace, Sweep: sweep})
		defer table.Close()
		c := &crowd{t: t, table: table}
		began := time.Now()
		first := c.owner(OwnerInfo{ID: 1})
		c.mustHold(first, "j", X)
		c.start(c.owner(OwnerInfo{ID: 2}), "j", X, 0) // it asks after the grace
		time.Sleep(2*grace - sweep)
		last := ring(c, maxWalk+1, "k")
		err := <-last.result
		if waited := time.Since(began); !errors.Is(err, deadlock.ErrDeadlock) || waited != 2*grace+sweep {
			t.Errorf("after %v: %v", waited, err)
		}
	})
}

// With nobody waiting no timer runs: else the clock of the bubble would stop at
// each tick, and the search would be counted.
func TestAnIdleTableHasNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(Options{})
		defer table.Close()
		c := &crowd{t: t, table: table}
		holder := c.owner(OwnerInfo{ID: 1})
		c.mustHold(holder, "k", X)
		waiter := c.start(c.owner(OwnerInfo{ID: 2}), "k", X, 0)
		time.Sleep(time.Second) // sweeps go on
		table.ReleaseAll(holder)
		<-waiter.result
		time.Sleep(time.Second) // the last sweep sees that nobody waits
		before := table.Metrics().Searches
		time.Sleep(time.Hour)
		synctest.Wait()
		if after := table.Metrics().Searches; after != before {
			t.Errorf("%d searches in an idle hour", after-before)
		}
		if before < 10 {
			t.Errorf("only %d searches while somebody waited", before)
		}
	})
}

func TestCloseEndsTheDetectorInTheMiddleOfItsPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(Options{Grace: time.Minute})
		c := &crowd{t: t, table: table}
		holder := c.owner(OwnerInfo{ID: 1})
		c.mustHold(holder, "k", X)
		waiter := c.start(c.owner(OwnerInfo{ID: 2}), "k", X, 0)
		time.Sleep(time.Minute)
		synctest.Wait() // the detector has searched and pauses
		began := time.Now()
		table.Close()
		if waited := time.Since(began); waited != 0 {
			t.Errorf("Close took %v", waited)
		}
		if err := <-waiter.result; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if err := table.Acquire(context.Background(), holder, []byte("k"), X, Wait, 0); !errors.Is(err, ErrClosed) {
			t.Errorf("Acquire after Close: %v", err)
		}
	})
}
