package engine

import (
	"context"
	"errors"
	"iter"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/ristretto/v2/z"
)

// Badger returns the engine of github.com/dgraph-io/badger/v4.
func Badger() Engine {
	return Engine{
		Name: "Badger", Module: "github.com/dgraph-io/badger/v4", Isolation: "serializable but for phantoms", Isolated: true,
		Settings: "SyncWrites; the block cache of the common size",
		Bulk:     "sorted: StreamWriter; random: WriteBatch; then a sync",
		Open:     openBadger,
	}
}

// smallCache is the cache, in bytes, of tiny measurements. Badger makes its files in advance, which would take longer.
const smallCache = 16 << 20

type badgerDB struct{ db *badger.DB }

func openBadger(dir string, cfg Config) (DB, error) {
	opts := badger.DefaultOptions(dir).WithSyncWrites(true).WithLogger(nil).WithMetricsEnabled(false).
		WithBlockCacheSize(cfg.CacheBytes)
	if cfg.CacheBytes <= smallCache {
		opts = opts.WithMemTableSize(16 << 20).WithValueLogFileSize(16 << 20)
	}
	db, err := badger.Open(opts)
	if err != nil {
		return nil, err
	}
	return &badgerDB{db}, nil
}

func (b *badgerDB) Session() (Session, error) { return &badgerSession{badgerDB: b}, nil }
func (b *badgerDB) Settle(context.Context) error {
	return b.db.Flatten(2)
}
func (b *badgerDB) Close() error { return b.db.Close() }

func (b *badgerDB) Load(_ context.Context, records iter.Seq2[[]byte, []byte], sorted bool) error {
	load := b.loadRandom
	if sorted {
		load = b.loadSorted
	}
	if err := load(records); err != nil {
		return err
	}
	return b.db.Sync()
}

func (b *badgerDB) loadRandom(records iter.Seq2[[]byte, []byte]) error {
	wb := b.db.NewWriteBatch()
	defer wb.Cancel()
	for batch := range batches(records, 10_000) { // WriteBatch keeps the slices
		for key, value := range batch.all() {
			if err := wb.Set(key, value); err != nil {
				return err
			}
		}
	}
	return wb.Flush()
}

// badgerStream is the size of one buffer of a stream writer, in bytes.
const badgerStream = 4 << 20

func (b *badgerDB) loadSorted(records iter.Seq2[[]byte, []byte]) error {
	w := b.db.NewStreamWriter()
	if err := w.Prepare(); err != nil {
		return err
	}
	buf := z.NewBuffer(badgerStream, "peers")
	defer func() { _ = buf.Release() }()
	for key, value := range records {
		badger.KVToBuffer(&pb.KV{Key: key, Value: value, Version: 1, StreamId: 1}, buf)
		if buf.LenNoPadding() < badgerStream {
			continue
		}
		if err := w.Write(buf); err != nil {
			return err
		}
		buf.Reset()
	}
	if err := w.Write(buf); err != nil {
		return err
	}
	return w.Flush()
}

type badgerSession struct {
	*badgerDB
	tx badgerTx
}

func (s *badgerSession) Update(ctx context.Context, fn func(Tx) error) (attempts int, err error) {
	for {
		attempts++
		err = s.attempt(fn)
		if !errors.Is(err, badger.ErrConflict) || ctx.Err() != nil {
			return attempts, err
		}
	}
}

func (s *badgerSession) attempt(fn func(Tx) error) error {
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	s.tx.txn = txn
	if err := fn(&s.tx); err != nil {
		return err
	}
	return txn.Commit()
}

func (s *badgerSession) View(_ context.Context, fn func(Tx) error) error {
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	s.tx.txn = txn
	return fn(&s.tx)
}

func (s *badgerSession) Add(ctx context.Context, key []byte, delta int64) (int, error) {
	return addByUpdate(ctx, s, key, delta)
}

func (s *badgerSession) Counter(ctx context.Context, key []byte) (int64, error) {
	return counterByView(ctx, s, key)
}

func (s *badgerSession) Close() error { return nil }

type badgerTx struct{ txn *badger.Txn }

func (t *badgerTx) Get(dst, key []byte) ([]byte, error) {
	item, err := t.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return dst, ErrNotFound
	}
	if err != nil {
		return dst, err
	}
	err = item.Value(func(value []byte) error {
		dst = append(dst, value...)
		return nil
	})
	return dst, err
}

func (t *badgerTx) GetForUpdate(dst, key []byte) ([]byte, error) { return t.Get(dst, key) }
func (t *badgerTx) Put(key, value []byte) error                  { return t.txn.Set(key, value) }

func (t *badgerTx) Scan(from []byte, limit int, fn func(key, value []byte)) error {
	opts := badger.DefaultIteratorOptions
	if limit > 0 {
		opts.PrefetchSize = min(limit, opts.PrefetchSize)
	}
	it := t.txn.NewIterator(opts)
	defer it.Close()
	n := 0
	for it.Seek(from); it.Valid(); it.Next() {
		item := it.Item()
		err := item.Value(func(value []byte) error {
			fn(item.Key(), value)
			return nil
		})
		if err != nil {
			return err
		}
		if n++; n == limit {
			break
		}
	}
	return nil
}
