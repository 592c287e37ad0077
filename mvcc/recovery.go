package mvcc

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	cerrors "github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/deadlock"
	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
	"github.com/sombradb/sombra/wal"
)

// recover replays the log over the trees and starts what runs in the background.
//
// The trees hold everything up to their timestamp; the log is read from the
// position that their superblock names, and commits that the trees have are skipped. So
// replaying is idempotent, and may itself be interrupted by a crash.
func (db *DB) recover() error {
	view := db.store.View()
	meta := view.Meta()
	db.state.Store(newState(versions.New(db.splits(view)), view))
	db.history.Store(uint64(db.state.Load().historyStart))
	start := time.Now()
	r := newReplay(db, Timestamp(meta.Timestamp))
	opts := db.logOptions()
	opts.Replayed = func() error { return r.batch.settle() }
	log, found, err := wal.Open(opts, wal.LSN(meta.LogLSN), r.record)
	err = cmp.Or(r.batch.settle(), err) // what does not decode comes before what cannot be read
	damaged := db.salvaged(found, err)
	if damaged != nil {
		err = nil
	}
	if err = r.finish(err); err != nil {
		if log != nil {
			err = errors.Join(err, log.Close())
		}
		return db.openError(err)
	}
	db.recovered = RecoveryInfo{
		Commits: r.commits, Records: found.Records, Bytes: found.Bytes,
		TornBytes: found.TornBytes, Duration: time.Since(start), Damaged: damaged,
	}
	db.boundLog()
	db.commits.init(r.batch.last)
	db.watermark.Store(uint64(r.batch.last))
	if db.opts.ReadOnly {
		if log == nil { // salvage of a database without a log
			return nil
		}
		return db.openError(log.Close())
	}
	db.log = log
	if err := db.noteLog(wal.LSN(meta.LogLSN)); err != nil {
		return errors.Join(err, log.Close())
	}
	db.checkpoints.start(db, wal.LSN(meta.LogLSN))
	db.opened()
	return nil
}

// salvaged returns the damage of the log that Options.Salvage passes over, if there is some.
func (db *DB) salvaged(found wal.Recovery, err error) error {
	if !db.opts.Salvage {
		return nil
	}
	damaged := err
	if err == nil && found.Damaged != nil {
		damaged = found.Damaged
	}
	if damaged == nil || !isCorruption(damaged) && !errors.Is(damaged, ErrCorrupt) {
		return nil
	}
	db.opts.Logger.Warn("sombra: the log is damaged, what lies behind that is not seen", "path", db.path, "error", damaged)
	return &CorruptionError{damaged}
}

// opened tells who wants to know.
func (db *DB) opened() {
	r := db.recovered
	db.opts.Logger.Info("sombra: opened", "path", db.path, "commits_replayed", r.Commits,
		"log_bytes", r.Bytes, "torn_bytes", r.TornBytes, "replay", r.Duration)
	if risk := db.opts.Durability.risk(db.opts.SyncInterval); risk != "" {
		db.opts.Logger.Warn("sombra: unsafe durability: "+risk, "path", db.path, "durability", db.opts.Durability.String())
	}
	if f := db.opts.Events.Recovered; f != nil {
		f(r)
	}
}

// risk says what a crash of the process or the machine can lose, nothing in Full mode.
func (d Durability) risk(interval time.Duration) string {
	switch d {
	case Interval:
		return fmt.Sprintf("a crash of the process or the machine can lose the commits of the last %v", interval)
	case None:
		return "a crash of the process or the machine can lose all commits since the last checkpoint"
	}
	return ""
}

func (db *DB) logOptions() wal.Options {
	o := wal.Options{
		FS: db.opts.FS, Dir: db.path + logSuffix, DatabaseID: wal.DatabaseID(db.store.ID()),
		SegmentSize: db.opts.SegmentSize, ReadOnly: db.opts.ReadOnly, Salvage: db.opts.Salvage, QueueBytes: db.budget().queue,
		OnStateChange: db.onLogState, Logger: db.opts.Logger,
	}
	if db.opts.Durability != None && db.opts.AllowUnsafe { // a transaction may ask for Interval
		o.FlushInterval = db.opts.SyncInterval
	}
	return o
}

func (db *DB) onLogState(c wal.StateChange) {
	if f := db.opts.Events.LogState; f != nil {
		f(c)
	}
	if c.To == wal.StateFailed {
		db.fail(c.Err)
	}
}

func (db *DB) onDeadlock(report *deadlock.Error) {
	db.opts.Logger.Warn("sombra: deadlock resolved", "report", report.Error())
	if f := db.opts.Events.Deadlock; f != nil {
		f(report)
	}
}

// noteLog writes the log's first position into a new database's superblock:
// from then on a log that has vanished is noticed.
func (db *DB) noteLog(noted wal.LSN) error {
	if noted != 0 {
		return nil
	}
	cp, err := db.store.Begin()
	if err != nil {
		return db.openError(err)
	}
	defer cp.Abort()
	meta := db.store.View().Meta()
	meta.LogLSN = uint64(wal.FirstLSN)
	view, err := cp.Commit(meta)
	if err != nil {
		return db.openError(err)
	}
	st := *db.state.Load()
	st.base = view
	db.state.Store(&st)
	return nil
}

// replay is the state of reading the log.
type replay struct {
	db      *DB
	base    Timestamp               // the trees had everything up to it at first
	commits int64                   // in batches that were handed over
	chains  map[uint64]*replayChain // chunked commits whose commit record has not been read yet
	batch   *replayBatch            // of commits that were read
	build   replayBuild             // makes tables of batches
}

func newReplay(db *DB, base Timestamp) *replay {
	return &replay{
		db: db, base: base, chains: make(map[uint64]*replayChain),
		batch: newReplayBatch(base, db.budget().hard), build: replayBuild{db: db},
	}
}

// record replays one log record.
func (r *replay) record(rec wal.Record) error {
	id, n := binary.Uvarint(rec.Payload)
	if n <= 0 {
		return badRecordAt(rec.LSN, cerrors.New("it has no chain number"))
	}
	piece := rec.Payload[n:]
	switch rec.Kind {
	case recordChunk:
		c := r.chains[id]
		if c == nil {
			c = &replayChain{db: r.db}
			r.chains[id] = c
		}
		c.add(piece)
		return nil
	case recordCommit:
		return r.commit(rec, id, piece)
	}
	return badRecordAt(rec.LSN, cerrors.Newf("its kind %d is unknown", rec.Kind))
}

// commit takes a commit unless the trees have it.
func (r *replay) commit(rec wal.Record, id uint64, piece []byte) error {
	ts := Timestamp(rec.Timestamp)
	var c *replayChain
	if id != 0 {
		c = r.chains[id]
		delete(r.chains, id)
	}
	if ts <= r.base {
		c.drop()
		return nil
	}
	if c == nil {
		r.batch.add(ts, rec.LSN, piece, false)
	} else if err := r.chained(rec, c, piece); err != nil {
		c.drop()
		return err
	}
	if r.db.opts.ReadOnly || r.batch.bytes() < r.db.budget().hard {
		return nil
	}
	return r.nextBatch(nil, 0)
}

// chained takes a commit that was logged in chunks. A run of its writes becomes a layer above the batch before it;
// additions to counters begin the batch after it.
func (r *replay) chained(rec wal.Record, c *replayChain, piece []byte) error {
	ts := Timestamp(rec.Timestamp)
	writes, sums, large, err := c.finish(piece)
	switch {
	case err != nil && c.bad:
		return badRecordAt(rec.LSN, err)
	case err != nil:
		return r.db.spillError(err) // of the temporary file
	case large == nil:
		r.batch.add(ts, rec.LSN, writes, true)
		return nil
	}
	if err := r.nextBatch(large, ts); err != nil {
		return err
	}
	r.batch.first, r.batch.last = ts, ts
	r.commits++
	for _, w := range sums {
		r.batch.addWrite(w, ts)
	}
	return nil
}

// nextBatch hands the batch over, with the run of a large commit that comes after it, if there is one, and begins another
// batch. A batch in which a commit does not decode stays, without that and what comes after it.
func (r *replay) nextBatch(large *runs.Run, ts Timestamp) error {
	full := r.batch
	if err := full.settle(); err != nil {
		if large != nil {
			large.Drop()
		}
		return err
	}
	full.large, full.largeTS = large, ts
	r.batch = newReplayBatch(full.last, r.db.budget().hard)
	r.commits += full.n
	return r.build.give(full)
}

// finish makes a state of what was read, unless reading ended with an error. Versions that are not the newest of their
// key were dropped, unless they are retained. REQUIRES: the batch is settled.
func (r *replay) finish(readErr error) error {
	r.drop()
	if err := cmp.Or(r.build.stop(), readErr); err != nil {
		return err
	}
	r.commits += r.batch.n
	if r.commits > 0 && r.db.opts.Retain.Duration == 0 {
		announce(&r.db.pruned, r.batch.last)
	}
	return r.build.finish(r.batch)
}

// drop gives up what chains without a commit record have left in temporary files.
func (r *replay) drop() {
	for _, c := range r.chains {
		c.drop()
	}
}

func badRecordAt(lsn wal.LSN, what error) error {
	return &CorruptionError{cerrors.Wrapf(what, "log record at %d does not decode", lsn)}
}
