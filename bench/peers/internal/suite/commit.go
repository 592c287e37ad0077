package suite

import (
	"context"
	"path/filepath"

	"github.com/sombradb/sombra/bench/internal/device"
	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/peers/internal/engine"
)

const putSize = 100 // bytes of a value

var commitWriters = []int{1, 8, 32, 128}

func commitWorkload() workload {
	return workload{
		Info: Info{
			Name: "commit", Title: "Durable commits",
			About: "Each transaction puts one new key of 16 bytes with a value of 100 bytes. The device is nothing but group commit: " +
				"goroutines append such records to a preallocated file, one calls fdatasync for all that wait, and wakes them; a single one syncs each record. It is what is left when " +
				"everything that makes a database is taken away. Afterwards all records are read back.",
		},
		start: func(cfg Config, root string) (contest, error) {
			return &commits{field: newField(cfg, root), want: make([]tally, len(cfg.Engines))}, nil
		},
	}
}

// commits is the contest of durable commits. The last participant is the device.
type commits struct {
	field
	want []tally // by engine
}

func (c *commits) names() []string { return append(c.field.names(), Device) }

func (c *commits) turn(ctx context.Context, i, round int, emit func(Sample) error) error {
	if i == len(c.engines) {
		return c.device(ctx, "commits", emit, commitWriters...)
	}
	for n, writers := range commitWriters {
		err := c.with(i, writers, func(a *arena) error {
			s, err := c.measure(ctx, a, &c.want[i], round*len(commitWriters)+n, func(op drive.Op) (drive.Result, error) {
				return a.closed(ctx, c.cfg.length(), op)
			})
			if err != nil {
				return err
			}
			s.Workers = writers
			return emit(s)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// measure runs puts of keys that belong to the series alone, and audits.
func (c *commits) measure(ctx context.Context, a *arena, want *tally, series int, run func(drive.Op) (drive.Result, error)) (Sample, error) {
	puts := make([]putter, len(a.sessions))
	for w := range puts {
		puts[w].init(a.sessions[w], series, w)
	}
	r, err := run(func(ctx context.Context, w int, seq uint64) (drive.Did, error) {
		return drive.Attempts(puts[w].put(ctx, seq))
	})
	if err != nil {
		return Sample{}, err
	}
	for w, done := range r.Done {
		for seq := range done {
			puts[w].set(seq)
			want.add(puts[w].key, puts[w].value)
		}
	}
	return figures.SampleOf(r, "commits"), a.audit(ctx, *want)
}

// putter puts records that no other putter puts.
type putter struct {
	session    engine.Session
	base       uint64
	key, value []byte
	fn         func(engine.Tx) error
}

func (p *putter) init(s engine.Session, series, worker int) {
	p.session = s
	p.base = (uint64(series)<<8 | uint64(worker)) << 32
	p.fn = func(tx engine.Tx) error { return tx.Put(p.key, p.value) }
}

func (p *putter) set(seq uint64) {
	p.key = gen.AppendKey(p.key[:0], p.base|seq)
	p.value = gen.AppendValue(p.value[:0], p.base|seq, 0, putSize)
}

func (p *putter) put(ctx context.Context, seq uint64) (int, error) {
	p.set(seq)
	return p.session.Update(ctx, p.fn)
}

// device measures the disk below all engines, by number of writers.
func (f *field) device(ctx context.Context, unit string, emit func(Sample) error, writers ...int) error {
	for _, n := range writers {
		r, err := device.Measure(ctx, filepath.Join(f.root, "device"), device.DefaultRecord, n, drive.For(f.cfg.length()))
		if err != nil {
			return err
		}
		s := figures.SampleOf(r, unit)
		s.Workers = n
		if err := emit(s); err != nil {
			return err
		}
	}
	return nil
}
