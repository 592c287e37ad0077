package wal

import (
	"sync"
	"sync/atomic"
	"time"
)

// Log is an open write-ahead log. All methods are safe for concurrent use.
type Log struct {
	opts    Options
	segs    segmentSet
	beat    heartbeat
	count   counters
	durable atomic.Uint64 // an LSN
	end     atomic.Uint64 // mu.end, for who only looks: each commit does
	verdict atomic.Uint32 // the watchdog's State

	// wake hands the flush token to the syncer. Only the token's holder sends,
	// so that one place is enough and sending never blocks.
	wake chan struct{}
	dead chan struct{} // closed when the log fails
	quit chan struct{} // closed by Close when the last flush is over
	wg   sync.WaitGroup

	closing  sync.Once
	closeErr error

	// mu is held for memory operations only. Order: it may be held while
	// segs.mu is taken, not the other way round.
	mu struct {
		sync.Mutex
		end     LSN   // after the last appended record
		queued  int64 // bytes appended and not yet written
		room    int64 // left for records in the segment of the last appended record
		ahead   int   // how many segments later that segment is than the flusher's
		pending *batch
		active  *batch // being flushed, or nil
		idle    *batch // takes pending's place when that is flushed
		busy    bool   // the flush token is taken
		closed  bool
		marked  bool // the last record is a mark, or there is none
		records int64
		bytes   int64 // of those records, headers included
		failure *FailedError
		admit   chan struct{} // closed when there may be room in the queue or on the disk, or no hope for it
	}

	// out belongs to the holder of the flush token.
	out struct {
		segment *segment
		off     int64  // where the next record goes
		chain   uint32 // checksum of the last written record
		written LSN    // after the last written record
		records int64  // written, not yet synced
		woken   int    // waiters of the last round
		all     int    // waiters of the next round when they are back
		filler  filler
	}
}

// Open opens the log in opts.Dir, creating it when the directory holds no
// segment and from is 0, and calls replay for each record at or after from, in
// order. from is 0 for the whole log, or a position that Append or End has
// returned. A nil replay only checks the records. An error of replay ends the
// opening; nothing has been changed then.
//
// Errors: ErrOptions, ErrMissing, ErrCorrupt (*CorruptionError), ErrVersion,
// ErrWrongDatabase, ErrPosition, those of replay and of the file system.
func Open(opts Options, from LSN, replay func(Record) error) (*Log, Recovery, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, Recovery{}, err
	}
	if from > maxLSN || from%recordAlign != 0 {
		return nil, Recovery{}, detailf(ErrPosition, "the replay is to begin at LSN %d, where no record can", from)
	}
	rec, err := recoverLog(&opts, from, replay)
	if err != nil {
		return nil, Recovery{}, err
	}
	return newLog(opts, rec), rec.stats, nil
}

// newLog starts what an open log consists of.
func newLog(opts Options, rec *recovered) *Log {
	l := &Log{opts: opts, wake: make(chan struct{}, 1), dead: make(chan struct{}), quit: make(chan struct{})}
	l.beat.epoch = time.Now()
	l.durable.Store(uint64(rec.end))
	l.mu.end, l.mu.marked = rec.end, rec.marked
	l.end.Store(uint64(rec.end))
	l.mu.pending, l.mu.idle = &batch{end: rec.end}, &batch{}
	if opts.ReadOnly {
		return l
	}
	l.out.segment, l.out.off = rec.current, rec.current.offset(rec.end)
	l.out.chain, l.out.written = rec.chain, rec.end
	l.mu.room = rec.current.size - l.out.off
	l.segs.init(l, rec)
	l.wg.Go(l.runSyncer)
	l.wg.Go(l.segs.run)
	l.wg.Go(l.runMonitor)
	return l
}

// Durable returns the position before which everything is known to be durable.
func (l *Log) Durable() LSN { return LSN(l.durable.Load()) }

// End returns the position after the last appended record.
func (l *Log) End() LSN { return LSN(l.end.Load()) }

// MaxPayload is the largest payload of one record, in bytes: a quarter of the segment size, at most 16 MiB.
func (l *Log) MaxPayload() int { return l.opts.maxPayload() }

// Release allows segments that lie wholly before the given position to be
// recycled or removed. It does file system work, never on the commit path. A
// later Open must not ask for a replay from before that position.
func (l *Log) Release(before LSN) error {
	if l.opts.ReadOnly {
		return ErrReadOnly
	}
	l.mu.Lock()
	closed, failure := l.mu.closed, l.mu.failure
	l.mu.Unlock()
	switch {
	case failure != nil:
		return failure
	case closed:
		return ErrClosed
	case before > l.Durable():
		return detailf(ErrPosition, "release before LSN %d, but the log is durable only up to %d", before, l.Durable())
	}
	return l.segs.release(before)
}

// Close syncs what was appended, marks the log as complete, stops the
// goroutines and closes the files. A device that does not answer makes it
// wait. Its error is the log's failure, if it has failed. Closing again
// returns the same.
func (l *Log) Close() error {
	l.closing.Do(func() { l.closeErr = l.close() })
	return l.closeErr
}
