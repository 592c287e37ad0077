package pagestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// Every value says which round wrote it: 8 bytes round, 8 bytes key number, then the pattern of both.
func roundValue(round, k uint64) []byte {
	n := 40 + int(k%7)*30
	if k%97 == 0 {
		n = 3000 // overflow
	}
	b := binary.BigEndian.AppendUint64(nil, round)
	b = binary.BigEndian.AppendUint64(b, k)
	return append(b, pattern(n, round*31+k)...)
}

func roundKey(k uint64) []byte { return fmt.Appendf(nil, "key/%06d", k) }

const concurrentKeys = 3000

// TestReadersBesideCheckpointsSeeTheirViewOrErrStale runs checkpoints that rewrite a part of all records, and readers
// that hold views as long as they can. All records of a view that a round wrote agree with the view's round.
func TestReadersBesideCheckpointsSeeTheirViewOrErrStale(t *testing.T) {
	s := mustCreate(t, vfs.NewMem(), 4096)
	var edits []Edit
	for k := range uint64(concurrentKeys) {
		edits = append(edits, Edit{Key: roundKey(k), Value: roundValue(0, k)})
	}
	commitRound(t, s, edits, 0)
	rounds := uint64(60)
	if *long {
		rounds = 2000
	} else if poisonFrames {
		rounds = 15 // the race detector is slow
	}
	var done atomic.Bool
	var stale, whole atomic.Int64
	var wg sync.WaitGroup
	for r := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(r), 1))
			for !done.Load() {
				v := s.View()
				for i := 0; i < 4 && !done.Load(); i++ {
					err := readView(t, v, rng)
					if errors.Is(err, ErrStale) {
						stale.Add(1)
						break
					}
					if err != nil {
						t.Error(err)
						return
					}
					whole.Add(1)
				}
			}
		})
	}
	wg.Go(func() {
		for !done.Load() {
			rep, err := s.Check(context.Background(), nil)
			if err != nil || len(rep.Problems) > 0 {
				t.Errorf("check beside checkpoints: %v %v", rep.Problems, err)
				return
			}
		}
	})
	for round := uint64(1); round <= rounds; round++ {
		edits = edits[:0]
		for k := round % 3; k < concurrentKeys; k += strideOf(round) {
			edits = append(edits, Edit{Key: roundKey(k), Value: roundValue(round, k), Timestamp: round})
		}
		commitRound(t, s, edits, round)
	}
	done.Store(true)
	wg.Wait()
	mustCheck(t, s)
	t.Logf("%d whole scans, %d stale", whole.Load(), stale.Load())
}

func commitRound(t *testing.T, s *Store, edits []Edit, round uint64) {
	t.Helper()
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	err = c.Merge(context.Background(), DataTree, func(yield func(Edit) bool) {
		for _, e := range edits {
			if !yield(e) {
				return
			}
		}
	}, nil)
	if err == nil {
		_, err = c.Commit(Meta{Timestamp: round})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// strideOf is the distance of the keys that a round writes. In wide ones most leaves get deltas, in narrow ones none.
func strideOf(round uint64) uint64 { return 1 + round%5*3 }

// lastRound is the newest round up to the view's that wrote key k.
func lastRound(k, round uint64) uint64 {
	for ; round > 0; round-- {
		if k >= round%3 && (k-round%3)%strideOf(round) == 0 {
			return round
		}
	}
	return 0
}

func readView(t *testing.T, v *View, rng *rand.Rand) error {
	round := v.Meta().Timestamp
	for range 20 {
		k := rng.Uint64N(concurrentKeys)
		got, _, found, err := v.Get(DataTree, roundKey(k), nil)
		if err != nil {
			return err
		}
		if !found || !bytes.Equal(got, roundValue(lastRound(k, round), k)) {
			return fmt.Errorf("view of round %d: key %d has a value of another round", round, k)
		}
	}
	c := v.Cursor(DataTree)
	defer c.Close()
	k := uint64(0)
	for ok := c.First(); ok; ok = c.Next() {
		got, err := c.Value()
		if err != nil {
			return err
		}
		if !bytes.Equal(c.Key(), roundKey(k)) || !bytes.Equal(got, roundValue(lastRound(k, round), k)) {
			return fmt.Errorf("view of round %d: cursor at %q, want key %d of its round", round, c.Key(), k)
		}
		k++
	}
	if c.Err() == nil && k != concurrentKeys {
		return fmt.Errorf("view of round %d has %d keys", round, k)
	}
	return c.Err()
}

// TestViewOutlivedByTwoCheckpointsIsStale makes reuse certain: every checkpoint rewrites everything, and the cache is
// too small to hide it. One newer checkpoint must not disturb the view.
func TestViewOutlivedByTwoCheckpointsIsStale(t *testing.T) {
	s := mustCreate(t, vfs.NewMem(), 4096)
	write := func(seed uint64) {
		var edits []Edit
		for k := range uint64(20_000) {
			edits = append(edits, Edit{Key: roundKey(k), Value: roundValue(seed, k)})
		}
		commit(t, s, edits)
	}
	write(0)
	v := s.View()
	scan := func() error {
		c := v.Cursor(DataTree)
		defer c.Close()
		n := uint64(0)
		for ok := c.First(); ok; ok = c.Next() {
			got, err := c.Value()
			if err != nil {
				return err
			}
			if !bytes.Equal(got, roundValue(0, n)) {
				t.Fatalf("record %d is not of the view", n)
			}
			n++
		}
		return c.Err()
	}
	write(1)
	if err := scan(); err != nil {
		t.Fatal(err)
	}
	write(2)
	write(3)
	if err := scan(); !errors.Is(err, ErrStale) {
		t.Fatal(err)
	}
	if _, _, _, err := v.Get(DataTree, roundKey(7), nil); !errors.Is(err, ErrStale) {
		t.Fatal(err)
	}
	if _, _, err := v.Newer(DataTree, nil, nil, 0); err != nil {
		t.Fatal(err) // all timestamps are 0: nothing is read
	}
	c := v.Cursor(DataTree)
	defer c.Close()
	if c.Seek(roundKey(9)) || !errors.Is(c.Err(), ErrStale) {
		t.Fatal(c.Err())
	}
	c.Reset(s.View())
	if !c.Seek(roundKey(9)) {
		t.Fatal(c.Err())
	}
}
