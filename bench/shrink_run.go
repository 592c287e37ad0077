package bench

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// shrinking is one row of the shrink workload while it is measured.
type shrinking struct {
	*store
	cfg       ShrinkConfig
	clustered bool
	row       ShrinkRow

	kept     []uint64 // numbers of the records that stay
	versions []uint64 // of kept, each written by one writer only

	done    chan struct{} // told of each checkpoint
	emptied atomic.Bool   // all deletes are committed
	steps   struct {
		sync.Mutex
		list []CheckpointStep
	}
}

func newShrinking(cfg ShrinkConfig, clustered bool) *shrinking {
	s := &shrinking{cfg: cfg, clustered: clustered, done: make(chan struct{}, 1)}
	s.row.Deletes = "uniform"
	if clustered {
		s.row.Deletes = "clustered"
	}
	for n := range uint64(cfg.Records) {
		if s.keeps(n) {
			s.kept = append(s.kept, n)
		}
	}
	s.versions = make([]uint64, len(s.kept))
	s.row.Kept = int64(len(s.kept))
	s.row.Deleted = cfg.Records - s.row.Kept
	s.row.LiveData = s.row.Kept * int64(gen.KeySize+cfg.ValueSize)
	return s
}

// keeps reports whether a record stays. Keys begin with mix, so that every tenth number is spread over all pages.
func (s *shrinking) keeps(n uint64) bool {
	if s.clustered {
		return gen.Mix(n) >= math.MaxUint64/10*9
	}
	return n%10 == 0
}

func (s *shrinking) run(ctx context.Context, dir string) error {
	opts := s.cfg.options()
	opts.Events.CheckpointDone = func(mvcc.CheckpointInfo) {
		select {
		case s.done <- struct{}{}:
		default: // the last one has not been looked at yet
		}
	}
	return withStore(ctx, dir, opts, func(st *store) error {
		s.store = st
		return s.measure(ctx)
	})
}

func (s *shrinking) measure(ctx context.Context) error {
	s.cfg.note("shrink: loading %s records", Count(s.cfg.Records))
	if _, err := s.load(ctx, uint64(s.cfg.Records), s.cfg.ValueSize); err != nil {
		return err
	}
	if _, _, err := s.settle(ctx, 0, s.cfg.ValueSize); err != nil {
		return err
	}
	s.row.Loaded = readStorage(s.db, 0)
	curves := watch(s.db, s.cfg.Every)
	writers := s.startWriters(ctx)
	stepping := newBeside()
	stepping.loop(0, s.step(stepping))
	err := s.deleteAll(ctx)
	if err == nil {
		err = s.shrink(ctx)
	}
	err = errors.Join(err, writers.stop(), stepping.stop())
	s.row.Samples, s.row.Steps = curves.stop(), s.steps.list
	if err != nil {
		return err
	}
	return s.auditKept(ctx)
}

// startWriters overwrites records that stay, each writer some of them.
func (s *shrinking) startWriters(ctx context.Context) *beside {
	writers := newBeside()
	var overwrites = make([]uint64, s.cfg.Writers)
	for w := range s.cfg.Writers {
		writers.loop(time.Millisecond, func() error {
			overwrites[w]++
			i := gen.Mix(opNumber(w, overwrites[w])) % uint64(len(s.kept))
			i = i - i%uint64(s.cfg.Writers) + uint64(w)
			if i >= uint64(len(s.kept)) {
				i = uint64(w)
			}
			if err := s.putVersion(ctx, []uint64{s.kept[i]}, s.versions[i]+1, s.cfg.ValueSize); err != nil {
				return err
			}
			s.versions[i]++
			return nil
		})
	}
	return writers
}

// step waits for a checkpoint and notes what the file has become.
func (s *shrinking) step(b *beside) func() error {
	return func() error {
		select {
		case <-s.done:
		case <-b.quit:
			return nil
		}
		emptied := s.emptied.Load()
		m := s.db.Metrics().Pages
		s.steps.Lock()
		defer s.steps.Unlock()
		s.steps.list = append(s.steps.list, CheckpointStep{
			Sequence: m.Sequence, AfterDeletes: emptied, FileBytes: m.FileBytes, LiveBytes: m.LiveBytes,
		})
		return nil
	}
}

func (s *shrinking) deleteAll(ctx context.Context) error {
	s.cfg.note("shrink: %s deletes", s.row.Deletes)
	start := time.Now()
	batches := (s.cfg.Records + loadBatch - 1) / loadBatch
	_, err := closed(ctx, s.cfg.Deleters, Limit{Ops: batches}, func(ctx context.Context, worker int, seq uint64) (Checksum, error) {
		lo := (seq*uint64(s.cfg.Deleters) + uint64(worker)) * loadBatch
		return 0, s.deleteBatch(ctx, lo, min(lo+loadBatch, uint64(s.cfg.Records)))
	})
	s.row.Elapsed = time.Since(start)
	return err
}

func (s *shrinking) deleteBatch(ctx context.Context, lo, hi uint64) error {
	return s.db.Update(ctx, func(tx *mvcc.Txn) error {
		for n := lo; n < hi; n++ {
			if s.keeps(n) {
				continue
			}
			if err := tx.Delete(s.ks, gen.AppendKey(nil, n)); err != nil {
				return err
			}
		}
		return nil
	})
}

// shrink makes checkpoints, one after the other, until the file has its least size. What the writers change beside it
// gives each of them something to do.
func (s *shrinking) shrink(ctx context.Context) error {
	s.cfg.note("shrink: checkpoints after %s deletes", s.row.Deletes)
	s.emptied.Store(true)
	s.row.Emptied = readStorage(s.db, 0)
	s.row.Below, s.row.BelowInUse = -1, -1
	start := time.Now()
	least, quiet := s.row.Emptied.FileBytes, 0
	for n := 0; quiet < quietCheckpoints && n < mostCheckpoints; n++ {
		if err := s.db.Checkpoint(ctx); err != nil {
			return err
		}
		s.row.Shrunk = readStorage(s.db, time.Since(start))
		s.below(int(s.row.Shrunk.Checkpoints - s.row.Emptied.Checkpoints))
		if quiet++; s.row.Shrunk.FileBytes < least {
			least, quiet = s.row.Shrunk.FileBytes, 0
		}
	}
	s.row.Shrinking = time.Since(start)
	return nil
}

// below notes the first checkpoint after which the file is small enough.
func (s *shrinking) below(checkpoints int) {
	file := s.row.Shrunk.FileBytes
	if s.row.Below < 0 && file < s.row.LiveData*3/2 {
		s.row.Below = checkpoints
	}
	if s.row.BelowInUse < 0 && file < s.row.Shrunk.LiveBytes*3/2 {
		s.row.BelowInUse = checkpoints
	}
}

// auditKept compares the records that are there with those that must be.
func (s *shrinking) auditKept(ctx context.Context) error {
	for i, n := range s.kept {
		s.row.Overwrites += int64(s.versions[i])
		s.row.Checksum.Add(recordOf(n, s.versions[i], s.cfg.ValueSize))
	}
	return s.audit(ctx, s.row.Kept, s.row.Checksum)
}
