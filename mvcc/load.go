package mvcc

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// A bulk load makes a keyspace with its whole content. It sorts the pairs into runs, and a checkpoint merges these
// straight into pages: no locks, no log, no place in the version store.
//
//	reserve    a small transaction gives the keyspace an id and notes that it is being loaded
//	collect    runs under that id, which no name leads to
//	layer      the runs become a layer of the state, like those of a large commit
//	merge      a checkpoint writes and syncs the pages
//	name       a small transaction gives the id its name, and takes the note away: only now is anything visible
//
// So the keyspace is there as a whole or not at all. What a load that did not come to its end has left under its id is
// deleted by it, or by the next Open, which finds the note.

// catalogLoading begins the catalog's notes: catalogLoading + id, 4 bytes big-endian -> the name that it is to have.
const catalogLoading = "loading/"

// Loader takes the pairs of a bulk load. It is not safe for concurrent use.
type Loader struct {
	db     *DB
	prefix [prefixSize]byte
	runs   []*runs.Run // newest first
	key    []byte      // scratch: the internal key

	// Pairs go to this run as long as their keys ascend.
	ascending *runs.Writer
	last      []byte
	// From the first that does not on they are collected in a batch. A full one is sorted and written by a goroutine,
	// while the next is filled. At most one is under way, so that runs come in order.
	batch, spare *loadBatch
	sorting      chan sortedBatch // nil when none is under way
	count        int64
	done         bool
}

// sortedBatch is the outcome of a batch.
type sortedBatch struct {
	run   *runs.Run
	err   error
	batch *loadBatch // empty again
}

// Load creates the named keyspace and fills it with the pairs that fn gives to the Loader, in any order, fastest in
// ascending key order; of several pairs with one key the last one counts. The keyspace is durable and visible, as a
// whole, when Load returns, and not there at all if fn or Load fails or the process dies. Others go on meanwhile. Memory
// is bounded by the budget; temporary files need as much disk as the pairs.
//
// Errors: *KeyspaceExistsError (errors.Is ErrKeyspaceExists), the error of fn, and those of Update and Checkpoint.
func (db *DB) Load(ctx context.Context, name string, fn func(*Loader) error) (*Keyspace, error) {
	if err := checkKeyspaceName(name); err != nil {
		return nil, err
	}
	if db.opts.ReadOnly {
		return nil, ErrReadOnly
	}
	if !db.enter() {
		return nil, ErrClosed
	}
	defer db.leave()
	id, err := db.reserve(ctx, name)
	if err != nil {
		return nil, err
	}
	l := &Loader{db: db, prefix: makePrefix(id)}
	merged := false
	defer l.release()
	if err = fn(l); err == nil {
		err = l.finish()
	}
	if err == nil && len(l.runs) > 0 {
		merged, err = true, db.mergeLoaded(ctx, l)
	}
	if err == nil {
		err = db.nameLoaded(ctx, name, id)
	}
	if err != nil {
		return nil, errors.Join(err, db.unload(context.WithoutCancel(ctx), id, merged))
	}
	return db.keyspaces.add(&Keyspace{db: db, id: id, name: name, prefix: l.prefix}), nil
}

// Put adds a pair. Both are copied. Limits are those of Txn.Put.
func (l *Loader) Put(key, value []byte) error {
	if l.done {
		return ErrTxnDone
	}
	if err := errors.Join(checkKey(key), checkValue(value)); err != nil {
		return err
	}
	l.count++
	if l.batch == nil {
		if l.ascending == nil || bytes.Compare(l.last, key) < 0 {
			return l.append(key, value)
		}
		size := l.db.budget().writes / 2
		l.batch, l.spare = newLoadBatch(size), newLoadBatch(size)
		if err := l.finishAscending(); err != nil {
			return err
		}
	}
	if !l.batch.fits(key, value) {
		if err := l.sort(); err != nil {
			return err
		}
	}
	l.batch.add(key, value)
	return nil
}

// Count returns how many pairs were put.
func (l *Loader) Count() int64 { return l.count }

// append adds a pair behind all others.
func (l *Loader) append(key, value []byte) (err error) {
	if l.ascending == nil {
		if l.ascending, err = l.db.runs.Create(runs.Options{MaxFilterBytes: -1}); err != nil {
			return l.db.spillError(err)
		}
	}
	l.last = append(l.last[:0], key...)
	l.key = append(append(l.key[:0], l.prefix[:]...), key...)
	return l.db.spillError(l.ascending.Add(versions.Write{Key: l.key, Value: value, Kind: versions.Put}))
}

func (l *Loader) finishAscending() error {
	if l.ascending == nil {
		return nil
	}
	return l.addRun(l.ascending)
}

// addRun finishes a run of ascending pairs.
func (l *Loader) addRun(w *runs.Writer) error {
	r, err := w.Finish()
	if err != nil {
		return l.db.spillError(err)
	}
	return l.add(r)
}

// add takes a run, and merges the newest ones when there are many of about one size.
func (l *Loader) add(r *runs.Run) error {
	l.runs = slices.Concat([]*runs.Run{r}, l.runs)
	for n := siblings(l.runs); n >= maxSiblings; n = siblings(l.runs) {
		merged, err := l.db.mergeRuns(l.runs[:n], nil)
		if err != nil {
			return l.db.spillError(err)
		}
		dropRuns(l.runs[:n])
		l.runs = slices.Concat([]*runs.Run{merged}, l.runs[n:])
	}
	return nil
}

// sort hands the batch to a goroutine that makes a run of it, when the one before is done.
func (l *Loader) sort() error {
	if err := l.await(); err != nil {
		return err
	}
	b := l.batch
	l.batch, l.spare = l.spare, nil
	l.sorting = make(chan sortedBatch, 1)
	go func() {
		r, err := b.write(l.db.runs, l.prefix)
		b.reset()
		l.sorting <- sortedBatch{r, err, b}
	}()
	return nil
}

// await takes the run of the batch that is under way.
func (l *Loader) await() error {
	if l.sorting == nil {
		return nil
	}
	s := <-l.sorting
	l.sorting, l.spare = nil, s.batch
	if s.err != nil {
		return l.db.spillError(s.err)
	}
	if s.run == nil {
		return nil
	}
	return l.add(s.run)
}

// finish moves what is left to runs.
func (l *Loader) finish() error {
	if l.batch == nil {
		return l.finishAscending()
	}
	return cmp.Or(l.sort(), l.await())
}

// release gives up what has not become a layer.
func (l *Loader) release() {
	if l.ascending != nil {
		l.ascending.Abort()
	}
	if l.sorting != nil {
		if s := <-l.sorting; s.run != nil {
			s.run.Drop()
		}
	}
	dropRuns(l.runs)
	l.sorting, l.batch, l.spare, l.done = nil, nil, nil, true
}

// reserve gives an id to a keyspace that is to be loaded.
func (db *DB) reserve(ctx context.Context, name string) (id uint32, err error) {
	catalog := db.keyspaces.catalog
	err = db.UpdateWith(ctx, &TxnOptions{Label: "load keyspace " + name, Isolation: ReadCommitted}, func(tx *Txn) error {
		if _, err := tx.GetForUpdate(catalog, catalogNext); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if has, err := tx.Has(catalog, []byte(catalogNames+name)); has || err != nil {
			return cmp.Or(err, error(&KeyspaceExistsError{name}))
		}
		if id, err = tx.nextKeyspaceID(); err != nil {
			return err
		}
		return tx.Put(catalog, appendID32(catalogLoading, id), []byte(name))
	})
	return id, err
}

func appendID32(prefix string, id uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte(prefix), id)
}

// mergeLoaded makes the runs a layer, and waits for the checkpoint that merges it. From here on the runs are the state's.
func (db *DB) mergeLoaded(ctx context.Context, l *Loader) error {
	for linked := false; !linked; {
		if err := db.awaitMerged(ctx); err != nil {
			return err
		}
		var err error
		if linked, err = db.linkLoaded(l); err != nil {
			return err
		}
	}
	return db.Checkpoint(context.WithoutCancel(ctx)) // which is under way in any case
}

// linkLoaded gives the load its timestamp and its layer. There is no record in the log: until the checkpoint is durable
// no name leads to the keyspace, and afterwards the log is not needed.
func (db *DB) linkLoaded(l *Loader) (linked bool, err error) {
	fresh := versions.New(db.splits(db.state.Load().base))
	c := &db.commits
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := db.failed.get(); err != nil {
		return false, err
	}
	if len(db.state.Load().frozen) > 0 {
		return false, nil
	}
	e := &commitEntry{extra: &extraWrites{runs: l.runs}, ts: nextTimestamp(c.mu.last, time.Now()), end: db.log.End(), table: fresh}
	c.mu.last = e.ts
	l.runs = nil
	db.layerLocked(e, fresh, 0)
	e.applied.Store(true)
	c.tail.Load().next.Store(e)
	c.tail.Store(e)
	return true, nil
}

// nameLoaded makes the loaded keyspace visible.
func (db *DB) nameLoaded(ctx context.Context, name string, id uint32) error {
	catalog := db.keyspaces.catalog
	return db.UpdateWith(ctx, &TxnOptions{Label: "load keyspace " + name, Isolation: ReadCommitted}, func(tx *Txn) error {
		key := []byte(catalogNames + name)
		switch _, err := tx.GetForUpdate(catalog, key); {
		case err == nil:
			return &KeyspaceExistsError{name}
		case !errors.Is(err, ErrNotFound):
			return err
		}
		return errors.Join(tx.Put(catalog, key, appendID32("", id)), tx.Delete(catalog, appendID32(catalogLoading, id)))
	})
}

// unload deletes what a load has left, and its note.
func (db *DB) unload(ctx context.Context, id uint32, merged bool) error {
	if db.failed.get() != nil {
		return nil // the next Open does it
	}
	hidden := &Keyspace{db: db, id: id, name: fmt.Sprintf("keyspace %d, whose load did not end", id), prefix: makePrefix(id)}
	return db.UpdateWith(ctx, &TxnOptions{Label: "clean up after a load", Isolation: ReadCommitted}, func(tx *Txn) error {
		if merged {
			for key, err := range tx.Keys(hidden, Range{}) {
				if err != nil {
					return err
				}
				if err := tx.Delete(hidden, key); err != nil {
					return err
				}
			}
		}
		return tx.Delete(db.keyspaces.catalog, appendID32(catalogLoading, id))
	})
}

// unloadAll deletes what loads have left that a crash has ended.
func (db *DB) unloadAll(ctx context.Context) error {
	var left []uint32
	err := db.View(ctx, func(tx *Txn) error {
		for key, err := range tx.Keys(db.keyspaces.catalog, Prefix([]byte(catalogLoading))) {
			if err != nil {
				return err
			}
			if len(key) != len(catalogLoading)+4 {
				return corrupt("catalog note %q has %d bytes", key, len(key))
			}
			left = append(left, binary.BigEndian.Uint32(key[len(catalogLoading):]))
		}
		return nil
	})
	for _, id := range left {
		err = errors.Join(err, db.unload(ctx, id, true))
	}
	return err
}
