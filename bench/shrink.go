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

// ShrinkConfig configures the shrink workload: nine tenths of the records are deleted, while others are overwritten.
type ShrinkConfig struct {
	Common          // MemoryBudget: default 64 MiB
	Curves          // Every: default 250 ms
	Records   int64 `json:"records"`    // default 1,000,000
	ValueSize int   `json:"value_size"` // bytes; default 100
	Deleters  int   `json:"deleters"`   // default 2
	Writers   int   `json:"writers"`    // that overwrite what stays, about 1,000 times a second each; default 2
}

func (c ShrinkConfig) withDefaults() ShrinkConfig {
	setDefault(&c.MemoryBudget, mvcc.DefaultMemoryBudget)
	setDefault(&c.Every, defaultEvery)
	setDefault(&c.Records, 1_000_000)
	setDefault(&c.ValueSize, 100)
	setDefault(&c.Deleters, 2)
	setDefault(&c.Writers, 2)
	return c
}

// leastShrunk is the least number of records: some must stay, for each writer one.
const leastShrunk = 100

func (c *ShrinkConfig) validate() error {
	return errors.Join(c.Curves.validate(), atLeast("Records", c.Records, leastShrunk), atLeast("ValueSize", c.ValueSize, gen.MinValueSize),
		atLeast("Deleters", c.Deleters, 1), atLeast("Writers", c.Writers, 1))
}

// ShrinkResult is the outcome of the shrink workload.
type ShrinkResult struct {
	Workload    string       `json:"workload"`
	Environment Environment  `json:"environment"`
	Config      ShrinkConfig `json:"config"`
	Rows        []ShrinkRow  `json:"rows"`
}

// ShrinkRow is how a file shrank after one way of deleting.
type ShrinkRow struct {
	Deletes string `json:"deletes"` // uniform, or clustered: the lower nine tenths of the key range
	Deleted int64  `json:"deleted"`
	Kept    int64  `json:"kept"`
	// LiveData is the keys and values of the records that stay.
	LiveData int64 `json:"live_data_bytes"`
	// Loaded, Deletes and Shrunk are readings after the load, after the last delete, and when the file had stopped shrinking.
	Loaded  StorageSample `json:"loaded"`
	Emptied StorageSample `json:"emptied"`
	Shrunk  StorageSample `json:"shrunk"`
	// Elapsed is the time of the deletes, and Shrinking that of the checkpoints after them.
	Elapsed   time.Duration `json:"deletes_elapsed_ns"`
	Shrinking time.Duration `json:"shrinking_elapsed_ns"`
	// Below is how many checkpoints after the last delete the file was below 1.5 x LiveData, and BelowInUse the same for
	// 1.5 x the pages that are in use, half empty ones included; -1 if it never was.
	Below      int              `json:"checkpoints_until_below"`
	BelowInUse int              `json:"checkpoints_until_below_in_use"`
	Overwrites int64            `json:"overwrites"` // by the writers beside
	Steps      []CheckpointStep `json:"steps"`      // after each checkpoint from the first delete on
	Samples    []StorageSample  `json:"samples"`
	Checksum   Checksum         `json:"checksum"`
}

// CheckpointStep is the file after a checkpoint.
type CheckpointStep struct {
	Sequence     uint64 `json:"sequence"`
	AfterDeletes bool   `json:"after_deletes"` // all deletes were committed
	FileBytes    int64  `json:"file_bytes"`
	LiveBytes    int64  `json:"live_bytes"` // pages in use
}

// WriteText writes the result as a table.
func (r *ShrinkResult) WriteText(w io.Writer) error {
	title := fmt.Sprintf("shrink: 90 %% of %s records of %d + %d bytes deleted beside %d writers",
		Count(r.Config.Records), gen.KeySize, r.Config.ValueSize, r.Config.Writers)
	t := newTable(w, title, r.Environment, "deletes", "live data MiB", "loaded MiB", "deleted MiB", "in use MiB", "shrunk MiB", "in use MiB",
		"file/live", "file/in use", "below 1.5 live", "below 1.5 in use", "checkpoints", "deletes s", "shrinking s", "checksum")
	for _, row := range r.Rows {
		t.row(row.Deletes, mebibytes(row.LiveData), mebibytes(row.Loaded.FileBytes), mebibytes(row.Emptied.FileBytes),
			mebibytes(row.Emptied.LiveBytes), mebibytes(row.Shrunk.FileBytes), mebibytes(row.Shrunk.LiveBytes),
			ratio(per(float64(row.Shrunk.FileBytes), float64(row.LiveData))), ratio(per(float64(row.Shrunk.FileBytes), float64(row.Shrunk.LiveBytes))),
			afterCheckpoints(row.Below), afterCheckpoints(row.BelowInUse), row.Shrunk.Checkpoints-row.Emptied.Checkpoints,
			seconds(row.Elapsed), seconds(row.Shrinking), row.Checksum)
	}
	return t.flush()
}

func afterCheckpoints(n int) string {
	if n < 0 {
		return "never"
	}
	return fmt.Sprintf("after %d", n)
}

// Shrink measures how a file gives space back.
func Shrink(ctx context.Context, cfg ShrinkConfig) (*ShrinkResult, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := reservePlot(cfg.Plot); err != nil {
		return nil, err
	}
	res := &ShrinkResult{Workload: "shrink", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	var panels []panel
	for _, clustered := range []bool{false, true} {
		s := newShrinking(cfg, clustered)
		if err := cfg.inScratch("shrink", func(dir string) error { return s.run(ctx, dir) }); err != nil {
			return nil, err
		}
		res.Rows = append(res.Rows, s.row)
		panels = append(panels, s.panel())
	}
	return res, drawPlot(cfg.Plot, panels...)
}

// panel shows files beside what they must hold.
func (s *shrinking) panel() panel {
	p := sizePanel("deletes "+s.row.Deletes, s.row.Samples)
	p.curves = append(p.curves, storageCurve("live data at the end", s.row.Samples, func(StorageSample) float64 { return toMiB(s.row.LiveData) }))
	return p
}
