package pagestore

import "bytes"

// copyCells adds the records of a leaf up to a cell of it, and of its delta, to the leaves being built.
func (m *merger) copyCells(f *pathNode, end, dend int) error {
	for {
		c, from, _, ok := f.o.next(end, dend)
		if !ok {
			return nil
		}
		it := item{ts: c.ts, count: 1, flags: c.flags & cellOverflow}
		m.add(0, f.low, from.common(), c.suffix, c.val, nil, it)
		if err := m.spill(0); err != nil {
			return err
		}
	}
}

// isBehind reports whether a key lies behind all records of a leaf.
func (f *pathNode) isBehind(key []byte) bool {
	i, found := f.o.nd.search(key, f.o.i)
	if found || i < f.o.nd.n {
		return false
	}
	if f.o.k == f.o.dn.n {
		return true
	}
	k, found := f.o.dn.search(key, f.o.k)
	return !found && k == f.o.dn.n
}

// reach makes a leaf dirty, passes on its records before key and drops the one of key.
func (m *merger) reach(f *pathNode, key []byte) error {
	if err := m.rewrite(f); err != nil {
		return err
	}
	return m.skipTo(f, key)
}

func (m *merger) skipTo(f *pathNode, key []byte) error {
	o := &f.o
	end, found := o.nd.search(key, o.i)
	dend, dfound := 0, false
	if o.dn.n > 0 {
		dend, dfound = o.dn.search(key, o.k)
	}
	if err := m.copyCells(f, end, dend); err != nil {
		return err
	}
	if found {
		o.i = max(o.i, end+1)
	}
	if dfound {
		o.k = dend + 1
	}
	return nil
}

// rewrite makes a leaf dirty. Edits that waited to become its delta are merged into the leaves being built.
func (m *merger) rewrite(f *pathNode) error {
	if f.dirty {
		return nil
	}
	if err := m.touch(); err != nil {
		return err
	}
	for k := range m.edits.list {
		e := &m.edits.list[k]
		key := m.edits.key(k)
		if err := m.skipTo(f, key); err != nil {
			return err
		}
		if e.dead {
			continue
		}
		m.add(0, f.low, nil, key, m.edits.val(k), nil, item{ts: e.ts, count: 1, flags: e.flags})
		if err := m.spill(0); err != nil {
			return err
		}
	}
	m.edits.reset()
	return nil
}

// mayWait reports whether the next edit of a leaf may become a part of its delta. At the end of a growing tree deltas
// would only keep the last leaf from being filled.
func (m *merger) mayWait(f *pathNode) bool {
	return !f.dirty && len(m.path) > 1 && f.ch.pages == 1 && !m.appending && m.s.deltaLimit > 0 && !m.deltasAreMany()
}

func (m *merger) deltasAreMany() bool {
	return len(m.levels) > 1 && len(m.levels[1].arena) > m.s.deltaMemory
}

// wait keeps an edit for the delta of the leaf, or merges all that waits when it is too much for one.
func (m *merger) wait(f *pathNode, e *Edit) error {
	ch := change{ts: e.Timestamp, dead: e.Delete}
	var val []byte
	if !e.Delete {
		var err error
		if val, ch.flags, err = m.value(e); err != nil {
			return err
		}
		m.c.trees[m.t].count++
	}
	m.edits.add(nil, e.Key, val, ch)
	if m.edits.size() > m.s.deltaLimit {
		return m.rewrite(f)
	}
	return nil
}

// settle decides about the edits that waited when the path leaves their leaf: they become its delta, together with the
// one that it has, or the leaf is built anew.
func (m *merger) settle(f *pathNode) error {
	m.combine(f)
	ch := f.ch
	ch.delta, ch.block = deltaRef{}, nil
	o := overlay{nd: f.nd}
	if len(m.merged.list) > 0 {
		if m.merged.size() > m.s.deltaLimit {
			return m.rewrite(f)
		}
		m.block = m.merged.encode(m.block, f.ch.page)
		ch.block = m.block
		o.dn = asDelta(m.block)
	}
	s := o.sum()
	if s.bytes < m.leastLeaf() {
		return m.rewrite(f)
	}
	ch.count, ch.maxTS, ch.flags = s.count, s.maxTS, 0
	if s.overflow {
		ch.flags = cellOverflow
	}
	m.edits.reset()
	if err := m.touchParents(); err != nil {
		return err
	}
	up := &m.path[1]
	if err := m.passTo(up, up.pos); err != nil {
		return err
	}
	up.done = up.pos + 1
	return m.pass(1, f.low, ch)
}

// combine merges the delta of a leaf with the edits that wait, which win. A deletion of what the leaf does not have
// needs no record.
func (m *merger) combine(f *pathNode) {
	m.merged.reset()
	k, dn := 0, &f.o.dn
	for e := range m.edits.list {
		key := m.edits.key(e)
		for ; k < dn.n; k++ {
			m.key = dn.appendKey(m.key[:0], k)
			order := bytes.Compare(m.key, key)
			if order < 0 {
				m.keep(dn, k)
				continue
			}
			if order == 0 {
				k++
			}
			break
		}
		ch := m.edits.list[e]
		i, found := f.nd.search(key, 0)
		if ch.dead && !found {
			continue
		}
		ch.spot = uint16(2 * i)
		if found {
			ch.spot++
		}
		m.merged.add(nil, key, m.edits.val(e), ch)
	}
	for ; k < dn.n; k++ {
		m.keep(dn, k)
	}
}

// keep takes a record over from the old delta.
func (m *merger) keep(dn *delta, k int) {
	c := dn.cell(k)
	ch := change{ts: c.ts, flags: c.flags & cellOverflow, dead: c.dead(), spot: uint16(dn.spot(k))}
	m.merged.add(dn.common(), c.suffix, c.val, ch)
}
