package suite

import (
	"context"
	"errors"
	"os"

	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/internal/kv"
	core "github.com/sombradb/sombra/bench/internal/ycsb"
)

const (
	ycsbRecords = 100_000
	ycsbWorkers = 8
)

func ycsbWorkload() workload {
	return workload{
		Info: Info{
			Name: "ycsb", Title: "YCSB",
			About: "The core workloads of the Yahoo cloud serving benchmark (Cooper and others, SoCC 2010): A is half reads and half updates, B 95 % reads, " +
				"C reads only, F half reads and half read-modify-writes, D 95 % reads of the latest records and 5 % inserts, E 95 % scans of 1 to 100 records " +
				"and 5 % inserts. 100,000 records of 1,000 bytes, drawn by zipf 0.99, 8 goroutines, a transaction " +
				"for each operation, updates durable. Afterwards all records are read back: none is missing, each was written as a whole, and no " +
				"modification is lost. Every round begins with a fresh load.",
		},
		start: func(cfg Config, root string) (contest, error) {
			d := kv.NewDataset(cfg.size(ycsbRecords, 100), core.ValueSize)
			return &ycsb{field: newField(cfg, root), data: d, state: core.NewState(d)}, nil
		},
	}
}

type ycsb struct {
	field
	data  *kv.Dataset
	state *core.State // of the participant that has its turn
}

// turn loads, runs all workloads one after the other, and leaves nothing.
func (y *ycsb) turn(ctx context.Context, i, round int, emit func(Sample) error) (err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(y.dir(i))) }()
	if err := y.with(i, 1, func(a *arena) error { return fill(ctx, y.data, a.db) }); err != nil {
		return err
	}
	y.state.Loaded(y.data.N)
	for n, m := range core.Mixes() {
		err := y.with(i, ycsbWorkers, func(a *arena) error {
			// A scan fills the cache.
			if err := errors.Join(a.scan(ctx, func(_, _ []byte) {}), a.warm(ctx)); err != nil {
				return err
			}
			s, err := y.measure(ctx, a, m, round*len(core.Mixes())+n)
			if err != nil {
				return err
			}
			s.Case, s.Workers = m.Name, ycsbWorkers
			return emit(s)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (y *ycsb) measure(ctx context.Context, a *arena, m core.Mix, series int) (Sample, error) {
	sessions := make([]kv.Session, len(a.sessions))
	for w, s := range a.sessions {
		sessions[w] = s
	}
	b := core.New(m, y.state, series&0xff, sessions)
	r, err := a.closed(ctx, y.cfg.length(), b.Do)
	if err != nil {
		return Sample{}, err
	}
	_, err = b.Audit(ctx, a.sessions[0], a.engine.Isolated)
	return figures.SampleOf(r, "operations"), err
}
