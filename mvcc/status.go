package mvcc

import (
	"time"

	"github.com/sombradb/sombra/pagestore"
	"github.com/sombradb/sombra/wal"
)

// Metrics returns counters and readings. It takes short internal locks only.
func (db *DB) Metrics() Metrics {
	st, n := db.state.Load(), &db.count
	begun, running, views := db.snapshots.totals()
	m := Metrics{
		Begun: begun, Committed: n.committed.Load(), RolledBack: n.rolledBack.Load() + views,
		Active: running, Retries: n.retries.Load(),
		WriteConflicts: n.writeConflicts.Load(), ReadConflicts: n.readConflicts.Load(),
		Protected: n.protected.Load(), HeldOff: n.heldOff.Load(),
		Refreshes: n.refreshes.Load(), Spills: n.spills.Load(), SpilledBytes: db.tempBytes(), TimedOut: n.timedOut.Load(), Abandoned: n.abandoned.Load(), TooOld: n.tooOld.Load(), OldestReadable: db.oldestReadable(),
		Deadlocks: n.deadlocks.Load(), LockTimeouts: n.lockTimeouts.Load(),
		Watermark: Timestamp(db.watermark.Load()), VersionBytes: st.active.Bytes(), VersionKeys: st.active.Keys(),
		AdmissionDelay: time.Duration(n.admissionDelay.Load()),
		Checkpoints:    n.checkpoints.Load(), CheckpointBytes: n.checkpointBytes.Load(),
		CheckpointPayload: n.checkpointPayload.Load(), LastCheckpointDuration: time.Duration(n.lastCheckpoint.Load()),
		HistoryRecords: st.base.Count(pagestore.HistoryTree),
		Pages:          db.store.Metrics(), Locks: db.locks.Metrics(),
	}
	for _, f := range st.frozen {
		if f.table != nil {
			m.VersionBytes += f.table.Bytes()
			m.VersionKeys += f.table.Keys()
		}
	}
	m.OldestSnapshot = m.Watermark
	if pin, label, began, ok := db.snapshots.oldest(); ok {
		m.OldestSnapshot, m.OldestLabel, m.OldestAge = pin, label, time.Since(began)
	}
	if db.log != nil {
		m.Log = db.log.Metrics()
	}
	return m
}

// Health says in a few words how the database is.
func (db *DB) Health() Health {
	h := Health{
		State: "ok", Durability: db.opts.Durability, Unsafe: db.opts.Durability.risk(db.opts.SyncInterval),
		ReadOnly: db.opts.ReadOnly, MemoryBudget: db.opts.MemoryBudget, Recovered: db.recovered,
	}
	if db.log != nil {
		switch state, _ := db.log.State(); state {
		case wal.StateSlow:
			h.State = "slow"
		case wal.StateStalled:
			h.State = "stalled"
		}
	}
	if err := db.failed.get(); err != nil {
		h.State, h.Err = "failed", err
	}
	return h
}
