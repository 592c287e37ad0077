package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// CommitConfig configures the commit workload: each transaction puts one new
// key, at serializable isolation, and is durable when it is counted.
type CommitConfig struct {
	Common
	Writers   []int `json:"writers"`    // concurrent writers, one row for each; default 1, 8, 32, 128
	ValueSize int   `json:"value_size"` // bytes; default 100
	// Limit ends each row; default 3 s.
	Limit Limit `json:"limit"`
}

var defaultWriters = []int{1, 8, 32, 128}

func (c CommitConfig) withDefaults() CommitConfig {
	if len(c.Writers) == 0 {
		c.Writers = defaultWriters
	}
	setDefault(&c.ValueSize, 100)
	c.Limit = orDuration(c.Limit, 3*time.Second)
	return c
}

func (c *CommitConfig) validate() error {
	return errors.Join(allPositive("Writers", c.Writers), atLeast("ValueSize", c.ValueSize, 0))
}

// RateResult is the outcome of the commit and of the log workload.
type RateResult struct {
	Workload    string      `json:"workload"`
	Environment Environment `json:"environment"`
	Config      any         `json:"config"`
	Rows        []RateRow   `json:"rows"`
}

// RateRow is the rate at one number of writers.
type RateRow struct {
	Writers   int           `json:"writers"`
	Ops       int64         `json:"ops"`  // in the measured time
	Done      int64         `json:"done"` // with those of the warm-up, as in all that follows but the latency
	Elapsed   time.Duration `json:"elapsed_ns"`
	PerSecond float64       `json:"per_second"`
	Latency   Latency       `json:"latency"`
	// GroupSize is the mean number of log records made durable by one sync.
	GroupSize float64 `json:"group_size"`
	// Retries are attempts after a conflict. Every transaction has a key of its own: want 0.
	Retries  int64    `json:"retries"`
	Checksum Checksum `json:"checksum"`
}

// WriteText writes the result as a table.
func (r *RateResult) WriteText(w io.Writer) error {
	t := newTable(w, r.Workload, r.Environment,
		"writers", "ops", "ops/s", "p50 µs", "p99 µs", "p99.9 µs", "max µs", "ops/sync", "retries", "checksum")
	for _, row := range r.Rows {
		l := row.Latency
		t.row(row.Writers, Count(row.Done), rate(row.PerSecond), micros(l.P50), micros(l.P99), micros(l.P999), micros(l.Max),
			fmt.Sprintf("%.1f", row.GroupSize), row.Retries, row.Checksum)
	}
	return t.flush()
}

// Commit measures durable commits per second.
func Commit(ctx context.Context, cfg CommitConfig) (*RateResult, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	res := &RateResult{Workload: "commit", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	for _, writers := range cfg.Writers {
		cfg.note("commit: %d writers", writers)
		row, err := commitRow(ctx, cfg, writers)
		if err != nil {
			return nil, err
		}
		res.Rows = append(res.Rows, row)
	}
	return res, nil
}

func commitRow(ctx context.Context, cfg CommitConfig, writers int) (row RateRow, err error) {
	err = cfg.inScratch("commit", func(dir string) error {
		return withStore(ctx, dir, cfg.options(), func(s *store) (err error) {
			row, err = s.commitRow(ctx, cfg, writers)
			return err
		})
	})
	return row, err
}

func (s *store) commitRow(ctx context.Context, cfg CommitConfig, writers int) (RateRow, error) {
	before := s.db.Metrics()
	m, err := closed(ctx, writers, cfg.Limit, s.commitOne(writers, cfg.ValueSize))
	if err != nil {
		return RateRow{}, err
	}
	after := s.db.Metrics()
	row := rateRow(writers, m)
	row.GroupSize = per(float64(after.Log.SyncedRecords-before.Log.SyncedRecords), float64(after.Log.Syncs-before.Log.Syncs))
	row.Retries = after.Retries - before.Retries
	return row, s.audit(ctx, m.All(), m.Sum)
}

// commitOne returns the operation of the commit workload.
func (s *store) commitOne(writers, valueSize int) work {
	records := make([]gen.Record, writers)
	opts := &mvcc.TxnOptions{Isolation: mvcc.Serializable, Label: "bench commit"}
	return func(ctx context.Context, worker int, seq uint64) (sum Checksum, err error) {
		rec := &records[worker]
		rec.Set(uint64(worker)<<40|seq, 0, valueSize)
		err = s.db.UpdateWith(ctx, opts, func(tx *mvcc.Txn) error {
			return tx.Put(s.ks, rec.Key, rec.Value)
		})
		sum.Add(rec.Key, rec.Value)
		return sum, err
	}
}

func rateRow(writers int, m drive.Result) RateRow {
	return RateRow{
		Writers: writers, Ops: m.Ops, Done: m.All(), Elapsed: m.Elapsed, PerSecond: m.PerSecond(),
		Latency: m.Latency(), Checksum: m.Sum,
	}
}
