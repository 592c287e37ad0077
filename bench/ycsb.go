package bench

import (
	"context"
	"errors"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/internal/kv"
	"github.com/sombradb/sombra/bench/internal/ycsb"
	"github.com/sombradb/sombra/mvcc"
)

// YCSBConfig configures the ycsb workload: the core workloads of the Yahoo cloud serving benchmark (Cooper and others,
// SoCC 2010). A is half reads and half updates, B 95 % reads, C reads only, F half reads and half read-modify-writes, D 95 %
// reads of the latest records and 5 % inserts, E 95 % scans of 1 to 100 records and 5 % inserts. Records of 1 KB
// are drawn by zipf 0.99; each operation is a transaction, serializable and durable if it writes.
type YCSBConfig struct {
	Common
	Records   int64    `json:"records"`    // default 100,000
	ValueSize int      `json:"value_size"` // bytes, at least 8; default 1,000
	Workers   int      `json:"workers"`    // concurrent clients; default 8
	Mixes     []string `json:"mixes"`      // of A to F; default all
	// Limit ends each row; default 2 s.
	Limit Limit `json:"limit"`
}

func (c YCSBConfig) withDefaults() YCSBConfig {
	setDefault(&c.Records, 100_000)
	setDefault(&c.ValueSize, ycsb.ValueSize)
	setDefault(&c.Workers, 8)
	setDefault(&c.MemoryBudget, budgetFor(c.Records, c.ValueSize))
	c.Limit = orDuration(c.Limit, 2*time.Second)
	return c
}

func (c *YCSBConfig) validate() error {
	return errors.Join(validKeys(c.Records), atLeast("ValueSize", c.ValueSize, gen.MinValueSize), atLeast("Workers", c.Workers, 1))
}

// YCSB measures the core workloads one after the other on one database.
func YCSB(ctx context.Context, cfg YCSBConfig) (*Result, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	mixes, err := ycsb.ByName(cfg.Mixes)
	if err != nil {
		return nil, &ConfigError{Field: "Mixes", Value: cfg.Mixes, Want: "letters from A to F"}
	}
	res := &Result{Workload: "ycsb", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	cfg.note("ycsb: loading %s records", Count(cfg.Records))
	data := kv.NewDataset(int(cfg.Records), cfg.ValueSize)
	return res, cfg.inScratch("ycsb", func(dir string) error {
		return withLoaded(ctx, dir, cfg.options(), data, func(s *store) error {
			state := ycsb.NewState(data)
			for n, m := range mixes {
				cfg.note("ycsb: %s", m.Name)
				row, err := s.ycsbRow(ctx, cfg, ycsb.New(m, state, n, s.sessions(cfg.Workers, ycsbOptions)))
				if err != nil {
					return err
				}
				res.add(m.Name, cfg.Workers, row)
			}
			return nil
		})
	})
}

var ycsbOptions = &mvcc.TxnOptions{Isolation: mvcc.Serializable, Label: "bench ycsb"}

// sessions returns one for each of several goroutines.
func (s *store) sessions(n int, opts *mvcc.TxnOptions) []kv.Session {
	list := make([]kv.Session, n)
	for i := range list {
		list[i] = kv.NewSombra(s.db, s.ks, opts)
	}
	return list
}

func (s *store) ycsbRow(ctx context.Context, cfg YCSBConfig, b *ycsb.Bench) (row Sample, err error) {
	r, err := drive.Closed(ctx, cfg.Workers, cfg.Limit, b.Do)
	if err != nil {
		return row, err
	}
	_, err = b.Audit(ctx, s.sessions(1, nil)[0], true)
	return figures.SampleOf(r, "operations"), err
}
