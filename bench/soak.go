package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// SoakConfig configures the soak workload: a mixed load on one graph database for a long time. Its data do not grow, so
// nothing else may.
type SoakConfig struct {
	Common                  // MemoryBudget: default 64 MiB
	Curves                  // Every: default 1 s
	Duration  time.Duration `json:"duration_ns"` // default 5 min
	Records   int64         `json:"records"`     // read, written and deleted at random; default 100,000
	Accounts  int64         `json:"accounts"`    // that money moves between; default 10,000
	LargeRows int64         `json:"large_rows"`  // that one transaction overwrites now and then; default 50,000
	ValueSize int           `json:"value_size"`  // bytes of a record; default 100
	HubEdges  int           `json:"hub_edges"`   // that each of two writers keeps at one node; default 2,000
}

func (c SoakConfig) withDefaults() SoakConfig {
	setDefault(&c.MemoryBudget, mvcc.DefaultMemoryBudget)
	setDefault(&c.Every, time.Second)
	setDefault(&c.Duration, 5*time.Minute)
	setDefault(&c.Records, 100_000)
	setDefault(&c.Accounts, 10_000)
	setDefault(&c.LargeRows, 50_000)
	setDefault(&c.ValueSize, 100)
	setDefault(&c.HubEdges, 2000)
	return c
}

func (c *SoakConfig) validate() error {
	return errors.Join(c.Curves.validate(), atLeast("Duration", int64(c.Duration), 1), atLeast("Records", c.Records, 100),
		atLeast("Accounts", c.Accounts, 2), atLeast("LargeRows", c.LargeRows, 1), atLeast("ValueSize", c.ValueSize, gen.MinValueSize),
		atLeast("HubEdges", c.HubEdges, 1))
}

// retained is how long the past stays readable: long enough to look at it, short enough to see history being pruned.
func (c *SoakConfig) retained() time.Duration { return min(c.Duration/4, 10*time.Second) }

// SoakResult is the outcome of the soak workload.
type SoakResult struct {
	Workload    string       `json:"workload"`
	Environment Environment  `json:"environment"`
	Config      SoakConfig   `json:"config"`
	Baseline    int64        `json:"baseline_rss_bytes"`
	Rows        []SoakRow    `json:"rows"`
	Samples     []SoakSample `json:"samples"`
	Bounds      []Bound      `json:"bounds"`
	// Retries, Deadlocks and Spills are the engine's counts.
	Retries   int64 `json:"retries"`
	Deadlocks int64 `json:"deadlocks"`
	Spills    int64 `json:"spills"`
	// Checksum is of all records, accounts and edges at the end.
	Checksum Checksum `json:"checksum"`
}

// SoakRow is one kind of operation.
type SoakRow struct {
	Kind    string  `json:"kind"`
	Ops     int64   `json:"ops"`
	Latency Latency `json:"latency"`
}

// SoakSample is a reading, and the operations since the one before.
type SoakSample struct {
	StorageSample
	Reads     int64   `json:"reads"`
	Read      Latency `json:"read_latency"`
	Writes    int64   `json:"writes"`
	Write     Latency `json:"write_latency"`
	Retries   int64   `json:"retries"`   // since the database was opened
	Deadlocks int64   `json:"deadlocks"` // since the database was opened
}

// WriteText writes the result as tables.
func (r *SoakResult) WriteText(w io.Writer) error {
	title := fmt.Sprintf("soak: %v, budget %s MiB", r.Config.Duration, mebibytes(r.Config.MemoryBudget))
	t := newTable(w, title, r.Environment, "s", "reads", "writes", "read p99 µs", "write p99 µs", "file MiB", "in use MiB", "log MiB",
		"history", "versions MiB", "RSS MiB", "heap MiB", "goroutines")
	shown := r.shown()
	step := max((len(shown)+maxSampleRows-1)/maxSampleRows, 1)
	for i := 0; i < len(shown); i += step {
		s := shown[i]
		t.row(seconds(s.At), Count(s.Reads), Count(s.Writes), micros(s.Read.P99), micros(s.Write.P99), mebibytes(s.FileBytes),
			mebibytes(s.LiveBytes), mebibytes(s.LogBytes), Count(s.History), mebibytes(s.Versions), mebibytes(s.RSS), mebibytes(s.Heap), s.Goroutines)
	}
	if err := t.flush(); err != nil {
		return err
	}
	rows := newTable(w, "operations", r.Environment, "kind", "ops", "p50 µs", "p99 µs", "p99.9 µs", "max µs")
	for _, row := range r.Rows {
		rows.row(row.Kind, Count(row.Ops), micros(row.Latency.P50), micros(row.Latency.P99), micros(row.Latency.P999), micros(row.Latency.Max))
	}
	if err := rows.flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s retries, %s deadlocks, %s write sets spilled; every audit passed; checksum %v\n",
		Count(r.Retries), Count(r.Deadlocks), Count(r.Spills), r.Checksum)
	return errors.Join(err, writeBounds(w, r.Bounds))
}

// Soak runs everything at once and watches. It returns an error as soon as an answer is wrong, and the result and a
// *BoundError when something grew that should not.
func Soak(ctx context.Context, cfg SoakConfig) (*SoakResult, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := reservePlot(cfg.Plot); err != nil {
		return nil, err
	}
	res := &SoakResult{Workload: "soak", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	debug.FreeOSMemory()
	res.Baseline = residentBytes()
	goroutines := runtime.NumGoroutine()
	err := cfg.inScratch("soak", func(dir string) error { return res.run(ctx, dir) })
	err = errors.Join(err, drawPlot(cfg.Plot, res.panels()...)) // of what there is: it helps to see how a failure began
	if err != nil {
		return nil, err
	}
	res.bound(goroutines)
	return res, brokenBounds(res.Bounds)
}

func (r *SoakResult) run(ctx context.Context, dir string) (err error) {
	opts := r.Config.options()
	opts.Retain.Duration = r.Config.retained()
	db, err := graph.Open(databasePath(dir), &graph.Options{Options: *opts})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	r.Config.note("soak: loading")
	s, err := newSoak(ctx, db, r.Config)
	if err != nil {
		return err
	}
	samples := sampleEvery(r.Config.Every, s.sample)
	r.Config.note("soak: everything at once for %v", r.Config.Duration)
	err = s.work(ctx)
	r.Samples = samples.stop()
	if err != nil {
		return err
	}
	m := db.Store().Metrics()
	r.Retries, r.Deadlocks, r.Spills = m.Retries, m.Deadlocks, m.Spills
	for _, k := range s.kinds() {
		row := SoakRow{Kind: k.name}
		row.Ops, row.Latency = k.meter.all()
		r.Rows = append(r.Rows, row)
	}
	r.Config.note("soak: reading everything back")
	r.Checksum, err = s.audit(ctx)
	return err
}

func (s SoakSample) at() time.Duration { return s.At }

func (r *SoakResult) shown() []SoakSample { return whole(r.Samples, r.Config.Every, SoakSample.at) }

func (r *SoakResult) panels() []panel {
	shown := r.shown()
	if len(shown) == 0 {
		return []panel{{title: "nothing was sampled"}}
	}
	storage := make([]StorageSample, len(shown))
	for i, s := range shown {
		storage[i] = s.StorageSample
	}
	lines := func(name string, value func(SoakSample) float64) curve {
		return curveOf(name, shown, SoakSample.at, value)
	}
	return []panel{
		{title: "operations in each period", unit: "thousand", curves: []curve{
			lines("reads", func(s SoakSample) float64 { return float64(s.Reads) / 1e3 }),
			lines("writes", func(s SoakSample) float64 { return float64(s.Writes) / 1e3 }),
		}},
		{title: "99th percentiles", unit: "ms", curves: []curve{
			lines("read", func(s SoakSample) float64 { return s.Read.P99 / 1e3 }),
			lines("write", func(s SoakSample) float64 { return s.Write.P99 / 1e3 }),
		}},
		sizePanel("files", storage), historyPanel(storage), memoryPanel(storage),
		{title: "goroutines", curves: []curve{
			storageCurve("goroutines", storage, func(s StorageSample) float64 { return float64(s.Goroutines) }),
		}},
	}
}
