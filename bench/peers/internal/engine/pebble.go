package engine

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble returns the engine of github.com/cockroachdb/pebble/v2.
func Pebble() Engine {
	return Engine{
		Name: "Pebble", Module: "github.com/cockroachdb/pebble/v2", Isolation: "none", Isolated: false,
		Settings: "memtables of 64 MiB, Bloom filters left at their default (none), the cache of the common size",
		Bulk:     "sorted: a table made outside and ingested; random: batches of 10,000 without sync, then a flush",
		Open:     openPebble,
	}
}

type pebbleDB struct {
	db    *pebble.DB
	dir   string
	opts  *pebble.Options
	cache *pebble.Cache
}

// silent keeps Pebble's notes about its own state away from the terminal. Its errors are returned as well.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	pebble.DefaultLogger.Fatalf(format, args...)
}

func openPebble(dir string, cfg Config) (DB, error) {
	cache := pebble.NewCache(cfg.CacheBytes)
	opts := &pebble.Options{
		Cache: cache, MemTableSize: 64 << 20, FormatMajorVersion: pebble.FormatNewest, Logger: silent{}, Merger: adder,
	}
	opts.EnsureDefaults()
	db, err := pebble.Open(dir, opts)
	if err != nil {
		cache.Unref()
		return nil, err
	}
	return &pebbleDB{db, dir, opts, cache}, nil
}

func (p *pebbleDB) Session() (Session, error) { return &pebbleSession{pebbleDB: p}, nil }

func (p *pebbleDB) Settle(ctx context.Context) error {
	if err := p.db.Flush(); err != nil {
		return err
	}
	return p.db.Compact(ctx, []byte{0}, []byte{0xff, 0xff, 0xff, 0xff}, true)
}

func (p *pebbleDB) Close() error {
	defer p.cache.Unref()
	return p.db.Close()
}

func (p *pebbleDB) Load(ctx context.Context, records iter.Seq2[[]byte, []byte], sorted bool) error {
	if sorted {
		return p.ingest(ctx, records)
	}
	for b := range batches(records, 10_000) {
		write := p.db.NewBatch()
		for key, value := range b.all() {
			if err := write.Set(key, value, nil); err != nil {
				return errors.Join(err, write.Close())
			}
		}
		if err := errors.Join(write.Commit(pebble.NoSync), write.Close()); err != nil {
			return err
		}
	}
	return p.db.Flush()
}

func (p *pebbleDB) ingest(ctx context.Context, records iter.Seq2[[]byte, []byte]) error {
	path := filepath.Join(p.dir, "load.sst")
	file, err := vfs.Default.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	opts := p.opts.MakeWriterOptions(0, p.db.TableFormat())
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(file), opts)
	for key, value := range records {
		if err := w.Set(key, value); err != nil {
			return errors.Join(err, w.Close(), os.Remove(path))
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return p.db.Ingest(ctx, []string{path})
}

type pebbleSession struct {
	*pebbleDB
	tx pebbleTx
}

func (s *pebbleSession) Update(_ context.Context, fn func(Tx) error) (int, error) {
	s.tx = pebbleTx{db: s.db, batch: s.db.NewBatch()}
	if err := fn(&s.tx); err != nil {
		return 1, errors.Join(err, s.tx.batch.Close())
	}
	return 1, errors.Join(s.tx.batch.Commit(pebble.Sync), s.tx.batch.Close())
}

func (s *pebbleSession) View(_ context.Context, fn func(Tx) error) error {
	s.tx = pebbleTx{db: s.db}
	return fn(&s.tx)
}

// Add uses a merge operator, which is how Pebble adds without reading.
func (s *pebbleSession) Add(_ context.Context, key []byte, delta int64) (int, error) {
	return 1, s.db.Merge(key, encodeCounter(delta), pebble.Sync)
}

func (s *pebbleSession) Counter(ctx context.Context, key []byte) (int64, error) {
	return counterByView(ctx, s, key)
}

func (s *pebbleSession) Close() error { return nil }

type pebbleTx struct {
	db    *pebble.DB
	batch *pebble.Batch
}

func (t *pebbleTx) Get(dst, key []byte) ([]byte, error) {
	value, closer, err := t.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, ErrNotFound
	}
	if err != nil {
		return dst, err
	}
	dst = append(dst, value...)
	return dst, closer.Close()
}

func (t *pebbleTx) GetForUpdate(dst, key []byte) ([]byte, error) { return t.Get(dst, key) }
func (t *pebbleTx) Put(key, value []byte) error                  { return t.batch.Set(key, value, nil) }

func (t *pebbleTx) Scan(from []byte, limit int, fn func(key, value []byte)) error {
	it, err := t.db.NewIter(&pebble.IterOptions{LowerBound: from})
	if err != nil {
		return err
	}
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return errors.Join(err, it.Close())
		}
		fn(it.Key(), value)
		if n++; n == limit {
			break
		}
	}
	return it.Close()
}

// adder merges counters by adding them.
var adder = &pebble.Merger{
	Name: "sombra.peers.add",
	Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		s := &addition{}
		return s, s.add(value)
	},
}

type addition struct{ sum int64 }

func (a *addition) add(value []byte) error {
	n, err := decodeCounter(value)
	a.sum += n
	return err
}

// MergeNewer is the same as MergeOlder, since addition commutes.
func (a *addition) MergeNewer(value []byte) error { return a.add(value) }

// MergeOlder adds an operand.
func (a *addition) MergeOlder(value []byte) error { return a.add(value) }

// Finish returns the sum.
func (a *addition) Finish(bool) ([]byte, io.Closer, error) { return encodeCounter(a.sum), nil, nil }
