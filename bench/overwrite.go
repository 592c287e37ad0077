package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// OverwriteConfig configures the overwrite workload: writers overwrite uniformly chosen records at full speed, one in each
// durable transaction, in a database that is several times as large as its memory budget.
type OverwriteConfig struct {
	Common          // MemoryBudget: default 64 MiB
	Curves          // Every: default 1 s
	Times     int   `json:"times"`      // size of the data as a multiple of the budget; default 4
	ValueSize int   `json:"value_size"` // bytes, at least 8; default 100
	Writers   int   `json:"writers"`    // default 8
	Limit     Limit `json:"limit"`      // default 60 s
}

func (c OverwriteConfig) withDefaults() OverwriteConfig {
	setDefault(&c.MemoryBudget, mvcc.DefaultMemoryBudget)
	setDefault(&c.Every, time.Second)
	setDefault(&c.Times, 4)
	setDefault(&c.ValueSize, 100)
	setDefault(&c.Writers, 8)
	c.Limit = orDuration(c.Limit, time.Minute)
	c.Limit.Cold = true // the samples show how it warms up
	return c
}

func (c *OverwriteConfig) validate() error {
	return errors.Join(c.Curves.validate(), atLeast("Times", c.Times, 1), atLeast("ValueSize", c.ValueSize, gen.MinValueSize),
		atLeast("Writers", c.Writers, 1))
}

// keys is a multiple of the number of writers, for each writes a part of its own.
func (c *OverwriteConfig) keys() int64 {
	each := c.MemoryBudget * int64(c.Times) / int64(gen.KeySize+c.ValueSize) / int64(c.Writers)
	return max(each, 1) * int64(c.Writers)
}

// OverwriteResult is the outcome of the overwrite workload.
type OverwriteResult struct {
	Workload    string          `json:"workload"`
	Environment Environment     `json:"environment"`
	Config      OverwriteConfig `json:"config"`
	Keys        int64           `json:"keys"`
	DataBytes   int64           `json:"data_bytes"` // keys and values
	Baseline    int64           `json:"baseline_rss_bytes"`
	Peak        int64           `json:"peak_rss_bytes"` // while overwriting
	Commits     int64           `json:"commits"`
	Elapsed     time.Duration   `json:"elapsed_ns"`
	PerSecond   float64         `json:"per_second"`
	Latency     Latency         `json:"latency"` // of a transaction, acknowledged
	// SlowCommits took longer than 100 ms. A pause is a time of more than 100 ms in which no writer's commit was acknowledged.
	SlowCommits  int64         `json:"slow_commits"`
	Pauses       int64         `json:"pauses"`
	LongestPause time.Duration `json:"longest_pause_ns"` // the longest time without a commit, whether it was a pause or not
	// AdmissionDelay is the time that commits were held back, of all writers together.
	AdmissionDelay time.Duration `json:"admission_delay_ns"`
	PayloadBytes   int64         `json:"payload_bytes"` // keys and values that were committed
	FileWritten    int64         `json:"file_written_bytes"`
	LogWritten     int64         `json:"log_written_bytes"`
	// Amplification is bytes that checkpoints wrote for each byte that they merged; keys that were overwritten twice
	// between two checkpoints are merged once. Total is bytes of data file and log for each byte committed.
	Amplification float64           `json:"amplification"`
	Total         float64           `json:"total_amplification"`
	Samples       []OverwriteSample `json:"samples"`
	Checksum      Checksum          `json:"checksum"`
}

// OverwriteSample is a reading, and what was committed since the one before.
type OverwriteSample struct {
	StorageSample
	Commits        int64         `json:"commits"`
	PerSecond      float64       `json:"per_second"`
	Latency        Latency       `json:"latency"`
	AdmissionDelay time.Duration `json:"admission_delay_ns"`
}

// WriteText writes the result as tables.
func (r *OverwriteResult) WriteText(w io.Writer) error {
	title := fmt.Sprintf("overwrite: %s records, %s MiB of data, budget %s MiB, %d writers",
		Count(r.Keys), mebibytes(r.DataBytes), mebibytes(r.Config.MemoryBudget), r.Config.Writers)
	t := newTable(w, title, r.Environment, "s", "commits/s", "p50 µs", "p99 µs", "p99.9 µs", "max µs", "held back ms", "RSS MiB", "file MiB", "in use MiB", "log MiB")
	shown := r.shown()
	step := max((len(shown)+maxSampleRows-1)/maxSampleRows, 1)
	for i := 0; i < len(shown); i += step {
		s := shown[i]
		t.row(seconds(s.At), rate(s.PerSecond), micros(s.Latency.P50), micros(s.Latency.P99), micros(s.Latency.P999), micros(s.Latency.Max),
			s.AdmissionDelay.Milliseconds(), mebibytes(s.RSS), mebibytes(s.FileBytes), mebibytes(s.LiveBytes), mebibytes(s.LogBytes))
	}
	if err := t.flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s commits in %s s, %s/s; p50 %s µs, p99 %s µs, p99.9 %s µs, max %s µs\n"+
		"%d pauses of more than %v, longest time without a commit %v; %d commits took longer; held back %v in all\n"+
		"write amplification %.2f by checkpoints, %.2f with log for each byte committed (%s MiB committed, %s MiB to the file, %s MiB to the log)\n"+
		"RSS: baseline %s MiB, peak %s MiB = baseline + %.2f budgets; checksum %v\n",
		Count(r.Commits), seconds(r.Elapsed), rate(r.PerSecond), micros(r.Latency.P50), micros(r.Latency.P99), micros(r.Latency.P999),
		micros(r.Latency.Max), r.Pauses, pauseLimit, r.LongestPause.Round(time.Millisecond), r.SlowCommits, r.AdmissionDelay.Round(time.Millisecond),
		r.Amplification, r.Total, mebibytes(r.PayloadBytes), mebibytes(r.FileWritten), mebibytes(r.LogWritten),
		mebibytes(r.Baseline), mebibytes(r.Peak), per(float64(r.Peak-r.Baseline), float64(r.Config.MemoryBudget)), r.Checksum)
	return err
}

// Overwrite measures steady overwriting.
func Overwrite(ctx context.Context, cfg OverwriteConfig) (*OverwriteResult, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := reservePlot(cfg.Plot); err != nil {
		return nil, err
	}
	res := &OverwriteResult{Workload: "overwrite", Environment: NewEnvironment(cfg.Dir), Config: cfg, Keys: cfg.keys()}
	res.DataBytes = res.Keys * int64(gen.KeySize+cfg.ValueSize)
	o := &overwriting{res: res, meter: newMeter(), versions: make([]uint32, res.Keys)}
	clear(o.versions) // touches the pages, which are the workload's own memory
	debug.FreeOSMemory()
	res.Baseline = residentBytes()
	err := cfg.inScratch("overwrite", func(dir string) error {
		return withStore(ctx, dir, cfg.options(), func(s *store) error {
			o.store = s
			return o.measure(ctx)
		})
	})
	if err != nil {
		return nil, err
	}
	return res, drawPlot(cfg.Plot, res.panels()...)
}

func (s OverwriteSample) at() time.Duration { return s.At }

func (r *OverwriteResult) shown() []OverwriteSample {
	return whole(r.Samples, r.Config.Every, OverwriteSample.at)
}

func (r *OverwriteResult) panels() []panel {
	shown := r.shown()
	lines := func(name string, value func(OverwriteSample) float64) curve {
		return curveOf(name, shown, OverwriteSample.at, value)
	}
	storage := make([]StorageSample, len(shown))
	for i, s := range shown {
		storage[i] = s.StorageSample
	}
	return []panel{
		{title: "throughput", unit: "commits/s", curves: []curve{lines("commits", func(s OverwriteSample) float64 { return s.PerSecond })}},
		{title: "latency of a commit", unit: "ms", curves: []curve{
			lines("p99.9", func(s OverwriteSample) float64 { return s.Latency.P999 / 1e3 }),
			lines("p99", func(s OverwriteSample) float64 { return s.Latency.P99 / 1e3 }),
		}},
		sizePanel("files", storage), memoryPanel(storage),
	}
}
