package bench

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/wal"
)

// LogConfig configures the log workload: each operation appends one record to a
// bare log and waits until it is durable. It is the ceiling of the commit workload.
type LogConfig struct {
	Common
	Writers     []int `json:"writers"`      // concurrent writers, one row for each; default 1, 8, 32, 128
	PayloadSize int   `json:"payload_size"` // bytes; default 100
	// Limit ends each row; default 3 s.
	Limit Limit `json:"limit"`
}

func (c LogConfig) withDefaults() LogConfig {
	if len(c.Writers) == 0 {
		c.Writers = defaultWriters
	}
	setDefault(&c.PayloadSize, 100)
	c.Limit = orDuration(c.Limit, 3*time.Second)
	return c
}

func (c *LogConfig) validate() error {
	return errors.Join(allPositive("Writers", c.Writers), atLeast("PayloadSize", c.PayloadSize, 0))
}

// logID is the database id of the workload's logs; any value will do.
var logID = wal.DatabaseID{'b', 'e', 'n', 'c', 'h'}

// Log measures durable log records per second.
func Log(ctx context.Context, cfg LogConfig) (*RateResult, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	res := &RateResult{Workload: "log", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	for _, writers := range cfg.Writers {
		cfg.note("log: %d writers", writers)
		err := cfg.inScratch("log", func(dir string) error {
			row, err := logRow(ctx, cfg, writers, filepath.Join(dir, "log"))
			res.Rows = append(res.Rows, row)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return res, nil
}

func logRow(ctx context.Context, cfg LogConfig, writers int, dir string) (RateRow, error) {
	opts := wal.Options{FS: vfs.OS, Dir: dir, DatabaseID: logID}
	log, _, err := wal.Open(opts, 0, func(wal.Record) error { return nil })
	if err != nil {
		return RateRow{}, err
	}
	m, err := closed(ctx, writers, cfg.Limit, logOne(log, writers, cfg.PayloadSize))
	metrics := log.Metrics()
	if err := errors.Join(err, log.Close()); err != nil {
		return RateRow{}, err
	}
	row := rateRow(writers, m)
	row.GroupSize = per(float64(metrics.SyncedRecords), float64(metrics.Syncs))
	return row, auditLog(opts, m)
}

// logOne returns the operation of the log workload.
func logOne(log *wal.Log, writers, payloadSize int) work {
	records := make([]gen.Record, writers)
	var clock atomic.Uint64
	return func(ctx context.Context, worker int, seq uint64) (sum Checksum, err error) {
		rec := &records[worker]
		rec.Set(uint64(worker)<<40|seq, 0, payloadSize)
		sum.Add(nil, rec.Value)
		if err := log.Admit(ctx, len(rec.Value)); err != nil {
			return 0, err
		}
		end, err := log.Append(1, clock.Add(1), rec.Value)
		if err != nil {
			return 0, err
		}
		return sum, log.Sync(ctx, end)
	}
}

// auditLog replays the log and compares it with what was acknowledged (B2).
func auditLog(opts wal.Options, m drive.Result) error {
	opts.ReadOnly = true
	var sum Checksum
	var records int64
	log, _, err := wal.Open(opts, 0, func(r wal.Record) error {
		records++
		sum.Add(nil, r.Payload)
		return nil
	})
	if err != nil {
		return err
	}
	if records != m.All() || sum != m.Sum {
		err = &AuditError{Keys: records, WantKeys: m.All(), Sum: sum, WantSum: m.Sum}
	}
	return errors.Join(err, log.Close())
}
