package lockmgr

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"testing"
)

func benchKey(n int) []byte {
	key := []byte("accounts/........")
	binary.BigEndian.PutUint64(key[9:], uint64(n))
	return key
}

func BenchmarkUncontended(b *testing.B) {
	for _, keys := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			t := New(Options{})
			defer t.Close()
			o := t.NewOwner(OwnerInfo{ID: 1})
			all := make([][]byte, keys)
			for i := range all {
				all[i] = benchKey(i)
			}
			b.ReportAllocs()
			for b.Loop() {
				for _, key := range all {
					if err := t.Acquire(b.Context(), o, key, X, Wait, 0); err != nil {
						b.Fatal(err)
					}
				}
				t.ReleaseAll(o)
			}
		})
	}
}

func BenchmarkNewOwnerAndOneKey(b *testing.B) {
	t := New(Options{})
	defer t.Close()
	info := OwnerInfo{ID: 1, Began: t0}
	key := benchKey(1)
	b.ReportAllocs()
	for b.Loop() {
		o := t.NewOwner(info)
		if err := t.Acquire(b.Context(), o, key, X, Wait, 0); err != nil {
			b.Fatal(err)
		}
		t.ReleaseAll(o)
	}
}

func BenchmarkReacquireHeld(b *testing.B) {
	for _, keys := range []int{1, 16, 10_000} {
		b.Run(fmt.Sprintf("held=%d", keys), func(b *testing.B) {
			t := New(Options{})
			defer t.Close()
			o := t.NewOwner(OwnerInfo{ID: 1})
			for i := range keys {
				if err := t.Acquire(b.Context(), o, benchKey(i), X, Wait, 0); err != nil {
					b.Fatal(err)
				}
			}
			key := benchKey(keys - 1)
			for b.Loop() {
				if err := t.Acquire(b.Context(), o, key, S, Wait, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// runOwners divides b.N rounds among goroutines with an owner each.
func runOwners(b *testing.B, goroutines int, round func(t *Table, o *Owner, g int) error) {
	t := New(Options{})
	defer t.Close()
	var wg sync.WaitGroup
	b.ResetTimer()
	for g := range goroutines {
		wg.Go(func() {
			o := t.NewOwner(OwnerInfo{ID: uint64(g)})
			for range b.N / goroutines {
				if err := round(t, o, g); err != nil {
					b.Error(err)
					return
				}
				t.ReleaseAll(o)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	if err := t.Check(); err != nil {
		b.Error(err)
	}
}

func BenchmarkEightGoroutinesOnDistinctKeys(b *testing.B) {
	keys := make([][]byte, 8)
	for i := range keys {
		keys[i] = benchKey(i)
	}
	b.ReportAllocs()
	runOwners(b, len(keys), func(t *Table, o *Owner, g int) error {
		return t.Acquire(context.Background(), o, keys[g], X, Wait, 0)
	})
}

func BenchmarkHotKeyHandOver(b *testing.B) {
	key := benchKey(1)
	for _, goroutines := range []int{2, 8, 64, 1000} {
		b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) {
			b.ReportAllocs()
			runOwners(b, goroutines, func(t *Table, o *Owner, _ int) error {
				return t.Acquire(context.Background(), o, key, X, Wait, 0)
			})
		})
	}
}

// A counter that many change while they hold other things up: under A they do not
// wait for each other.
func BenchmarkHotCounter(b *testing.B) {
	key := benchKey(1)
	for _, mode := range []Mode{X, A} {
		for _, goroutines := range []int{2, 8, 64} {
			b.Run(fmt.Sprintf("%v/goroutines=%d", mode, goroutines), func(b *testing.B) {
				b.ReportAllocs()
				runOwners(b, goroutines, func(t *Table, o *Owner, _ int) error {
					err := t.Acquire(context.Background(), o, key, mode, Wait, 0)
					runtime.Gosched() // holding it
					return err
				})
			})
		}
	}
}

// One more adder where many are: the release has to find itself among them.
func BenchmarkAnAdderAmongOthers(b *testing.B) {
	for _, others := range []int{0, 10, 100, 1000} {
		b.Run(fmt.Sprintf("others=%d", others), func(b *testing.B) {
			c := newCrowd(b)
			for i := range others {
				c.mustHold(c.owner(OwnerInfo{ID: uint64(i)}), "k", A)
			}
			o, key := c.owner(OwnerInfo{ID: 1 << 20}), []byte("k")
			b.ReportAllocs()
			for b.Loop() {
				if err := c.table.Acquire(context.Background(), o, key, A, Wait, 0); err != nil {
					b.Fatal(err)
				}
				c.table.ReleaseAll(o)
			}
		})
	}
}

// One of two adders ends while a thousand readers wait: it need not look at all
// of them to see that none can go.
func BenchmarkAnAdderEndsBeforeAThousandReaders(b *testing.B) {
	c := newCrowd(b)
	c.mustHold(c.owner(OwnerInfo{ID: 1}), "k", A)
	o := c.owner(OwnerInfo{ID: 2})
	c.mustHold(o, "k", A)
	for i := range 1000 {
		c.start(c.owner(OwnerInfo{ID: uint64(i + 3)}), "k", S, 0)
	}
	s, e := c.table.shardOf(o.held[0].hash), o.held[0].entry
	b.ReportAllocs()
	for b.Loop() {
		s.mu.Lock()
		s.release(e, o)
		s.grant(e, o, A, None) // as no request could: the readers are ahead
		s.mu.Unlock()
	}
}

func BenchmarkWaiting(b *testing.B) {
	for _, ahead := range []int{0, 10, 1000} {
		b.Run(fmt.Sprintf("ahead=%d", ahead), func(b *testing.B) {
			c := newCrowd(b)
			c.mustHold(c.owner(OwnerInfo{ID: 1}), "k", X)
			last := c.owner(OwnerInfo{ID: 2})
			for i := range ahead {
				c.start(c.owner(OwnerInfo{ID: uint64(i + 3)}), "k", X, 0)
			}
			c.start(last, "k", X, 0)
			b.ReportAllocs()
			for b.Loop() {
				if _, waits := c.table.Waiting(last); !waits {
					b.Fatal("does not wait")
				}
			}
		})
	}
}

// A look at a hundred owners at most, the first with most of the locks.
func BenchmarkOwners(b *testing.B) {
	for _, locks := range []int{0, 100, 10_000, 1_000_000} {
		b.Run(fmt.Sprintf("locks=%d", locks), func(b *testing.B) {
			c := newCrowd(b)
			owners := make([]*Owner, min(100, locks))
			for i := range owners {
				owners[i] = c.owner(OwnerInfo{ID: uint64(i)})
			}
			for i := range locks {
				o := owners[0]
				if i < len(owners) {
					o = owners[i]
				}
				c.mustHold(o, string(benchKey(i)), X)
			}
			b.ReportAllocs()
			for b.Loop() {
				if got := len(c.table.Owners()); got != len(owners) {
					b.Fatalf("%d owners, want %d", got, len(owners))
				}
			}
		})
	}
}

// The detector's price while a thousand requests wait for one key.
func BenchmarkSurveyOfAThousandWaiters(b *testing.B) {
	c := newCrowd(b)
	holder := c.owner(OwnerInfo{ID: 1})
	c.mustHold(holder, "k", X)
	for i := range 1000 {
		c.start(c.owner(OwnerInfo{ID: uint64(i + 2)}), "k", X, 0)
	}
	var sv survey
	b.ReportAllocs()
	for b.Loop() {
		c.table.detect(&sv)
	}
}

// BenchmarkDeadlock is two owners that meet crosswise, from the first lock to the release of the last.
func BenchmarkDeadlock(b *testing.B) {
	table := New(Options{})
	defer table.Close()
	first, second := table.NewOwner(OwnerInfo{ID: 1}), table.NewOwner(OwnerInfo{ID: 2, Retries: 1})
	keys := [2][]byte{[]byte("k"), []byte("l")}
	ready, done := make(chan struct{}), make(chan error)
	cross := func(o *Owner, want []byte) {
		err := table.Acquire(context.Background(), o, want, X, Wait, 0)
		table.ReleaseAll(o)
		done <- err
	}
	for b.Loop() {
		for i, o := range []*Owner{first, second} {
			if err := table.Acquire(context.Background(), o, keys[i], X, Wait, 0); err != nil {
				b.Fatal(err)
			}
		}
		go func() {
			<-ready
			cross(first, keys[1])
		}()
		ready <- struct{}{}
		go cross(second, keys[0])
		if one, other := <-done, <-done; (one == nil) == (other == nil) {
			b.Fatalf("%v and %v", one, other)
		}
	}
}
