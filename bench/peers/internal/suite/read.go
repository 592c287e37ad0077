package suite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sombradb/sombra/bench/peers/internal/drive"
	"github.com/sombradb/sombra/bench/peers/internal/engine"
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
			d := newDataset(cfg.size(loadKeys, 1000), putSize)
			return &reads{field: newField(cfg, root), data: d, filled: make([]bool, len(cfg.Engines))}, nil
		},
	}
}

// reads is the contest of reads.
type reads struct {
	field
	data   *dataset
	filled []bool // by engine
}

func (c *reads) turn(ctx context.Context, i, round int, emit func(Sample) error) error {
	if !c.filled[i] {
		if err := c.with(i, 1, func(a *arena) error { return c.data.fill(ctx, a.db) }); err != nil {
			return err
		}
		c.filled[i] = true
	}
	err := c.with(i, sideReaders, func(a *arena) error {
		if err := errors.Join(a.audit(ctx, c.data.all), a.warm(ctx)); err != nil { // the audit fills the cache
			return err
		}
		return c.quiet(ctx, a, round, emit)
	})
	if err != nil {
		return err
	}
	return c.with(i, sideReaders+sideWriters, func(a *arena) error {
		if err := errors.Join(a.audit(ctx, c.data.all), a.warm(ctx)); err != nil {
			return err
		}
		return errors.Join(c.beside(ctx, a, round, emit), c.writes(ctx, a, round, false, emit), c.writes(ctx, a, round, true, emit))
	})
}

// quiet measures while nobody writes.
func (c *reads) quiet(ctx context.Context, a *arena, round int, emit func(Sample) error) error {
	for _, readers := range []int{1, sideReaders} {
		r, err := drive.Closed(ctx, readers, c.cfg.length(), c.points(a, readers, round, readChunk, false))
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
	if chunk > 1 {
		r.Latency = drive.Latency{}
	}
	s := sampleOf(r, "reads")
	s.Case, s.Workers = name, readers
	return s
}

// points returns an operation of a chunk of point reads.
func (c *reads) points(a *arena, readers, round, chunk int, changing bool) drive.Op {
	pointers := make([]pointer, readers)
	for w := range pointers {
		pointers[w] = pointer{session: a.sessions[w], records: uint64(c.data.n), next: uint64(round)<<8 | uint64(w), changing: changing}
		pointers[w].fn = pointers[w].read
	}
	return func(ctx context.Context, w int, _ uint64) (int, error) {
		for range chunk {
			if err := pointers[w].session.View(ctx, pointers[w].fn); err != nil {
				return 0, err
			}
		}
		return 1, nil
	}
}

// pointer reads random records.
type pointer struct {
	session    engine.Session
	records    uint64
	next       uint64
	changing   bool // records may be in their other version
	key, value []byte
	fn         func(engine.Tx) error
}

func (p *pointer) read(tx engine.Tx) (err error) {
	p.next = gen.Mix(p.next)
	n := p.next % p.records
	p.key = gen.AppendKey(p.key[:0], n)
	if p.value, err = tx.Get(p.value[:0], p.key); err != nil {
		return err
	}
	if !p.is(n, 0) && !(p.changing && p.is(n, 1)) {
		return fmt.Errorf("peers: record %d is read as %x", n, p.value)
	}
	return nil
}

// is compares the length and the first bytes of the value that was read.
func (p *pointer) is(n, version uint64) bool {
	var buf [8]byte
	head := gen.AppendValue(buf[:0], n, version, len(buf))
	return len(p.value) == putSize && string(p.value[:len(head)]) == string(head)
}

// quickSum costs next to nothing, so that it is the engine that is measured.
type quickSum struct {
	keys int64
	sum  uint64
}

func (q *quickSum) add(key, value []byte) {
	q.keys++
	q.sum += uint64(key[len(key)-1]) + uint64(value[0])<<32
}

func (q *quickSum) String() string { return fmt.Sprintf("%d keys, %016x", q.keys, q.sum) }

// scans reads everything, again and again until the time is over.
func (c *reads) scans(ctx context.Context, a *arena) (Sample, error) {
	var first string
	var keys int64
	start := time.Now()
	for keys == 0 || time.Since(start) < c.cfg.length() {
		var q quickSum
		if err := a.scan(ctx, q.add); err != nil {
			return Sample{}, err
		}
		if keys += q.keys; first == "" {
			first = q.String()
		} else if first != q.String() {
			return Sample{}, fmt.Errorf("peers: two scans of the same data gave %s and %v", first, &q)
		}
	}
	s := timed("keys", keys, time.Since(start))
	s.Case, s.Answer = CaseScan, first
	return s, nil
}

// ranges reads ranges of keys.
func (c *reads) ranges(ctx context.Context, a *arena, round int) (Sample, error) {
	var probe, sum quickSum
	for n := range uint64(probeRanges) {
		if err := readRange(ctx, a.sessions[0], n, &probe); err != nil {
			return Sample{}, err
		}
	}
	r, err := drive.Closed(ctx, 1, c.cfg.length(), func(ctx context.Context, _ int, seq uint64) (int, error) {
		return 1, readRange(ctx, a.sessions[0], uint64(round+1)<<32|seq, &sum)
	})
	if err != nil {
		return Sample{}, err
	}
	r.Ops *= rangeKeys
	r.Attempts *= rangeKeys
	s := sampleOf(r, "keys")
	s.Case, s.Workers, s.Answer = CaseRange, 1, probe.String()
	return s, nil
}

func readRange(ctx context.Context, session engine.Session, n uint64, q *quickSum) error {
	from := binary.BigEndian.AppendUint64(nil, gen.Mix(n))
	return session.View(ctx, func(tx engine.Tx) error { return tx.Scan(from, rangeKeys, q.add) })
}

// beside measures readers while writers commit durably. Each read is counted by itself: where readers wait for commits, a
// chunk would take longer than the measurement. A writer overwrites a record twice, first with another version
// and then with the one that it had, so that all engines have the same content ever after.
func (c *reads) beside(ctx context.Context, a *arena, round int, emit func(Sample) error) error {
	points := c.points(a, sideReaders, round, 1, true)
	var r drive.Result
	written, took, err := c.whileWriting(ctx, a, round, func(context.Context) (err error) {
		r, err = drive.Closed(ctx, sideReaders, c.cfg.length(), points)
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
		ctx, cancel := context.WithTimeout(writing, c.cfg.length())
		defer cancel()
		if !scanned {
			<-ctx.Done()
			return nil
		}
		for ctx.Err() == nil {
			var q quickSum
			// A scan is not cancelled: not all engines can.
			if err := a.scan(writing, q.add); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s := timed("commits", written, took)
	s.Case, s.Workers = name, sideWriters
	return emit(s)
}

// whileWriting calls fn while writers overwrite, and returns what they committed meanwhile. Its context ends when a
// writer fails. All records are as they were afterwards, which is verified.
func (c *reads) whileWriting(ctx context.Context, a *arena, round int, fn func(context.Context) error) (written int64, took time.Duration, err error) {
	writing, stop := context.WithCancel(ctx)
	defer stop()
	group, writing := errgroup.WithContext(writing)
	each := make([]int64, sideWriters)
	begin := time.Now()
	for w := range each {
		group.Go(func() (err error) {
			each[w], err = overwrite(writing, a.sessions[sideReaders+w], uint64(c.data.n), uint64(round)<<8|uint64(w))
			return err
		})
	}
	err = fn(writing)
	stop()
	err = errors.Join(err, group.Wait())
	took = time.Since(begin)
	for _, n := range each {
		written += n
	}
	return written, took, errors.Join(err, a.audit(ctx, c.data.all))
}

// overwrite puts random records until the context ends, which is no error. It leaves none in another version. SQLite
// would not write a page for a value that is the same.
func overwrite(ctx context.Context, session engine.Session, records, next uint64) (n int64, err error) {
	var key, value []byte
	put := func(tx engine.Tx) error { return tx.Put(key, value) }
	for version := uint64(1); version == 0 || ctx.Err() == nil; version = 1 - version {
		if version == 1 {
			next = gen.Mix(^next)
		}
		key = gen.AppendKey(key[:0], next%records)
		value = gen.AppendValue(value[:0], next%records, version, putSize)
		// A commit that has begun is finished: what a cancelled one did would be unknown.
		if _, err := session.Update(context.WithoutCancel(ctx), put); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
