package engine

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"slices"

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
	session := &sombraSession{sombra: s}
	session.tx.ks = s.ks
	session.run = session.call
	return session, nil
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
	*sombra
	tx       sombraTx
	fn       func(Tx) error
	attempts int
	run      func(*mvcc.Txn) error // call, kept so that a transaction allocates no closure
}

func (s *sombraSession) call(tx *mvcc.Txn) error {
	s.attempts++
	s.tx.tx = tx
	return s.fn(&s.tx)
}

func (s *sombraSession) Update(ctx context.Context, fn func(Tx) error) (int, error) {
	s.fn, s.attempts = fn, 0
	err := s.db.UpdateWith(ctx, sombraOptions, s.run)
	return s.attempts, err
}

func (s *sombraSession) View(ctx context.Context, fn func(Tx) error) error {
	s.fn = fn
	return s.db.View(ctx, s.run)
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

type sombraTx struct {
	tx *mvcc.Txn
	ks *mvcc.Keyspace
}

func (t *sombraTx) Get(dst, key []byte) ([]byte, error) {
	dst, err := t.tx.Append(t.ks, dst, key)
	if errors.Is(err, mvcc.ErrNotFound) {
		err = ErrNotFound
	}
	return dst, err
}

func (t *sombraTx) GetForUpdate(dst, key []byte) ([]byte, error) {
	value, err := t.tx.GetForUpdate(t.ks, key)
	if errors.Is(err, mvcc.ErrNotFound) {
		err = ErrNotFound
	}
	return append(dst, value...), err
}

func (t *sombraTx) Put(key, value []byte) error { return t.tx.Put(t.ks, key, value) }

func (t *sombraTx) Scan(from []byte, limit int, fn func(key, value []byte)) error {
	n := 0
	for item, err := range t.tx.Scan(t.ks, mvcc.Range{Lo: from}) {
		if err != nil {
			return err
		}
		fn(item.Key, item.Value)
		if n++; n == limit {
			break
		}
	}
	return nil
}
