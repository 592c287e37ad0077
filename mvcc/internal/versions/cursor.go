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
	entry     *entry
	version   *Version
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
	c.entry, c.version = nil, nil
}

// Seek goes to the first key >= key. It does not retain key.
func (c *Cursor) Seek(key []byte) bool {
	if c.scan.table == nil {
		return false
	}
	c.scan.seek(key)
	return c.advance()
}

// SeekLT goes to the last key < key; nil means the last key of all, while nothing is below an
// empty key that is not nil. It does not retain key.
func (c *Cursor) SeekLT(key []byte) bool {
	if c.scan.table == nil {
		return false
	}
	c.scan.seekLT(key)
	return c.advance()
}

// Next goes to the next higher key.
func (c *Cursor) Next() bool { return c.step(false) }

// Prev goes to the next lower key.
func (c *Cursor) Prev() bool { return c.step(true) }

func (c *Cursor) step(backward bool) bool {
	if c.entry == nil {
		return false
	}
	if c.scan.backward != backward {
		c.scan.turn(c.entry, backward)
	}
	return c.advance()
}

// advance goes to the scan's next entry that has a version for this cursor.
func (c *Cursor) advance() bool {
	for e := c.scan.next(); e != nil; e = c.scan.next() {
		if v := e.at(c.timestamp); v != nil {
			c.entry, c.version = e, v
			return true
		}
	}
	c.scan.target.key = nil
	c.entry, c.version = nil, nil
	return false
}

// Key returns the current key, nil without a position. It belongs to the table: do not change it.
func (c *Cursor) Key() []byte {
	if c.entry == nil {
		return nil
	}
	return c.entry.key
}

// Version returns the newest version of the current key at or before the cursor's timestamp, nil
// without a position.
func (c *Cursor) Version() *Version { return c.version }
