package pagestore

import (
	"bytes"
	"slices"
	"sync/atomic"
)

// View is one durable version of all trees: the content of one superblock. Views are immutable, need no release, and
// are safe for concurrent use.
type View struct {
	s  *Store
	sb *superblock
	// generation counts commits since Open; its distance to the store's says whether pages may have been reused.
	generation uint64

	routers [NumTrees]signpost // of the roots
	routing atomic.Int64       // bytes that the routers take
}

// Sequence is the number of the checkpoint that made the view. It grows with every checkpoint; aborted ones leave
// gaps.
func (v *View) Sequence() uint64 { return v.sb.sequence }

// Meta returns what the checkpoint recorded.
func (v *View) Meta() Meta { return v.sb.meta }

// MaxTimestamp returns the newest record timestamp in a tree, 0 when it is empty.
func (v *View) MaxTimestamp(t TreeID) uint64 {
	if t >= NumTrees {
		return 0
	}
	return v.sb.trees[t].maxTS
}

// Count returns the number of records in a tree.
func (v *View) Count(t TreeID) int64 {
	if t >= NumTrees {
		return 0
	}
	return v.sb.trees[t].count
}

// usable is asked by every operation before it starts.
func (v *View) usable(t TreeID) error {
	if t >= NumTrees {
		return ErrUnknownTree
	}
	if v.s.closed.Load() {
		return ErrClosed
	}
	return nil
}

// place is where a leaf lies, its delta, and where its frame may be.
type place struct {
	ref   childRef
	delta deltaRef
	frame *atomic.Uint32 // nil: unknown
}

// leaf returns the place of the leaf that may hold key. The tree must not be empty.
func (v *View) leaf(t TreeID, key []byte) (pl place, err error) {
	root := &v.sb.trees[t]
	pl.ref = root.childRef
	sp := &v.routers[t]
	for level := root.height - 1; level > 0; level-- {
		if sp != nil {
			if r := v.route(sp, pl.ref, t, level); r != nil {
				i := r.nd.childFor(key)
				sp = r.follow(i, &pl)
				continue
			}
		}
		p, err := v.s.fetch(v, pl.ref, t, level)
		if err != nil {
			return pl, err
		}
		nd := asNode(p.b)
		pl.ref, pl.delta = nd.route(nd.childFor(key))
		p.release()
		sp = nil
	}
	v.s.cache.used(pl.ref.page, root.height)
	return pl, nil
}

// find pins the page that holds the record of key, and returns its cell. A delta answers for its leaf when it has the
// key. The tree must not be empty.
func (v *View) find(t TreeID, key []byte) (p pinned, c cell, found bool, err error) {
	pl, err := v.leaf(t, key)
	if err != nil {
		return pinned{}, c, false, err
	}
	if pl.delta.page != 0 {
		return v.findOverlaid(t, key, &pl)
	}
	if p, err = v.s.fetchBy(v, pl.ref, t, 0, pl.frame); err != nil {
		return pinned{}, c, false, err
	}
	return findInLeaf(p, key)
}

// findOverlaid is find in a leaf with a delta.
func (v *View) findOverlaid(t TreeID, key []byte, pl *place) (p pinned, c cell, found bool, err error) {
	p, ok := v.s.image(pl.ref, pl.delta, t, pl.frame)
	if ok {
		return findInLeaf(p, key)
	}
	p, c, found, err = v.findInDelta(t, key, pl.ref, pl.delta)
	if found && c.dead() {
		p.release()
		return p, c, false, nil
	}
	if found || err != nil {
		return p, c, found, err
	}
	if p, err = v.s.fetch(v, pl.ref, t, 0); err != nil {
		return pinned{}, c, false, err
	}
	if image, ok := v.s.readApart(v, p, pl, t, readsBySearch); ok {
		p.release()
		p = image
	}
	return findInLeaf(p, key)
}

// findInLeaf looks a key up in a pinned leaf, and releases it if the key is not there.
func findInLeaf(p pinned, key []byte) (pinned, cell, bool, error) {
	warm(p.b)
	nd := asNode(p.b)
	i, found := nd.search(key, 0)
	if !found {
		p.release()
		return pinned{}, cell{}, false, nil
	}
	return p, nd.cell(i), true, nil
}

// findInDelta looks a key up in the delta of a leaf. It pins the page when it finds it, a deletion too.
func (v *View) findInDelta(t TreeID, key []byte, leaf childRef, d deltaRef) (p pinned, c cell, found bool, err error) {
	p, dn, err := v.s.fetchDelta(v, d, t, leaf.page)
	if err != nil {
		return pinned{}, c, false, err
	}
	v.s.cache.used(d.page, 1)
	k, found := dn.search(key, 0)
	if !found {
		p.release()
		return pinned{}, c, false, nil
	}
	return p, dn.cell(k), true, nil
}

// Get appends the key's value to dst. When the key is absent, found is false. It does not allocate when the pages are
// cached and dst has room. Errors: ErrStale, ErrClosed, ErrUnknownTree, *CorruptionError, or what the file system
// says.
func (v *View) Get(t TreeID, key, dst []byte) (value []byte, timestamp uint64, found bool, err error) {
	if err := v.usable(t); err != nil || v.sb.trees[t].height == 0 {
		return dst, 0, false, err
	}
	p, c, found, err := v.find(t, key)
	if !found {
		return dst, 0, false, err
	}
	if c.flags&cellOverflow == 0 {
		dst = append(dst, c.val...)
		p.release()
		return dst, c.ts, true, nil
	}
	ref := parseRef(c.val)
	p.release()
	dst, err = v.s.appendOverflow(v, dst, ref)
	return dst, c.ts, err == nil, err
}

// Timestamp returns the key's timestamp without reading the value. Errors are those of Get.
func (v *View) Timestamp(t TreeID, key []byte) (timestamp uint64, found bool, err error) {
	if err := v.usable(t); err != nil || v.sb.trees[t].height == 0 {
		return 0, false, err
	}
	p, c, found, err := v.find(t, key)
	if !found {
		return 0, false, err
	}
	p.release()
	return c.ts, true, nil
}

// Newer reports a key in [lo, hi) (hi nil: no bound) whose timestamp is above after, skipping subtrees that have none.
// Errors are those of Get.
func (v *View) Newer(t TreeID, lo, hi []byte, after uint64) (key []byte, found bool, err error) {
	if err := v.usable(t); err != nil {
		return nil, false, err
	}
	root := &v.sb.trees[t]
	if root.height == 0 || root.maxTS <= after || hi != nil && bytes.Compare(lo, hi) >= 0 {
		return nil, false, nil
	}
	q := newerQuery{v: v, t: t, lo: lo, hi: hi, after: after}
	key, err = q.search(child{childRef: root.childRef}, root.height-1)
	return key, key != nil, err
}

type newerQuery struct {
	v      *View
	t      TreeID
	lo, hi []byte
	after  uint64
}

// search returns nil when the subtree has no such key.
func (q *newerQuery) search(ch child, level int) ([]byte, error) {
	p, err := q.v.s.fetch(q.v, ch.childRef, q.t, level)
	if err != nil {
		return nil, err
	}
	defer p.release()
	nd := asNode(p.b)
	if level == 0 {
		return q.searchLeaf(nd, ch)
	}
	last := nd.n - 1
	if q.hi != nil {
		last = nd.childBelow(q.hi)
	}
	for i := nd.childFor(q.lo); i <= last; i++ {
		c := nd.child(i)
		if c.maxTS <= q.after {
			continue
		}
		if key, err := q.search(c, level-1); key != nil || err != nil {
			return key, err
		}
	}
	return nil, nil
}

func (q *newerQuery) searchLeaf(nd node, leaf child) ([]byte, error) {
	p, o, err := q.v.s.overlayOf(q.v, nd, leaf.childRef, leaf.delta, q.t)
	if err != nil {
		return nil, err
	}
	defer p.release()
	end, dend := nd.n, o.dn.n
	o.seek(q.lo)
	if q.hi != nil {
		end, _ = nd.search(q.hi, 0)
		if o.dn.n > 0 {
			dend, _ = o.dn.search(q.hi, 0)
		}
	}
	for {
		c, from, i, ok := o.next(end, dend)
		if !ok {
			return nil, nil
		}
		if c.ts > q.after {
			return from.appendKey(make([]byte, 0, 32), i), nil
		}
	}
}

// Separators returns up to n-1 keys, strictly ascending, that cut the tree into n ranges of similar size. They are
// separators of inner nodes, so a small tree yields fewer. Errors are those of Get.
func (v *View) Separators(t TreeID, n int) ([][]byte, error) {
	if err := v.usable(t); err != nil {
		return nil, err
	}
	root := &v.sb.trees[t]
	if n < 2 || root.height < 2 {
		return nil, nil
	}
	parts := []part{{ref: root.childRef, count: root.count}}
	for level := root.height - 1; level > 0 && len(parts) < 2*n; level-- {
		var err error
		if parts, err = v.expand(t, parts, level); err != nil {
			return nil, err
		}
	}
	return cut(parts, root.count, n), nil
}

// part is a subtree, its lower fence and its size.
type part struct {
	ref   childRef
	low   []byte
	count int64
}

// expand replaces subtrees by their children.
func (v *View) expand(t TreeID, parts []part, level int) ([]part, error) {
	var out []part
	for _, pt := range parts {
		p, err := v.s.fetch(v, pt.ref, t, level)
		if err != nil {
			return nil, err
		}
		nd := asNode(p.b)
		for i := range nd.n {
			c := nd.child(i)
			low := pt.low
			if i > 0 {
				low = nd.appendKey(nil, i)
			}
			out = append(out, part{ref: c.childRef, low: low, count: c.count})
		}
		p.release()
	}
	return out, nil
}

// cut picks the lower fences that come closest to even shares.
func cut(parts []part, total int64, n int) [][]byte {
	var out [][]byte
	var before int64
	for _, p := range parts {
		if len(out) < n-1 && p.low != nil && before >= total/int64(n)*int64(len(out)+1) {
			out = append(out, p.low)
		}
		before += p.count
	}
	return slices.Clip(out)
}
