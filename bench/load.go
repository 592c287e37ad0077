package bench

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/internal/kv"
	"github.com/sombradb/sombra/mvcc"
)

// LoadConfig configures the load workload: mvcc.DB.Load of records into an empty database, in the order of their keys and
// in random order. The time ends when all is durable.
type LoadConfig struct {
	Common
	Keys      int64 `json:"keys"`       // default 1,000,000
	ValueSize int   `json:"value_size"` // bytes; default 100
}

func (c LoadConfig) withDefaults() LoadConfig {
	setDefault(&c.Keys, 1_000_000)
	setDefault(&c.ValueSize, 100)
	return c
}

func (c *LoadConfig) validate() error {
	return errors.Join(validKeys(c.Keys), atLeast("ValueSize", c.ValueSize, 0))
}

// maxKeys is the most records that a dataset can number.
const maxKeys = 1<<32 - 1

func validKeys(n int64) error {
	if n > maxKeys {
		return &ConfigError{Field: "Keys", Value: n, Want: "at most 4294967295"}
	}
	return atLeast("Keys", n, 1)
}

// Load measures bulk loads.
func Load(ctx context.Context, cfg LoadConfig) (*Result, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	res := &Result{Workload: "load", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	data := kv.NewDataset(int(cfg.Keys), cfg.ValueSize)
	for _, order := range []string{"sorted", "random"} {
		cfg.note("load: %s keys, %s", Count(cfg.Keys), order)
		err := cfg.inScratch("load", func(dir string) error {
			row, err := loadRow(ctx, cfg, dir, data, order == "sorted")
			res.add(order, 1, row)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return res, nil
}

// loadRow loads, closes the database, opens it again and reads all back.
func loadRow(ctx context.Context, cfg LoadConfig, dir string, data *kv.Dataset, sorted bool) (row Sample, err error) {
	db, err := mvcc.Open(databasePath(dir), cfg.options())
	if err != nil {
		return row, err
	}
	start := time.Now()
	_, err = db.Load(ctx, keyspaceName, loader(ctx, data.Records(sorted)))
	row = figures.Timed("records", int64(data.N), time.Since(start))
	row.Checksum = data.Sum.String()
	row.Bytes = db.Metrics().Pages.FileBytes
	if err := errors.Join(err, db.Close()); err != nil {
		return row, err
	}
	return row, withStore(ctx, dir, cfg.options(), func(s *store) error {
		return s.audit(ctx, int64(data.N), data.Sum)
	})
}

// loader returns a function that loads records.
func loader(ctx context.Context, records iter.Seq2[[]byte, []byte]) func(*mvcc.Loader) error {
	return func(l *mvcc.Loader) error {
		for key, value := range records {
			if err := l.Put(key, value); err != nil {
				return err
			}
		}
		return ctx.Err()
	}
}

// withLoaded opens a database in dir into which a dataset was loaded, all of it in cached pages, calls fn and closes it.
func withLoaded(ctx context.Context, dir string, opts *mvcc.Options, data *kv.Dataset, fn func(*store) error) (err error) {
	db, err := mvcc.Open(databasePath(dir), opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ks, err := db.Load(ctx, keyspaceName, loader(ctx, data.Records(true)))
	if err != nil {
		return err
	}
	s := &store{db: db, ks: ks}
	// The audit brings every page into the cache.
	if err := s.audit(ctx, int64(data.N), data.Sum); err != nil {
		return err
	}
	return fn(s)
}
