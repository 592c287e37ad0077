package bench

import (
	"context"
	"errors"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/internal/kv"
	"github.com/sombradb/sombra/mvcc"
)

// MixedConfig configures the mixed workload: what readers and durable writers cost each other.
type MixedConfig struct {
	Common
	Keys      int64 `json:"keys"`       // default 1,000,000
	ValueSize int   `json:"value_size"` // bytes, at least 8; default 100
	Readers   int   `json:"readers"`    // concurrent readers of random keys; default 8
	Writers   int   `json:"writers"`    // concurrent writers, one overwrite in each transaction; default 8
	// Limit ends each row; default 1 s. It needs a duration.
	Limit Limit `json:"limit"`
}

func (c MixedConfig) withDefaults() MixedConfig {
	setDefault(&c.Keys, 1_000_000)
	setDefault(&c.ValueSize, 100)
	setDefault(&c.Readers, 8)
	setDefault(&c.Writers, 8)
	setDefault(&c.MemoryBudget, budgetFor(c.Keys, c.ValueSize))
	c.Limit = orDuration(c.Limit, time.Second)
	return c
}

func (c *MixedConfig) validate() error {
	err := errors.Join(validKeys(c.Keys), atLeast("ValueSize", c.ValueSize, gen.MinValueSize), atLeast("Readers", c.Readers, 1), atLeast("Writers", c.Writers, 1))
	if c.Limit.Duration <= 0 {
		err = errors.Join(err, &ConfigError{Field: "Limit.Duration", Value: c.Limit.Duration, Want: "more than 0"})
	}
	return err
}

// mixed is the workload while it is measured.
type mixed struct {
	*store
	cfg  MixedConfig
	data *kv.Dataset
	res  *Result
	seed uint64 // of the next row
}

// Mixed measures readers alone and beside writers, and writers alone and beside scans of everything.
func Mixed(ctx context.Context, cfg MixedConfig) (*Result, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	res := &Result{Workload: "mixed", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	cfg.note("mixed: loading %s keys", Count(cfg.Keys))
	data := kv.NewDataset(int(cfg.Keys), cfg.ValueSize)
	return res, cfg.inScratch("mixed", func(dir string) error {
		return withLoaded(ctx, dir, cfg.options(), data, func(s *store) error {
			m := &mixed{store: s, cfg: cfg, data: data, res: res}
			for _, row := range []func(context.Context) error{m.readers, m.readersBeside, m.writers, m.writersBeside} {
				if err := row(ctx); err != nil {
					return err
				}
				// All records are as they were (K2).
				if err := s.audit(ctx, cfg.Keys, data.Sum); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// read runs the readers.
func (m *mixed) read(ctx context.Context, changing bool) (drive.Result, error) {
	m.seed++
	list := make([]*kv.Reader, m.cfg.Readers)
	for w, s := range m.sessions(m.cfg.Readers, nil) {
		list[w] = kv.NewReader(s, m.data, m.seed<<16|uint64(w), changing)
	}
	return closed(ctx, m.cfg.Readers, m.cfg.Limit, func(ctx context.Context, w int, _ uint64) (Checksum, error) {
		return list[w].Read(ctx, 1)
	})
}

func (m *mixed) readers(ctx context.Context) error {
	m.cfg.note("mixed: readers")
	r, err := m.read(ctx, false)
	m.res.add("point reads", m.cfg.Readers, figures.SampleOf(r, "reads"))
	return err
}

var mixedOptions = &mvcc.TxnOptions{Isolation: mvcc.Serializable, Label: "bench mixed"}

// write calls fn while the writers write.
func (m *mixed) write(ctx context.Context, fn func(context.Context) error) (commits int64, took time.Duration, err error) {
	m.seed++
	return kv.WhileWriting(ctx, m.sessions(m.cfg.Writers, mixedOptions), m.data, m.seed, fn)
}

func (m *mixed) readersBeside(ctx context.Context) error {
	m.cfg.note("mixed: readers beside writers")
	var r drive.Result
	commits, took, err := m.write(ctx, func(ctx context.Context) (err error) {
		r, err = m.read(ctx, true)
		return err
	})
	if err != nil {
		return err
	}
	row := figures.SampleOf(r, "reads")
	row.Beside = float64(commits) / took.Seconds()
	m.res.add("point reads beside writers", m.cfg.Readers, row)
	return nil
}

func (m *mixed) writers(ctx context.Context) error {
	m.cfg.note("mixed: writers")
	commits, took, err := m.write(ctx, func(ctx context.Context) error {
		kv.Wait(ctx, m.cfg.Limit.Duration)
		return nil
	})
	m.addWrites("durable writes", commits, took)
	return err
}

// writersBeside measures writers beside a scan that begins anew when it is through.
func (m *mixed) writersBeside(ctx context.Context) error {
	m.cfg.note("mixed: writers beside scans")
	commits, took, err := m.write(ctx, func(writing context.Context) error {
		for end := time.Now().Add(m.cfg.Limit.Duration); time.Now().Before(end) && writing.Err() == nil; {
			keys, _, err := m.sum(writing)
			if err == nil {
				err = auditCount("records of a scan beside writers", keys, m.cfg.Keys)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	m.addWrites("durable writes beside full scans", commits, took)
	return err
}

func (m *mixed) addWrites(name string, commits int64, took time.Duration) {
	row := figures.Timed("commits", commits, took)
	row.Checksum = m.data.Sum.String()
	m.res.add(name, m.cfg.Writers, row)
}
