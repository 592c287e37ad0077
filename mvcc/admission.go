package mvcc

import (
	"context"
	"sync/atomic"
	"time"
)

// budget splits Options.MemoryBudget. The version store is counted twice,
// because the collector lets the heap grow to twice what is live:
//
//	36 %  page cache, outside the Go heap; without Options.CopyShare of it, for copies that the program keeps
//	36 %  version store: one table of 7 % sealed, one of up to 11 %, x 2
//	 8 %  write sets; beyond it they spill
//	10 %  records that wait for the log: 5 % queued, and once more while they are written
//	10 %  the rest: checkpoint buffers, locks
//
// of what is left after fixedCost, which every open database needs.
type budget struct {
	cache  int64
	copies int64 // that the program keeps
	seal   int64 // a table of this size is sealed
	hard   int64 // commits wait while the active table is larger and another is sealed
	// readSet is how many keys and ranges one transaction remembers before neighbours are joined.
	readSet int
	queue   int64 // of log records that wait to be written
	// writes is what the write sets of all transactions may have before one spills.
	writes int64
}

func (db *DB) budget() budget {
	b := max(db.opts.MemoryBudget-fixedCost, db.opts.MemoryBudget/2)
	cache := b * 36 / 100
	copies := min(cache*int64(db.opts.CopyShare)/100, cache-minCache)
	return budget{cache: cache - copies, copies: copies, seal: b * 7 / 100, hard: b * 11 / 100, writes: b * 8 / 100, queue: b * 5 / 100, readSet: int(max(b/1024, 1024))}
}

// fixedCost is the memory of buffers whose size does not depend on the budget, in bytes.
const fixedCost = 6 << 20

// minCache is the least page cache, in bytes: pagestore's.
const minCache = 1 << 20

// maxCopyShare bounds Options.CopyShare, in percent.
const maxCopyShare = 75

// Pacing. While a checkpoint merges, the active table may fill no faster than the merge goes on: when it is half done,
// half of the room up to the hard limit may be used. So writers slow down to what the checkpoint can bear, each of them by
// little, instead of running into the limit and stopping there until it is done.
const (
	freeRoom  = 0.1                    // of the room is there at once
	mergePart = 0.8                    // of the progress is the merge of keys; the rest is told by the clock
	paceStep  = 500 * time.Microsecond // between two looks
)

// pace tells how far the checkpoint under way is. The checkpointer writes it, commits read it.
type pace struct {
	total, merged atomic.Int64 // keys
	tail          atomic.Int64 // when the merge of keys ended, in ns since 1970; 0 before
	lastTail      atomic.Int64 // how long the rest took last time, in ns
}

func (p *pace) begin(keys int64) {
	p.total.Store(keys)
	p.merged.Store(0)
	p.tail.Store(0)
}

func (p *pace) endMerge() { p.tail.Store(time.Now().UnixNano()) }

func (p *pace) end() {
	if at := p.tail.Load(); at != 0 {
		p.lastTail.Store(time.Now().UnixNano() - at)
	}
}

// done returns the progress, from 0 to 1.
func (p *pace) done() float64 {
	if at := p.tail.Load(); at != 0 {
		rest := float64(time.Now().UnixNano()-at) / float64(max(p.lastTail.Load(), 1))
		return mergePart + (1-mergePart)*min(rest, 1)
	}
	return mergePart * float64(p.merged.Load()) / float64(max(p.total.Load(), 1))
}

// room returns how large the active table may be now, in bytes, while a checkpoint merges another one.
func (db *DB) room(b budget) int64 {
	if db.checkpoints.failing() {
		return b.hard
	}
	return int64(float64(b.hard) * max(freeRoom, db.checkpoints.pace.done()))
}

// admit holds a commit back while memory is short (R7): as long as the table fills faster than the checkpoint goes on,
// and entirely above the hard limit. If checkpoints fail, it returns their error there.
func (db *DB) admit(ctx context.Context, bytes int64) error {
	if _, wait := db.mustWait(bytes); !wait {
		return nil
	}
	start := time.Now()
	defer func() { db.count.admissionDelay.Add(int64(time.Since(start))) }()
	for {
		ticket, wait := db.mustWait(bytes)
		if !wait {
			return nil
		}
		var err error
		if ticket == nil {
			err = sleep(ctx, paceStep)
		} else {
			err = db.awaitCheckpoint(ctx, ticket)
		}
		if err != nil {
			return err
		}
	}
}

// mustWait reports whether a commit has to wait, and for which checkpoint; nil is for a moment only.
func (db *DB) mustWait(bytes int64) (ticket <-chan struct{}, wait bool) {
	b, c := db.budget(), &db.checkpoints
	if len(db.state.Load().frozen) > 0 {
		ticket = c.ticket()
	}
	st := db.state.Load()
	used := st.active.Bytes() + bytes
	if used >= b.seal || c.logBytes(db) >= db.maxLogBytes {
		c.wake()
	}
	if len(st.frozen) == 0 || st.active.Keys() == 0 || used < db.room(b) {
		return nil, false
	}
	if used < b.hard {
		ticket = nil
	}
	return ticket, true
}

// failing reports whether the last checkpoint has failed.
func (c *checkpointer) failing() bool {
	c.progress.Lock()
	defer c.progress.Unlock()
	return c.progress.lastErr != nil
}

// ticket returns what is closed at the end of the next checkpoint that ends. Who waits for a change of the state takes it
// before looking at the state: then the checkpoint that brings the change ends later, and closes it.
func (c *checkpointer) ticket() <-chan struct{} {
	c.progress.Lock()
	defer c.progress.Unlock()
	return c.progress.done
}

// awaitCheckpoint waits for the end of the attempt of the ticket, or returns what made the last one fail. The caller has
// asked for a checkpoint after it took the ticket.
func (db *DB) awaitCheckpoint(ctx context.Context, ticket <-chan struct{}) error {
	p := &db.checkpoints.progress
	p.Lock()
	lastErr := p.lastErr
	p.Unlock()
	if lastErr != nil {
		return &HeldBackError{lastErr}
	}
	select {
	case <-ticket:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-db.failed.ch:
		return db.failed.get()
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// admitLog waits for room in the log's buffer.
func (db *DB) admitLog(ctx context.Context, bytes int) error {
	return db.logError(db.log.Admit(ctx, bytes))
}
