package pagestore

// Cursor walks one tree of one view in either direction. It pins at most one leaf, its delta and its parent in the cache,
// from the move that finds a record to the next move that leaves them, or Close. A move that finds no record leaves the
// cursor unpositioned: Next and Prev then report false until it seeks again. Not safe for concurrent use.
type Cursor struct {
	v    *View
	t    TreeID
	leaf pinned
	nd   node
	i    int // leaf cells before the record, itself not counted

	start, stop int // see delta
	ts          uint64
	val         []byte // inline value, or the encoding of an OverflowRef
	over        bool
	key         []byte
	err         error

	// The parent of the leaf, which is child pos of it; without cells when the leaf is the root. The neighbours of the
	// leaf are found through it.
	parent pinned  // without a router
	up     *router // nil: parent is pinned
	pn     node
	pos    int

	// Fences of the parent: the keys below it lie in [low, high). hasLow and hasHigh are false at the ends of the tree.
	low, high       []byte
	hasLow, hasHigh bool

	// The delta of the leaf. Records [0, lo) of it lie before the cursor's record, and those from hi on behind it; in
	// between is the cursor's record, if it is in the delta. No record of the delta lies in the leaf's cells [start, stop)
	// around the cursor. When the record is in the delta, that range is empty, so that every move looks at both.
	delta  pinned
	dn     delta
	lo, hi int

	fence []byte // the fence that a change of parent goes by
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
	return c.forward(0, 0)
}

// Last moves to the largest key.
func (c *Cursor) Last() bool {
	if !c.descend(nil, toLast) {
		return false
	}
	return c.backward(c.nd.n, c.dn.n)
}

// Seek moves to the first key that is not below key.
func (c *Cursor) Seek(key []byte) bool {
	if !c.descend(key, toKey) {
		return false
	}
	return c.forward(c.search(key))
}

// SeekLT moves to the last key below key.
func (c *Cursor) SeekLT(key []byte) bool {
	if !c.descend(key, toBelow) {
		return false
	}
	return c.backward(c.search(key))
}

// Next moves to the following key.
func (c *Cursor) Next() bool {
	return c.leaf.b != nil && (c.NextInLeaf() || c.nextLeaf())
}

// NextInLeaf is Next without leaving the leaf: when there is no following key in it, the cursor stays. What was read
// ahead stays valid. REQUIRES: the cursor is positioned.
func (c *Cursor) NextInLeaf() bool {
	if c.i+1 < c.stop {
		return c.at(c.i + 1)
	}
	if c.lo < c.hi {
		return c.seekForward(c.dn.after(c.lo), c.hi)
	}
	return c.seekForward(c.i+1, c.hi)
}

// Prev moves to the preceding key.
func (c *Cursor) Prev() bool {
	return c.leaf.b != nil && (c.PrevInLeaf() || c.prevLeaf())
}

// PrevInLeaf is Prev without leaving the leaf.
func (c *Cursor) PrevInLeaf() bool {
	if c.i > c.start {
		return c.at(c.i - 1)
	}
	return c.seekBackward(c.i, c.lo)
}

// search returns how many cells of the leaf and records of the delta lie before key.
func (c *Cursor) search(key []byte) (i, k int) {
	i, _ = c.nd.search(key, 0)
	if c.dn.n > 0 {
		k, _ = c.dn.search(key, 0)
	}
	return i, k
}

// forward moves to the first record behind i cells of the leaf and k records of its delta.
func (c *Cursor) forward(i, k int) bool {
	if c.seekForward(i, k) {
		return true
	}
	return c.nextLeaf()
}

func (c *Cursor) backward(i, k int) bool {
	if c.seekBackward(i, k) {
		return true
	}
	return c.prevLeaf()
}

// seekForward is forward within the leaf.
func (c *Cursor) seekForward(i, k int) bool {
	for k < c.dn.n && (c.dn.before(k) <= i || i >= c.nd.n) {
		i = max(i, c.dn.after(k))
		if c.atDelta(k) {
			return true
		}
		k++
	}
	return i < c.nd.n && c.atLeaf(i, k)
}

// seekBackward moves to the last record among i cells of the leaf and k records of its delta.
func (c *Cursor) seekBackward(i, k int) bool {
	for k > 0 && (c.dn.after(k-1) >= i || i == 0) {
		k--
		i = min(i, c.dn.before(k))
		if c.atDelta(k) {
			return true
		}
	}
	return i > 0 && c.atLeaf(i-1, k)
}

// atLeaf moves to a cell of the leaf that has k records of the delta before it.
func (c *Cursor) atLeaf(i, k int) bool {
	c.lo, c.hi, c.start, c.stop = k, k, 0, c.nd.n
	if k > 0 {
		c.start = c.dn.after(k - 1)
	}
	if k < c.dn.n {
		c.stop = c.dn.before(k)
	}
	return c.at(i)
}

// atDelta moves to a record of the delta, unless it is a deletion.
func (c *Cursor) atDelta(k int) bool {
	cl := c.dn.cell(k)
	if cl.dead() {
		return false
	}
	c.lo, c.hi = k, k+1
	c.start, c.stop = c.nd.n, 0
	c.i, c.ts, c.val, c.over = c.dn.before(k), cl.ts, cl.val, cl.flags&cellOverflow != 0
	c.key = append(append(c.key[:0], c.dn.common()...), cl.suffix...)
	return true
}

// at decodes cell i of the pinned leaf.
func (c *Cursor) at(i int) bool {
	cl := c.nd.cell(i)
	c.i, c.ts, c.val, c.over = i, cl.ts, cl.val, cl.flags&cellOverflow != 0
	c.key = append(append(c.key[:0], c.nd.common()...), cl.suffix...)
	return true
}
