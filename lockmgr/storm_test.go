package lockmgr

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sombradb/sombra/deadlock"
)

var stormRounds = flag.Int("storm", 300, "rounds of each owner in the storm tests")

// guarded is what a lock protects in these tests. The plain field lets the race
// detector see a missing exclusion, the counters see it without.
type guarded struct {
	readers, updaters, adders, writers atomic.Int32
	value                              int
	sum                                atomic.Int64 // what adders change
}

// enter notes that the lock is held in mode, and reports a conflict.
func (g *guarded) enter(mode Mode) error {
	switch mode {
	case S:
		g.readers.Add(1)
		_ = g.value
	case U:
		g.updaters.Add(1)
		_ = g.value
	case A:
		g.adders.Add(1)
		g.sum.Add(1)
	case X:
		g.writers.Add(1)
		g.value++
	}
	r, u, a, w := g.readers.Load(), g.updaters.Load(), g.adders.Load(), g.writers.Load()
	alone := mode == X && r+u+a > 0 || mode != X && w > 0
	if u+w > 1 || alone || a > 0 && r+u > 0 {
		return fmt.Errorf("L1: entered in %v, inside are %d S, %d U, %d A, %d X", mode, r, u, a, w)
	}
	return nil
}

func (g *guarded) leave(mode Mode) {
	switch mode {
	case S:
		g.readers.Add(-1)
	case U:
		g.updaters.Add(-1)
	case A:
		g.adders.Add(-1)
	case X:
		g.writers.Add(-1)
	}
}

// Owners that take their keys in one order cannot deadlock. Each victim here
// would be a false one. The pictures of the second detector are out of date
// before they are complete; some have cycles that never existed.
func TestOwnersInOneOrderNeverDeadlock(t *testing.T) {
	table := New(Options{Grace: time.Microsecond, Sweep: 50 * time.Microsecond})
	defer table.Close()
	const keys = 5
	var shared [keys]guarded
	var wg, slow sync.WaitGroup
	stop := make(chan struct{})
	apparent := 0
	slow.Go(func() { apparent = detectSlowly(table, stop) })
	for g := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(g)))
			o := table.NewOwner(OwnerInfo{ID: uint64(g)})
			for range 10 * *stormRounds {
				if err := inOrder(t.Context(), table, o, shared[:], random); err != nil {
					t.Errorf("owner %d: %v", g, err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	slow.Wait()
	if got := table.Metrics().Deadlocks; got != 0 {
		t.Errorf("L7: %d false victims", got)
	}
	checkEmpty(t, table)
	t.Logf("%d apparent cycles; %+v", apparent, table.Metrics())
}

// detectSlowly looks for deadlocks with pauses between the shards. It returns
// how many cycles were in its pictures.
func detectSlowly(table *Table, stop <-chan struct{}) (apparent int) {
	random := rand.New(rand.NewPCG(4, 0))
	for {
		select {
		case <-stop:
			return apparent
		default:
		}
		var sv survey
		for i := range table.shards {
			before := len(sv.waits)
			if sv.addShard(&table.shards[i]); len(sv.waits) > before {
				for range random.IntN(30) {
					runtime.Gosched()
				}
			}
		}
		cycles := sv.cycles()
		apparent += len(cycles)
		for _, cycle := range cycles {
			if report := table.resolve(&sv, cycle); report != nil {
				table.publish(report)
			}
		}
	}
}

// inOrder takes some of the keys by rising number, and releases them.
func inOrder(ctx context.Context, table *Table, o *Owner, shared []guarded, random *rand.Rand) error {
	defer table.ReleaseAll(o)
	for k := range shared {
		if random.IntN(2) == 0 {
			continue
		}
		if err := table.Acquire(ctx, o, benchKey(k), X, Wait, 0); err != nil {
			return err
		}
		if err := shared[k].enter(X); err != nil {
			return err
		}
		defer shared[k].leave(X)
		runtime.Gosched() // holding it, so that others meet it
	}
	return nil
}

func checkEmpty(t *testing.T, table *Table) {
	t.Helper()
	if err := table.Check(); err != nil {
		t.Error(err)
	}
	if m := table.Metrics(); m.Keys != 0 || m.Waiters != 0 {
		t.Errorf("after all released: %+v", m)
	}
}

// stormy is one owner of the random storm.
type stormy struct {
	table  *Table
	random *rand.Rand
	owner  *Owner
	shared []guarded
	inside map[int]Mode
}

var errStruck = errors.New("struck")

// Everything at once: all modes, upgrades, time limits, cancelled contexts, kills,
// deadlocks. Everybody gets through, nobody meets another inside.
func TestARandomStormKeepsTheInvariants(t *testing.T) {
	table := New(Options{Grace: 20 * time.Microsecond, Sweep: time.Millisecond})
	defer table.Close()
	shared := make([]guarded, 6)
	owners := make([]*stormy, 8)
	for g := range owners {
		owners[g] = &stormy{
			table: table, random: rand.New(rand.NewPCG(2, uint64(g))), shared: shared, inside: map[int]Mode{},
			owner: table.NewOwner(OwnerInfo{ID: uint64(g), Retries: g % 3}),
		}
	}
	stop := make(chan struct{})
	var others, wg sync.WaitGroup
	others.Go(func() { disturb(t, table, owners, stop) })
	for _, s := range owners {
		wg.Go(func() {
			for range *stormRounds {
				if err := s.transaction(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	others.Wait()
	checkEmpty(t, table)
	t.Logf("%+v", table.Metrics())
}

// disturb checks the table and kills owners while the storm blows.
func disturb(t *testing.T, table *Table, owners []*stormy, stop <-chan struct{}) {
	random := rand.New(rand.NewPCG(3, 0))
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		table.Kill(owners[random.IntN(len(owners))].owner, errStruck)
		table.Locks(random.IntN(2) == 0)
		table.Owners()
		table.Waiting(owners[random.IntN(len(owners))].owner)
		if err := table.Check(); err != nil {
			t.Error(err)
			return
		}
	}
}

// transaction takes some locks and gives them back.
func (s *stormy) transaction(ctx context.Context) error {
	defer func() {
		for k, mode := range s.inside {
			s.shared[k].leave(mode)
		}
		clear(s.inside)
		s.table.ReleaseAll(s.owner)
	}()
	for range 1 + s.random.IntN(4) {
		k, mode := s.random.IntN(len(s.shared)), Mode(1+s.random.IntN(4))
		err := s.lock(ctx, k, mode)
		if err != nil {
			return s.expected(err)
		}
		runtime.Gosched() // holding it, so that others meet it
		held := s.inside[k]
		mode = modelJoin(held, mode)
		if got := s.table.Held(s.owner, benchKey(k)); got != mode {
			return fmt.Errorf("L9: holds %v, not %v, having had %v", got, mode, held)
		}
		if held != mode {
			s.shared[k].leave(held)
			s.inside[k] = mode
			if err := s.shared[k].enter(mode); err != nil {
				return err
			}
		}
	}
	return nil
}

// lock acquires under limits drawn at random.
func (s *stormy) lock(ctx context.Context, k int, mode Mode) error {
	policy, timeout := Wait, time.Duration(0)
	switch s.random.IntN(6) {
	case 0:
		policy = NoWait
	case 1:
		timeout = time.Duration(1+s.random.IntN(200)) * time.Microsecond
	case 2:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(1+s.random.IntN(200))*time.Microsecond, errGone)
		defer cancel()
	}
	return s.table.Acquire(ctx, s.owner, benchKey(k), mode, policy, timeout)
}

// expected returns nil for the errors that a storm may bring.
func (s *stormy) expected(err error) error {
	if report, ok := errors.AsType[*deadlock.Error](err); ok {
		return checkCycle(report, deadlock.TxnID(s.owner.info.ID))
	}
	for _, fine := range []error{ErrNotAvailable, ErrTimeout, errGone, errStruck} {
		if errors.Is(err, fine) {
			return nil
		}
	}
	return err
}

// checkCycle sees that the report is about its receiver and that each party is
// in the way of the one before: by what it holds, or in the same queue.
func checkCycle(report *deadlock.Error, receiver deadlock.TxnID) error {
	if loser, ok := report.Victim(); !ok || loser.ID != receiver {
		return fmt.Errorf("owner %d got another's report:\n%v", receiver, report)
	}
	for i, p := range report.Cycle {
		next := report.Cycle[(i+1)%len(report.Cycle)]
		holds := slices.ContainsFunc(next.Holds, func(l deadlock.Lock) bool { return l.Key == p.Wants.Key })
		if !holds && next.Wants.Key != p.Wants.Key {
			return fmt.Errorf("party %d does not wait for party %d:\n%v", p.ID, next.ID, report)
		}
	}
	return nil
}

// Whoever comes first, the waiter or the one who releases: there is one outcome,
// it fits what is held, and nobody behind is forgotten.
func TestCancellingMeetsGranting(t *testing.T) {
	c := newCrowd(t)
	holder, racer, last := c.owner(OwnerInfo{ID: 1}), c.owner(OwnerInfo{ID: 2}), c.owner(OwnerInfo{ID: 3})
	granted := 0
	for round := range 10 * *stormRounds {
		c.mustHold(holder, "k", X)
		race, behind := c.start(racer, "k", X, 0), c.start(last, "k", S, 0)
		var wg sync.WaitGroup
		first, second := func() { race.cancel(errGone) }, func() { c.table.ReleaseAll(holder) }
		if round%2 == 0 {
			first, second = second, first
		}
		wg.Go(first)
		wg.Go(second)
		err := <-race.result
		wg.Wait()
		held := c.table.Held(racer, []byte("k"))
		switch {
		case err == nil && held == X:
			granted++
		case errors.Is(err, errGone) && held == None:
		default:
			t.Fatalf("outcome %v, but holds %v", err, held)
		}
		c.check()
		c.table.ReleaseAll(racer)
		if err := <-behind.result; err != nil {
			t.Fatal(err)
		}
		c.table.ReleaseAll(last)
	}
	checkEmpty(t, c.table)
	t.Logf("granted %d of %d", granted, 10**stormRounds)
}

// Kill may come when the wait is about to begin: it must not be overlooked.
func TestKillingMeetsTheBeginOfAWait(t *testing.T) {
	c := newCrowd(t)
	holder, target := c.owner(OwnerInfo{ID: 1}), c.owner(OwnerInfo{ID: 2})
	c.mustHold(holder, "k", X)
	for range 10 * *stormRounds {
		result := make(chan error, 1)
		var wg sync.WaitGroup
		wg.Go(func() {
			result <- c.table.Acquire(context.Background(), target, []byte("k"), S, Wait, 0)
		})
		wg.Go(func() { c.table.Kill(target, errShot) })
		wg.Wait()
		if err := <-result; !errors.Is(err, errShot) {
			t.Fatal(err)
		}
		c.table.ReleaseAll(target)
	}
	c.check()
}

// Kill has found the shard of a wait that ends before it gets the mutex. It must
// not end the wait that a later use of the owner has begun meanwhile.
func TestAKillThatIsLateSparesTheNextUse(t *testing.T) {
	c := newCrowd(t)
	holder, target := c.owner(OwnerInfo{ID: 1}), c.owner(OwnerInfo{ID: 2})
	c.mustHold(holder, "k", X)
	c.mustHold(holder, "l", X)
	first := c.start(target, "k", S, 0)
	s, done := target.req.in.Load(), make(chan struct{})
	s.mu.Lock()
	go func() {
		c.table.Kill(target, errShot)
		close(done)
	}()
	for target.killed.Load() == nil {
		runtime.Gosched()
	}
	s.withdraw(&target.req, cancelled, errGone)
	s.mu.Unlock()
	if err := <-first.result; !errors.Is(err, errGone) {
		t.Fatal(err)
	}
	c.table.ReleaseAll(target)
	second := c.start(target, "l", S, 0)
	<-done
	if !second.waits() {
		t.Errorf("the second wait ended: %v", <-second.result)
	}
	c.check()
}

// Acquire may have passed its first look when Close comes.
func TestNoWaitBeginsInAClosedTable(t *testing.T) {
	c := newCrowd(t)
	holder, late := c.owner(OwnerInfo{ID: 1}), c.owner(OwnerInfo{ID: 2})
	c.mustHold(holder, "k", X)
	c.table.Close()
	s := c.table.shardOf(c.table.hash([]byte("k")))
	s.mu.Lock()
	err := s.join(&late.req, holder.held[0].entry, nil, S, None, Wait)
	s.mu.Unlock()
	if !errors.Is(err, ErrClosed) || late.req.in.Load() != nil {
		t.Errorf("joined: %v", err)
	}
	c.check()
}

// Close may come when the wait is about to begin: nobody is left behind.
func TestClosingMeetsTheBeginOfWaits(t *testing.T) {
	for range *stormRounds {
		table := New(Options{})
		holder := table.NewOwner(OwnerInfo{ID: 1})
		if err := table.Acquire(t.Context(), holder, []byte("k"), X, Wait, 0); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 3 {
			o := table.NewOwner(OwnerInfo{ID: uint64(i + 2)})
			wg.Go(func() {
				if err := table.Acquire(context.Background(), o, []byte("k"), S, Wait, 0); !errors.Is(err, ErrClosed) {
					t.Error(err)
				}
			})
		}
		wg.Go(table.Close)
		wg.Go(table.Close)
		wg.Wait()
		table.ReleaseAll(holder)
		checkEmpty(t, table)
	}
}
