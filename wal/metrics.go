package wal

import (
	"sync/atomic"
	"time"
)

// Metrics are counters since Open and current readings.
type Metrics struct {
	Records, Bytes    int64         // appended; bytes with headers
	Writes, Syncs     int64         // I/O calls
	SyncedRecords     int64         // records made durable: SyncedRecords/Syncs is the group size
	QueueBytes        int64         // appended, not yet written
	Waiters           int64         // committers waiting for another's sync now
	LastSync, MaxSync time.Duration // fsync latency
	SyncTime          time.Duration // total time in fsync
	Segments          int           // files, spare ones included
	RecycledSegments  int64
	DiskBytes         int64
	State             State
	Durable, End      LSN
}

// counters are written by the flusher, waiters by Sync.
type counters struct {
	writes, syncs, syncedRecords, waiters atomic.Int64
	lastSync, maxSync, syncTime           atomic.Int64 // nanoseconds
}

// synced counts one sync. REQUIRES: the flush token.
func (c *counters) synced(took time.Duration, records int64) {
	c.syncs.Add(1)
	c.syncedRecords.Add(records)
	c.lastSync.Store(int64(took))
	c.maxSync.Store(max(c.maxSync.Load(), int64(took)))
	c.syncTime.Add(int64(took))
}

// Metrics returns counters and readings. They are not of one instant.
func (l *Log) Metrics() Metrics {
	state, _ := l.State()
	m := Metrics{
		Writes: l.count.writes.Load(), Syncs: l.count.syncs.Load(),
		SyncedRecords: l.count.syncedRecords.Load(), Waiters: l.count.waiters.Load(),
		LastSync: time.Duration(l.count.lastSync.Load()),
		MaxSync:  time.Duration(l.count.maxSync.Load()),
		SyncTime: time.Duration(l.count.syncTime.Load()),
		State:    state, Durable: l.Durable(),
	}
	l.mu.Lock()
	m.Records, m.Bytes, m.QueueBytes, m.End = l.mu.records, l.mu.bytes, l.mu.queued, l.mu.end
	l.mu.Unlock()
	l.segs.measure(&m)
	return m
}

// measure fills in what concerns files.
func (s *segmentSet) measure(m *Metrics) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.RecycledSegments = s.mu.recycled
	for _, list := range [][]*segment{s.mu.old, s.mu.spares, {s.mu.current}} {
		for _, seg := range list {
			if seg != nil {
				m.Segments++
				m.DiskBytes += seg.size
			}
		}
	}
}
