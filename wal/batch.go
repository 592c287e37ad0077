package wal

// batch collects records that are written together. Two of them take turns:
// Append fills one while the holder of the flush token writes the other.
type batch struct {
	buf     []byte
	end     LSN // after the last record
	records int64
	// splits are the offsets in buf at which a new segment begins: the records
	// before them leave no room for the one that follows (W6).
	splits []int
	// want: somebody waits for the records, or for earlier ones: sync after writing.
	want bool
	// done is closed once, when the round that writes this batch has ended. It
	// is made by the first waiter: a committer that is alone needs none.
	done chan struct{}
	// waiters counts those who wait for done.
	waiters int
	// full is closed when target of them wait, while the flusher awaits that (fill.go); nil otherwise.
	full   chan struct{}
	target int
}

// partEnd is the offset in buf of the end of the records that begin at a split.
func (b *batch) partEnd(split int) int {
	if split+1 < len(b.splits) {
		return b.splits[split+1]
	}
	return len(b.buf)
}

// keptBuffer is how large a buffer may stay when it is not in use, in bytes.
const keptBuffer = 4 << 20

// waitLocked returns the channel to wait on. REQUIRES: Log.mu.
func (b *batch) waitLocked() <-chan struct{} {
	if b.done == nil {
		b.done = make(chan struct{})
	}
	b.waiters++
	b.fullLocked(false)
	return b.done
}

// wakeLocked ends the waiting. REQUIRES: Log.mu.
func (b *batch) wakeLocked() {
	if b.done != nil {
		close(b.done)
		b.done = nil
	}
}

// resetLocked empties the batch for reuse. REQUIRES: Log.mu, and no waiter.
func (b *batch) resetLocked() {
	if cap(b.buf) > keptBuffer {
		b.buf = nil
	}
	b.buf, b.splits = b.buf[:0], b.splits[:0]
	b.records, b.waiters, b.want = 0, 0, false
}
