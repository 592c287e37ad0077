package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/internal/kv"
	"github.com/sombradb/sombra/mvcc"
)

// ScanConfig configures the scan workload: iterations over all keys, and over
// as many in ranges of 100 from random places, cached.
type ScanConfig struct {
	Common
	Keys      int64 `json:"keys"`       // default 1,000,000
	ValueSize int   `json:"value_size"` // bytes; default 100
	Repeat    int   `json:"repeat"`     // scans in each row, the fastest counts; default 3
}

func (c ScanConfig) withDefaults() ScanConfig {
	setDefault(&c.Keys, 1_000_000)
	setDefault(&c.ValueSize, 100)
	setDefault(&c.Repeat, 3)
	setDefault(&c.MemoryBudget, budgetFor(c.Keys, c.ValueSize))
	return c
}

func (c *ScanConfig) validate() error {
	return errors.Join(validKeys(c.Keys), atLeast("ValueSize", c.ValueSize, 0), atLeast("Repeat", c.Repeat, 1))
}

// ScanResult is the outcome of the scan workload.
type ScanResult struct {
	Workload    string      `json:"workload"`
	Environment Environment `json:"environment"`
	Config      ScanConfig  `json:"config"`
	Rows        []ScanRow   `json:"rows"`
}

// ScanRow is the cost of one way to scan.
type ScanRow struct {
	Source      string        `json:"source"` // FromVersions, FromPages, FromBoth or FromMixed
	Kind        string        `json:"kind"`   // scan, reverse, keys, or ranges of 100
	Keys        int64         `json:"keys"`
	Elapsed     time.Duration `json:"elapsed_ns"`
	NsPerKey    float64       `json:"ns_per_key"`
	AllocPerKey float64       `json:"allocs_per_key"`
	Checksum    Checksum      `json:"checksum"`
}

// WriteText writes the result as a table.
func (r *ScanResult) WriteText(w io.Writer) error {
	t := newTable(w, fmt.Sprintf("scan: %s keys of %d + %d bytes, cached", Count(r.Config.Keys), gen.KeySize, r.Config.ValueSize), r.Environment,
		"source", "kind", "keys", "ns/key", "keys/s", "allocs/key", "checksum")
	for _, row := range r.Rows {
		t.row(row.Source, row.Kind, Count(row.Keys), micros(row.NsPerKey), rate(per(1e9, row.NsPerKey)), ratio(row.AllocPerKey), row.Checksum)
	}
	return t.flush()
}

// Scan measures the cost of iterating over a keyspace.
func Scan(ctx context.Context, cfg ScanConfig) (*ScanResult, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	res := &ScanResult{Workload: "scan", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	return res, cfg.inScratch("scan", func(dir string) error {
		return withStore(ctx, dir, cfg.options(), func(s *store) error {
			return res.measure(ctx, s)
		})
	})
}

func (r *ScanResult) measure(ctx context.Context, s *store) error {
	r.Config.note("scan: loading %s keys", Count(r.Config.Keys))
	audit := newScanAudit(r.Config)
	sum, err := s.load(ctx, uint64(r.Config.Keys), r.Config.ValueSize)
	if err != nil {
		return err
	}
	if err := r.rows(ctx, s, audit, s.source(r.Config.Keys), false); err != nil {
		return err
	}
	if err := s.db.Checkpoint(ctx); err != nil {
		return err
	}
	if err := s.audit(ctx, r.Config.Keys, sum); err != nil {
		return err
	}
	if err := r.rows(ctx, s, audit, s.source(r.Config.Keys), false); err != nil {
		return err
	}
	if err := s.renew(ctx, uint64(r.Config.Keys), r.Config.ValueSize); err != nil {
		return err
	}
	return r.rows(ctx, s, audit, FromMixed, true)
}

// renew overwrites every second record.
func (s *store) renew(ctx context.Context, n uint64, valueSize int) error {
	for lo := uint64(0); lo < n; lo += loadBatch {
		err := s.db.Update(ctx, func(tx *mvcc.Txn) error {
			var rec gen.Record
			for k := lo; k < min(lo+loadBatch, n); k += 2 {
				rec.Set(k, 1, valueSize)
				if err := tx.Put(s.ks, rec.Key, rec.Value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// scanKind is one way to iterate. It yields checksums of single records.
type scanKind struct {
	name string
	run  func(tx *mvcc.Txn, ks *mvcc.Keyspace, keys int64) iter.Seq2[mvcc.Item, error]
}

var scanKinds = [...]scanKind{
	{"scan", func(tx *mvcc.Txn, ks *mvcc.Keyspace, _ int64) iter.Seq2[mvcc.Item, error] {
		return tx.Scan(ks, mvcc.Range{})
	}},
	{"reverse", func(tx *mvcc.Txn, ks *mvcc.Keyspace, _ int64) iter.Seq2[mvcc.Item, error] {
		return tx.Reverse(ks, mvcc.Range{})
	}},
	{"keys", keysOnly},
	{"ranges of 100", ranges},
}

// rangeKeys is the length of one range.
const rangeKeys = 100

// ranges reads as many keys as there are, in ranges from random places on. A range that meets the end goes on at the
// start, so that each has its length.
func ranges(tx *mvcc.Txn, ks *mvcc.Keyspace, keys int64) iter.Seq2[mvcc.Item, error] {
	return func(yield func(mvcc.Item, error) bool) {
		for n := uint64(0); keys > 0; n++ {
			left := min(keys, rangeKeys)
			keys -= left
			lo := mvcc.Range{Lo: binary.BigEndian.AppendUint64(nil, gen.Mix(n))}
			for _, part := range [...]mvcc.Range{lo, {}} {
				for item, err := range tx.Scan(ks, part) {
					if left == 0 {
						break
					}
					if !yield(item, err) {
						return
					}
					left--
				}
			}
		}
	}
}

func keysOnly(tx *mvcc.Txn, ks *mvcc.Keyspace, _ int64) iter.Seq2[mvcc.Item, error] {
	return func(yield func(mvcc.Item, error) bool) {
		for key, err := range tx.Keys(ks, mvcc.Range{}) {
			if !yield(mvcc.Item{Key: key}, err) {
				return
			}
		}
	}
}

// rows measures all kinds; renewed tells whether every second record has been overwritten.
func (r *ScanResult) rows(ctx context.Context, s *store, audit *scanAudit, source string, renewed bool) error {
	for _, kind := range scanKinds {
		r.Config.note("scan: %s, %s", source, kind.name)
		var best ScanRow
		for range r.Config.Repeat {
			row, err := s.scanRow(ctx, audit, kind, renewed)
			if err != nil {
				return err
			}
			if best.Keys == 0 || row.Elapsed < best.Elapsed {
				best = row
			}
		}
		best.Source = source
		r.Rows = append(r.Rows, best)
	}
	return nil
}

// scanRow does one scan. The checksum per key is cheap, so that the engine's
// time is what is measured: the sum of the keys' numbers and values' heads.
func (s *store) scanRow(ctx context.Context, audit *scanAudit, kind scanKind, renewed bool) (row ScanRow, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	var sum kv.QuickSum
	err = s.db.View(ctx, func(tx *mvcc.Txn) error {
		for item, err := range kind.run(tx, s.ks, audit.cfg.Keys) {
			if err != nil {
				return err
			}
			sum.Add(item.Key, item.Value)
		}
		return nil
	})
	row.Elapsed = time.Since(start)
	runtime.ReadMemStats(&after)
	if err != nil {
		return row, err
	}
	row.Kind, row.Keys, row.Checksum = kind.name, sum.Keys, Checksum(sum.Sum)
	row.NsPerKey = per(float64(row.Elapsed.Nanoseconds()), float64(row.Keys))
	row.AllocPerKey = per(float64(after.Mallocs-before.Mallocs), float64(row.Keys))
	return row, audit.compare(kind, renewed, row)
}
