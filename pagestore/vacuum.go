package pagestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
)

// Vacuum moves up to maxPages pages from the end of the file to free pages in front, so that the next checkpoint can
// cut the end off. It belongs between the last Merge and Commit, may be called in every checkpoint, and does nothing
// when the file is dense. It returns how many pages it took on. Nodes are found by the keys in them, large values by
// the subtrees that have some; a damaged page is left for Check to find. After an error the checkpoint can only be
// aborted. Errors are those of Merge.
func (c *Checkpoint) Vacuum(ctx context.Context, maxPages int) (moved int64, err error) {
	if err := c.usable(); err != nil {
		return 0, err
	}
	from := c.vacuumFrom(maxPages)
	if from >= c.alloc.next.end() {
		return 0, nil
	}
	if c.err = c.w.flush(); c.err != nil {
		return 0, c.err
	}
	v := &vacuum{c: c, from: from, left: maxPages, deltas: map[PageID]bool{}}
	v.findNodes()
	for t := range TreeID(NumTrees) {
		if c.err = v.moveTree(ctx, t); c.err != nil {
			return v.moved, c.err
		}
	}
	return v.moved, nil
}

// vacuumFrom returns the page from which on everything is to be moved: not more than maxPages live pages lie behind
// it, and there is room for them in front of it, with a sixteenth to spare.
func (c *Checkpoint) vacuumFrom(maxPages int) PageID {
	dense := PageID(c.alloc.next.count())
	dense += dense/16 + 64
	from := c.alloc.next.end()
	for n := 0; from > dense && n < maxPages; from-- {
		if c.alloc.next.has(from - 1) {
			n++
		}
	}
	if c.alloc.busy.nextClear(c.alloc.low) >= from {
		return c.alloc.next.end()
	}
	return from
}

type vacuum struct {
	c     *Checkpoint
	from  PageID
	left  int // pages that may still be taken on
	moved int64
	tasks [NumTrees][]moveTask

	deltas map[PageID]bool // delta pages to be moved
}

// moveTask names a leaf by a key in its range, or a record whose value is to be moved, or a leaf whose parent is.
type moveTask struct {
	key  []byte
	what byte // of the constants below
}

const (
	moveLeaf byte = iota
	moveValue
	moveParent
)

// findNodes reads the end of the file. A live page there is a node, or a part of one, or something else that is
// passed over.
func (v *vacuum) findNodes() {
	b := make([]byte, v.c.s.pageSize)
	for p := v.from; p < v.c.alloc.next.end() && v.left > 0; p++ {
		if !v.c.alloc.next.has(p) || v.c.s.readAt(b, p) != nil {
			continue
		}
		h := binary.LittleEndian
		ref := childRef{page: p, birth: h.Uint64(b[offBirth:]), pages: h.Uint32(b[offPages:])}
		if ref.birth < v.c.seq && validRef(p, uint64(ref.pages), v.c.s.pageSize) {
			v.addNode(ref, TreeID(b[offTree]), int(int8(b[offLevel])))
		}
	}
}

func (v *vacuum) addNode(ref childRef, t TreeID, level int) {
	b := make([]byte, int(ref.pages)*v.c.s.pageSize)
	if t >= NumTrees || v.c.s.readNode(b, ref, t, level) != nil {
		return
	}
	if level == deltaLevel {
		v.addDeltas(ref.page, b, t)
		return
	}
	nd := asNode(b)
	// The first cell of an inner node has no key of its own; the keys of the last cell's child are in its range.
	v.tasks[t] = append(v.tasks[t], moveTask{key: nd.appendKey([]byte{}, nd.n-1)})
	v.moved += int64(ref.pages)
	v.left -= int(ref.pages)
}

// addDeltas has a delta page moved with the node that leads to it. Blocks that are not in use any more may have keys
// below another node.
func (v *vacuum) addDeltas(page PageID, b []byte, t TreeID) {
	le := binary.LittleEndian
	for slot := range le.Uint32(b[offCells:]) {
		d := asDelta(b[le.Uint16(b[headerSize+2*slot:]):])
		key := d.appendKey([]byte{}, 0)
		ref, err := v.deltaOf(t, key)
		if err != nil {
			return
		}
		if ref.page == page && ref.slot == slot {
			v.tasks[t] = append(v.tasks[t], moveTask{key: key, what: moveParent})
			v.deltas[page] = true
			v.moved++
			v.left--
			return
		}
	}
}

// deltaOf returns the delta of the leaf that may hold a key.
func (v *vacuum) deltaOf(t TreeID, key []byte) (d deltaRef, err error) {
	root := &v.c.trees[t]
	ref := root.childRef
	for level := root.height - 1; level > 0; level-- {
		p, err := v.c.s.fetch(v.c.base.view, ref, t, level)
		if err != nil {
			return d, err
		}
		nd := asNode(p.b)
		ref, d = nd.route(nd.childFor(key))
		p.release()
	}
	return d, nil
}

// findValues walks the subtrees that have overflow values.
func (v *vacuum) findValues(t TreeID, ch child, level int) error {
	p, err := v.c.s.fetch(v.c.base.view, ch.childRef, t, level)
	if err != nil {
		return err
	}
	defer p.release()
	nd := asNode(p.b)
	if level == 0 {
		return v.findInLeaf(t, nd, ch)
	}
	for i := 0; i < nd.n && v.left > 0; i++ {
		if c := nd.child(i); c.flags&cellOverflow != 0 {
			if err := v.findValues(t, c, level-1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *vacuum) findInLeaf(t TreeID, nd node, leaf child) error {
	p, o, err := v.c.s.overlayOf(v.c.base.view, nd, leaf.childRef, leaf.delta, t)
	if err != nil {
		return err
	}
	defer p.release()
	for v.left > 0 {
		c, from, i, ok := o.rest()
		if !ok {
			break
		}
		if c.flags&cellOverflow == 0 {
			continue
		}
		if err := v.addValue(t, from.appendKey(nil, i), parseRef(c.val)); err != nil {
			return err
		}
	}
	return nil
}

func (v *vacuum) addValue(t TreeID, key []byte, ref OverflowRef) error {
	far, pages := false, 0
	err := v.c.s.overflowPages(ref, func(p PageID, n int) {
		far = far || p+PageID(n) > v.from
		pages += n
	})
	if err != nil || !far || ref.birth == v.c.seq {
		return err
	}
	v.tasks[t] = append(v.tasks[t], moveTask{key: key, what: moveValue})
	v.moved += int64(pages)
	v.left -= pages
	return nil
}

// moveTree rewrites the nodes and values that were found in one tree.
func (v *vacuum) moveTree(ctx context.Context, t TreeID) error {
	root := v.c.trees[t]
	if root.height == 0 {
		return nil
	}
	if err := v.findValues(t, child{childRef: root.childRef}, root.height-1); err != nil {
		return err
	}
	tasks := v.tasks[t]
	slices.SortFunc(tasks, func(a, b moveTask) int { return bytes.Compare(a.key, b.key) })
	m := newMerger(v.c, t, nil)
	m.deltas.evicted = v.deltas
	defer m.release()
	if err := m.start(); err != nil {
		return err
	}
	for _, task := range tasks {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := m.move(task); err != nil {
			return err
		}
	}
	return m.finish()
}

// move makes the path to the task's key dirty, which writes it anew, and copies the record's value if told to. The delta
// pages that are to be moved are written anew with their parents.
func (m *merger) move(task moveTask) error {
	if err := m.seek(task.key); err != nil {
		return err
	}
	if task.what == moveParent {
		return m.touchParents()
	}
	f := &m.path[0]
	if err := m.rewrite(f); err != nil || task.what == moveLeaf {
		return err
	}
	c, found := f.o.find(task.key)
	if !found || c.flags&cellOverflow == 0 {
		return nil
	}
	if err := m.skipTo(f, task.key); err != nil {
		return err
	}
	ref, err := m.c.copyOverflow(parseRef(c.val))
	if err != nil {
		return err
	}
	m.val = appendRef(m.val[:0], ref)
	m.add(0, f.low, nil, task.key, m.val, nil, item{ts: c.ts, count: 1, flags: cellOverflow})
	return m.spill(0)
}

// copyOverflow writes a value anew, run by run, and frees the old one.
func (c *Checkpoint) copyOverflow(ref OverflowRef) (OverflowRef, error) {
	var old, pages []PageID
	err := c.s.overflowPages(ref, func(p PageID, n int) { old = append(old, p) })
	if err != nil {
		return ref, err
	}
	for i := range old {
		p, err := c.alloc.alloc(int(runOf(ref.Size, i, c.s.pageSize).pages))
		if err != nil {
			return ref, err
		}
		pages = append(pages, p)
	}
	for i := range old {
		if err := c.copyRun(ref, old[i], pages, i); err != nil {
			return ref, err
		}
	}
	return OverflowRef{Page: pages[0], Size: ref.Size, birth: c.seq}, nil
}

func (c *Checkpoint) copyRun(ref OverflowRef, from PageID, pages []PageID, i int) error {
	n := int(runOf(ref.Size, i, c.s.pageSize).pages)
	b, err := c.w.reserve(pages[i], n)
	if err != nil {
		return err
	}
	if err := c.s.readRun(b, ref, from, i); err != nil {
		clear(b)
		return err
	}
	binary.LittleEndian.PutUint64(b[offPage:], uint64(pages[i]))
	binary.LittleEndian.PutUint64(b[offBirth:], c.seq)
	if i == 0 {
		for k, p := range pages[1:] {
			binary.LittleEndian.PutUint64(b[headerSize+8*k:], uint64(p))
		}
	}
	seal(b, c.s.seed)
	c.alloc.free(from, n)
	return nil
}
