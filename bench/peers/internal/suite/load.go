package suite

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

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
			d := newDataset(cfg.size(loadKeys, 1000), putSize)
			return &loads{field: newField(cfg, root), data: d}, nil
		},
	}
}

// dataset is a number of records.
type dataset struct {
	n, valueSize int
	byKey        []uint32 // numbers of the records, in the order of their keys
	all          tally
}

func newDataset(n, valueSize int) *dataset {
	d := &dataset{n: n, valueSize: valueSize, byKey: make([]uint32, n)}
	keys := make([][]byte, n)
	for i := range d.byKey {
		d.byKey[i] = uint32(i)
		keys[i] = gen.AppendKey(nil, uint64(i))
	}
	slices.SortFunc(d.byKey, func(a, b uint32) int { return bytes.Compare(keys[a], keys[b]) })
	for key, value := range d.records(false) {
		d.all.add(key, value)
	}
	return d
}

// records yields all records, in the order of their keys or of their numbers, which is as good as random.
func (d *dataset) records(sorted bool) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		var key, value []byte
		for i := range d.n {
			n := uint64(i)
			if sorted {
				n = uint64(d.byKey[i])
			}
			key = gen.AppendKey(key[:0], n)
			value = gen.AppendValue(value[:0], n, 0, d.valueSize)
			if !yield(key, value) {
				return
			}
		}
	}
}

// loads is the contest of bulk loads.
type loads struct {
	field
	data *dataset
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
		err := a.db.Load(ctx, l.data.records(sorted), sorted)
		s = timed("records", int64(l.data.n), time.Since(start))
		return err
	})
	if err != nil {
		return s, err
	}
	if s.Bytes, err = space(l.dir(i)); err != nil {
		return s, err
	}
	s.Answer = l.data.all.sum.String()
	return s, l.with(i, 1, func(a *arena) error { return a.audit(ctx, l.data.all) })
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
func (d *dataset) fill(ctx context.Context, db engine.DB) error {
	if err := db.Load(ctx, d.records(true), true); err != nil {
		return err
	}
	return db.Settle(ctx)
}
