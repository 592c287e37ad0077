package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// MemoryConfig configures the memory workload: random reads and overwrites in a
// database that is several times as large as its memory budget.
type MemoryConfig struct {
	Common            // MemoryBudget: default 64 MiB
	Times     int     `json:"times"`      // size of the data as a multiple of the budget; default 5
	ValueSize int     `json:"value_size"` // bytes, at least 8; default 400
	Workers   int     `json:"workers"`    // default 4
	Writes    float64 `json:"writes"`     // share of operations that overwrite; default 0.2
	// Limit ends the measurement; default 10 s.
	Limit Limit `json:"limit"`
	// Every is the time between two samples; default a twentieth of the duration, or 100 ms.
	Every time.Duration `json:"sample_every_ns"`
}

func (c MemoryConfig) withDefaults() MemoryConfig {
	setDefault(&c.MemoryBudget, mvcc.DefaultMemoryBudget)
	setDefault(&c.Times, 5)
	setDefault(&c.ValueSize, 400)
	setDefault(&c.Workers, 4)
	setDefault(&c.Writes, 0.2)
	c.Limit = orDuration(c.Limit, 10*time.Second)
	c.Limit.Cold = true // the samples show how it warms up
	setDefault(&c.Every, c.Limit.Duration/20)
	setDefault(&c.Every, 100*time.Millisecond)
	return c
}

func (c *MemoryConfig) validate() error {
	err := errors.Join(atLeast("Times", c.Times, 1), atLeast("ValueSize", c.ValueSize, gen.MinValueSize), atLeast("Workers", c.Workers, 1))
	if c.Writes < 0 || c.Writes > 1 {
		err = errors.Join(err, &ConfigError{Field: "Writes", Value: c.Writes, Want: "a share from 0 to 1"})
	}
	return err
}

func (c *MemoryConfig) keys() int64 {
	return c.MemoryBudget * int64(c.Times) / int64(gen.KeySize+c.ValueSize)
}

// MemoryResult is the outcome of the memory workload.
type MemoryResult struct {
	Workload    string       `json:"workload"`
	Environment Environment  `json:"environment"`
	Config      MemoryConfig `json:"config"`
	Keys        int64        `json:"keys"`
	DataBytes   int64        `json:"data_bytes"` // keys and values
	// Baseline is the process's resident memory before the database was opened.
	Baseline int64 `json:"baseline_rss_bytes"`
	// LoadPeak and Peak are the highest readings of the load and of the measurement.
	LoadPeak  int64          `json:"load_peak_rss_bytes"`
	Peak      int64          `json:"peak_rss_bytes"`
	Samples   []MemorySample `json:"samples"`
	Ops       int64          `json:"ops"`
	Overwrote int64          `json:"overwrites"`
	PerSecond float64        `json:"per_second"`
	Latency   Latency        `json:"latency"`
	// Reads are page reads from the file for each operation, checkpoints' included.
	Reads    float64  `json:"page_reads_per_op"`
	Checksum Checksum `json:"checksum"`
}

// MemorySample is one reading.
type MemorySample struct {
	At       time.Duration `json:"at_ns"`
	RSS      int64         `json:"rss_bytes"`
	Heap     int64         `json:"heap_bytes"` // live and dead objects of the Go heap
	Versions int64         `json:"version_bytes"`
	Cache    int64         `json:"cache_bytes"`
}

// overBudget is the growth of the process over the database's budget.
func (r *MemoryResult) overBudget(rss int64) float64 {
	return per(float64(rss-r.Baseline), float64(r.Config.MemoryBudget))
}

// maxSampleRows is the most samples that the table shows; JSON has them all.
const maxSampleRows = 12

// WriteText writes the result as tables.
func (r *MemoryResult) WriteText(w io.Writer) error {
	title := fmt.Sprintf("memory: %s MiB of data, budget %s MiB", mebibytes(r.DataBytes), mebibytes(r.Config.MemoryBudget))
	t := newTable(w, title, r.Environment, "s", "RSS MiB", "above baseline / budget", "heap MiB", "versions MiB", "cache MiB")
	step := max((len(r.Samples)+maxSampleRows-1)/maxSampleRows, 1)
	for i := 0; i < len(r.Samples); i += step {
		s := r.Samples[i]
		t.row(seconds(s.At), mebibytes(s.RSS), ratio(r.overBudget(s.RSS)), mebibytes(s.Heap), mebibytes(s.Versions), mebibytes(s.Cache))
	}
	if err := t.flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "baseline %s MiB, peak while loading %s MiB, peak %s MiB = baseline + %.2f budgets\n"+
		"%s operations (%s overwrites), %s/s, p50 %s µs, p99 %s µs, %.2f page reads/op, checksum %v\n",
		mebibytes(r.Baseline), mebibytes(r.LoadPeak), mebibytes(r.Peak), r.overBudget(r.Peak),
		Count(r.Ops), Count(r.Overwrote), rate(r.PerSecond), micros(r.Latency.P50), micros(r.Latency.P99), r.Reads, r.Checksum)
	return err
}

// Memory measures how much memory a large database takes.
func Memory(ctx context.Context, cfg MemoryConfig) (*MemoryResult, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	res := &MemoryResult{Workload: "memory", Environment: NewEnvironment(cfg.Dir), Config: cfg, Keys: cfg.keys()}
	res.DataBytes = res.Keys * int64(gen.KeySize+cfg.ValueSize)
	debug.FreeOSMemory()
	res.Baseline = residentBytes()
	return res, cfg.inScratch("memory", func(dir string) error {
		return withStore(ctx, dir, cfg.options(), func(s *store) error {
			return res.measure(ctx, s)
		})
	})
}

func (r *MemoryResult) measure(ctx context.Context, s *store) error {
	r.Config.note("memory: loading %s MiB", mebibytes(r.DataBytes))
	load := sampleMemory(s.db, r.Config.Every)
	_, err := s.load(ctx, uint64(r.Keys), r.Config.ValueSize)
	r.LoadPeak = peakOf(load.stop())
	if err != nil {
		return err
	}
	r.Config.note("memory: random reads and overwrites")
	before := s.db.Metrics().Pages
	versions := make([]atomic.Uint32, r.Keys)
	run := sampleMemory(s.db, r.Config.Every)
	m, err := closed(ctx, r.Config.Workers, r.Config.Limit, s.readOrWrite(r, versions))
	r.Samples = run.stop()
	if err != nil {
		return err
	}
	r.summarise(m, before, s.db.Metrics())
	final := make([]uint64, len(versions))
	for i := range versions {
		final[i] = uint64(versions[i].Load())
		r.Overwrote += int64(final[i])
	}
	r.Checksum = sumOf(final, r.Config.ValueSize)
	return s.audit(ctx, r.Keys, r.Checksum)
}
