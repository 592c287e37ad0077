package lockmgr

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/sombradb/sombra/deadlock"
)

// One goroutine acquires, a second waits for an upgrade, a third releases: each
// takes over through a channel. The owner has more locks than fit into it, so
// that its list and its hash table are handed over too.
func TestAnOwnerIsHandedFromGoroutineToGoroutine(t *testing.T) {
	c := newCrowd(t)
	o, reader := c.owner(OwnerInfo{ID: 1}), c.owner(OwnerInfo{ID: 2})
	const keys = 3 * searchedLocks
	for range 20 {
		acquired, upgraded, released := make(chan *Owner), make(chan *Owner), make(chan *Owner, 1)
		c.mustHold(reader, string(benchKey(0)), S)
		go func() {
			for i := range keys {
				if err := c.table.Acquire(context.Background(), o, benchKey(i), Mode(1+2*(i%2)), Wait, 0); err != nil {
					t.Error(err)
				}
			}
			acquired <- o
		}()
		go func() {
			mine := <-acquired
			if err := c.table.Acquire(context.Background(), mine, benchKey(0), X, Wait, 0); err != nil {
				t.Error(err)
			}
			upgraded <- mine
		}()
		go func() {
			mine := <-upgraded
			for i := range keys {
				if want := Mode(1 + 2*(i%2)); i > 0 && c.table.Held(mine, benchKey(i)) != want {
					t.Errorf("key %d: holds %v, want %v", i, c.table.Held(mine, benchKey(i)), want)
				}
			}
			c.table.ReleaseAll(mine)
			released <- mine
		}()
		for waits := false; !waits && len(released) == 0; _, waits = c.table.Waiting(o) {
			c.check()
		}
		c.table.ReleaseAll(reader)
		if mine := <-released; c.table.Held(mine, benchKey(0)) != None {
			t.Error("still holds after the release")
		}
		checkEmpty(t, c.table)
	}
}

// finisher ends transactions in the background, as commits are: it releases
// what others have acquired, while those begin their next with another owner.
type finisher struct {
	table *Table
	queue chan finished
	done  sync.WaitGroup
}

type finished struct {
	owner *Owner
	leave func()
	back  chan<- *Owner // whence the owner may be taken again
}

func (f *finisher) run() {
	for end := range f.queue {
		end.leave()
		f.table.ReleaseAll(end.owner)
		end.back <- end.owner
	}
}

// The owners of each worker go round: worker, finisher, worker. Meanwhile others
// look at all owners, kill some, and check the table.
func TestOthersReleaseWhatWorkersAcquired(t *testing.T) {
	table := New(Options{})
	defer table.Close()
	const workers, ownersEach, keys = 4, 3, 3
	var shared [keys]guarded
	f := &finisher{table: table, queue: make(chan finished, workers)}
	for range 2 {
		f.done.Go(f.run)
	}
	var all []*Owner
	var work, watch sync.WaitGroup
	for g := range workers {
		free := make(chan *Owner, ownersEach)
		for i := range ownersEach {
			o := table.NewOwner(OwnerInfo{ID: uint64(g*ownersEach + i)})
			all = append(all, o)
			free <- o
		}
		work.Go(func() {
			random := rand.New(rand.NewPCG(5, uint64(g)))
			for range 3 * *stormRounds {
				if err := addAndHandOver(t.Context(), f, free, shared[:], random); err != nil {
					t.Error(err)
				}
			}
		})
	}
	stop := make(chan struct{})
	watch.Go(func() { watchOwners(t, table, all, stop) })
	work.Wait()
	close(f.queue)
	f.done.Wait()
	close(stop)
	watch.Wait()
	checkEmpty(t, table)
	if left := table.Owners(); len(left) != 0 {
		t.Errorf("left over: %+v", left)
	}
	t.Logf("%+v", table.Metrics())
}

// addAndHandOver takes one key in some mode, and leaves the release to the finisher.
func addAndHandOver(ctx context.Context, f *finisher, free chan *Owner, shared []guarded, random *rand.Rand) error {
	o, k, mode := <-free, random.IntN(len(shared)), A
	if random.IntN(4) == 0 {
		mode = Mode(1 + random.IntN(4))
	}
	leave := func() {}
	err := f.table.Acquire(ctx, o, benchKey(k), mode, Wait, 0)
	if err == nil {
		err = shared[k].enter(mode)
		leave = func() { shared[k].leave(mode) }
	}
	f.queue <- finished{o, leave, free}
	if errors.Is(err, errStruck) {
		return nil
	}
	return err
}

// watchOwners looks at the owners, whoever uses them, and kills one now and then.
func watchOwners(t *testing.T, table *Table, all []*Owner, stop <-chan struct{}) {
	random := rand.New(rand.NewPCG(6, 0))
	for {
		select {
		case <-stop:
			return
		default:
		}
		for _, state := range table.Owners() {
			if state.Owner >= uint64(len(all)) || state.Locks < 0 || state.Locks == 0 && state.Waits == nil {
				t.Errorf("saw %+v", state)
			}
		}
		o := all[random.IntN(len(all))]
		if w, waits := table.Waiting(o); waits && (w.Owner != o.info.ID || w.Key == "" || w.Mode == None || len(w.WaitsFor) == 0) {
			t.Errorf("owner %d waits for %+v", o.info.ID, w)
		}
		if random.IntN(50) == 0 {
			table.Kill(o, errStruck)
		}
		if err := table.Check(); err != nil {
			t.Error(err)
		}
	}
}

// The wait that was seen has ended when the mutex comes: nothing else of the
// request may be read, for the owner may be about to begin its next.
func TestAWaitThatEndedMeanwhileIsNotSeen(t *testing.T) {
	c := newCrowd(t)
	holder, target := c.owner(OwnerInfo{ID: 1}), c.owner(OwnerInfo{ID: 2})
	c.mustHold(holder, "k", X)
	a := c.start(target, "k", S, 0)
	s := target.req.in.Load()
	a.cancel(errGone)
	if err := <-a.result; !errors.Is(err, errGone) {
		t.Fatal(err)
	}
	if w, waits := s.waitOf(target); waits {
		t.Errorf("saw %+v", w)
	}
}

// Many adders of one counter want to look at it: all but one must go.
func TestOfManyAddersThatUpgradeOneRemains(t *testing.T) {
	c := newCrowd(t)
	const n = 20
	attempts := make([]*attempt, n)
	owners := make([]*Owner, n)
	for i := range owners {
		owners[i] = c.owner(OwnerInfo{ID: uint64(i)})
		c.mustHold(owners[i], "k", A)
	}
	for i, o := range owners {
		attempts[i] = c.start(o, "k", []Mode{S, U, X}[i%3], 0)
	}
	var sv survey
	c.table.detect(&sv)
	for _, a := range attempts[1:] {
		if a.waits() {
			t.Fatalf("owner %d still waits", a.owner.info.ID)
		}
		if err := <-a.result; !errors.Is(err, deadlock.ErrDeadlock) {
			t.Errorf("owner %d: %v", a.owner.info.ID, err)
		}
	}
	for _, o := range owners[1:] {
		c.check()
		if got := c.table.Held(o, []byte("k")); got != A {
			t.Errorf("L6: a victim holds %v", got)
		}
		c.table.ReleaseAll(o)
	}
	if attempts[0].waits() {
		t.Fatal("the one that remains still waits")
	}
	if err := <-attempts[0].result; err != nil || c.table.Held(owners[0], []byte("k")) != X {
		t.Errorf("the one that remains: %v", err)
	}
	c.check()
}
