package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// Common is the part that every workload's configuration has.
type Common struct {
	// Dir is where the workload makes its scratch directory; empty is the
	// system's directory for temporary files. Figures that include syncs
	// mean something only on a real disk.
	Dir string `json:"dir,omitempty"`
	// MemoryBudget is mvcc.Options.MemoryBudget, in bytes. 0 is what the workload needs.
	MemoryBudget int64 `json:"memory_budget_bytes"`
	// PageSize is mvcc.Options.PageSize, in bytes. 0 is the engine's default.
	PageSize int `json:"page_size_bytes,omitempty"`
	// Note, when not nil, is told what happens next. It is called by the goroutine that called Run.
	Note func(string) `json:"-"`
}

func (c *Common) note(format string, args ...any) {
	if c.Note != nil {
		c.Note(fmt.Sprintf(format, args...))
	}
}

// inScratch calls fn with a fresh directory and removes it afterwards (B3).
func (c *Common) inScratch(workload string, fn func(dir string) error) (err error) {
	dir, err := os.MkdirTemp(c.Dir, "sombra-bench-"+workload+"-*")
	if err != nil {
		return fmt.Errorf("bench: make a scratch directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return fn(dir)
}

func (c *Common) options() *mvcc.Options {
	return &mvcc.Options{MemoryBudget: c.MemoryBudget, PageSize: c.PageSize}
}

// store is an open database with the one keyspace that a workload uses.
type store struct {
	db *mvcc.DB
	ks *mvcc.Keyspace
}

func openStore(ctx context.Context, dir string, opts *mvcc.Options) (*store, error) {
	db, err := mvcc.Open(databasePath(dir), opts)
	if err != nil {
		return nil, err
	}
	ks, err := db.Keyspace(ctx, keyspaceName)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &store{db: db, ks: ks}, nil
}

// keyspaceName is that of the one keyspace of a store.
const keyspaceName = "bench"

func databasePath(dir string) string { return filepath.Join(dir, "bench.db") }

// withStore opens a database in dir, calls fn and closes it.
func withStore(ctx context.Context, dir string, opts *mvcc.Options, fn func(*store) error) (err error) {
	s, err := openStore(ctx, dir, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.db.Close()) }()
	return fn(s)
}

// loadBatch is the number of keys in one transaction of a load.
const loadBatch = 1000

// load puts the records [0, n) with version 0 and returns their checksum.
func (s *store) load(ctx context.Context, n uint64, valueSize int) (Checksum, error) {
	var sum Checksum
	for lo := uint64(0); lo < n; lo += loadBatch {
		batch, err := s.putAll(ctx, lo, min(lo+loadBatch, n), valueSize)
		if err != nil {
			return 0, err
		}
		sum += batch
	}
	return sum, nil
}

func (s *store) putAll(ctx context.Context, lo, hi uint64, valueSize int) (Checksum, error) {
	var sum Checksum
	err := s.db.Update(ctx, func(tx *mvcc.Txn) error {
		var rec gen.Record
		sum = 0
		for n := lo; n < hi; n++ {
			rec.Set(n, 0, valueSize)
			sum.Add(rec.Key, rec.Value)
			if err := tx.Put(s.ks, rec.Key, rec.Value); err != nil {
				return err
			}
		}
		return nil
	})
	return sum, err
}

// sum reads everything back.
func (s *store) sum(ctx context.Context) (keys int64, sum Checksum, err error) {
	err = s.db.View(ctx, func(tx *mvcc.Txn) error {
		for item, err := range tx.Scan(s.ks, mvcc.Range{}) {
			if err != nil {
				return err
			}
			keys++
			sum.Add(item.Key, item.Value)
		}
		return nil
	})
	return keys, sum, err
}

// audit compares what the database holds with what was acknowledged (B2).
func (s *store) audit(ctx context.Context, keys int64, want Checksum) error {
	gotKeys, got, err := s.sum(ctx)
	if err != nil {
		return err
	}
	if gotKeys != keys || got != want {
		return &AuditError{Keys: gotKeys, WantKeys: keys, Sum: got, WantSum: want}
	}
	return nil
}

// AuditError reports that the database does not hold what the workload wrote:
// its figures mean nothing, and the engine has a fault.
type AuditError struct {
	Keys, WantKeys int64
	Sum, WantSum   Checksum
}

func (e *AuditError) Error() string {
	return fmt.Sprintf("bench: audit failed: %d keys with checksum %v were read back, want %d with %v",
		e.Keys, e.Sum, e.WantKeys, e.WantSum)
}
