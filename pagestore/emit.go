package pagestore

import "bytes"

// pass adds an unchanged child to the inner nodes being built at level. What was being built below lies to its left
// and is finished first; when that is too little for a node, the child is opened and joins it.
func (m *merger) pass(level int, low []byte, ch child) error {
	for l := 0; l < level && l < len(m.levels); l++ {
		if m.levels[l].empty() {
			m.levels[l].inRun = false
			continue
		}
		if m.tooSmall(l) {
			if l == level-1 && ch.pages == 1 {
				return m.absorb(l, low, ch)
			}
			if err := m.absorbLeft(l); err != nil {
				return err
			}
		}
		if err := m.flush(l); err != nil {
			return err
		}
	}
	m.addChild(level, low, ch)
	return m.spill(level)
}

func (m *merger) addChild(level int, low []byte, ch child) {
	it := item{ts: ch.maxTS, count: ch.count, flags: ch.flags}
	m.val = appendChild(m.val[:0], ch.childRef, ch.count, m.c.seq)
	extra := ch.block
	switch {
	case len(ch.block) > 0:
		it.flags |= itemBlock
	case ch.delta.page != 0:
		m.extra = appendDeltaRef(m.extra[:0], ch.delta, m.c.seq)
		extra = m.extra
	}
	m.add(level, low, nil, low, m.val, extra, it)
}

func (m *merger) tooSmall(level int) bool {
	b := m.levels[level]
	least := m.s.pageSize * underfull / 100
	if level == 0 {
		least = m.leastLeaf()
	}
	return !b.inRun && (b.sum.size() < least || level > 0 && len(b.items) == 1)
}

// absorb opens a node at level and adds its cells to those that wait there; its pages are given back.
func (m *merger) absorb(level int, low []byte, ch child) error {
	p, err := m.fetch(ch.childRef, level)
	if err != nil {
		return err
	}
	defer p.release()
	nd := asNode(p.b)
	if level == 0 {
		err = m.absorbLeaf(nd, low, ch)
	} else {
		m.absorbInner(nd, level, low)
	}
	if err != nil {
		return err
	}
	m.freeNode(level, ch.childRef)
	return m.spill(level)
}

func (m *merger) absorbLeaf(nd node, low []byte, ch child) error {
	p, o, err := m.overlay(nd, ch)
	if err != nil {
		return err
	}
	defer p.release()
	for {
		c, from, _, ok := o.rest()
		if !ok {
			return nil
		}
		m.add(0, low, from.common(), c.suffix, c.val, nil, item{ts: c.ts, count: 1, flags: c.flags & cellOverflow})
	}
}

func (m *merger) absorbInner(nd node, level int, low []byte) {
	m.giveUp(&nd, level)
	for i := range nd.n {
		childLow := low
		if i > 0 {
			childLow = nd.appendKey(nil, i)
		}
		m.addChild(level, childLow, nd.child(i))
	}
}

// overlay lays a child's delta, written or not, over its leaf.
func (m *merger) overlay(nd node, ch child) (pinned, overlay, error) {
	if len(ch.block) > 0 {
		return pinned{}, overlay{nd: nd, dn: asDelta(ch.block)}, nil
	}
	if err := m.flushBefore(ch.delta.birth); err != nil {
		return pinned{}, overlay{}, err
	}
	return m.s.overlayOf(m.v, nd, ch.childRef, ch.delta, m.t)
}

// absorbLeft puts the content of the node that was finished last at level in front of what waits there, if there is
// such a node under the same parent.
func (m *merger) absorbLeft(level int) error {
	if level+1 >= len(m.levels) || m.levels[level+1].empty() {
		return nil
	}
	low, ch := m.lastChild(level + 1)
	if ch.pages != 1 {
		return nil
	}
	m.levels[level+1].pop()
	rest := m.levels[level].take()
	if err := m.absorb(level, low, ch); err != nil {
		return err
	}
	for i := range rest.items {
		it := rest.items[i]
		m.add(level, rest.lowFence, nil, rest.key(&it), rest.val(&it), rest.extra(&it), it)
	}
	return m.spill(level)
}

// lastChild returns copies of the last item of a level above the leaves: later ones use the arena again.
func (m *merger) lastChild(level int) (low []byte, ch child) {
	b := m.levels[level]
	it := &b.items[len(b.items)-1]
	ch = m.decodeItem(b, it)
	ch.block = bytes.Clone(ch.block)
	return bytes.Clone(b.key(it)), ch
}

// decodeItem reads a child back from a builder. The births are relative to this checkpoint.
func (m *merger) decodeItem(b *builder, it *item) child {
	r := reader{b: b.val(it)}
	ch := child{maxTS: it.ts, count: it.count, flags: it.flags & cellOverflow}
	ch.page, ch.pages = PageID(r.uvarint()), uint32(r.uvarint())
	ch.birth = m.c.seq - r.uvarint()
	switch {
	case it.flags&itemBlock != 0:
		ch.block = b.extra(it)
	case it.extra > 0:
		ch.delta = parseDeltaRef(b.extra(it), 0, m.c.seq)
	}
	return ch
}

// spill emits nodes while more waits at a level than the end of a run could need.
func (m *merger) spill(level int) error {
	if level > 0 && level == m.top {
		return nil
	}
	b := m.levels[level]
	limit, fill := 2*m.s.pageSize, m.s.pageSize*bulkFill/100
	if m.appending {
		limit, fill = m.s.pageSize, m.s.pageSize
	}
	for b.sum.size() > limit && len(b.items) > b.minItems() {
		var s nodeSum
		if level == 0 && fill == limit {
			s = b.fitLeaf(fill)
		} else {
			s = b.fit(fill)
		}
		if err := m.emit(level, s); err != nil {
			return err
		}
	}
	return nil
}

// flush ends a run: all that waits at a level becomes nodes, the last two of about equal size.
func (m *merger) flush(level int) error {
	b := m.levels[level]
	for !b.empty() {
		s := b.sum
		if size := s.size(); size > m.s.pageSize && s.n > b.minItems() {
			s = b.fit(m.s.pageSize)
			if !m.appending {
				if half := b.fit(max(size/2, m.s.pageSize/2)); half.n < s.n {
					s = half
				}
			}
		}
		if err := m.emit(level, s); err != nil {
			return err
		}
	}
	b.inRun = false
	return nil
}

// emit writes the first items of a level, whose sum is s, as one node and adds it to the level above.
func (m *merger) emit(level int, s nodeSum) error {
	b, n := m.levels[level], s.n
	ch := child{maxTS: s.maxTS}
	for i := range b.items[:n] {
		ch.count += b.items[i].count
		ch.flags |= b.items[i].flags & cellOverflow
	}
	if level == 1 {
		if err := m.placeDeltas(b, n); err != nil {
			return err
		}
	}
	pages := (s.size() + m.s.pageSize - 1) / m.s.pageSize
	page, err := m.allocNode(level, pages)
	if err != nil {
		return err
	}
	ch.childRef = childRef{page: page, birth: m.c.seq, pages: uint32(pages)}
	dst, err := m.c.w.reserve(page, pages)
	if err != nil {
		return err
	}
	b.encode(dst, &s, &header{page: page, birth: m.c.seq, tree: uint8(m.t), pages: uint32(pages)})
	seal(dst, m.s.seed)
	if pages == 1 && !(m.cold && level == 0) {
		m.s.cache.put(ch.childRef, dst, level > 0)
	}
	if level == 0 {
		m.c.leaves++
	}
	low := b.fenceBefore(n)
	m.addChild(level+1, low, ch)
	b.drop(n)
	return m.spill(level + 1)
}

// fenceBefore returns the separator before the first item and remembers the last of the n items for the next node.
func (b *builder) fenceBefore(n int) []byte {
	first := b.key(&b.items[0])
	low := first
	if b.level == 0 {
		low = b.lowFence
		if b.inRun {
			low = separator(b.lastKey, first)
		}
	}
	b.lastKey = append(b.lastKey[:0], b.key(&b.items[n-1])...)
	b.inRun = true
	return low
}

// pop forgets the last item.
func (b *builder) pop() {
	n := len(b.items) - 1
	b.arena = b.arena[:b.items[n].off]
	b.items = b.items[:n]
	b.sum, b.short = b.sumOf(n), nodeSum{}
}

// finish closes the path, builds what is above what was emitted, and frees delta pages that nothing leads to any more.
func (m *merger) finish() error {
	if err := m.build(); err != nil {
		return err
	}
	m.freeDeltas()
	return nil
}

// build builds the levels above what was emitted, up to one root.
func (m *merger) build() error {
	for m.open < len(m.path) {
		if err := m.drain(); err != nil {
			return err
		}
	}
	if len(m.path) > 0 && !m.path[len(m.path)-1].dirty {
		return nil
	}
	root := &m.c.trees[m.t]
	for l := 0; ; l++ {
		if m.onlyLevel(l) {
			if !m.rootHasDelta(l) {
				return m.setRoot(root, l)
			}
			if err := m.foldRoot(); err != nil {
				return err
			}
			l = 0
		}
		if err := m.finishLevel(l); err != nil {
			return err
		}
	}
}

// onlyLevel reports whether nothing waits above level l, and at l at most one finished node.
func (m *merger) onlyLevel(l int) bool {
	for k := l + 1; k < len(m.levels); k++ {
		if !m.levels[k].empty() {
			return false
		}
	}
	if l >= len(m.levels) || m.levels[l].empty() {
		return true
	}
	return l > 0 && len(m.levels[l].items) == 1
}

// rootHasDelta reports whether the one node that is left is a leaf with a delta, which a root cannot have.
func (m *merger) rootHasDelta(l int) bool {
	return l == 1 && l < len(m.levels) && !m.levels[1].empty() && m.levels[1].items[0].extra > 0
}

// foldRoot builds the leaf that is left anew, without a delta.
func (m *merger) foldRoot() error {
	low, ch := m.lastChild(1)
	m.levels[1].pop()
	m.levels[0].inRun = false
	return m.absorb(0, low, ch)
}

// setRoot makes the one node that is left the root. An inner root with one child gives way to it.
func (m *merger) setRoot(root *treeRoot, l int) error {
	count := root.count
	*root = treeRoot{}
	if l >= len(m.levels) || m.levels[l].empty() {
		return nil
	}
	ch := m.decodeItem(m.levels[l], &m.levels[l].items[0])
	for l--; l > 0; l-- {
		p, err := m.fetch(ch.childRef, l)
		if err != nil {
			return err
		}
		nd := asNode(p.b)
		only, n := nd.child(0), nd.n
		p.release()
		if n > 1 || only.delta.page != 0 {
			break
		}
		m.freeNode(l, ch.childRef)
		ch = only
	}
	*root = treeRoot{childRef: ch.childRef, height: l + 1, count: count, maxTS: ch.maxTS}
	return nil
}
