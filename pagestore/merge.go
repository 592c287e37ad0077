package pagestore

import (
	"bytes"
	"context"
	"iter"
)

// Fill of new nodes, in hundredths of a page.
const (
	bulkFill  = 90 // when one node becomes several: room for what comes later
	underfull = 33 // below this a node is combined with a neighbour
	// shrunken is underfull for leaves while more records go than come: what is deleted all over a tree would else leave
	// leaves that are half empty, and a file that is twice as large as its content.
	shrunken = 75
)

// pathNode is a node on the way from the root to the leaf that the merge stands in.
//
// A node is rewritten only when something below it changes. Until then it is clean and nothing of it has been passed
// on. Becoming dirty passes on all children before pos; done counts what was passed on. The edits of a leaf wait in the
// merger until it is known whether they become its delta; only if not, the leaf becomes dirty.
type pathNode struct {
	p         pinned
	nd        node
	ch        child // the node, as its parent knows it
	level     int
	low, high []byte // fences
	hasHigh   bool
	dirty     bool

	// Of an inner node: the child that the path goes through.
	pos  int
	done int

	// Of a leaf: the page of its delta, and its records, of which those before o were passed on.
	dp pinned
	o  overlay
}

func (f *pathNode) covers(key []byte) bool { return !f.hasHigh || bytes.Compare(key, f.high) < 0 }

// merger applies ascending edits to one tree: a path through the old tree on one side, a builder per level on the other.
// See "Merge" in doc.go.
type merger struct {
	c          *Checkpoint
	s          *Store
	v          *View // the version being changed
	t          TreeID
	superseded func(Record) bool

	path   []pathNode // by level
	open   int        // lowest level of the path that is open
	levels []*builder
	low    []byte // lower fence of an empty tree
	top    int    // of a part: the level whose items are left to whoever joins the parts; otherwise 0

	edits  changes // of the leaf that the path has reached, while it is clean
	block  []byte  // the delta that is made of them
	merged changes // what it is made from
	deltas deltaOwners

	// Records that the edits so far have deleted and added.
	gone, fresh int64

	// appending is set once edits lie behind the last key of the tree: then nodes are filled completely.
	appending bool
	// cold is set while records come in bulk behind all others: their leaves do not go to the cache. They are as many as
	// it has room for, or more, and nobody has asked for one yet.
	cold bool

	key, val, extra []byte // scratch
}

// Merge applies edits, which must come in strictly ascending key order, to one tree. Keys and values are copied while
// the edit is looked at. Before a record is replaced or deleted, superseded (may be nil) sees it; if it returns true,
// its overflow value is not freed, and the caller must hand it to another Edit of this checkpoint as Ref. The Record
// is valid only during the call. Deleting an absent key changes nothing. May be called once per tree. ctx is looked
// at now and then. After an error the checkpoint can only be aborted.
func (c *Checkpoint) Merge(ctx context.Context, t TreeID, edits iter.Seq[Edit], superseded func(Record) (keepValue bool)) error {
	if err := c.claim(t); err != nil {
		return err
	}
	m := newMerger(c, t, superseded)
	defer m.release()
	c.err = m.run(ctx, edits)
	return c.err
}

func newMerger(c *Checkpoint, t TreeID, superseded func(Record) bool) *merger {
	return &merger{c: c, s: c.s, v: c.base.view, t: t, superseded: superseded}
}

func (m *merger) run(ctx context.Context, edits iter.Seq[Edit]) error {
	if err := m.start(); err != nil {
		return err
	}
	if err := m.applyAll(ctx, edits, nil); err != nil {
		return err
	}
	return m.finish()
}

// applyAll applies edits. Before each of them it calls first, if that is not nil.
func (m *merger) applyAll(ctx context.Context, edits iter.Seq[Edit], first func(*Edit) error) error {
	n := 0
	var last []byte
	for e := range edits {
		if n&255 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if n > 0 && bytes.Compare(e.Key, last) <= 0 {
			return ErrEditOrder
		}
		if first != nil {
			if err := first(&e); err != nil {
				return err
			}
		}
		if err := m.apply(&e); err != nil {
			return err
		}
		last = append(last[:0], e.Key...)
		n++
	}
	return nil
}

// start opens the root.
func (m *merger) start() error {
	root := m.c.trees[m.t]
	m.path = make([]pathNode, root.height)
	m.open = root.height
	if root.height == 0 {
		m.appending = true
		return nil
	}
	ch := child{childRef: root.childRef, count: root.count, maxTS: root.maxTS}
	return m.descend(ch, nil, nil, false)
}

// descend opens the node below the lowest open level.
func (m *merger) descend(ch child, low, high []byte, hasHigh bool) error {
	f := &m.path[m.open-1]
	p, err := m.fetch(ch.childRef, m.open-1)
	if err != nil {
		return err
	}
	*f = pathNode{
		p: p, nd: asNode(p.b), ch: ch, level: m.open - 1,
		low: append(f.low[:0], low...), high: append(f.high[:0], high...), hasHigh: hasHigh,
	}
	m.open--
	if f.level == 0 {
		f.dp, f.o, err = m.overlay(f.nd, ch)
	}
	return err
}

// fetch pins a node, which may be one that this checkpoint wrote.
func (m *merger) fetch(ref childRef, level int) (pinned, error) {
	if err := m.flushBefore(ref.birth); err != nil {
		return pinned{}, err
	}
	return m.s.fetch(m.v, ref, m.t, level)
}

// flushBefore writes what waits, when a page of this checkpoint is about to be read.
func (m *merger) flushBefore(birth uint64) error {
	if birth == m.c.seq {
		return m.c.w.flush()
	}
	return nil
}

// release gives back what an early end left pinned.
func (m *merger) release() {
	for i := range m.path {
		m.path[i].p.release()
		m.path[i].dp.release()
	}
}

// seek moves the path to the leaf that may hold key.
func (m *merger) seek(key []byte) error {
	for m.open < len(m.path)-1 && !m.path[m.open].covers(key) {
		if err := m.drain(); err != nil {
			return err
		}
	}
	for m.open > 0 {
		f := &m.path[m.open]
		f.pos = f.nd.childFor(key)
		low, high, hasHigh := f.low, f.high, f.hasHigh
		if f.pos > 0 {
			m.key = f.nd.appendKey(m.key[:0], f.pos)
			low = m.key
		}
		if f.pos+1 < f.nd.n {
			m.val = f.nd.appendKey(m.val[:0], f.pos+1)
			high, hasHigh = m.val, true
		}
		if err := m.descend(f.nd.child(f.pos), low, high, hasHigh); err != nil {
			return err
		}
	}
	return nil
}

// leastLeaf is the size below which a leaf is combined with a neighbour.
func (m *merger) leastLeaf() int {
	if m.gone > m.fresh {
		return m.s.pageSize * shrunken / 100
	}
	return m.s.pageSize * underfull / 100
}

func (m *merger) apply(e *Edit) error {
	if err := e.check(); err != nil {
		return err
	}
	if len(m.path) == 0 {
		if e.Delete {
			return nil
		}
		return m.put(e, m.low)
	}
	if err := m.seek(e.Key); err != nil {
		return err
	}
	f := &m.path[0]
	c, found := f.o.find(e.Key)
	if e.Delete && !found {
		return nil
	}
	m.appending = m.appending || !found && !f.hasHigh && f.isBehind(e.Key)
	switch {
	case e.Delete:
		m.gone++
	case !found:
		m.fresh++
	}
	if found {
		if err := m.supersede(e.Key, c); err != nil {
			return err
		}
	}
	if m.mayWait(f) {
		return m.wait(f, e)
	}
	if err := m.reach(f, e.Key); err != nil || e.Delete {
		return err
	}
	return m.put(e, f.low)
}

func (e *Edit) check() error {
	if len(e.Key) > MaxKeySize {
		return &SizeError{"key", int64(len(e.Key)), MaxKeySize}
	}
	if len(e.Value) > MaxValueSize {
		return &SizeError{"value", int64(len(e.Value)), MaxValueSize}
	}
	if r := e.Ref; r != (OverflowRef{}) && (r.birth == 0 || r.Page < 2 || r.Page >= maxPageID || r.Size > MaxValueSize) {
		return ErrForeignRef
	}
	return nil
}

// put adds the edit's record to the leaves being built.
func (m *merger) put(e *Edit, low []byte) error {
	val, flags, err := m.value(e)
	if err != nil {
		return err
	}
	m.add(0, low, nil, e.Key, val, nil, item{ts: e.Timestamp, count: 1, flags: flags})
	m.c.trees[m.t].count++
	return m.spill(0)
}

// value returns what a cell holds of an edit's value, and its flags. A large value is written.
func (m *merger) value(e *Edit) (val []byte, flags uint8, err error) {
	ref := e.Ref
	if ref == (OverflowRef{}) && len(e.Value) > m.s.pageSize/4 {
		if ref, err = m.c.writeOverflow(e.Value); err != nil {
			return nil, 0, err
		}
	}
	if ref == (OverflowRef{}) {
		return e.Value, 0, nil
	}
	m.countOverflow(ref.Size, 1)
	m.val = appendRef(m.val[:0], ref)
	return m.val, cellOverflow, nil
}

// add puts a cell into a builder; low is the lower fence of what the cell belongs to.
func (m *merger) add(level int, low, prefix, suffix, val, extra []byte, it item) {
	for len(m.levels) <= level {
		m.levels = append(m.levels, &builder{level: len(m.levels)})
	}
	b := m.levels[level]
	if b.empty() && !b.inRun {
		b.lowFence = append(b.lowFence[:0], low...)
	}
	b.add(prefix, suffix, val, extra, it)
}

// supersede shows a record that goes to the owner, and frees its value.
func (m *merger) supersede(key []byte, c cell) error {
	m.c.trees[m.t].count--
	var ref OverflowRef
	if c.flags&cellOverflow != 0 {
		ref = parseRef(c.val)
		m.countOverflow(ref.Size, -1)
	}
	keep := false
	if m.superseded != nil {
		r := Record{Value: c.val, Timestamp: c.ts, Ref: ref}
		if ref != (OverflowRef{}) {
			r.Value = nil
		}
		m.key = append(m.key[:0], key...)
		r.Key = m.key
		keep = m.superseded(r)
	}
	if keep || ref == (OverflowRef{}) {
		return nil
	}
	return m.s.overflowPages(ref, m.c.alloc.free)
}

// touchParents makes the path above the leaf dirty: from the root down, everything to the left of it is passed on.
func (m *merger) touchParents() error {
	if len(m.path) < 2 || m.path[1].dirty {
		return nil
	}
	for l := len(m.path) - 1; l > 0; l-- {
		f := &m.path[l]
		if err := m.passTo(f, f.pos); err != nil {
			return err
		}
		f.dirty = true
		if l > 1 {
			f.done = f.pos + 1
		}
	}
	return nil
}

// touch makes the whole path dirty.
func (m *merger) touch() error {
	if m.path[0].dirty {
		return nil
	}
	if err := m.touchParents(); err != nil {
		return err
	}
	if len(m.path) > 1 {
		f := &m.path[1]
		if err := m.passTo(f, f.pos); err != nil {
			return err
		}
		f.done = f.pos + 1
	}
	m.path[0].dirty = true
	return nil
}

// passTo passes on the children [done, end) of an inner node as they are.
func (m *merger) passTo(f *pathNode, end int) error {
	for ; f.done < end; f.done++ {
		low := f.low
		if f.done > 0 {
			m.key = f.nd.appendKey(m.key[:0], f.done)
			low = m.key
		}
		if err := m.pass(f.level, low, f.nd.child(f.done)); err != nil {
			return err
		}
	}
	return nil
}

// drain closes the lowest open node. A clean one stays in the tree: the parent passes it on like any other child.
func (m *merger) drain() error {
	f := &m.path[m.open]
	if f.level == 0 && len(m.edits.list) > 0 {
		if err := m.settle(f); err != nil {
			return err
		}
	}
	if f.dirty {
		if err := m.copyRest(f); err != nil {
			return err
		}
		m.freeNode(f.level, f.ch.childRef)
	}
	f.p.release()
	f.dp.release()
	m.open++
	return nil
}

func (m *merger) copyRest(f *pathNode) error {
	if f.level == 0 {
		return m.copyCells(f, f.o.nd.n, f.o.dn.n)
	}
	m.retire(&f.nd, f.level)
	return m.passTo(f, f.nd.n)
}
