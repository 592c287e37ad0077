package suite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/internal/kv"
	"github.com/sombradb/sombra/bench/peers/internal/engine"
)

const loadKeys = 1_000_000

func loadWorkload() workload {
	return workload{
		Info: Info{
			Name: "load", Title: "Loading a million records",
			About: "Records of 16 + 100 bytes into an empty database, sorted by key or in random order, by the way that each engine's " +
				"documentation advises; the time ends when all is durable. The size is what the closed database takes on the disk. " +
				"Afterwards it is opened again and all records are read back.",
		},
		start: func(cfg Config, root string) (contest, error) {
			d := kv.NewDataset(cfg.size(loadKeys, 1000), putSize)
			return &loads{field: newField(cfg, root), data: d}, nil
		},
	}
}

// loads is the contest of bulk loads.
type loads struct {
	field
	data *kv.Dataset
}

func (l *loads) turn(ctx context.Context, i, _ int, emit func(Sample) error) error {
	for _, sorted := range []bool{true, false} {
		s, err := l.measure(ctx, i, sorted)
		if err != nil {
			return err
		}
		if s.Case = "random"; sorted {
			s.Case = "sorted"
		}
		if err := emit(s); err != nil {
			return err
		}
	}
	return nil
}

func (l *loads) measure(ctx context.Context, i int, sorted bool) (s Sample, err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(l.dir(i))) }()
	// There is no warm-up: a database is loaded once. What the process needs is warm after the first round.
	err = l.with(i, 1, func(a *arena) error {
		start := time.Now()
		err := a.db.Load(ctx, l.data.Records(sorted), sorted)
		s = figures.Timed("records", int64(l.data.N), time.Since(start))
		return err
	})
	if err != nil {
		return s, err
	}
	if s.Bytes, err = space(l.dir(i)); err != nil {
		return s, err
	}
	s.Answer = l.data.Sum.String()
	return s, l.with(i, 1, func(a *arena) error { return a.audit(ctx, all(l.data)) })
}

// space returns what the files of a directory take on the disk.
func space(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			sum += allocated(info)
		}
		return err
	})
	return sum, err
}

// fill loads a database that is empty and lets it come to rest.
func fill(ctx context.Context, d *kv.Dataset, db engine.DB) error {
	if err := db.Load(ctx, d.Records(true), true); err != nil {
		return err
	}
	return db.Settle(ctx)
}

// all is what a database holds into which a dataset was loaded.
func all(d *kv.Dataset) tally { return tally{int64(d.N), d.Sum} }
