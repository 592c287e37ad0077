package engine

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// Bbolt returns the engine of go.etcd.io/bbolt.
func Bbolt() Engine {
	return Engine{
		Name: "bbolt", Module: "go.etcd.io/bbolt", Isolation: "serializable (one writer)", Isolated: true,
		Settings: "freelist as a map and not synced; with several writers db.Batch, a batch as large as there are writers, waiting 1 ms at most",
		Bulk:     "NoSync, transactions of 100,000 keys, each sorted, FillPercent 1 for sorted input, then one sync",
		Open:     openBbolt,
	}
}

var bboltBucket = []byte("peers")

type boltDB struct {
	db    *bbolt.DB
	batch bool
}

// batchDelay is about one sync: waiting longer loses more than it gathers.
const batchDelay = time.Millisecond

func openBbolt(dir string, cfg Config) (DB, error) {
	opts := *bbolt.DefaultOptions
	opts.FreelistType = bbolt.FreelistMapType
	opts.NoFreelistSync = true
	db, err := bbolt.Open(filepath.Join(dir, "data.bolt"), 0o600, &opts)
	if err != nil {
		return nil, err
	}
	db.MaxBatchSize = cfg.Workers
	db.MaxBatchDelay = batchDelay
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bboltBucket)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &boltDB{db, cfg.Workers > 1}, nil
}

func (b *boltDB) Session() (Session, error) {
	s := &boltSession{boltDB: b}
	s.run = s.call
	return s, nil
}

func (b *boltDB) Settle(context.Context) error { return nil }
func (b *boltDB) Close() error                 { return b.db.Close() }

func (b *boltDB) Load(_ context.Context, records iter.Seq2[[]byte, []byte], sorted bool) error {
	b.db.NoSync = true
	defer func() { b.db.NoSync = false }()
	for batch := range batches(records, 100_000) {
		err := b.db.Update(func(tx *bbolt.Tx) error {
			bucket := tx.Bucket(bboltBucket)
			if sorted {
				bucket.FillPercent = 1
			}
			for key, value := range batch.sorted() {
				if err := bucket.Put(key, value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return b.db.Sync()
}

type boltSession struct {
	*boltDB
	tx       boltTx
	fn       func(Tx) error
	attempts int
	run      func(*bbolt.Tx) error // call
}

func (s *boltSession) call(tx *bbolt.Tx) error {
	s.attempts++
	s.tx.bucket = tx.Bucket(bboltBucket)
	return s.fn(&s.tx)
}

func (s *boltSession) Update(_ context.Context, fn func(Tx) error) (int, error) {
	s.fn, s.attempts = fn, 0
	update := s.db.Update
	if s.batch {
		update = s.db.Batch
	}
	err := update(s.run)
	return s.attempts, err
}

func (s *boltSession) View(_ context.Context, fn func(Tx) error) error {
	s.fn = fn
	return s.db.View(s.run)
}

func (s *boltSession) Add(ctx context.Context, key []byte, delta int64) (int, error) {
	return addByUpdate(ctx, s, key, delta)
}

func (s *boltSession) Counter(ctx context.Context, key []byte) (int64, error) {
	return counterByView(ctx, s, key)
}

func (s *boltSession) Close() error { return nil }

type boltTx struct{ bucket *bbolt.Bucket }

func (t *boltTx) Get(dst, key []byte) ([]byte, error) {
	value := t.bucket.Get(key)
	if value == nil {
		return dst, ErrNotFound
	}
	return append(dst, value...), nil
}

func (t *boltTx) GetForUpdate(dst, key []byte) ([]byte, error) { return t.Get(dst, key) }
func (t *boltTx) Put(key, value []byte) error                  { return t.bucket.Put(key, value) }

func (t *boltTx) Scan(from []byte, limit int, fn func(key, value []byte)) error {
	c := t.bucket.Cursor()
	n := 0
	for key, value := c.Seek(from); key != nil; key, value = c.Next() {
		fn(key, value)
		if n++; n == limit {
			break
		}
	}
	return nil
}
