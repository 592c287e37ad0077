package versions

// Cursor walks keys that have a version at or before a timestamp, deletes included. It holds
// no lock between calls; keys added behind its back are seen or not, but those that are visible at
// its timestamp were there before (V1), so what it shows is stable. Not safe for concurrent use.
//
// A move that finds no key returns false and leaves the cursor without a position, as it is at
// first: Key and Version return nil, Next and Prev return false, and a seek starts it again.
type Cursor struct {
	scan      scan
	timestamp uint64

	// hits are the entries of the scan's batch that have a version for this cursor, in the scan's direction; the cursor
	// is on one of them, or on none.
	hits [maxBatch]hit
	at   int
	size int
	// warm keeps the loads that fill makes ahead from being left out.
	warm byte
}

// hit is an entry with its version at the cursor's timestamp, which stays the same as long as
// the cursor may use the timestamp (V1, V4).
type hit struct {
	entry   *entry
	version *Version
}

// Cursor returns an unpositioned cursor.
func (t *Table) Cursor(timestamp uint64) *Cursor {
	c := &Cursor{}
	c.scan.add = c.scan.addItem
	c.Reset(t, timestamp)
	return c
}

// Reset moves the cursor to another table and timestamp, without a position. With a nil table the
// cursor retains nothing and finds nothing, as befits one that waits in a pool.
func (c *Cursor) Reset(t *Table, timestamp uint64) {
	c.scan.release()
	c.scan.table, c.timestamp = t, timestamp
	clear(c.hits[:])
	c.at, c.size = 0, 0
}

// Seek goes to the first key >= key. It does not retain key.
func (c *Cursor) Seek(key []byte) bool {
	if c.scan.table == nil {
		return false
	}
	c.scan.seek(key)
	return c.fill()
}

// SeekLT goes to the last key < key; nil means the last key of all, while nothing is below an
// empty key that is not nil. It does not retain key.
func (c *Cursor) SeekLT(key []byte) bool {
	if c.scan.table == nil {
		return false
	}
	c.scan.seekLT(key)
	return c.fill()
}

// Next goes to the next higher key.
func (c *Cursor) Next() bool { return c.step(false) }

// Prev goes to the next lower key.
func (c *Cursor) Prev() bool { return c.step(true) }

func (c *Cursor) step(backward bool) bool {
	switch {
	case c.size == 0:
		return false
	case c.scan.backward != backward:
		c.scan.turn(c.hits[c.at].entry, backward)
	case c.at+1 < c.size:
		c.at++
		return true
	}
	return c.fill()
}

// fill goes to the scan's next entry that has a version for this cursor, and looks up the versions of the whole batch.
//
// Entries, versions and keys lie anywhere in memory. So each loop touches one kind of them for all entries of
// the batch: its loads do not depend on each other, and the processor waits for several of them at once.
func (c *Cursor) fill() bool {
	for c.at, c.size = 0, 0; c.scan.fill(); {
		batch := c.scan.take()
		for i, e := range batch {
			c.hits[i] = hit{e, e.head.Load()}
		}
		for i := range batch {
			h := c.hits[i]
			if h.version.Timestamp > c.timestamp {
				if h.version = h.version.olderThan(c.timestamp); h.version == nil {
					continue
				}
			}
			c.hits[c.size] = h
			c.size++
		}
		for i := range c.hits[:c.size] {
			if key := c.hits[i].entry.key; len(key) > 0 {
				c.warm += key[0]
			}
		}
		if c.size > 0 {
			return true
		}
	}
	c.scan.target.key = nil
	return false
}

// Key returns the current key, nil without a position. It belongs to the table: do not change it.
func (c *Cursor) Key() []byte {
	if c.size == 0 {
		return nil
	}
	return c.hits[c.at].entry.key
}

// Version returns the newest version of the current key at or before the cursor's timestamp, nil
// without a position.
func (c *Cursor) Version() *Version {
	if c.size == 0 {
		return nil
	}
	return c.hits[c.at].version
}

// Ahead returns how many keys the cursor has at hand behind the current one, in the direction of its last move.
func (c *Cursor) Ahead() int { return max(c.size-1-c.at, 0) }

// Peek returns the i-th key from the current one on, and its version. REQUIRES: 0 <= i <= Ahead, a position.
func (c *Cursor) Peek(i int) (key []byte, v *Version) {
	h := &c.hits[c.at+i]
	return h.entry.key, h.version
}

// Skip goes i keys on. REQUIRES: 0 <= i <= Ahead.
func (c *Cursor) Skip(i int) { c.at += i }
