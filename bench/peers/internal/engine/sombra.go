package engine

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"slices"

	"github.com/sombradb/sombra/bench/internal/kv"
	"github.com/sombradb/sombra/mvcc"
)

// Sombra returns the engine of this project.
func Sombra() Engine {
	return Engine{
		Name: "Sombra", Module: "github.com/sombradb/sombra", Isolation: "serializable", Isolated: true,
		Settings: "serializable; memory budget such that its page cache, 36 % of it, is as large as the others' caches",
		Bulk:     "DB.Load",
		Open:     openSombra,
	}
}

// pageCacheShare is the part of Sombra's memory budget that is its page cache, in percent.
const pageCacheShare = 36

type sombra struct {
	db *mvcc.DB
	ks *mvcc.Keyspace
}

func openSombra(dir string, cfg Config) (DB, error) {
	db, err := mvcc.Open(filepath.Join(dir, "data.sombra"), &mvcc.Options{MemoryBudget: cfg.CacheBytes * 100 / pageCacheShare})
	if err != nil {
		return nil, err
	}
	ks, err := sombraKeyspace(db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &sombra{db, ks}, nil
}

// loadedKeyspace is the one that Load makes.
const loadedKeyspace = "loaded"

// sombraKeyspace returns the keyspace that was loaded, if one was.
func sombraKeyspace(db *mvcc.DB) (*mvcc.Keyspace, error) {
	ctx := context.Background()
	names, err := db.Keyspaces(ctx)
	if err != nil {
		return nil, err
	}
	if slices.Contains(names, loadedKeyspace) {
		return db.Keyspace(ctx, loadedKeyspace)
	}
	return db.Keyspace(ctx, "peers")
}

func (s *sombra) Session() (Session, error) {
	return &sombraSession{kv.NewSombra(s.db, s.ks, sombraOptions), s}, nil
}

func (s *sombra) Settle(ctx context.Context) error { return s.db.Checkpoint(ctx) }
func (s *sombra) Close() error                     { return s.db.Close() }

// sombraOptions are those of each transaction that writes.
var sombraOptions = &mvcc.TxnOptions{Isolation: mvcc.Serializable, Label: "peers"}

// Load must come before the first session.
func (s *sombra) Load(ctx context.Context, records iter.Seq2[[]byte, []byte], _ bool) (err error) {
	s.ks, err = s.db.Load(ctx, loadedKeyspace, func(l *mvcc.Loader) error {
		for key, value := range records {
			if err := l.Put(key, value); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	return err
}

type sombraSession struct {
	*kv.Sombra
	*sombra
}

func (s *sombraSession) Add(ctx context.Context, key []byte, delta int64) (attempts int, err error) {
	err = s.db.UpdateWith(ctx, sombraOptions, func(tx *mvcc.Txn) error {
		attempts++
		return tx.Add(s.ks, key, delta)
	})
	return attempts, err
}

func (s *sombraSession) Counter(ctx context.Context, key []byte) (sum int64, err error) {
	err = s.db.View(ctx, func(tx *mvcc.Txn) error {
		value, err := tx.Get(s.ks, key)
		if err != nil {
			return err
		}
		sum, err = mvcc.DecodeInt64(value)
		return err
	})
	return sum, err
}

func (s *sombraSession) Close() error { return nil }
