package runs

import "github.com/sombradb/sombra/mvcc/internal/versions"

// noBlock is no number of a block, nor next to one.
const noBlock = -3

// firstAhead is how much is read at the first step into another block; it doubles at each further one.
const firstAhead = 64 << 10

// Cursor moves over a run in key order. The moves report whether it stands on a write; if not, Err tells why, and the
// cursor has no position until it seeks again. It keeps no file: when the run is dropped, the next move into another
// block fails with ErrDropped. Not safe for concurrent use.
type Cursor struct {
	run *Run
	err error

	// The current position.
	ok    bool
	at    int // the number of the block
	i     int // the number of the entry in it
	block block
	entry entry
	key   []byte // the prefix of the block, and what belongs to the entry

	// The part of the file [from, from+len(window)). Its memory is one of the two buffers.
	from    int64
	window  []byte
	small   *[maxBlock]byte
	large   *[windowSize]byte
	ahead   int64  // how much was read at once, 0 after a seek
	value   []byte // the last far value that was read
	valueOK bool   // it is that of the current entry
	closed  bool
}

// Cursor returns a cursor without a position. It should be closed, which gives its buffers to others.
func (r *Run) Cursor() *Cursor { return &Cursor{run: r, at: noBlock} }

// SeekFirst goes to the smallest key.
func (c *Cursor) SeekFirst() bool { return c.start() && c.load(0) && c.settle(0) }

// SeekLast goes to the largest key.
func (c *Cursor) SeekLast() bool {
	return c.start() && c.load(len(c.run.index.blocks)-1) && c.settle(c.block.n-1)
}

// Seek goes to the first key at or after key.
func (c *Cursor) Seek(key []byte) bool {
	if !c.start() || !c.load(c.run.index.find(key)) {
		return false
	}
	i, _, ok := c.block.search(key)
	if !ok {
		return c.corrupt()
	}
	return c.settle(i)
}

// SeekBefore goes to the last key before key.
func (c *Cursor) SeekBefore(key []byte) bool {
	if !c.start() || !c.load(c.run.index.findBefore(key)) {
		return false
	}
	i, _, ok := c.block.search(key)
	if !ok {
		return c.corrupt()
	}
	return c.settle(i - 1)
}

// Next goes to the following key.
func (c *Cursor) Next() bool { return c.ok && c.settle(c.i+1) }

// Prev goes to the key before.
func (c *Cursor) Prev() bool { return c.ok && c.settle(c.i-1) }

// start begins a move to anywhere.
func (c *Cursor) start() bool {
	c.ok, c.err = false, nil
	if c.closed {
		c.err = ErrClosed
	}
	return c.err == nil
}

// settle takes entry i of the block, or that of the block before or after if it has none with this number.
func (c *Cursor) settle(i int) bool {
	c.ok = false
	switch {
	case i < 0:
		if !c.load(c.at - 1) {
			return false
		}
		i = c.block.n - 1
	case i >= c.block.n:
		if !c.load(c.at + 1) {
			return false
		}
		i = 0
	}
	var ok bool
	if c.entry, ok = c.block.entry(i); !ok {
		return c.corrupt()
	}
	c.key = append(c.key[:len(c.block.prefix)], c.entry.suffix...)
	c.i, c.ok, c.valueOK = i, true, false
	return true
}

// load makes block i the current one, if there is such a block.
func (c *Cursor) load(i int) bool {
	if i < 0 || i >= len(c.run.index.blocks) {
		if c.run.file.dropped() {
			c.err = ErrDropped
		}
		return false
	}
	if i == c.at {
		return true
	}
	at := c.run.index.blocks[i]
	data := c.part(at.offset, int64(at.length))
	if data == nil {
		if c.err = c.fill(i); c.err != nil {
			return false
		}
		data = c.part(at.offset, int64(at.length))
	}
	if c.block, c.err = c.run.openBlock(data, at); c.err != nil {
		c.at = noBlock
		return false
	}
	c.at = i
	c.key = append(c.key[:0], c.block.prefix...)
	return true
}

// part returns a part of the file if it is in the window.
func (c *Cursor) part(offset, length int64) []byte {
	if offset < c.from || offset+length > c.from+int64(len(c.window)) {
		return nil
	}
	return c.window[offset-c.from:][:length:length]
}

// fill reads block i into the window, and after a step also those that the next steps lead to.
func (c *Cursor) fill(i int) error {
	first, last := c.reach(i)
	blocks := c.run.index.blocks
	c.at, c.from, c.window = noBlock, blocks[first].offset, nil
	if !c.run.file.enter() {
		return ErrDropped
	}
	defer c.run.file.leave()
	window := c.buffer(blocks[last].end() - c.from)
	if err := c.run.file.read(window, c.from); err != nil {
		return err
	}
	c.window = window
	return nil
}

// reach returns the blocks to be read with block i.
func (c *Cursor) reach(i int) (first, last int) {
	blocks := c.run.index.blocks
	first, last = i, i
	if i != c.at+1 && i != c.at-1 {
		c.ahead = 0
		return first, last
	}
	c.ahead = min(max(2*c.ahead, firstAhead), windowSize)
	if i > c.at {
		for last+1 < len(blocks) && blocks[last+1].end()-blocks[i].offset <= c.ahead {
			last++
		}
		return first, last
	}
	for first > 0 && blocks[i].end()-blocks[first-1].offset <= c.ahead {
		first--
	}
	return first, last
}

// buffer returns memory for the window.
func (c *Cursor) buffer(size int64) []byte {
	if c.large == nil && size > maxBlock {
		c.large = getWindowBuffer()
		c.giveSmall()
	}
	if c.large != nil {
		return c.large[:size]
	}
	if c.small == nil {
		c.small = getBlockBuffer()
	}
	return c.small[:size]
}

func (c *Cursor) giveSmall() {
	if c.small != nil {
		putBlockBuffer(c.small)
		c.small = nil
	}
}

// corrupt ends a move because the current block cannot be read.
func (c *Cursor) corrupt() bool {
	c.ok = false
	c.err = c.run.file.corrupt(c.run.index.blocks[c.at].offset, unreadableEntry)
	return false
}

// Key returns the current key, valid until the next move, nil without a position.
func (c *Cursor) Key() []byte {
	if !c.ok {
		return nil
	}
	return c.key
}

// Kind returns the kind of the current write, 0 without a position.
func (c *Cursor) Kind() versions.Kind {
	if !c.ok {
		return 0
	}
	return c.entry.kind
}

// ValueSize returns the length of the current value, without reading it.
func (c *Cursor) ValueSize() int64 {
	if !c.ok {
		return 0
	}
	return c.entry.size
}

// Value returns the current value, valid until the next move, nil without a position. A value of more than 16 KiB is
// read now, which may fail; the cursor keeps its position then.
func (c *Cursor) Value() ([]byte, error) {
	switch {
	case !c.ok:
		return nil, c.err
	case !c.entry.isFar:
		return c.entry.value, nil
	case c.valueOK:
		return c.value, nil
	}
	return c.readFar()
}

func (c *Cursor) readFar() ([]byte, error) {
	e := &c.entry
	if err := c.run.checkFar(e); err != nil {
		return nil, err
	}
	if value := c.part(e.far.offset, e.size); value != nil {
		return value, c.run.verifyFar(e, value)
	}
	if !c.run.file.enter() {
		return nil, ErrDropped
	}
	defer c.run.file.leave()
	value, err := c.run.appendValue(c.value[:0], e)
	if err != nil {
		return nil, err
	}
	c.value, c.valueOK = value, true
	return value, nil
}

// Err returns what stopped the cursor, nil at the ends of the run.
func (c *Cursor) Err() error { return c.err }

// Close gives the buffers back. A second Close does nothing; moves fail with ErrClosed.
func (c *Cursor) Close() {
	c.giveSmall()
	if c.large != nil {
		putWindowBuffer(c.large)
	}
	*c = Cursor{run: c.run, at: noBlock, closed: true, err: ErrClosed}
}
