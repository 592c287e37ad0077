package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/peers/internal/engine"
)

// field are the engines of a contest, each with a directory.
type field struct {
	cfg     Config
	root    string
	engines []engine.Engine
}

func newField(cfg Config, root string) field { return field{cfg, root, cfg.Engines} }

func (f *field) names() (list []string) {
	for _, e := range f.engines {
		list = append(list, e.Name)
	}
	return list
}

func (f *field) close() error { return nil }

func (f *field) dir(i int) string { return filepath.Join(f.root, f.engines[i].Name) }

// open opens an engine's database, which keeps what earlier turns wrote.
func (f *field) open(i, workers int) (engine.DB, error) {
	if err := os.MkdirAll(f.dir(i), 0o700); err != nil {
		return nil, err
	}
	return f.engines[i].Open(f.dir(i), engine.Config{CacheBytes: f.cfg.cache(), Workers: workers})
}

// with opens an engine's database for fn.
func (f *field) with(i, workers int, fn func(*arena) error) (err error) {
	db, err := f.open(i, workers)
	if err != nil {
		return err
	}
	a := &arena{db: db, engine: f.engines[i]}
	defer func() { err = errors.Join(err, a.close()) }()
	for range workers {
		s, err := db.Session()
		if err != nil {
			return err
		}
		a.sessions = append(a.sessions, s)
	}
	settleProcess()
	return fn(a)
}

// arena is an open database with a session for each worker.
type arena struct {
	db       engine.DB
	engine   engine.Engine
	sessions []engine.Session
}

func (a *arena) close() error {
	var errs []error
	for _, s := range a.sessions {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, a.db.Close())...)
}

// closed runs an operation in a closed loop.
func (a *arena) closed(ctx context.Context, length time.Duration, op drive.Op) (drive.Result, error) {
	return drive.Closed(ctx, len(a.sessions), drive.For(length), op)
}

// warm has each session read once, because some connect only then.
func (a *arena) warm(ctx context.Context) error {
	for _, s := range a.sessions {
		err := s.View(ctx, func(tx engine.Tx) error { return tx.Scan(nil, 1, func(_, _ []byte) {}) })
		if err != nil {
			return err
		}
	}
	return nil
}

// scan calls fn for each record.
func (a *arena) scan(ctx context.Context, fn func(key, value []byte)) error {
	return a.sessions[0].View(ctx, func(tx engine.Tx) error { return tx.Scan(nil, 0, fn) })
}

// tally is how many records there are and what they sum up to.
type tally struct {
	records int64
	sum     gen.Checksum
}

func (t *tally) add(key, value []byte) {
	t.records++
	t.sum.Add(key, value)
}

// audit compares the whole content with what must be there (S2).
func (a *arena) audit(ctx context.Context, want tally) error {
	var got tally
	if err := a.scan(ctx, got.add); err != nil {
		return err
	}
	return compare(got, want)
}

func compare(got, want tally) error {
	if got != want {
		return fmt.Errorf("peers: %d records with checksum %v were read back, want %d with %v",
			got.records, got.sum, want.records, want.sum)
	}
	return nil
}
