package pagestore

import "bytes"

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

// descend pins the leaf with its parent and its delta, and notes the fences of the parent.
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
	pl := place{ref: root.childRef}
	sp := &c.v.routers[c.t]
	for level := root.height - 1; level > 0; level-- {
		nd, r, err := c.inner(sp, pl.ref, level)
		if err != nil {
			return c.fail(err)
		}
		i := nd.pick(key, to)
		if level == 1 {
			c.up, c.pn, c.pos = r, nd, i
			pl = c.place(i)
			break
		}
		if i > 0 {
			c.low, c.hasLow = nd.appendKey(c.low[:0], i), true
		}
		if i+1 < nd.n {
			c.high, c.hasHigh = nd.appendKey(c.high[:0], i+1), true
		}
		if sp = nil; r != nil {
			sp = r.follow(i, &pl)
		} else {
			pl.ref, _ = nd.route(i)
		}
		c.parent.release()
	}
	c.v.s.cache.used(pl.ref.page, root.height)
	if !c.pinLeaf(&pl, readsBySearch) {
		return false
	}
	if to == toKey || to == toBelow {
		warm(c.leaf.b)
	}
	return true
}

// inner returns an inner node: that of a router, or one that it pins as the parent.
func (c *Cursor) inner(sp *signpost, ref childRef, level int) (nd node, r *router, err error) {
	if sp != nil {
		if r = c.v.route(sp, ref, c.t, level); r != nil {
			return r.nd, r, nil
		}
	}
	if c.parent, err = c.v.s.fetch(c.v, ref, c.t, level); err != nil {
		return node{}, nil, err
	}
	return asNode(c.parent.b), nil, nil
}

// place returns where a child of the parent lies.
func (c *Cursor) place(pos int) (pl place) {
	if c.up != nil {
		c.up.follow(pos, &pl)
	} else {
		pl.ref, pl.delta = c.pn.route(pos)
	}
	return pl
}

// cached pins a leaf without a delta, or an image, if the cache has it.
func (c *Cursor) cached(pl *place) (p pinned, ok bool) {
	switch {
	case pl.delta.page != 0:
		return c.v.s.image(pl.ref, pl.delta, c.t, pl.frame)
	case pl.ref.pages != 1:
		return pinned{}, false
	}
	if p, ok = c.v.s.cache.lookupBy(pl.ref, pl.frame); ok && !isNode(p.b, c.t, 0) {
		p.release() // whoever fetches it reports the damage
		return pinned{}, false
	}
	return p, ok
}

// pinLeaf pins the leaf, or its image, or the leaf and its delta. Of these it makes an image if they were read so at least
// as often.
func (c *Cursor) pinLeaf(pl *place, least uint64) bool {
	var ok bool
	if c.leaf, ok = c.cached(pl); ok {
		c.nd = asNode(c.leaf.b)
		return true
	}
	var err error
	ref, d := pl.ref, pl.delta
	if c.leaf, err = c.v.s.fetch(c.v, ref, c.t, 0); err != nil {
		return c.fail(err)
	}
	c.nd = asNode(c.leaf.b)
	if d.page == 0 {
		return true
	}
	c.v.s.cache.used(d.page, 1)
	p, o, err := c.v.s.overlayOf(c.v, c.nd, ref, d, c.t)
	if err != nil {
		return c.fail(err)
	}
	if image, ok := c.v.s.readApart(c.v, c.leaf, pl, c.t, least); ok {
		p.release()
		c.leaf.release()
		c.leaf, c.nd = image, asNode(image.b)
		return true
	}
	c.delta, c.dn = p, o.dn
	return true
}

// toChild pins another child of the pinned parent.
func (c *Cursor) toChild(pos int) bool {
	c.releaseLeaf()
	c.pos = pos
	pl := c.place(pos)
	c.v.s.cache.used(pl.ref.page, 1)
	if !c.pinLeaf(&pl, readsByScan) {
		return false
	}
	warmAhead(c.leaf.b)
	return true
}

// nextLeaf goes to the first record behind the pinned leaf: in the next child of the parent, and behind its last one in
// the next parent.
func (c *Cursor) nextLeaf() bool {
	for {
		switch {
		case c.pos+1 < c.pn.n:
			if !c.toChild(c.pos + 1) {
				return false
			}
			if c.seekForward(0, 0) {
				return true
			}
		case !c.hasHigh:
			return c.fail(nil)
		default:
			if !c.nextParent() {
				return false
			}
			if c.seekForward(c.search(c.fence)) {
				return true
			}
		}
	}
}

// nextParent goes to the leaf behind the last one below the pinned parent, by a new descent to the parent's upper fence:
// holding the path would pin more than one inner node. The fence must grow each time, so that a damaged tree cannot keep
// the cursor going.
func (c *Cursor) nextParent() bool {
	c.fence = append(c.fence[:0], c.high...)
	if !c.descend(c.fence, toKey) {
		return false
	}
	if c.hasHigh && bytes.Compare(c.high, c.fence) <= 0 {
		return c.fail(c.v.s.corrupt(0, "separators are not in ascending order"))
	}
	return true
}

// prevLeaf goes to the last record before the pinned leaf.
func (c *Cursor) prevLeaf() bool {
	for {
		switch {
		case c.pos > 0:
			if !c.toChild(c.pos - 1) {
				return false
			}
			if c.seekBackward(c.nd.n, c.dn.n) {
				return true
			}
		case !c.hasLow:
			return c.fail(nil)
		default:
			if !c.prevParent() {
				return false
			}
			if c.seekBackward(c.search(c.fence)) {
				return true
			}
		}
	}
}

func (c *Cursor) prevParent() bool {
	c.fence = append(c.fence[:0], c.low...)
	if !c.descend(c.fence, toBelow) {
		return false
	}
	if c.hasLow && bytes.Compare(c.low, c.fence) >= 0 {
		return c.fail(c.v.s.corrupt(0, "separators are not in ascending order"))
	}
	return true
}

func (c *Cursor) releaseLeaf() {
	c.leaf.release()
	c.delta.release()
	c.nd, c.dn, c.val, c.over, c.ts = node{}, delta{}, nil, false, 0
}

func (c *Cursor) unposition() {
	c.releaseLeaf()
	c.parent.release()
	c.up, c.pn, c.pos = nil, node{}, 0
}

func (c *Cursor) fail(err error) bool {
	c.unposition()
	c.err = err
	return false
}
