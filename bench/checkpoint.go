package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// CheckpointConfig configures the checkpoint workload: a load and three rounds of
// overwrites, each of a larger share of random keys, and each followed by a checkpoint.
type CheckpointConfig struct {
	Common
	Keys      int64 `json:"keys"`       // default 500,000
	ValueSize int   `json:"value_size"` // bytes; default 100
}

func (c CheckpointConfig) withDefaults() CheckpointConfig {
	setDefault(&c.Keys, 500_000)
	setDefault(&c.ValueSize, 100)
	setDefault(&c.MemoryBudget, budgetFor(c.Keys, c.ValueSize))
	return c
}

func (c *CheckpointConfig) validate() error {
	return errors.Join(atLeast("Keys", c.Keys, 1), atLeast("ValueSize", c.ValueSize, 0))
}

// CheckpointResult is the outcome of the checkpoint workload.
type CheckpointResult struct {
	Workload    string           `json:"workload"`
	Environment Environment      `json:"environment"`
	Config      CheckpointConfig `json:"config"`
	Rows        []CheckpointRow  `json:"rows"`
}

// CheckpointRow is the cost of making one round of changes permanent.
type CheckpointRow struct {
	Change       string        `json:"change"`
	Keys         int64         `json:"keys"` // changed
	PayloadBytes int64         `json:"payload_bytes"`
	LogBytes     int64         `json:"log_bytes"`
	DataBytes    int64         `json:"data_bytes"`  // written to the data file
	FileBytes    int64         `json:"file_bytes"`  // size of the data file afterwards
	Checkpoints  int64         `json:"checkpoints"` // 1, unless the memory budget asked for more
	Elapsed      time.Duration `json:"elapsed_ns"`  // of the last checkpoint
	// Amplification is bytes written to the data file for each changed byte.
	Amplification float64 `json:"amplification"`
	// Total counts the log too.
	Total    float64  `json:"total_amplification"`
	Checksum Checksum `json:"checksum"`
}

// WriteText writes the result as a table.
func (r *CheckpointResult) WriteText(w io.Writer) error {
	t := newTable(w, fmt.Sprintf("checkpoint: %s keys of %d + %d bytes", Count(r.Config.Keys), gen.KeySize, r.Config.ValueSize), r.Environment,
		"change", "keys", "payload MiB", "log MiB", "data MiB", "file MiB", "checkpoints", "s", "write ampl.", "with log", "checksum")
	for _, row := range r.Rows {
		t.row(row.Change, Count(row.Keys), mebibytes(row.PayloadBytes), mebibytes(row.LogBytes), mebibytes(row.DataBytes),
			mebibytes(row.FileBytes), row.Checkpoints, seconds(row.Elapsed), ratio(row.Amplification), ratio(row.Total), row.Checksum)
	}
	return t.flush()
}

// round is a set of changes: the keys whose hash falls below permille.
type round struct {
	name     string
	permille uint64
}

var rounds = [...]round{
	{"load", 1000}, {"overwrite 1 %", 10}, {"overwrite 10 %", 100}, {"overwrite 100 %", 1000},
}

// Checkpoint measures write amplification.
func Checkpoint(ctx context.Context, cfg CheckpointConfig) (*CheckpointResult, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	res := &CheckpointResult{Workload: "checkpoint", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	return res, cfg.inScratch("checkpoint", func(dir string) error {
		return withStore(ctx, dir, cfg.options(), func(s *store) error {
			return res.measure(ctx, s)
		})
	})
}

func (r *CheckpointResult) measure(ctx context.Context, s *store) error {
	versions := make([]uint64, r.Config.Keys)
	for i, rd := range rounds {
		r.Config.note("checkpoint: %s", rd.name)
		row, err := s.checkpointRow(ctx, r.Config, rd, uint64(i), versions)
		if err != nil {
			return err
		}
		r.Rows = append(r.Rows, row)
	}
	return nil
}

func (s *store) checkpointRow(ctx context.Context, cfg CheckpointConfig, rd round, version uint64, versions []uint64) (CheckpointRow, error) {
	before := s.db.Metrics()
	changed, err := s.overwrite(ctx, cfg, rd, version, versions)
	if err != nil {
		return CheckpointRow{}, err
	}
	if err := s.db.Checkpoint(ctx); err != nil {
		return CheckpointRow{}, err
	}
	after := s.db.Metrics()
	row := CheckpointRow{
		Change: rd.name, Keys: changed,
		PayloadBytes: changed * int64(gen.KeySize+cfg.ValueSize),
		LogBytes:     after.Log.Bytes - before.Log.Bytes,
		DataBytes:    after.CheckpointBytes - before.CheckpointBytes,
		FileBytes:    after.Pages.FileBytes,
		Checkpoints:  after.Checkpoints - before.Checkpoints,
		Elapsed:      after.LastCheckpointDuration,
		Checksum:     sumOf(versions, cfg.ValueSize),
	}
	row.Amplification = per(float64(row.DataBytes), float64(row.PayloadBytes))
	row.Total = per(float64(row.DataBytes+row.LogBytes), float64(row.PayloadBytes))
	return row, s.audit(ctx, cfg.Keys, row.Checksum)
}

// overwrite gives the round's keys a new version, in batches, and notes it in versions.
func (s *store) overwrite(ctx context.Context, cfg CheckpointConfig, rd round, version uint64, versions []uint64) (changed int64, err error) {
	batch := make([]uint64, 0, loadBatch)
	flush := func() error {
		changed += int64(len(batch))
		defer func() { batch = batch[:0] }()
		return s.putVersion(ctx, batch, version, cfg.ValueSize)
	}
	for n := range uint64(len(versions)) {
		if gen.Mix(n^version<<32)%1000 >= rd.permille {
			continue
		}
		versions[n] = version
		if batch = append(batch, n); len(batch) == loadBatch {
			if err := flush(); err != nil {
				return changed, err
			}
		}
	}
	return changed, flush()
}

func (s *store) putVersion(ctx context.Context, batch []uint64, version uint64, valueSize int) error {
	if len(batch) == 0 {
		return nil
	}
	return s.db.Update(ctx, func(tx *mvcc.Txn) error {
		var rec gen.Record
		for _, n := range batch {
			rec.Set(n, version, valueSize)
			if err := tx.Put(s.ks, rec.Key, rec.Value); err != nil {
				return err
			}
		}
		return nil
	})
}

// sumOf returns the checksum of all records in their versions.
func sumOf(versions []uint64, valueSize int) (sum Checksum) {
	var rec gen.Record
	for n, v := range versions {
		rec.Set(uint64(n), v, valueSize)
		sum.Add(rec.Key, rec.Value)
	}
	return sum
}
