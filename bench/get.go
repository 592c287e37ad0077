package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// GetConfig configures the get workload: reads of random keys that are all in memory.
type GetConfig struct {
	Common
	Keys      int64 `json:"keys"`       // default 1,000,000
	ValueSize int   `json:"value_size"` // bytes, at least 8; default 100
	Readers   []int `json:"readers"`    // concurrent readers; default 1 and the number of CPUs
	// Limit ends each row, in reads; default 1 s.
	Limit Limit `json:"limit"`
}

func (c GetConfig) withDefaults() GetConfig {
	setDefault(&c.Keys, 1_000_000)
	setDefault(&c.ValueSize, 100)
	if len(c.Readers) == 0 {
		c.Readers = []int{1}
		if n := runtime.GOMAXPROCS(0); n > 1 {
			c.Readers = append(c.Readers, n)
		}
	}
	setDefault(&c.MemoryBudget, budgetFor(c.Keys, c.ValueSize))
	c.Limit = orDuration(c.Limit, time.Second)
	return c
}

func (c *GetConfig) validate() error {
	return errors.Join(atLeast("Keys", c.Keys, 1), atLeast("ValueSize", c.ValueSize, gen.MinValueSize), allPositive("Readers", c.Readers))
}

// GetResult is the outcome of the get workload.
type GetResult struct {
	Workload    string      `json:"workload"`
	Environment Environment `json:"environment"`
	Config      GetConfig   `json:"config"`
	Rows        []GetRow    `json:"rows"`
}

// Where the records that a workload reads are.
const (
	// FromVersions means committed, not yet checkpointed.
	FromVersions = "versions"
	// FromPages means in cached pages of the data file.
	FromPages = "pages"
	// FromBoth means that the memory budget was too small to keep all records as versions.
	FromBoth = "both"
	// FromMixed means that all are in pages, and every second one is overwritten by a version.
	FromMixed = "mixed"
)

// source says where n records are.
func (s *store) source(n int64) string {
	switch m := s.db.Metrics(); {
	case m.VersionKeys == 0:
		return FromPages
	case m.Checkpoints > 0 || m.VersionKeys < n:
		return FromBoth
	}
	return FromVersions
}

// GetRow is the cost of a read in one setting.
type GetRow struct {
	Source       string  `json:"source"`
	ReadsPerTxn  int     `json:"reads_per_txn"`
	Readers      int     `json:"readers"`
	Reads        int64   `json:"reads"`
	NsPerRead    float64 `json:"ns_per_read"` // of one reader's time
	PerSecond    float64 `json:"per_second"`  // of all readers
	AllocPerRead float64 `json:"allocs_per_read"`
	// BytesPerRead counts allocated bytes.
	BytesPerRead float64  `json:"alloc_bytes_per_read"`
	Checksum     Checksum `json:"checksum"`
}

// WriteText writes the result as a table.
func (r *GetResult) WriteText(w io.Writer) error {
	t := newTable(w, fmt.Sprintf("get: %s keys of %d + %d bytes, cached", Count(r.Config.Keys), gen.KeySize, r.Config.ValueSize), r.Environment,
		"source", "reads/txn", "readers", "reads", "ns/read", "reads/s", "allocs/read", "B/read", "checksum")
	for _, row := range r.Rows {
		t.row(row.Source, Count(int64(row.ReadsPerTxn)), row.Readers, Count(row.Reads), micros(row.NsPerRead), rate(row.PerSecond),
			ratio(row.AllocPerRead), micros(row.BytesPerRead), row.Checksum)
	}
	return t.flush()
}

// Get measures the cost of a point read, its transaction included.
func Get(ctx context.Context, cfg GetConfig) (*GetResult, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	res := &GetResult{Workload: "get", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	return res, cfg.inScratch("get", func(dir string) error {
		return withStore(ctx, dir, cfg.options(), func(s *store) error {
			return res.measure(ctx, s)
		})
	})
}

func (r *GetResult) measure(ctx context.Context, s *store) error {
	r.Config.note("get: loading %s keys", Count(r.Config.Keys))
	sum, err := s.load(ctx, uint64(r.Config.Keys), r.Config.ValueSize)
	if err != nil {
		return err
	}
	if err := r.rows(ctx, s); err != nil {
		return err
	}
	if err := s.db.Checkpoint(ctx); err != nil {
		return err
	}
	// The audit brings every page into the cache.
	if err := s.audit(ctx, r.Config.Keys, sum); err != nil {
		return err
	}
	return r.rows(ctx, s)
}

// readsPerTxn are the transaction sizes that the workload measures.
var readsPerTxn = [...]int{1, 1000}

func (r *GetResult) rows(ctx context.Context, s *store) error {
	source := s.source(r.Config.Keys)
	for _, perTxn := range readsPerTxn {
		for _, readers := range r.Config.Readers {
			r.Config.note("get: %s, %d reads per transaction, %d readers", source, perTxn, readers)
			row, err := s.getRow(ctx, r.Config, perTxn, readers)
			if err != nil {
				return err
			}
			row.Source = source
			r.Rows = append(r.Rows, row)
		}
	}
	return nil
}

// getChunk is the number of reads between two looks at the clock.
const getChunk = 1000

func (s *store) getRow(ctx context.Context, cfg GetConfig, perTxn, readers int) (GetRow, error) {
	limit := cfg.Limit
	if limit.Ops > 0 {
		limit.Ops = max(limit.Ops/getChunk, 1)
	}
	do := s.getSome(readers, perTxn, uint64(cfg.Keys))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := closed(ctx, readers, limit, do)
	runtime.ReadMemStats(&after)
	reads := m.Ops * getChunk
	return GetRow{
		ReadsPerTxn: perTxn, Readers: readers, Reads: reads,
		NsPerRead:    per(float64(m.Elapsed.Nanoseconds())*float64(readers), float64(reads)),
		PerSecond:    per(float64(reads), m.Elapsed.Seconds()),
		AllocPerRead: per(float64(after.Mallocs-before.Mallocs), float64(reads)),
		BytesPerRead: per(float64(after.TotalAlloc-before.TotalAlloc), float64(reads)),
		Checksum:     m.Sum,
	}, err
}

// reader is the state of one reading goroutine.
type reader struct {
	s     *store
	keys  uint64
	reads int // per transaction
	next  uint64
	key   []byte
	buf   []byte
	sum   Checksum
	fn    func(*mvcc.Txn) error // body, kept so that a transaction allocates no closure
}

// body reads random keys and compares the heads of their values with what they must be.
func (r *reader) body(tx *mvcc.Txn) (err error) {
	for range r.reads {
		r.next = gen.Mix(r.next)
		n := r.next % r.keys
		r.key = gen.AppendKey(r.key[:0], n)
		if r.buf, err = tx.Append(r.s.ks, r.buf[:0], r.key); err != nil {
			return err
		}
		head := binary.LittleEndian.Uint64(r.buf)
		if want := gen.ValueHead(n, 0); head != want {
			return fmt.Errorf("bench: the value of record %d begins with %#x, want %#x", n, head, want)
		}
		r.sum += Checksum(head)
	}
	return nil
}

// getSome returns an operation of getChunk reads.
func (s *store) getSome(readers, perTxn int, keys uint64) work {
	states := make([]*reader, readers)
	for i := range states {
		r := &reader{s: s, keys: keys, reads: perTxn, next: uint64(i)}
		r.fn = r.body
		states[i] = r
	}
	return func(ctx context.Context, worker int, _ uint64) (Checksum, error) {
		r := states[worker]
		r.sum = 0
		for range getChunk / perTxn {
			if err := s.db.View(ctx, r.fn); err != nil {
				return 0, err
			}
		}
		return r.sum, nil
	}
}
