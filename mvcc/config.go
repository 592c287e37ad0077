package mvcc

import "time"

// Config is what a database works with: what was chosen, and what was derived from it and from measurements.
type Config struct {
	PageSize    int
	SegmentSize int64
	Durability  Durability

	MemoryBudget  int64 // Options.MemoryBudget, or what AutoMemory came to
	CacheBytes    int64 // page cache
	CopyBytes     int64 // left to copies that the program keeps: Options.CopyShare
	TableBytes    int64 // the version table is frozen and merged at this size
	TableMaxBytes int64 // and may grow to this one while another is merged
	WriteSetBytes int64 // write sets of all transactions; beyond it they spill
	LogQueueBytes int64 // records that wait to be written

	// ReplayRate is how fast the log is read when opening, in bytes per second: measured if there was enough to
	// replay, else DefaultReplayRate. MaxLogBytes is what it reads in RecoveryTarget, unless Options.MaxLogBytes says.
	ReplayRate     int64
	ReplayMeasured bool
	RecoveryTarget time.Duration
	MaxLogBytes    int64
	Retain         Retention
	LockTimeout    time.Duration
}

// DefaultReplayRate is taken for the speed of recovery until it has been measured, in bytes per second.
const DefaultReplayRate = 64 << 20

// leastMeasured is the log that must have been replayed to tell a rate, in bytes.
const leastMeasured = 8 << 20

// Config returns what the database works with.
func (db *DB) Config() Config {
	b := db.budget()
	return Config{
		PageSize: db.store.Metrics().PageSize, SegmentSize: db.opts.SegmentSize, Durability: db.opts.Durability,
		MemoryBudget: db.opts.MemoryBudget, CacheBytes: b.cache, CopyBytes: b.copies, TableBytes: b.seal, TableMaxBytes: b.hard,
		WriteSetBytes: b.writes, LogQueueBytes: b.queue,
		ReplayRate: db.replayRate, ReplayMeasured: db.recovered.Bytes >= leastMeasured,
		RecoveryTarget: db.opts.RecoveryTarget, MaxLogBytes: db.maxLogBytes,
		Retain: db.opts.Retain, LockTimeout: db.opts.LockTimeout,
	}
}

// boundLog derives how long the log may get, from how fast it was replayed.
func (db *DB) boundLog() {
	db.replayRate = DefaultReplayRate
	if r := db.recovered; r.Bytes >= leastMeasured && r.Duration > 0 {
		db.replayRate = int64(float64(r.Bytes) / r.Duration.Seconds())
	}
	db.maxLogBytes = db.opts.MaxLogBytes
	if db.maxLogBytes == 0 {
		db.maxLogBytes = max(int64(float64(db.replayRate)*db.opts.RecoveryTarget.Seconds()), db.opts.SegmentSize/2)
	}
}
