package lockmgr

import (
	"context"
	"encoding/binary"
	"fmt"
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
