package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// LargeConfig configures the large workload: one transaction of more rows than memory holds, committed and rolled back.
type LargeConfig struct {
	Common          // MemoryBudget: default 64 MiB
	Curves          // Every: default 100 ms
	Rows      int64 `json:"rows"`       // of 8 bytes of key and the value; default 10,000,000
	ValueSize int   `json:"value_size"` // bytes; default 100
}

func (c LargeConfig) withDefaults() LargeConfig {
	setDefault(&c.MemoryBudget, mvcc.DefaultMemoryBudget)
	setDefault(&c.Every, 100*time.Millisecond)
	setDefault(&c.Rows, 10_000_000)
	setDefault(&c.ValueSize, 100)
	return c
}

func (c *LargeConfig) validate() error {
	return errors.Join(c.Curves.validate(), atLeast("Rows", c.Rows, 1), atLeast("ValueSize", c.ValueSize, gen.MinValueSize))
}

// largeKeySize is the size of a key of the large workload, in bytes.
const largeKeySize = 8

func (c *LargeConfig) payload() int64 { return c.Rows * int64(largeKeySize+c.ValueSize) }

// LargeResult is the outcome of the large workload.
type LargeResult struct {
	Workload    string      `json:"workload"`
	Environment Environment `json:"environment"`
	Config      LargeConfig `json:"config"`
	Payload     int64       `json:"payload_bytes"` // keys and values of the transaction
	Rows        []LargeRow  `json:"rows"`
	Bounds      []Bound     `json:"bounds"`
}

// LargeRow is one transaction, in a database of its own.
type LargeRow struct {
	Order string `json:"order"` // of the keys as they are put: sorted or random
	End   string `json:"end"`   // commit or rollback
	// Put is the time of all puts, Ended that of the commit or rollback, Merge that of a checkpoint after it, and
	// ReadBack that of a scan of everything.
	Put      time.Duration `json:"put_ns"`
	Ended    time.Duration `json:"ended_ns"`
	Merge    time.Duration `json:"merge_ns"`
	ReadBack time.Duration `json:"read_back_ns"`
	// PerSecond is rows put and committed, or put and rolled back, in a second.
	PerSecond float64 `json:"rows_per_second"`
	Spills    int64   `json:"spills"`
	// Temporary is the most that the temporary files had, LogBytes what was appended to the log, LogDisk the most that the
	// log had on the disk, and FileBytes the size of the data file at the end.
	Temporary int64 `json:"temporary_peak_bytes"`
	LogBytes  int64 `json:"log_bytes"`
	LogDisk   int64 `json:"log_disk_peak_bytes"`
	FileBytes int64 `json:"file_bytes"`
	// Baseline is the resident memory before the database was opened, Peak the highest sample until the merge was done.
	Baseline int64           `json:"baseline_rss_bytes"`
	Peak     int64           `json:"peak_rss_bytes"`
	Samples  []StorageSample `json:"samples"`
	Checksum Checksum        `json:"checksum"` // of what was put
}

// WriteText writes the result as a table.
func (r *LargeResult) WriteText(w io.Writer) error {
	title := fmt.Sprintf("large: one transaction of %s rows of %d + %d bytes, %s MiB, budget %s MiB",
		Count(r.Config.Rows), largeKeySize, r.Config.ValueSize, mebibytes(r.Payload), mebibytes(r.Config.MemoryBudget))
	t := newTable(w, title, r.Environment, "keys", "end", "put s", "end s", "merge s", "read back s", "rows/s", "spills", "temporary MiB",
		"log MiB", "log disk MiB", "file MiB", "baseline MiB", "peak RSS MiB", "above / budget", "checksum")
	for _, row := range r.Rows {
		t.row(row.Order, row.End, seconds(row.Put), seconds(row.Ended), seconds(row.Merge), seconds(row.ReadBack), rate(row.PerSecond),
			row.Spills, mebibytes(row.Temporary), mebibytes(row.LogBytes), mebibytes(row.LogDisk), mebibytes(row.FileBytes),
			mebibytes(row.Baseline), mebibytes(row.Peak), ratio(per(float64(row.Peak-row.Baseline), float64(r.Config.MemoryBudget))), row.Checksum)
	}
	return errors.Join(t.flush(), writeBounds(w, r.Bounds))
}

// Large measures transactions that are larger than memory. It returns the result and a *BoundError when one left something behind.
func Large(ctx context.Context, cfg LargeConfig) (*LargeResult, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := reservePlot(cfg.Plot); err != nil {
		return nil, err
	}
	res := &LargeResult{Workload: "large", Environment: NewEnvironment(cfg.Dir), Config: cfg, Payload: cfg.payload()}
	for _, row := range []LargeRow{
		{Order: "sorted", End: "commit"}, {Order: "random", End: "commit"},
		{Order: "sorted", End: "rollback"}, {Order: "random", End: "rollback"},
	} {
		cfg.note("large: %s keys, %s", row.Order, row.End)
		l := &largeRun{cfg: cfg, row: row}
		if err := cfg.inScratch("large", func(dir string) error { return l.run(ctx, dir) }); err != nil {
			return nil, err
		}
		res.Rows = append(res.Rows, l.row)
		res.Bounds = append(res.Bounds, l.bounds...)
	}
	return res, errors.Join(drawPlot(cfg.Plot, res.panels()...), brokenBounds(res.Bounds))
}

func (r *LargeResult) panels() (panels []panel) {
	for _, row := range r.Rows[:2] {
		files := sizePanel(row.Order+" keys, "+row.End, row.Samples)
		files.curves = append(files.curves, storageCurve("temporary", row.Samples, func(s StorageSample) float64 { return toMiB(s.Spilled) }))
		panels = append(panels, files, memoryPanel(row.Samples))
	}
	return panels
}

// largeRun is one row while it is measured.
type largeRun struct {
	*store
	cfg    LargeConfig
	row    LargeRow
	bounds []Bound
}

func (l *largeRun) run(ctx context.Context, dir string) error {
	debug.FreeOSMemory()
	l.row.Baseline = residentBytes()
	return withStore(ctx, dir, l.cfg.options(), func(s *store) error {
		l.store = s
		if err := s.db.Checkpoint(ctx); err != nil {
			return err
		}
		before := s.db.Metrics()
		curves := watch(s.db, l.cfg.Every)
		err := l.measure(ctx)
		l.row.Samples = curves.stop()
		if err != nil {
			return err
		}
		l.summarise(before, s.db.Metrics())
		return l.verify(ctx)
	})
}

// measure puts everything, ends the transaction and merges it.
func (l *largeRun) measure(ctx context.Context) error {
	start := time.Now()
	tx, err := l.db.Begin(ctx, &mvcc.TxnOptions{Label: "bench large"})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := l.putRows(tx); err != nil {
		return err
	}
	l.row.Put = time.Since(start)
	if l.row.End == "commit" {
		err = tx.Commit()
	} else {
		tx.Rollback()
	}
	l.row.Ended = time.Since(start) - l.row.Put
	if err != nil {
		return err
	}
	l.row.PerSecond = float64(l.cfg.Rows) / (l.row.Put + l.row.Ended).Seconds()
	start = time.Now()
	err = l.db.Checkpoint(ctx)
	l.row.Merge = time.Since(start)
	return err
}

func (l *largeRun) putRows(tx *mvcc.Txn) error {
	var key, value []byte
	for n := range uint64(l.cfg.Rows) {
		key = l.appendKey(key[:0], n)
		value = gen.AppendValue(value[:0], n, 0, l.cfg.ValueSize)
		l.row.Checksum.Add(key, value)
		if err := tx.Put(l.ks, key, value); err != nil {
			return err
		}
	}
	return nil
}

func (l *largeRun) appendKey(dst []byte, n uint64) []byte {
	if l.row.Order == "random" {
		n = gen.Mix(n)
	}
	return binary.BigEndian.AppendUint64(dst, n)
}

func (l *largeRun) summarise(before, after mvcc.Metrics) {
	top := func(value func(StorageSample) int64) int64 { return highest(l.row.Samples, value) }
	l.row.Peak = top(func(s StorageSample) int64 { return s.RSS })
	l.row.Temporary = top(func(s StorageSample) int64 { return s.Spilled })
	l.row.LogDisk = top(func(s StorageSample) int64 { return s.LogBytes })
	l.row.LogBytes = after.Log.Bytes - before.Log.Bytes
	l.row.Spills = after.Spills - before.Spills
	l.row.FileBytes = after.Pages.FileBytes
}

// verify reads back what must be there, and looks for what must not.
func (l *largeRun) verify(ctx context.Context) error {
	start := time.Now()
	rows, want := l.cfg.Rows, l.row.Checksum
	if l.row.End == "rollback" {
		rows, want = 0, 0
	}
	err := l.audit(ctx, rows, want)
	l.row.ReadBack = time.Since(start)
	if err != nil {
		return err
	}
	bytes, files, err := temporaryBytes(l.db.Path())
	l.bound("temporary files", unitBytes, bytes, 0, "none at the end")
	l.bound("temporary files", "files", int64(files), 0, "none at the end")
	if l.row.End == "rollback" {
		l.bound("log written", unitBytes, l.row.LogBytes, smallLog, "64 KiB, for the keyspace and marks")
		l.bound("data file", unitBytes, l.row.FileBytes, smallFiles, "8 MiB, as an empty one")
	}
	return err
}

// smallLog is what a log may have of a transaction that was rolled back.
const smallLog = 64 << 10

func (l *largeRun) bound(what, unit string, value, limit int64, how string) {
	l.bounds = append(l.bounds, Bound{
		What: l.row.Order + " keys, " + l.row.End + ": " + what, Unit: unit, Value: value, Limit: limit, How: how,
	})
}
