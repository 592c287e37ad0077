package pagestore

import "bytes"

// Cursor walks one tree of one view in either direction. It pins at most one leaf in the cache, from the move that
// finds a record to the next move that leaves the leaf, or Close. A move that finds no record leaves the cursor
// unpositioned: Next and Prev then report false until it seeks again. Not safe for concurrent use.
type Cursor struct {
	v    *View
	t    TreeID
	leaf pinned
	nd   node
	i    int
	ts   uint64
	val  []byte // inline value, or the encoding of an OverflowRef
	over bool
	key  []byte
	err  error

	// Fences of the pinned leaf: its keys lie in [low, high). hasLow and hasHigh are false at the ends of the tree.
	low, high       []byte
	hasLow, hasHigh bool

	fence []byte // the fence that a change of leaf goes by
	large []byte // value read from overflow pages
}

// Cursor returns an unpositioned cursor. It must be closed.
func (v *View) Cursor(t TreeID) *Cursor { return &Cursor{v: v, t: t} }

// Reset moves an unpositioned or positioned cursor to another view; it must seek next.
func (c *Cursor) Reset(v *View) {
	c.unposition()
	c.v, c.err = v, nil
}

// Close releases the leaf. The cursor may be used again after a Reset.
func (c *Cursor) Close() { c.unposition() }

// Err tells why the last move found no record: nil at the end of the tree, else ErrStale, ErrClosed, ErrUnknownTree,
// a *CorruptionError or what the file system says.
func (c *Cursor) Err() error { return c.err }

// Key returns the key of the record, valid until the next move or Close. It is nil when the cursor is unpositioned.
func (c *Cursor) Key() []byte {
	if c.leaf.b == nil {
		return nil
	}
	return c.key
}

// Value returns the value of the record, valid until the next move or Close. It reads overflow pages when it must.
func (c *Cursor) Value() ([]byte, error) {
	if !c.over || c.leaf.b == nil {
		return c.val, nil
	}
	var err error
	c.large, err = c.v.s.appendOverflow(c.v, c.large[:0], parseRef(c.val))
	if err != nil {
		return nil, err
	}
	return c.large, nil
}

// ValueSize returns the value's length without reading overflow pages.
func (c *Cursor) ValueSize() int64 {
	if c.over {
		return parseRef(c.val).Size
	}
	return int64(len(c.val))
}

// Timestamp returns the record's timestamp.
func (c *Cursor) Timestamp() uint64 { return c.ts }

// First moves to the smallest key.
func (c *Cursor) First() bool {
	if !c.descend(nil, toFirst) {
		return false
	}
	return c.at(0)
}

// Last moves to the largest key.
func (c *Cursor) Last() bool {
	if !c.descend(nil, toLast) {
		return false
	}
	return c.at(c.nd.n - 1)
}

// Seek moves to the first key that is not below key.
func (c *Cursor) Seek(key []byte) bool {
	if !c.descend(key, toKey) {
		return false
	}
	if i, _ := c.nd.search(key, 0); i < c.nd.n {
		return c.at(i)
	}
	return c.nextLeaf()
}

// SeekLT moves to the last key below key.
func (c *Cursor) SeekLT(key []byte) bool {
	if !c.descend(key, toBelow) {
		return false
	}
	if i, _ := c.nd.search(key, 0); i > 0 {
		return c.at(i - 1)
	}
	return c.prevLeaf()
}

// Next moves to the following key.
func (c *Cursor) Next() bool {
	if c.leaf.b == nil {
		return false
	}
	if c.i+1 < c.nd.n {
		return c.at(c.i + 1)
	}
	return c.nextLeaf()
}

// Prev moves to the preceding key.
func (c *Cursor) Prev() bool {
	if c.leaf.b == nil {
		return false
	}
	if c.i > 0 {
		return c.at(c.i - 1)
	}
	return c.prevLeaf()
}

// at decodes record i of the pinned leaf.
func (c *Cursor) at(i int) bool {
	cl := c.nd.cell(i)
	c.i, c.ts, c.val, c.over = i, cl.ts, cl.val, cl.flags&cellOverflow != 0
	c.key = append(append(c.key[:0], c.nd.common()...), cl.suffix...)
	return true
}

func (c *Cursor) unposition() {
	c.leaf.release()
	c.nd, c.val, c.over, c.ts = node{}, nil, false, 0
}

func (c *Cursor) fail(err error) bool {
	c.unposition()
	c.err = err
	return false
}

// nextLeaf goes to the first record behind the pinned leaf, by a new descent to its upper fence: holding the path
// would pin more than a leaf. The fence must grow each time, so a damaged tree cannot keep the loop going.
func (c *Cursor) nextLeaf() bool {
	for c.hasHigh {
		c.fence = append(c.fence[:0], c.high...)
		if !c.descend(c.fence, toKey) {
			return false
		}
		if i, _ := c.nd.search(c.fence, 0); i < c.nd.n {
			return c.at(i)
		}
		if c.hasHigh && bytes.Compare(c.high, c.fence) <= 0 {
			return c.fail(c.v.s.corrupt(0, "separators are not in ascending order"))
		}
	}
	return c.fail(nil)
}

func (c *Cursor) prevLeaf() bool {
	for c.hasLow {
		c.fence = append(c.fence[:0], c.low...)
		if !c.descend(c.fence, toBelow) {
			return false
		}
		if i, _ := c.nd.search(c.fence, 0); i > 0 {
			return c.at(i - 1)
		}
		if c.hasLow && bytes.Compare(c.low, c.fence) >= 0 {
			return c.fail(c.v.s.corrupt(0, "separators are not in ascending order"))
		}
	}
	return c.fail(nil)
}

// target says which leaf a descent looks for.
type target uint8

const (
	toFirst target = iota
	toLast
	toKey   // the leaf that may hold the key
	toBelow // the leaf that may hold the last smaller key
)

func (nd *node) pick(key []byte, to target) int {
	switch to {
	case toKey:
		return nd.childFor(key)
	case toBelow:
		return nd.childBelow(key)
	case toLast:
		return nd.n - 1
	}
	return 0
}

// descend pins the leaf and notes its fences.
func (c *Cursor) descend(key []byte, to target) bool {
	c.unposition()
	c.err, c.hasLow, c.hasHigh = nil, false, false
	if err := c.v.usable(c.t); err != nil {
		return c.fail(err)
	}
	root := &c.v.sb.trees[c.t]
	if root.height == 0 {
		return false
	}
	ref := root.childRef
	for level := root.height - 1; ; level-- {
		p, err := c.v.s.fetch(c.v, ref, c.t, level)
		if err != nil {
			return c.fail(err)
		}
		nd := asNode(p.b)
		if level == 0 {
			c.v.s.cache.used(ref.page, root.height)
			c.leaf, c.nd = p, nd
			return true
		}
		i := nd.pick(key, to)
		if i > 0 {
			c.low, c.hasLow = nd.appendKey(c.low[:0], i), true
		}
		if i+1 < nd.n {
			c.high, c.hasHigh = nd.appendKey(c.high[:0], i+1), true
		}
		ref = nd.child(i).childRef
		p.release()
	}
}
