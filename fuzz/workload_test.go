package fuzz

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"

	"github.com/sombradb/sombra/mvcc"
)

// workload is what runs against a database until it is done or an error ends it.
type workload struct {
	writers    int
	commits    int // of each writer
	cells      uint64
	valueBytes uint64 // at most, for an ordinary value
	largeBytes uint64 // of the values that make a commit larger than a log record
	largeEvery int    // one commit of so many has such a value; 0 for none
	checkpoint int    // the first writer checkpoints after so many commits; 0 for never
	reader     bool   // a reader keeps one snapshot and looks at it twice
	unordered  bool   // cells are locked in any order, so that deadlocks happen
	seed       uint64
	acked      func(o outcome, nonce uint64) // called after each acknowledgement, if not nil
}

var levels = []mvcc.Isolation{mvcc.ReadCommitted, mvcc.Snapshot, mvcc.Serializable}

// run runs all writers to their end and returns the errors that ended some early.
func (w *workload) run(ctx context.Context, db *mvcc.DB, h *history) (errs []error) {
	l, err := openLedger(ctx, db)
	if err != nil {
		return []error{err}
	}
	errs = make([]error, w.writers+1)
	r := &reader{ledger: l, begin: make(chan struct{}), pinned: make(chan struct{}), end: make(chan struct{})}
	var writing, reading sync.WaitGroup
	if w.reader {
		reading.Go(func() { errs[w.writers] = r.run(ctx) })
	}
	for i := range w.writers {
		wr := &writer{
			workload: w, ledger: l, history: h, name: uint64(i + 1),
			random: rand.New(rand.NewPCG(w.seed, uint64(i))),
		}
		if w.reader && i == 0 {
			wr.reader = r
		}
		writing.Go(func() { errs[i] = wr.run(ctx) })
	}
	writing.Wait()
	close(r.end)
	reading.Wait()
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// reader audits one snapshot twice: when the first writer lets it begin, and when all are done.
type reader struct {
	ledger             *ledger
	begin, pinned, end chan struct{}
}

func (r *reader) run(ctx context.Context) error {
	defer close(r.pinned)
	select {
	case <-r.begin:
	case <-r.end:
		return nil
	}
	return r.ledger.db.View(ctx, r.look)
}

func (r *reader) look(tx *mvcc.Txn) error {
	before, err := auditIn(tx, r.ledger)
	if err != nil {
		return err
	}
	r.pinned <- struct{}{}
	<-r.end
	after, err := auditIn(tx, r.ledger)
	if err == nil && !reflect.DeepEqual(before, after) {
		err = violated("a snapshot changed: it had %d commits, then %d", len(before.entries), len(after.entries))
	}
	return err
}

// start returns when the reader has its snapshot, or has failed.
func (r *reader) start() {
	close(r.begin)
	<-r.pinned
}

// writer commits one transaction after the other.
type writer struct {
	*workload
	ledger  *ledger
	history *history
	reader  *reader // to be started after a few commits, or nil
	name    uint64
	random  *rand.Rand
}

func (w *writer) run(ctx context.Context) error {
	if err := w.ledger.db.View(ctx, w.watch); err != nil {
		return err
	}
	for done := 0; done < w.commits; {
		ok, err := w.attempt(ctx, done)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		done++
		if err := w.between(ctx, done); err != nil {
			return err
		}
	}
	return nil
}

// between looks around without writing: what it sees is as good as acknowledged. The first writer does more.
func (w *writer) between(ctx context.Context, done int) error {
	if err := w.ledger.db.View(ctx, w.watch); err != nil {
		return err
	}
	if w.reader != nil && done == 2 {
		w.reader.start()
	}
	if w.name == 1 && w.checkpoint > 0 && done%w.checkpoint == 0 {
		return w.ledger.db.Checkpoint(ctx)
	}
	return nil
}

func (w *writer) watch(tx *mvcc.Txn) error {
	for i := range w.writers {
		name := uint64(i + 1)
		h, err := w.ledger.head(tx.Get, name)
		if err != nil {
			return err
		}
		w.history.witness(commitID{name, h.seq})
	}
	return nil
}

// attempt runs one transaction. ok is false when it should be run again.
func (w *writer) attempt(ctx context.Context, done int) (ok bool, err error) {
	level := levels[w.random.IntN(len(levels))]
	tx, err := w.ledger.db.Begin(ctx, &mvcc.TxnOptions{Isolation: level})
	if err != nil {
		return false, err
	}
	defer tx.Rollback()
	e, err := w.prepare(tx, done)
	if err == nil {
		err = w.ledger.put(tx, e)
	}
	switch {
	case mvcc.IsRetryable(err):
		return false, nil
	case err != nil:
		return false, err
	case w.random.IntN(10) == 0:
		return false, nil // rolled back: nothing of it may ever be seen
	}
	return w.commit(tx, e)
}

func (w *writer) commit(tx *mvcc.Txn, e *entry) (ok bool, err error) {
	err = tx.Commit()
	var unknown *mvcc.CommitUnknownError
	switch {
	case mvcc.IsRetryable(err):
		return false, nil
	case errors.As(err, &unknown):
		w.history.add(e.nonce, outcome{id: e.id, entry: e, ts: unknown.Timestamp})
		return false, err
	case err != nil:
		return false, err
	}
	o := outcome{id: e.id, entry: e, ts: tx.CommitTimestamp(), acked: true}
	w.history.add(e.nonce, o)
	if w.acked != nil {
		w.acked(o, e.nonce)
	}
	return true, nil
}

// prepare decides what to write, after reading what it depends on.
func (w *writer) prepare(tx *mvcc.Txn, done int) (*entry, error) {
	// The lock makes the head a fact before a snapshot is taken.
	locking := func(ks *mvcc.Keyspace, key []byte) ([]byte, error) { return tx.GetForUpdate(ks, key) }
	own, err := w.ledger.head(locking, w.name)
	if err != nil {
		return nil, err
	}
	e := &entry{id: commitID{w.name, own.seq + 1}, nonce: w.random.Uint64(), number: own.number + 1}
	if own.seq > 0 {
		e.seen = append(e.seen, commitID{w.name, own.seq})
	}
	if err := w.look(tx, e); err != nil {
		return nil, err
	}
	get := locking
	if tx.Isolation() != mvcc.ReadCommitted && w.random.IntN(2) == 0 {
		get = tx.Get // the first updater wins
	}
	for i, cell := range w.choose() {
		write := w.write(cell, done, i)
		if write.prev, err = w.ledger.owner(get, cell); err != nil {
			return nil, err
		}
		e.writes = append(e.writes, write)
	}
	return e, nil
}

// look notes the heads of other writers. A serializable transaction looks at
// one only: it fails when a head that it saw moves.
func (w *writer) look(tx *mvcc.Txn, e *entry) error {
	others := w.random.Perm(w.writers)
	if tx.Isolation() == mvcc.Serializable {
		others = others[:1]
	}
	for _, i := range others {
		other := uint64(i + 1)
		if other == w.name {
			continue
		}
		h, err := w.ledger.head(tx.Get, other)
		if err != nil {
			return err
		}
		if h.seq > 0 {
			e.seen = append(e.seen, commitID{other, h.seq})
			e.number = max(e.number, h.number+1)
		}
	}
	return nil
}

// choose returns the cells of one commit.
func (w *writer) choose() []uint64 {
	var cells []uint64
	for range 1 + w.random.IntN(4) {
		if c := w.random.Uint64N(w.cells); !slices.Contains(cells, c) {
			cells = append(cells, c)
		}
	}
	if !w.unordered {
		slices.Sort(cells)
	}
	return cells
}

// write decides what happens to a cell, the i-th of a commit.
func (w *writer) write(cell uint64, done, i int) cellWrite {
	switch {
	case i == 0 && w.largeEvery > 0 && done%w.largeEvery == min(2, w.largeEvery-1):
		return cellWrite{cell: cell, size: w.largeBytes}
	case w.random.IntN(4) == 0:
		return cellWrite{cell: cell, deleted: true}
	}
	return cellWrite{cell: cell, size: w.random.Uint64N(w.valueBytes)}
}
