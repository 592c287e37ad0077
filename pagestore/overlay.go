package pagestore

// overlay walks the records of a leaf as its delta leaves them, in key order.
type overlay struct {
	nd   node
	dn   delta
	i, k int // the next cell of the leaf, and of the delta
}

// next returns the next record among the cells before end of the leaf and before dend of the delta, and the node that
// it lies in. Every call moves on in one of the two, whatever the spots say.
func (o *overlay) next(end, dend int) (c cell, from *node, at int, ok bool) {
	for {
		if o.k < dend && (o.i >= end || o.dn.before(o.k) <= o.i) {
			at = o.k
			o.i = max(o.i, o.dn.after(at))
			o.k++
			if c = o.dn.cell(at); !c.dead() {
				return c, &o.dn.node, at, true
			}
			continue
		}
		if o.i >= end {
			return cell{}, nil, 0, false
		}
		o.i++
		return o.nd.cell(o.i - 1), &o.nd, o.i - 1, true
	}
}

// rest is next up to the end of the leaf.
func (o *overlay) rest() (c cell, from *node, at int, ok bool) { return o.next(o.nd.n, o.dn.n) }

// seek begins the walk at the first record that is not below key.
func (o *overlay) seek(key []byte) {
	o.i, _ = o.nd.search(key, 0)
	if o.k = 0; o.dn.n > 0 {
		o.k, _ = o.dn.search(key, 0)
	}
}

// find returns the record of a key at or behind the place that the walk has reached.
func (o *overlay) find(key []byte) (c cell, found bool) {
	if o.k < o.dn.n {
		if k, ok := o.dn.search(key, o.k); ok {
			c = o.dn.cell(k)
			return c, !c.dead()
		}
	}
	i, found := o.nd.search(key, o.i)
	if !found {
		return cell{}, false
	}
	return o.nd.cell(i), true
}

// summary is what a parent says about a leaf, and about how many bytes its records take.
type summary struct {
	subtree
	bytes int
}

// sum walks what is left and sums it up.
func (o *overlay) sum() (s summary) {
	for {
		c, _, _, ok := o.rest()
		if !ok {
			return s
		}
		s.count++
		s.maxTS = max(s.maxTS, c.ts)
		s.overflow = s.overflow || c.flags&cellOverflow != 0
		s.bytes += len(c.suffix) + len(c.val) + changeBytes
	}
}

// overlayOf pins a leaf's delta, if it has one, and lays it over the leaf.
func (s *Store) overlayOf(v *View, nd node, leaf childRef, d deltaRef, t TreeID) (pinned, overlay, error) {
	o := overlay{nd: nd}
	if d.page == 0 {
		return pinned{}, o, nil
	}
	p, dn, err := s.fetchDelta(v, d, t, leaf.page)
	if err != nil {
		return pinned{}, o, err
	}
	if !dn.fits(nd.n) {
		p.release()
		return pinned{}, o, s.staleOr(v, s.corrupt(d.page, "its records lie behind the end of the leaf"))
	}
	o.dn = dn
	return p, o, nil
}
