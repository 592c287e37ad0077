package mvcc

import (
	"context"
	"time"
)

// budget splits Options.MemoryBudget. The version store is counted twice,
// because the collector lets the heap grow to twice what is live:
//
//	36 %  page cache, outside the Go heap
//	36 %  version store: one table of 7 % sealed, one of up to 11 %, x 2
//	 8 %  write sets; beyond it they spill
//	20 %  the rest: log and checkpoint buffers, locks
//
// of what is left after fixedCost, which every open database needs.
type budget struct {
	cache int64
	seal  int64 // a table of this size is sealed
	hard  int64 // commits wait while the active table is larger and another is sealed
	// writes is what the write sets of all transactions may have before one spills.
	writes int64
}

func (db *DB) budget() budget {
	b := max(db.opts.MemoryBudget-fixedCost, db.opts.MemoryBudget/2)
	return budget{cache: b * 36 / 100, seal: b * 7 / 100, hard: b * 11 / 100, writes: b * 8 / 100}
}

// fixedCost is the memory of buffers whose size does not depend on the budget, in bytes.
const fixedCost = 6 << 20

// maxDelay is the longest smooth delay of a commit.
const maxDelay = 5 * time.Millisecond

// admit holds a commit back while memory is short (R7): smoothly longer as
// the active table fills up while another one is being merged, and entirely
// above the hard limit. If checkpoints fail, it returns their error there.
func (db *DB) admit(ctx context.Context, bytes int64) error {
	b := db.budget()
	c := &db.checkpoints
	start := time.Time{}
	for {
		st := db.state.Load()
		used := st.active.Bytes() + bytes
		if used >= b.seal || c.logBytes(db) >= db.opts.MaxLogBytes {
			c.wake()
		}
		if len(st.frozen) == 0 || used < b.seal || st.active.Keys() == 0 {
			break
		}
		if start.IsZero() {
			start = time.Now()
			defer func() { db.count.admissionDelay.Add(int64(time.Since(start))) }()
		}
		if used < b.hard {
			full := float64(used-b.seal) / float64(b.hard-b.seal)
			return sleep(ctx, time.Duration(full*full*float64(maxDelay)))
		}
		if err := db.awaitCheckpoint(ctx); err != nil {
			return err
		}
	}
	return nil
}

// awaitCheckpoint waits for the end of one attempt, or returns what made the last one fail.
func (db *DB) awaitCheckpoint(ctx context.Context) error {
	p := &db.checkpoints.progress
	p.Lock()
	done, lastErr := p.done, p.lastErr
	p.Unlock()
	if lastErr != nil {
		return &HeldBackError{lastErr}
	}
	select {
	case <-done:
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
