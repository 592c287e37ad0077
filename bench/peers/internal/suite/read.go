package suite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/internal/kv"
)

const (
	rangeKeys   = 100 // keys of one range
	readChunk   = 100 // reads between two looks at the clock
	probeRanges = 100 // whose answer is compared between engines
	sideWriters = 8
	sideReaders = 8
)

// Cases of the read workload.
const (
	CasePoint   = "point reads"
	CaseBeside  = "point reads beside 8 durable writers"
	CaseAlone   = "durable writes"
	CaseScanned = "durable writes beside a full scan"
	CaseScan    = "full scan"
	CaseRange   = "ranges of 100 keys"
)

func readWorkload() workload {
	return workload{
		Info: Info{
			Name: "read", Title: "Reads of a million cached records",
			About: "The database of a sorted load, after a checkpoint or compaction, all in the engine's cache. Point reads of random keys, each in " +
				"a transaction of its own, and compared with what must be there; the same beside 8 goroutines that commit durably; what these commit by themselves, and beside one that scans everything again and again; a scan of everything; ranges " +
				"of 100 keys from random places, each in a transaction of its own. Rates of scans and ranges are keys per second. " +
				"Checksums of the scan and of the first 100 ranges are compared between engines.",
		},
		start: func(cfg Config, root string) (contest, error) {
			d := kv.NewDataset(cfg.size(loadKeys, 1000), putSize)
			return &reads{field: newField(cfg, root), data: d, filled: make([]bool, len(cfg.Engines))}, nil
		},
	}
}

// reads is the contest of reads.
type reads struct {
	field
	data   *kv.Dataset
	filled []bool // by engine
}

func (c *reads) turn(ctx context.Context, i, round int, emit func(Sample) error) error {
	if !c.filled[i] {
		if err := c.with(i, 1, func(a *arena) error { return fill(ctx, c.data, a.db) }); err != nil {
			return err
		}
		c.filled[i] = true
	}
	err := c.with(i, sideReaders, func(a *arena) error {
		if err := errors.Join(a.audit(ctx, all(c.data)), a.warm(ctx)); err != nil { // the audit fills the cache
			return err
		}
		return c.quiet(ctx, a, round, emit)
	})
	if err != nil {
		return err
	}
	return c.with(i, sideReaders+sideWriters, func(a *arena) error {
		if err := errors.Join(a.audit(ctx, all(c.data)), a.warm(ctx)); err != nil {
			return err
		}
		return errors.Join(c.beside(ctx, a, round, emit), c.writes(ctx, a, round, false, emit), c.writes(ctx, a, round, true, emit))
	})
}

// quiet measures while nobody writes.
func (c *reads) quiet(ctx context.Context, a *arena, round int, emit func(Sample) error) error {
	for _, readers := range []int{1, sideReaders} {
		r, err := drive.Closed(ctx, readers, drive.For(c.cfg.length()), c.points(a, readers, round, readChunk, false))
		if err != nil {
			return err
		}
		if err := emit(pointSample(r, CasePoint, readers, readChunk)); err != nil {
			return err
		}
	}
	s, err := c.scans(ctx, a)
	if err != nil {
		return err
	}
	if err := emit(s); err != nil {
		return err
	}
	if s, err = c.ranges(ctx, a, round); err != nil {
		return err
	}
	return emit(s)
}

// pointSample counts reads where the loop counted chunks of them, whose single times are not known.
func pointSample(r drive.Result, name string, readers int, chunk int64) Sample {
	r.Ops *= chunk
	r.Attempts *= chunk
	s := figures.SampleOf(r, "reads")
	if chunk > 1 {
		s.Latency = drive.Latency{}
	}
	s.Case, s.Workers = name, readers
	return s
}

// points returns an operation of a chunk of point reads.
func (c *reads) points(a *arena, readers, round, chunk int, changing bool) drive.Op {
	list := make([]*kv.Reader, readers)
	for w := range list {
		list[w] = kv.NewReader(a.sessions[w], c.data, uint64(round)<<8|uint64(w), changing)
	}
	return func(ctx context.Context, w int, _ uint64) (drive.Did, error) {
		sum, err := list[w].Read(ctx, chunk)
		return drive.Did{Attempts: 1, Sum: sum}, err
	}
}

// answerOf renders what was summed up, to be compared between engines.
func answerOf(q kv.QuickSum) string { return fmt.Sprintf("%d keys, %016x", q.Keys, q.Sum) }

// scans reads everything, again and again until the time is over.
func (c *reads) scans(ctx context.Context, a *arena) (Sample, error) {
	var first string
	var keys int64
	start := time.Now()
	for keys == 0 || time.Since(start) < c.cfg.length() {
		var q kv.QuickSum
		if err := a.scan(ctx, q.Add); err != nil {
			return Sample{}, err
		}
		if keys += q.Keys; first == "" {
			first = answerOf(q)
		} else if first != answerOf(q) {
			return Sample{}, fmt.Errorf("peers: two scans of the same data gave %s and %s", first, answerOf(q))
		}
	}
	s := figures.Timed("keys", keys, time.Since(start))
	s.Case, s.Answer = CaseScan, first
	return s, nil
}

// ranges reads ranges of keys.
func (c *reads) ranges(ctx context.Context, a *arena, round int) (Sample, error) {
	var probe, sum kv.QuickSum
	for n := range uint64(probeRanges) {
		if err := kv.Range(ctx, a.sessions[0], n, rangeKeys, &probe); err != nil {
			return Sample{}, err
		}
	}
	r, err := drive.Closed(ctx, 1, drive.For(c.cfg.length()), func(ctx context.Context, _ int, seq uint64) (drive.Did, error) {
		return drive.Attempts(1, kv.Range(ctx, a.sessions[0], uint64(round+1)<<32|seq, rangeKeys, &sum))
	})
	if err != nil {
		return Sample{}, err
	}
	r.Ops *= rangeKeys
	r.Attempts *= rangeKeys
	s := figures.SampleOf(r, "keys")
	s.Case, s.Workers, s.Answer = CaseRange, 1, answerOf(probe)
	return s, nil
}

// beside measures readers while writers commit durably. Each read is counted by itself: where readers wait for commits, a
// chunk would take longer than the measurement. A writer overwrites a record twice, first with another version
// and then with the one that it had, so that all engines have the same content ever after.
func (c *reads) beside(ctx context.Context, a *arena, round int, emit func(Sample) error) error {
	points := c.points(a, sideReaders, round, 1, true)
	var r drive.Result
	written, took, err := c.whileWriting(ctx, a, round, func(context.Context) (err error) {
		r, err = drive.Closed(ctx, sideReaders, drive.For(c.cfg.length()), points)
		return err
	})
	if err != nil {
		return err
	}
	s := pointSample(r, CaseBeside, sideReaders, 1)
	s.Beside = float64(written) / took.Seconds()
	return emit(s)
}

// writes measures the writers, alone or beside a scan that begins anew when it is through.
func (c *reads) writes(ctx context.Context, a *arena, round int, scanned bool, emit func(Sample) error) error {
	name := CaseAlone
	if scanned {
		name = CaseScanned
	}
	written, took, err := c.whileWriting(ctx, a, round, func(writing context.Context) error {
		if !scanned {
			kv.Wait(writing, c.cfg.length())
			return nil
		}
		ctx, cancel := context.WithTimeout(writing, c.cfg.length())
		defer cancel()
		for ctx.Err() == nil {
			var q kv.QuickSum
			// A scan is not cancelled: not all engines can.
			if err := a.scan(writing, q.Add); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s := figures.Timed("commits", written, took)
	s.Case, s.Workers = name, sideWriters
	return emit(s)
}

// whileWriting calls fn while writers overwrite, and returns what they committed meanwhile. All records are as they were
// afterwards, which is verified.
func (c *reads) whileWriting(ctx context.Context, a *arena, round int, fn func(context.Context) error) (written int64, took time.Duration, err error) {
	writers := make([]kv.Session, sideWriters)
	for w := range writers {
		writers[w] = a.sessions[sideReaders+w]
	}
	written, took, err = kv.WhileWriting(ctx, writers, c.data, uint64(round), fn)
	return written, took, errors.Join(err, a.audit(ctx, all(c.data)))
}
