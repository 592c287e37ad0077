package pagestore

// Entry is a record that a cursor has read ahead. Key and value are valid until the cursor leaves the leaf (see
// ReadAhead), and the key until the Ahead is reset.
type Entry struct{ Key, Value []byte }

// Ahead holds records that were read together. Its memory is used again after a reset.
type Ahead struct {
	Entries []Entry
	// Run is begun instead of entries where enough records follow each other.
	Run Run
	// Lazy is set when the value of the last entry has not been read, as it lies in overflow pages: the cursor stands on
	// that record, and its Value reads it.
	Lazy bool

	keys []byte // a larger one may have taken its place; the entries before that keep the old one
}

// firstKeys is how many bytes of keys there is memory for at first.
const firstKeys = 1 << 10

// maxKeptKeys bounds the memory for keys that a reset keeps, in bytes.
const maxKeptKeys = 64 << 10

// Empty reports whether there is nothing.
func (a *Ahead) Empty() bool { return len(a.Entries) == 0 && !a.Run.Active() }

// Reset drops the entries and ends the run, whose cursor must still be in the leaf or be closed.
func (a *Ahead) Reset() {
	a.Run.finish()
	a.Entries, a.Lazy, a.keys = a.Entries[:0], false, a.keys[:0]
	if cap(a.keys) > maxKeptKeys {
		a.keys = nil
	}
}

// add appends a record.
func (a *Ahead) add(common []byte, c *cell) {
	if a.keys == nil {
		a.keys = make([]byte, 0, firstKeys)
	}
	at := len(a.keys)
	a.keys = append(append(a.keys, common...), c.suffix...)
	a.Entries = append(a.Entries, Entry{a.keys[at:len(a.keys):len(a.keys)], c.val})
}

// ReadAhead appends the cursor's record and those that follow it in the leaf, in ascending order or, when back is set,
// in descending order, to a: until there are limit entries, or the next record is not before bound in that direction
// (nil: no bound). Records with a timestamp above newest are left out. The cursor's own record must come before
// the bound, and limit must be above the number of entries.
//
// It reports whether the cursor stands on a record that was not taken. If not, all records of the leaf in that direction
// are taken, and Next or Prev, the only calls that make sense then, leaves the leaf. A record with a large value ends the
// reading; it is taken only when it comes first, and then it is still the cursor's record (Lazy).
//
// Where some cells of the leaf follow each other without a record of the delta, and limit lets at least leastRun of them be taken, there
// are no entries for them, but a run, which pauses after limit cells. It begins only when there are no entries; before that ReadAhead takes nothing
// and reports true.
func (c *Cursor) ReadAhead(a *Ahead, back bool, bound []byte, newest uint64, limit int) (more bool) {
	if c.leaf.b == nil {
		return false
	}
	if c.over {
		a.Entries, a.Lazy = append(a.Entries, Entry{Key: c.key}), true
		return false
	}
	if back {
		return c.readBackward(a, bound, newest, limit)
	}
	return c.readForward(a, bound, newest, limit)
}

// readForward is ReadAhead in ascending order. The records before the bound are the first end cells of the leaf
// and the first dend records of its delta.
func (c *Cursor) readForward(a *Ahead, bound []byte, newest uint64, limit int) bool {
	end, dend := c.nd.n, c.dn.n
	if bound != nil {
		end, dend = c.search(bound)
	}
	if c.lo == c.hi {
		if stop := min(c.stop, end); min(stop-c.i, limit-len(a.Entries)) >= leastRun {
			return c.beginRun(a, stop, 1, newest, limit)
		}
	}
	for {
		if c.lo < c.hi {
			if c.over {
				return true
			}
			c.addDelta(a, newest)
		} else {
			stop := min(c.stop, end, c.i+limit-len(a.Entries))
			i := c.addCells(a, stop, 1, newest)
			if i < c.stop {
				return c.at(i)
			}
			c.i = i - 1
		}
		if !c.NextInLeaf() {
			return false
		}
		if len(a.Entries) >= limit || c.isBehind(end, dend) {
			return true
		}
	}
}

// beginRun begins a run from the cursor's cell on, unless there are entries already: then it comes next.
func (c *Cursor) beginRun(a *Ahead, stop, step int, newest uint64, limit int) (more bool) {
	if len(a.Entries) > 0 {
		return true
	}
	a.Run.begin(c, stop, step, newest, limit)
	return false
}

// isBehind reports whether the cursor's record is not among the first cells of the leaf and records of its delta.
func (c *Cursor) isBehind(end, dend int) bool {
	if c.lo < c.hi {
		return c.lo >= dend
	}
	return c.i >= end
}

// readBackward is ReadAhead in descending order. The records before the bound, which lie above it, are those behind
// the first end cells of the leaf and the first dend records of its delta.
func (c *Cursor) readBackward(a *Ahead, bound []byte, newest uint64, limit int) bool {
	end, dend := 0, 0
	if bound != nil {
		end, dend = c.searchBehind(bound)
	}
	if c.lo == c.hi {
		if stop := max(c.start, end); min(c.i-stop+1, limit-len(a.Entries)) >= leastRun {
			return c.beginRun(a, stop-1, -1, newest, limit)
		}
	}
	for {
		if c.lo < c.hi {
			if c.over {
				return true
			}
			c.addDelta(a, newest)
		} else {
			stop := max(c.start, end, c.i+1-limit+len(a.Entries)) - 1
			i := c.addCells(a, stop, -1, newest)
			if i >= c.start {
				return c.at(i)
			}
			c.i = i + 1
		}
		if !c.PrevInLeaf() {
			return false
		}
		if len(a.Entries) >= limit || !c.isBehind(end, dend) {
			return true
		}
	}
}

// searchBehind returns how many cells of the leaf and records of the delta are not behind key.
func (c *Cursor) searchBehind(key []byte) (i, k int) {
	i, found := c.nd.search(key, 0)
	if found {
		i++
	}
	if c.dn.n > 0 {
		if k, found = c.dn.search(key, 0); found {
			k++
		}
	}
	return i, k
}

// addCells takes cells of the leaf from the cursor's on, in steps of 1 or -1, until it comes to stop, or to a large
// value. It returns where it ended.
func (c *Cursor) addCells(a *Ahead, stop, step int, newest uint64) int {
	common := c.nd.common()
	i := c.i
	for {
		if c.nd.base <= newest {
			i = c.nd.addShort(a, i, stop, step)
		}
		if i == stop {
			return i
		}
		cl := c.nd.cell(i)
		if cl.flags&cellOverflow != 0 {
			return i
		}
		if cl.ts <= newest {
			a.add(common, &cl)
		}
		i += step
	}
}

// addShort takes cells as long as they have the usual form: no flags, so the base timestamp, lengths of one byte for the
// key and at most two for the value; and as long as there is room for keys. It returns where it ended. A scan spends most
// of its time here.
func (nd *node) addShort(a *Ahead, i, stop, step int) int {
	b, keys, entries := nd.b, a.keys, a.Entries
	common := b[nd.heads-nd.prefix:]
	for ; i != stop; i += step {
		at := nd.offset(i)
		head := (*[3]byte)(b[at:])
		if head[0] >= 0x80 || head[0]&(1<<cellFlagBits-1) != 0 {
			break
		}
		value := int(head[1])
		if at += 2; value >= 0x80 {
			if head[2] >= 0x80 {
				break
			}
			value = value&0x7f | int(head[2])<<7
			at++
		}
		mid := at + int(head[0])>>cellFlagBits
		start := len(keys)
		end := start + nd.prefix + mid - at
		if end+shortKey > cap(keys) {
			break
		}
		keys = keys[:end+shortKey]
		copyShort(keys[start:], common, nd.prefix)
		copyShort(keys[start+nd.prefix:], b[at:], mid-at)
		keys = keys[:end]
		entries = append(entries, Entry{keys[start:end:end], b[mid : mid+value : mid+value]})
	}
	a.keys, a.Entries = keys, entries
	return i
}

// shortKey is how many bytes copyShort may write behind what it copies.
const shortKey = 16

// copyShort copies the first n bytes of src to dst. If they are few it copies more, which costs less than a call: dst has
// shortKey bytes behind them that may be overwritten, and src, which is part of a page, has the page's trailer there.
func copyShort(dst, src []byte, n int) {
	if n > shortKey {
		copy(dst, src[:n])
		return
	}
	*(*[shortKey]byte)(dst) = *(*[shortKey]byte)(src)
}

// addDelta takes the cursor's record, which is in the delta.
func (c *Cursor) addDelta(a *Ahead, newest uint64) {
	if cl := c.dn.cell(c.lo); cl.ts <= newest {
		a.add(c.dn.common(), &cl)
	}
}
