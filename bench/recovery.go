package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// RecoveryConfig configures the recovery workload: a database with a long log is
// copied while it is open, which is what a killed process leaves, and the copy opened.
type RecoveryConfig struct {
	Common
	LogBytes  int64 `json:"log_bytes"`  // to replay; default 256 MiB
	ValueSize int   `json:"value_size"` // bytes; default 100
}

func (c RecoveryConfig) withDefaults() RecoveryConfig {
	setDefault(&c.LogBytes, 256<<20)
	setDefault(&c.ValueSize, 100)
	// Everything in the log is in the version store too: a smaller budget
	// would checkpoint before the log is as long as wanted.
	setDefault(&c.MemoryBudget, max(32*c.LogBytes, mvcc.DefaultMemoryBudget))
	return c
}

func (c *RecoveryConfig) validate() error {
	return errors.Join(atLeast("LogBytes", c.LogBytes, 1), atLeast("ValueSize", c.ValueSize, 0))
}

func (c *RecoveryConfig) options() *mvcc.Options {
	opts := c.Common.options()
	opts.MaxLogBytes = 4 * c.LogBytes
	return opts
}

// RecoveryResult is the outcome of the recovery workload.
type RecoveryResult struct {
	Workload    string         `json:"workload"`
	Environment Environment    `json:"environment"`
	Config      RecoveryConfig `json:"config"`
	Keys        int64          `json:"keys"`
	Commits     int64          `json:"commits"`   // replayed
	Records     int64          `json:"records"`   // log records read
	LogBytes    int64          `json:"log_bytes"` // read
	Open        time.Duration  `json:"open_ns"`   // of the whole Open
	Replay      time.Duration  `json:"replay_ns"`
	Checksum    Checksum       `json:"checksum"`
}

// WriteText writes the result as a table.
func (r *RecoveryResult) WriteText(w io.Writer) error {
	t := newTable(w, fmt.Sprintf("recovery: after a crash, records of %d + %d bytes", gen.KeySize, r.Config.ValueSize), r.Environment,
		"log MiB", "commits", "log records", "keys", "open s", "replay s", "MiB/s", "checksum")
	speed := per(float64(r.LogBytes)/(1<<20), r.Open.Seconds())
	t.row(mebibytes(r.LogBytes), Count(r.Commits), Count(r.Records), Count(r.Keys), seconds(r.Open), seconds(r.Replay), micros(speed), r.Checksum)
	return t.flush()
}

// Recovery measures how long it takes to open a database after a crash.
func Recovery(ctx context.Context, cfg RecoveryConfig) (*RecoveryResult, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	res := &RecoveryResult{Workload: "recovery", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	return res, cfg.inScratch("recovery", func(dir string) error {
		crashed := filepath.Join(dir, "crashed")
		err := withStore(ctx, dir, cfg.options(), func(s *store) error {
			return res.fillAndCopy(ctx, s, dir, crashed)
		})
		if err != nil {
			return err
		}
		return res.measure(ctx, crashed)
	})
}

// fillAndCopy commits until the log is long enough, then copies the files.
func (r *RecoveryResult) fillAndCopy(ctx context.Context, s *store, dir, crashed string) error {
	r.Config.note("recovery: writing %s MiB of log", mebibytes(r.Config.LogBytes))
	before := s.db.Metrics().Log.Bytes
	for s.db.Metrics().Log.Bytes-before < r.Config.LogBytes {
		lo := uint64(r.Keys)
		sum, err := s.putAll(ctx, lo, lo+recoveryBatch, r.Config.ValueSize)
		if err != nil {
			return err
		}
		r.Keys += recoveryBatch
		r.Checksum += sum
	}
	r.Config.note("recovery: copying the files as a crash would leave them")
	return copyDatabase(ctx, databasePath(dir), databasePath(crashed))
}

// recoveryBatch is the number of keys in one transaction.
const recoveryBatch = 10

func (r *RecoveryResult) measure(ctx context.Context, dir string) error {
	r.Config.note("recovery: opening")
	start := time.Now()
	return withStore(ctx, dir, r.Config.options(), func(s *store) error {
		r.Open = time.Since(start)
		rec := s.db.Health().Recovered
		r.Commits, r.Records, r.LogBytes, r.Replay = rec.Commits, rec.Records, rec.Bytes, rec.Duration
		return s.audit(ctx, r.Keys, r.Checksum)
	})
}

// copyDatabase copies the data file and the log directory of an open, idle database, and syncs the copies: otherwise the
// first sync of whoever opens them would write all of it.
func copyDatabase(ctx context.Context, from, to string) error {
	logs, err := os.ReadDir(from + ".wal")
	if err != nil {
		return fmt.Errorf("bench: list the log: %w", err)
	}
	if err := os.MkdirAll(to+".wal", 0o755); err != nil {
		return fmt.Errorf("bench: make the log directory: %w", err)
	}
	if err := copyFile(from, to); err != nil {
		return err
	}
	for _, e := range logs {
		err := errors.Join(ctx.Err(), copyFile(filepath.Join(from+".wal", e.Name()), filepath.Join(to+".wal", e.Name())))
		if err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("bench: copy: %w", err)
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return fmt.Errorf("bench: copy: %w", err)
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if _, err := io.Copy(dst, src); err != nil {
		return fmt.Errorf("bench: copy %s: %w", from, err)
	}
	if err := dst.Sync(); err != nil {
		return fmt.Errorf("bench: sync %s: %w", to, err)
	}
	return nil
}
