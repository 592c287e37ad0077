package fuzz

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

// The features workload is one writer of the ledger that does everything else in between, in random order: transactions
// that spill, bulk loads, checkpoints, compactions, on a database that keeps its past. What is there afterwards is
// verified like this:
//
//	ledger     A1 to A6 and H1 to H5
//	past       as of the timestamp of a commit, exactly the commits up to it are there, with all that A1 to A5 say
//	loads      a keyspace "load seed rows" has exactly its rows, and is there if its load was acknowledged

// featureOptions are those of a database that keeps its past.
func featureOptions(disk vfs.FS) *mvcc.Options {
	o := options(disk)
	o.Retain.Duration = time.Hour
	return o
}

// features is package mvcc with all that it can do.
func features() system {
	run := func(steps int) func(vfs.FS, uint64, *history) []error {
		return func(disk vfs.FS, seed uint64, h *history) []error {
			db, err := mvcc.Open(dbPath, featureOptions(disk))
			if err != nil {
				return []error{err}
			}
			return []error{errors.Join(runFeatures(db, seed, steps, h), db.Close())}
		}
	}
	trim := func(f func(vfs.FS, uint64, *history) []error) func(vfs.FS, uint64, *history) []error {
		return func(disk vfs.FS, seed uint64, h *history) []error {
			if errs := f(disk, seed, h); errs[0] != nil {
				return errs
			}
			return nil
		}
	}
	return system{
		run: trim(run(24)), after: trim(run(4)), stride: 1,
		audit:  func(t testing.TB, disk vfs.FS, h *history) int { return auditedFeatures(t, disk, h, false) },
		glance: func(t testing.TB, disk vfs.FS, h *history) int { return auditedFeatures(t, disk, h, true) },
	}
}

func runFeatures(db *mvcc.DB, seed uint64, steps int, h *history) error {
	l, err := openLedger(bg, db)
	if err != nil {
		return err
	}
	w := &writer{
		workload: &workload{writers: 1, cells: 60, valueBytes: 700, seed: seed},
		ledger:   l, history: h, name: 1, random: rand.New(rand.NewPCG(seed, 11)),
	}
	for range steps {
		if err := w.feature(db); err != nil {
			return err
		}
	}
	return nil
}

// feature does one thing.
func (w *writer) feature(db *mvcc.DB) error {
	switch dice := w.random.IntN(100); {
	case dice < 6:
		return w.load(db)
	case dice < 12:
		return w.spill()
	case dice < 17:
		return db.Compact(bg, nil)
	case dice < 40:
		return db.Checkpoint(bg)
	}
	_, err := w.attempt(bg, 1)
	return err
}

// spillBytes is more than the write sets of a database with the least memory may have.
const spillBytes = 400 << 10

// spill commits a transaction that is larger than memory.
func (w *writer) spill() error {
	tx, err := w.ledger.db.Begin(bg, &mvcc.TxnOptions{Isolation: levels[w.random.IntN(len(levels))]})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	e, err := w.prepare(tx, 1)
	if err != nil {
		return err
	}
	e.writes = nil
	for cell := range uint64(12) {
		write := cellWrite{cell: w.cells + cell, size: spillBytes / 12}
		if write.prev, err = w.ledger.owner(tx.Get, write.cell); err != nil {
			return err
		}
		e.writes = append(e.writes, write)
	}
	if err := w.ledger.put(tx, e); err != nil {
		return err
	}
	if db := w.ledger.db; db.Metrics().Spills == 0 {
		return violated("a transaction of %d bytes did not spill", spillBytes)
	}
	_, err = w.commit(tx, e)
	return err
}

const loadFormat = "load %d %d" // seed, rows

// load makes a keyspace.
func (w *writer) load(db *mvcc.DB) error {
	seed, rows := w.random.Uint64(), w.random.IntN(300)
	name := fmt.Sprintf(loadFormat, seed, rows)
	_, err := db.Load(bg, name, func(l *mvcc.Loader) error {
		for _, i := range w.random.Perm(rows) {
			if err := l.Put(loadedRow(seed, i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		w.history.loaded(name)
	}
	return err
}

func loadedRow(seed uint64, i int) (key, value []byte) {
	return fmt.Appendf(nil, "row %06d", i), filler(seed, uint64(i), uint64(i)%97)
}

// auditedFeatures opens the database, verifies all that it holds, and settles the history. quick ends with a power cut
// instead of closing, which saves a checkpoint.
func auditedFeatures(t testing.TB, disk vfs.FS, h *history, quick bool) int {
	t.Helper()
	s := auditedWith(t, disk, featureOptions, h, quick, func(db *mvcc.DB, s *survivors) error {
		return errors.Join(auditLoads(db, h), auditPast(db, h, s))
	})
	return len(s.entries)
}

// auditLoads verifies the loaded keyspaces.
func auditLoads(db *mvcc.DB, h *history) error {
	names, err := db.Keyspaces(bg)
	if err != nil {
		return err
	}
	for _, name := range names {
		var seed uint64
		var rows int
		if n, _ := fmt.Sscanf(name, loadFormat, &seed, &rows); n == 2 {
			if err := auditLoad(db, name, seed, rows); err != nil {
				return err
			}
		}
	}
	return h.compareLoads(names)
}

func auditLoad(db *mvcc.DB, name string, seed uint64, rows int) error {
	ks, err := db.Keyspace(bg, name)
	if err != nil {
		return err
	}
	return db.View(bg, func(tx *mvcc.Txn) error {
		i := 0
		for item, err := range tx.Scan(ks, mvcc.Range{}) {
			if err != nil {
				return err
			}
			key, value := loadedRow(seed, i)
			if !bytes.Equal(item.Key, key) || !bytes.Equal(item.Value, value) {
				return violated("keyspace %q: row %d is %q", name, i, item.Key)
			}
			i++
		}
		if i != rows {
			return violated("keyspace %q has %d rows", name, i)
		}
		return nil
	})
}

// auditPast compares some moments of the past with the commits up to them.
func auditPast(db *mvcc.DB, h *history, s *survivors) error {
	l, err := openLedger(bg, db)
	if err != nil {
		return err
	}
	at := h.timestamps(s)
	for i := len(at) - 1; i >= 0; i -= 1 + len(at)/3 {
		err := db.ViewAsOf(bg, at[i], func(tx *mvcc.Txn) error {
			old, err := auditIn(tx, l)
			if err == nil && len(old.entries) != i+1 {
				err = violated("as of commit %d of %d there are %d commits", i+1, len(at), len(old.entries))
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("as of timestamp %d: %w", at[i], err)
		}
	}
	return nil
}

func isLoad(name string) bool { return strings.HasPrefix(name, "load ") }
