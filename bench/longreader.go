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

// LongReaderConfig configures the longreader workload: one snapshot stays open while the whole database is overwritten
// several times, in random order.
type LongReaderConfig struct {
	Common          // MemoryBudget: default 64 MiB
	Curves          // Every: default 250 ms
	Records   int64 `json:"records"`    // default 1,000,000
	ValueSize int   `json:"value_size"` // bytes; default 100
	Rounds    int   `json:"rounds"`     // times that every record is overwritten; default 10
	Writers   int   `json:"writers"`    // default 4
}

func (c LongReaderConfig) withDefaults() LongReaderConfig {
	setDefault(&c.MemoryBudget, mvcc.DefaultMemoryBudget)
	setDefault(&c.Every, defaultEvery)
	setDefault(&c.Records, 1_000_000)
	setDefault(&c.ValueSize, 100)
	setDefault(&c.Rounds, 10)
	setDefault(&c.Writers, 4)
	return c
}

func (c *LongReaderConfig) validate() error {
	return errors.Join(c.Curves.validate(), atLeast("Records", c.Records, 1), atLeast("ValueSize", c.ValueSize, gen.MinValueSize),
		atLeast("Rounds", c.Rounds, 1), atLeast("Writers", c.Writers, 1))
}

// LongReaderResult is the outcome of the longreader workload.
type LongReaderResult struct {
	Workload    string           `json:"workload"`
	Environment Environment      `json:"environment"`
	Config      LongReaderConfig `json:"config"`
	// Loaded, Overwritten, Settled and Closed are readings after the load, after the last overwrite, after the
	// checkpoints that followed it with the reader still open, and at the end.
	Loaded      StorageSample `json:"loaded"`
	Overwritten StorageSample `json:"overwritten"`
	Settled     StorageSample `json:"settled"`
	Closed      StorageSample `json:"closed"`
	// LiveData and HistoryData are the keys and values of all records, and of one superseded version of each as the
	// history tree writes it, both without pages: what a file must have at least while the reader is open.
	LiveData    int64         `json:"live_data_bytes"`
	HistoryData int64         `json:"history_data_bytes"`
	PointReads  int64         `json:"point_reads"` // of the reader, each compared
	Elapsed     time.Duration `json:"elapsed_ns"`  // of the overwrites
	PerSecond   float64       `json:"overwrites_per_second"`
	FileWritten int64         `json:"file_written_bytes"` // by the overwrites
	// Drained is how many checkpoints after the reader's end removed the last version of the history, and Shrunk how
	// many until the file stopped shrinking.
	Drained int             `json:"checkpoints_until_no_history"`
	Shrunk  int             `json:"checkpoints_until_shrunk"`
	Bounds  []Bound         `json:"bounds"`
	Samples []StorageSample `json:"samples"`
	// ReaderSum is the checksum of what the reader saw, before and after; Checksum that of the newest versions.
	ReaderSum Checksum `json:"reader_checksum"`
	Checksum  Checksum `json:"checksum"`
}

// WriteText writes the result as tables.
func (r *LongReaderResult) WriteText(w io.Writer) error {
	title := fmt.Sprintf("longreader: %s records of %d + %d bytes, overwritten %d times by %d writers",
		Count(r.Config.Records), gen.KeySize, r.Config.ValueSize, r.Config.Rounds, r.Config.Writers)
	t := newTable(w, title, r.Environment, storageColumns...)
	for _, row := range []struct {
		name string
		s    StorageSample
	}{{"loaded", r.Loaded}, {"overwritten", r.Overwritten}, {"settled", r.Settled}, {"reader closed", r.Closed}} {
		t.row(storageCells(row.name, row.s)...)
	}
	if err := t.flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "keys and values %s MiB, one old version of each %s MiB; highest: file %s MiB, log %s MiB, RSS %s MiB\n"+
		"%s overwrites/s for %s s, %s MiB written to the file; %s point reads by the reader\n"+
		"history gone after %d checkpoints, file shrunk after %d; checksum %v of the reader, %v at the end\n",
		mebibytes(r.LiveData), mebibytes(r.HistoryData),
		mebibytes(highest(r.Samples, func(s StorageSample) int64 { return s.FileBytes })),
		mebibytes(highest(r.Samples, func(s StorageSample) int64 { return s.LogBytes })),
		mebibytes(highest(r.Samples, func(s StorageSample) int64 { return s.RSS })),
		rate(r.PerSecond), seconds(r.Elapsed), mebibytes(r.FileWritten), Count(r.PointReads),
		r.Drained, r.Shrunk, r.ReaderSum, r.Checksum)
	return errors.Join(err, writeBounds(w, r.Bounds))
}

var storageColumns = []string{"", "file MiB", "in use MiB", "log MiB", "history", "oldest s", "oldest", "RSS MiB", "checkpoints"}

func storageCells(name string, s StorageSample) []any {
	return []any{name, mebibytes(s.FileBytes), mebibytes(s.LiveBytes), mebibytes(s.LogBytes), Count(s.History),
		seconds(s.OldestAge), s.OldestLabel, mebibytes(s.RSS), s.Checkpoints}
}

// LongReader shows what an open snapshot costs, and that it costs nothing once it is closed. It returns the result and
// a *BoundError when the files were larger than they may be.
func LongReader(ctx context.Context, cfg LongReaderConfig) (*LongReaderResult, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := reservePlot(cfg.Plot); err != nil {
		return nil, err
	}
	res := &LongReaderResult{Workload: "longreader", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	err := cfg.inScratch("longreader", func(dir string) error {
		return withStore(ctx, dir, cfg.options(), func(s *store) error { return res.measure(ctx, s) })
	})
	if err != nil {
		return nil, err
	}
	return res, errors.Join(drawPlot(cfg.Plot, sizePanel("files", res.Samples), historyPanel(res.Samples), memoryPanel(res.Samples)),
		brokenBounds(res.Bounds))
}

func (r *LongReaderResult) measure(ctx context.Context, s *store) error {
	r.Config.note("longreader: loading %s records", Count(r.Config.Records))
	want, err := s.load(ctx, uint64(r.Config.Records), r.Config.ValueSize)
	if err != nil {
		return err
	}
	if _, _, err := s.settle(ctx, 0, r.Config.ValueSize); err != nil {
		return err
	}
	r.Loaded = readStorage(s.db, 0)
	curves := watch(s.db, r.Config.Every)
	err = r.overwriteBeside(ctx, s, want)
	if err == nil {
		err = r.drain(ctx, s)
	}
	r.Samples = curves.stop()
	if err != nil {
		return err
	}
	r.bound()
	return s.audit(ctx, r.Config.Records, r.Checksum)
}

// overwriteBeside overwrites everything while the reader is open, and compares what it sees.
func (r *LongReaderResult) overwriteBeside(ctx context.Context, s *store, want Checksum) (err error) {
	tx, err := s.db.Begin(ctx, &mvcc.TxnOptions{ReadOnly: true, Label: "long reader"})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	r.Config.note("longreader: the reader looks at everything")
	if r.ReaderSum, err = s.auditReader(tx, r.Config.Records, want); err != nil {
		return err
	}
	reads := newBeside()
	reads.loop(pointReadsEvery, func() error { return r.pointReads(tx, s) })
	r.Config.note("longreader: overwriting everything %d times", r.Config.Rounds)
	before := s.db.Metrics()
	start := time.Now()
	err = r.overwrite(ctx, s)
	r.Elapsed = time.Since(start)
	if err = errors.Join(err, reads.stop()); err != nil {
		return err
	}
	r.Overwritten = readStorage(s.db, r.Elapsed)
	r.PerSecond = float64(r.Config.Records) * float64(r.Config.Rounds) / r.Elapsed.Seconds()
	r.FileWritten = s.db.Metrics().Pages.WrittenBytes - before.Pages.WrittenBytes
	if _, _, err := s.settle(ctx, uint64(r.Config.Rounds), r.Config.ValueSize); err != nil {
		return err
	}
	r.Settled = readStorage(s.db, r.Elapsed)
	r.Config.note("longreader: the reader looks at everything again")
	_, err = s.auditReader(tx, r.Config.Records, want)
	return err
}

// auditReader compares all that a transaction sees with what was there when it began.
func (s *store) auditReader(tx *mvcc.Txn, keys int64, want Checksum) (sum Checksum, err error) {
	var found int64
	for item, err := range tx.Scan(s.ks, mvcc.Range{}) {
		if err != nil {
			return 0, err
		}
		found++
		sum.Add(item.Key, item.Value)
	}
	if found != keys || sum != want {
		return sum, &AuditError{Keys: found, WantKeys: keys, Sum: sum, WantSum: want}
	}
	return sum, nil
}

// overwrite gives each record its next versions. The rounds follow each other, so no version overtakes another.
func (r *LongReaderResult) overwrite(ctx context.Context, s *store) error {
	batches := (r.Config.Records + loadBatch - 1) / loadBatch
	for round := 1; round <= r.Config.Rounds; round++ {
		_, err := closed(ctx, r.Config.Writers, Limit{Ops: batches}, func(ctx context.Context, worker int, seq uint64) (Checksum, error) {
			lo := (seq*uint64(r.Config.Writers) + uint64(worker)) * loadBatch
			batch := make([]uint64, 0, loadBatch)
			for n := lo; n < min(lo+loadBatch, uint64(r.Config.Records)); n++ {
				batch = append(batch, n)
			}
			return 0, s.putVersion(ctx, batch, uint64(round), r.Config.ValueSize)
		})
		if err != nil {
			return err
		}
	}
	for n := range uint64(r.Config.Records) {
		r.Checksum.Add(recordOf(n, uint64(r.Config.Rounds), r.Config.ValueSize))
	}
	return nil
}

func recordOf(n, version uint64, valueSize int) (key, value []byte) {
	var rec gen.Record
	rec.Set(n, version, valueSize)
	return rec.Key, rec.Value
}
