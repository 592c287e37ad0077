package graph

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/sombradb/sombra/mvcc"
)

// Versions of the keys and records. A release opens those that it knows; a graph has the first one that can say all that is in it.
const (
	// formatPlain has elements, names and indexes.
	formatPlain = 1
	// formatSchema has constraints and indexes on several properties too, which a release that knows only the other one would not keep.
	formatSchema = 2
	// formatVersion is the newest that this release knows.
	formatVersion = formatSchema
)

// Options configures a graph database; nil means all defaults. But for Hooks
// they are those of the store. CopyShare is for copies of adjacency lists here, and 0 means 50. Reports of keys outside of the graph's keyspace go to
// the store's DescribeKey.
type Options struct {
	mvcc.Options
	// Hooks are the service's own rules; the default is none.
	Hooks Hooks
}

// DB is an open graph database. All methods are safe for concurrent use.
type DB struct {
	store         *mvcc.DB
	ks            *mvcc.Keyspace
	describeOther func(keyspace string, key []byte) string
	hooks         Hooks

	labels, types, properties *dict
	nodeIDs, edgeIDs          *counter
	indexIDs, ruleIDs         *counter
	schema                    atomic.Pointer[schema] // the newest seen
	adjacency                 *adjCache
	searches                  sync.Pool // of *search
}

// Open opens the graph database at path, creating it when it is missing. See mvcc.Open for the
// files and its errors. Besides: ErrNotGraph when a read-only database has no graph,
// ErrVersion when its format is unknown.
func Open(path string, opts *Options) (*DB, error) {
	db, err := openStore(path, opts)
	if err != nil {
		return nil, err
	}
	if err := db.start(context.Background(), opts != nil && opts.ReadOnly); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// openStore opens the store below and leaves the graph alone.
func openStore(path string, opts *Options) (db *DB, err error) {
	if opts == nil {
		opts = new(Options)
	}
	o := opts.Options
	db = &DB{describeOther: o.DescribeKey, hooks: opts.Hooks}
	db.labels = newDict(db, dictLabels, "label")
	db.types = newDict(db, dictTypes, "edge type")
	db.properties = newDict(db, dictProperties, "property")
	db.nodeIDs = newCounter(db, counterNodes, idBlock)
	db.edgeIDs = newCounter(db, counterEdges, idBlock)
	db.indexIDs = newCounter(db, counterIndexes, 1)
	db.ruleIDs = newCounter(db, counterRules, 1)
	db.searches.New = func() any { return new(search) }
	o.DescribeKey = db.describeKey
	if o.CopyShare == 0 {
		o.CopyShare = copyShare
	}
	if db.store, err = mvcc.Open(path, &o); err != nil {
		return nil, err
	}
	return db, nil
}

// start prepares the graph's keyspace and reads its catalog.
func (db *DB) start(ctx context.Context, readOnly bool) (err error) {
	db.ks, err = db.store.Keyspace(ctx, keyspaceName)
	if readOnly && errors.Is(err, mvcc.ErrNotFound) {
		return ErrNotGraph
	}
	if err != nil {
		return err
	}
	db.adjacency = newAdjCache(db.ks, db.store.Config().CopyBytes)
	if err := db.checkFormat(ctx, readOnly); err != nil {
		return err
	}
	err = db.store.View(ctx, func(kv *mvcc.Txn) error {
		for _, d := range []*dict{db.labels, db.types, db.properties} {
			if _, err := d.load(kv); err != nil {
				return err
			}
		}
		_, err := db.loadSchema(kv)
		return err
	})
	if err != nil || readOnly {
		return err
	}
	return db.finishSchema(ctx)
}

// checkFormat verifies the format version, and writes it to an empty keyspace.
func (db *DB) checkFormat(ctx context.Context, readOnly bool) error {
	err := db.store.View(ctx, func(kv *mvcc.Txn) error {
		_, err := db.readFormat(kv)
		return err
	})
	if !errors.Is(err, mvcc.ErrNotFound) {
		return err
	}
	if readOnly {
		return ErrNotGraph
	}
	return db.small(ctx, "graph: create", func(kv *mvcc.Txn) error {
		for key, err := range kv.Keys(db.ks, mvcc.Range{}) {
			if err != nil {
				return err
			}
			return db.corrupt(key, "it is there and the format version is not")
		}
		if err := db.markFree(kv, nil); err != nil {
			return err
		}
		return kv.Put(db.ks, versionKey, appendUint(nil, formatPlain))
	})
}

// readFormat returns the graph's format. Errors: mvcc.ErrNotFound, ErrVersion.
func (db *DB) readFormat(kv *mvcc.Txn) (uint64, error) {
	value, err := kv.Get(db.ks, versionKey)
	if err != nil {
		return 0, err
	}
	version, err := db.uintValue(versionKey, value)
	if err == nil && (version == 0 || version > formatVersion) {
		err = &VersionError{Found: version, Known: formatVersion}
	}
	return version, err
}

// raiseFormat makes the format one that has a whole schema. REQUIRES: the transaction changes the schema, so there is no other.
func (db *DB) raiseFormat(kv *mvcc.Txn) error {
	version, err := db.readFormat(kv)
	if err != nil || version >= formatSchema {
		return err
	}
	return kv.Put(db.ks, versionKey, appendUint(nil, formatSchema))
}

// Close waits for running transactions and closes the database. It may be called again.
func (db *DB) Close() error { return db.store.Close() }

// Path returns the path given to Open.
func (db *DB) Path() string { return db.store.Path() }

// Store returns the store below, for its metrics, health, checkpoints and for keyspaces of the
// application's own. The keyspace "graph" must not be written through it.
func (db *DB) Store() *mvcc.DB { return db.store }

// View runs fn in a read-only snapshot transaction.
func (db *DB) View(ctx context.Context, fn func(*Txn) error) error {
	return db.store.View(ctx, func(kv *mvcc.Txn) error { return db.run(kv, fn) })
}

// Update runs fn in a transaction and commits it. When it fails with a retryable error, fn is run again; so
// fn must have no effect besides the transaction's.
func (db *DB) Update(ctx context.Context, fn func(*Txn) error) error {
	return db.UpdateWith(ctx, nil, fn)
}

// UpdateWith is Update with options.
func (db *DB) UpdateWith(ctx context.Context, opts *mvcc.TxnOptions, fn func(*Txn) error) error {
	return db.explain(db.store.UpdateWith(ctx, opts, func(kv *mvcc.Txn) error { return db.run(kv, fn) }))
}

// Begin starts a transaction bound to ctx. End it with Commit or Rollback; deferring Rollback is always safe.
func (db *DB) Begin(ctx context.Context, opts *mvcc.TxnOptions) (*Txn, error) {
	kv, err := db.store.Begin(ctx, opts)
	if err != nil {
		return nil, err
	}
	return db.wrap(kv), nil
}

func (db *DB) wrap(kv *mvcc.Txn) *Txn { return &Txn{db: db, kv: kv, careful: !kv.ReadOnly()} }

// run calls fn with the graph's view of a transaction.
func (db *DB) run(kv *mvcc.Txn, fn func(*Txn) error) error {
	tx := db.wrap(kv)
	defer tx.flushCounts()
	return fn(tx)
}

// Labels returns all label names ever used, sorted. Txn.Labels has those in use.
func (db *DB) Labels() []string { return db.labels.all() }

// EdgeTypes returns all names of edge types ever used, sorted.
func (db *DB) EdgeTypes() []string { return db.types.all() }

// PropertyNames returns all property names ever used, sorted.
func (db *DB) PropertyNames() []string { return db.properties.all() }
