package mvcc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
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
	r := &replay{db: db, last: Timestamp(meta.Timestamp), chains: make(map[uint64]*replayChain)}
	log, found, err := wal.Open(db.logOptions(), wal.LSN(meta.LogLSN), r.record)
	r.drop()
	damaged := db.salvaged(found, err)
	if err != nil && damaged == nil {
		return db.openError(err)
	}
	db.recovered = RecoveryInfo{
		Commits: r.commits, Records: found.Records, Bytes: found.Bytes,
		TornBytes: found.TornBytes, Duration: time.Since(start), Damaged: damaged,
	}
	db.boundLog()
	db.commits.init(r.last)
	db.watermark.Store(uint64(r.last))
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
	last    Timestamp // newest commit so far
	commits int64
	chains  map[uint64]*replayChain // chunked commits whose commit record has not been read yet
}

// record replays one log record.
func (r *replay) record(rec wal.Record) error {
	id, n := binary.Uvarint(rec.Payload)
	if n <= 0 {
		return badRecord(rec, cerrors.New("it has no chain number"))
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
	return badRecord(rec, cerrors.Newf("its kind %d is unknown", rec.Kind))
}

// commit applies a commit unless the trees have it.
func (r *replay) commit(rec wal.Record, id uint64, piece []byte) error {
	ts := Timestamp(rec.Timestamp)
	c := r.chains[id]
	delete(r.chains, id)
	if ts <= r.db.state.Load().baseTS {
		c.drop()
		return nil
	}
	var writes []versions.Write
	var large *runs.Run
	var err error
	if c == nil {
		writes, err = decodeWrites(bytes.Clone(piece))
	} else {
		writes, large, err = c.finish(piece)
	}
	if err != nil {
		c.drop()
		if c != nil && !c.bad {
			return r.db.spillError(err) // of the temporary file
		}
		return badRecord(rec, err)
	}
	return r.apply(rec, ts, writes, large)
}

func (r *replay) apply(rec wal.Record, ts Timestamp, writes []versions.Write, large *runs.Run) error {
	db := r.db
	if large != nil {
		st := *db.state.Load()
		st.frozen = slices.Concat([]frozen{{runs: []*runs.Run{large}, ts: ts}, {table: st.active}}, st.frozen)
		st.active = versions.New(db.splits(st.base))
		db.state.Store(&st)
	}
	st := db.state.Load()
	if err := st.replaySums(writes); err != nil {
		return badRecord(rec, err)
	}
	st.active.Apply(uint64(ts), writes)
	r.last = max(r.last, ts)
	r.commits++
	if db.opts.ReadOnly || large == nil && st.active.Bytes() < db.budget().seal {
		return nil
	}
	return r.checkpoint()
}

// checkpoint merges what was replayed so far, so that a long log does not
// need more memory than a running database. The superblock goes on naming the
// position where this replay began: what was read after it may not be durable yet.
func (r *replay) checkpoint() error {
	db := r.db
	st := *db.state.Load()
	s := seal{ts: r.last, keep: wal.LSN(st.base.Meta().LogLSN)}
	st.frozen = slices.Concat([]frozen{{table: st.active, seal: s}}, st.frozen)
	st.active = versions.New(db.splits(st.base))
	db.state.Store(&st)
	return db.merge(st.frozen, s, request{awaited: true}).Err
}

// drop gives up what chains without a commit record have left in temporary files.
func (r *replay) drop() {
	for _, c := range r.chains {
		c.drop()
	}
}

func badRecord(rec wal.Record, what error) error {
	return &CorruptionError{cerrors.Wrapf(what, "log record at %d does not decode", rec.LSN)}
}
