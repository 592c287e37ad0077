package mvcc

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

func isDropped(err error) bool { return errors.Is(err, runs.ErrDropped) }

func appendID(prefix []byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(nil), prefix...), id)
}

// spillError converts an error of a run.
func (db *DB) spillError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, runs.ErrCorrupt):
		return &CorruptionError{err}
	}
	return err
}

func dropRuns(all []*runs.Run) {
	for _, r := range all {
		r.Drop()
	}
}

// commitLarge is commit for a transaction that has spilled: its writes become one run, are logged in chunks, and the run
// a layer of the state.
func (tx *txn) commitLarge() error {
	db := tx.db
	e := &commitEntry{sync: tx.durability == Full}
	rec, err := tx.stageLarge(e)
	if err != nil {
		return err
	}
	if err = db.admit(tx.ctx, 0); err == nil {
		err = tx.link(e, rec)
	} else {
		db.dropChain(rec.chain)
	}
	if err != nil {
		dropRuns(e.runs())
		return err
	}
	tx.session.unpin() // or the checkpoint would keep what only this transaction sees
	db.checkpoints.wake()
	tx.commitTS = e.ts
	if db.commits.advanceApplied(); e.ts <= db.commits.applied.Load().ts {
		tx.unlock()
	}
	return tx.await(e)
}

// stageLarge writes the run of the commit, and logs it but for the last piece. Additions come last in the log.
func (tx *txn) stageLarge(e *commitEntry) (rec stagedRecord, err error) {
	db := tx.db
	ch := db.startChain(min(db.log.MaxPayload(), chunkSize))
	defer func() {
		if err != nil {
			db.dropChain(ch.id)
		}
	}()
	last, additions, err := tx.writeRun()
	if err != nil {
		return rec, db.spillError(err)
	}
	all := tx.writes.runs
	if last != nil {
		defer last.Drop()
		all = append([]*runs.Run{last}, all...)
	}
	logged := func(w versions.Write) error {
		ch.buf = appendWriteHead(ch.buf, w)
		return ch.write(tx.ctx, w.Value)
	}
	merged, err := db.mergeRuns(all, logged)
	if err != nil {
		return rec, db.spillError(err)
	}
	e.extra = &extraWrites{runs: []*runs.Run{merged}}
	for _, w := range additions {
		if err = logged(w); err != nil {
			merged.Drop()
			return rec, err
		}
	}
	e.writes = additions
	return stagedRecord{payload: ch.buf, chain: ch.id}, nil
}

// awaitMerged waits until no layer is frozen: then a large commit may freeze the active table below its own.
func (db *DB) awaitMerged(ctx context.Context) error {
	for {
		ticket := db.checkpoints.ticket()
		if len(db.state.Load().frozen) == 0 {
			return nil
		}
		db.checkpoints.wake()
		if err := db.awaitCheckpoint(ctx, ticket); err != nil {
			return err
		}
	}
}

// layerLocked makes the commit's runs the newest layer of the state, above the table that was active. Its sums of counters
// are a table above the runs: they must not go to the fresh table, because the seal says that the frozen layers have all of
// the commit, and a replay skips it once they are merged. REQUIRES: commits.mu, the entry's timestamp and end are set,
// nothing is frozen.
func (db *DB) layerLocked(e *commitEntry, fresh *versions.Table, chain uint64) {
	delete(db.commits.mu.chains, chain)
	st := *db.state.Load()
	s := db.sealLocked(e.ts, e.end, e)
	st.frozen = []frozen{{runs: e.runs(), ts: e.ts, seal: s}, {table: st.active}}
	if applied := e.sums(); len(applied) > 0 {
		sums := versions.New(nil)
		sums.Apply(uint64(e.ts), applied)
		st.frozen = slices.Concat([]frozen{{table: sums, seal: s}}, st.frozen)
	}
	st.active = fresh
	db.state.Store(&st)
}
