package pagestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
)

// AutoVacuum given to Vacuum lets it choose how many pages it moves.
const AutoVacuum = -1

// What Vacuum chooses, in bytes.
const (
	vacuumLeast = 4 << 20 // moved in every checkpoint while the file is not dense
	vacuumMost  = 1 << 30 // not exceeded, unless the checkpoint wrote more than half of it anyway
)

// spareMapPages is room for the bitmap pages that a commit writes; should it need more, they lie behind.
const spareMapPages = 4

// vacuumBudget returns how many pages a checkpoint moves that has written some already, in a file that ends at a page
// and has some pages below that can be written. A checkpoint always moves a little, and a quarter of what it wrote
// anyway. When more than a quarter of the file is free it moves a quarter of that: since each page moved cuts at least
// one off the end, all that a deletion causes to be moved is less than what it freed, and the free part of the file
// melts like a geometric series. The most bounds the time that one checkpoint takes.
func vacuumBudget(pageSize int, end, free, written int64) int {
	budget := max(vacuumLeast/int64(pageSize), written/4)
	if free > end/4 {
		budget = max(budget, free/4)
	}
	return int(min(budget, max(vacuumMost/int64(pageSize), 2*written)))
}

// Vacuum moves up to maxPages pages from the end of the file to free pages in front, so that a following checkpoint can
// cut the end off; AutoVacuum chooses a number in proportion to what is free and to what the checkpoint wrote. It belongs
// between the last Merge and Commit, may be called in every checkpoint, and does nothing when the file is dense. Pages
// that a checkpoint frees can be written by the second one after it, so that is when content begins to move. It
// returns how many pages it took on. Nodes are found by the keys in them, large values by the subtrees that have some;
// damage that it meets on the way is an error, but only once: later checkpoints move nothing, so that they can be
// committed, until the store is opened anew. After an error the checkpoint can only be aborted. Errors are those of Merge.
func (c *Checkpoint) Vacuum(ctx context.Context, maxPages int) (moved int64, err error) {
	if err := c.usable(); err != nil {
		return 0, err
	}
	if maxPages == AutoVacuum {
		end, free := int64(c.alloc.next.end()), c.alloc.reusable()
		maxPages = vacuumBudget(c.s.pageSize, end, free, c.w.pages)
	}
	if c.s.vacuumMetDamage {
		return 0, nil
	}
	live := c.alloc.next.count()
	moved, c.err = c.moveTail(ctx, maxPages, PageID(live+live/32+spareMapPages))
	if c.err != nil && errors.Is(c.err, ErrCorrupt) {
		c.s.vacuumMetDamage = true
		c.s.log.Warn("pagestore: the file is not made shorter any more because of damage", "file", c.s.name, "error", c.err)
	}
	return moved, c.err
}

// moveTail moves up to maxPages pages from behind page dense to free pages in front of them. The last value that it takes
// on may be longer than that.
func (c *Checkpoint) moveTail(ctx context.Context, maxPages int, dense PageID) (moved int64, err error) {
	c.openRooms()
	from, room := c.vacuumFrom(maxPages, dense)
	if room <= 0 {
		return 0, nil
	}
	if err := c.w.flush(); err != nil {
		return 0, err
	}
	v := &vacuum{c: c, from: from, left: maxPages, room: room, reads: 4*maxPages + 1024}
	c.moving = v
	rooms := len(c.s.rooms)
	for _, r := range c.s.rooms {
		v.rows = append(v.rows, r.rows...)
	}
	if v.findNodes() {
		if err := v.findValues(ctx); err != nil {
			return 0, err
		}
		v.placeValues()
	}
	v.placeNodes()
	for i := range rooms {
		c.s.rooms[i].tried = !v.stopped
	}
	for t := range TreeID(NumTrees) {
		if err := c.moveTree(ctx, t, v.tasks[t], false); err != nil {
			return 0, err
		}
	}
	return v.moved, nil
}

// vacuumFrom returns the page from which on everything is to be moved, not below dense: not more than maxPages live
// pages lie behind it, and there is room for them in front of it. Room is what no protected version has, less what the
// parents of moved nodes and the bitmaps will take. It is 0 when there is nothing to move.
func (c *Checkpoint) vacuumFrom(maxPages int, dense PageID) (from PageID, room int) {
	from = c.alloc.next.end()
	inner := 0
	for _, n := range c.space {
		inner += int(max(0, n.inner))
	}
	free, n := int(c.alloc.reusable()), 0
	for ; from > dense; from-- {
		f, m := free, n
		if c.alloc.next.has(from - 1) {
			m++
		} else if !c.alloc.busy.has(from - 1) {
			f--
		}
		if m > maxPages || m+min(m, inner)+spareMapPages > f {
			break
		}
		free, n = f, m
	}
	if n == 0 {
		return from, 0
	}
	return from, free - min(n, inner) - spareMapPages
}

// vacuum is what one checkpoint finds behind a page.
type vacuum struct {
	c     *Checkpoint
	from  PageID
	left  int // pages that may still be taken on
	room  int // pages that can still be written in front of from
	reads int // nodes that the search for values may still read
	moved int64

	rows    []keptRow // to be emptied too
	planned int       // pages that will be moved to make more room
	nodes   []farNode
	stopped bool // the search for values has ended early
	values  []farValue
	tasks   [NumTrees][]moveTask
}

// farNode is a node or a delta page at the end, or in a row that is being emptied.
type farNode struct {
	task  moveTask
	t     TreeID
	pages int
}

// farValue is an overflow value of which a part lies there.
type farValue struct {
	t     TreeID
	key   []byte
	ref   OverflowRef
	last  PageID // where its last run begins, by page number
	pages int
}

// moveTask names a leaf by a key in its range, or an inner node, or a record whose value is to be moved to pages.
type moveTask struct {
	key   []byte
	pages []PageID
	inner bool   // what is above the leaf is to be moved, but not the leaf
	delta PageID // the delta page of the level-1 node that is to be moved with it; or 0
}

// take reserves room for something that is moved; give takes that back.
func (v *vacuum) take(pages int) {
	v.moved += int64(pages)
	v.left -= pages
	v.room -= pages
}

func (v *vacuum) give(pages int) { v.take(-pages) }

// touches reports whether one of n pages is to be emptied.
func (v *vacuum) touches(p PageID, n int) bool {
	return p+PageID(n) > v.from || v.inRow(p, n)
}

func (v *vacuum) inRow(p PageID, n int) bool {
	return slices.ContainsFunc(v.rows, func(r keptRow) bool { return r.touches(p, n) })
}

// wants reports whether one of n pages is to be emptied by this checkpoint: rows in any case, the end while it may move
// more.
func (v *vacuum) wants(p PageID, n int) bool {
	return v.left > 0 && p+PageID(n) > v.from || v.inRow(p, n)
}

// findNodes reads the pages that are to be emptied. A live page there is a node, or a part of one, or a bitmap page, which
// Commit moves, or, what it reports, maybe a part of a value.
func (v *vacuum) findNodes() (values bool) {
	for _, r := range v.rows {
		values = v.findNodesIn(r.page, r.page+PageID(r.n)) || values
	}
	return v.findNodesIn(v.from, v.c.alloc.next.end()) || values
}

func (v *vacuum) findNodesIn(from, end PageID) (values bool) {
	live, size := v.c.alloc.next, PageID(v.c.s.pageSize)
	buf := make([]byte, writeBatch)
	for p := live.nextSet(from, end); p < end; p = live.nextSet(p, end) {
		n := min(live.nextClear(p)-p, end-p, writeBatch/size)
		if v.c.s.readAt(buf[:n*size], p) != nil {
			n = 1 // maybe it is one page of many that cannot be read
			if v.c.s.readAt(buf[:size], p) != nil {
				p++
				continue
			}
		}
		for i := range n {
			values = v.look(p+i, buf[i*size:(i+1)*size]) || values
		}
		p += n
	}
	return values
}

// look takes on the node or delta page that begins with page p, and reports whether it may belong to a value instead.
func (v *vacuum) look(p PageID, b []byte) (value bool) {
	le := binary.LittleEndian
	ref := childRef{page: p, birth: le.Uint64(b[offBirth:]), pages: le.Uint32(b[offPages:])}
	switch kind := b[offKind]; {
	case le.Uint32(b[offMagic:]) != pageMagic || kind == kindOverflow:
		return true
	case kind > kindInner && kind != kindDelta || ref.birth >= v.c.seq || !validRef(p, uint64(ref.pages), v.c.s.pageSize):
		return false
	}
	if t := TreeID(b[offTree]); t < NumTrees {
		v.addNode(ref, t, int(int8(b[offLevel])))
	}
	return false
}

func (v *vacuum) addNode(ref childRef, t TreeID, level int) {
	b := make([]byte, int(ref.pages)*v.c.s.pageSize)
	if int(ref.pages) > v.room || v.c.s.readNode(b, ref, t, level) != nil {
		return
	}
	task := moveTask{inner: level != 0}
	if level == deltaLevel {
		if task.key = v.ownerOf(ref.page, b, t); task.key == nil {
			return
		}
		task.delta = ref.page
	} else {
		nd := asNode(b)
		// The first cell of an inner node has no key of its own; the keys of the last cell's child are in its range.
		task.key = nd.appendKey([]byte{}, nd.n-1)
	}
	v.nodes = append(v.nodes, farNode{task, t, int(ref.pages)})
	v.take(int(ref.pages))
}

// ownerOf returns a key below the level-1 node that leads to a delta page, or nil. Blocks that are not in use any more
// may have keys below another node.
func (v *vacuum) ownerOf(page PageID, b []byte, t TreeID) []byte {
	le := binary.LittleEndian
	for slot := range le.Uint32(b[offCells:]) {
		d := asDelta(b[le.Uint16(b[headerSize+2*slot:]):])
		key := d.appendKey([]byte{}, 0)
		ref, err := v.deltaOf(t, key)
		if err != nil {
			return nil
		}
		if ref.page == page && ref.slot == slot {
			return key
		}
	}
	return nil
}

// deltaOf returns where the delta of the leaf that may hold a key lies.
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

// placeNodes drops nodes, those at the very end last found first, until the others have room beside what was kept.
func (v *vacuum) placeNodes() {
	for ; v.room < 0 && len(v.nodes) > 0; v.nodes = v.nodes[:len(v.nodes)-1] {
		v.give(v.nodes[len(v.nodes)-1].pages)
	}
	for _, f := range v.nodes {
		v.tasks[f.t] = append(v.tasks[f.t], f.task)
	}
}

// findValues walks the subtrees that have overflow values, from where the last search ended early.
func (v *vacuum) findValues(ctx context.Context) error {
	for t := range TreeID(NumTrees) {
		root, start := v.c.trees[t], v.c.s.vacuumKey[t]
		if root.height == 0 || v.exhausted() {
			continue
		}
		v.c.s.vacuumKey[t] = nil
		w := valueWalk{v: v, ctx: ctx, t: t, from: start}
		ch := child{childRef: root.childRef}
		if err := w.node(ch, root.height-1, start); err != nil {
			return err
		}
		if start == nil || v.stopped {
			continue
		}
		w.from, w.until = nil, start
		if err := w.node(ch, root.height-1, nil); err != nil {
			return err
		}
	}
	return nil
}

// exhausted ends the search. What lies in rows is to be found in any case.
func (v *vacuum) exhausted() bool {
	return v.stopped || v.reads <= 0 || v.left <= 0 && len(v.rows) == 0
}

// valueWalk looks at the records [from, until) of a tree; nil is no bound.
type valueWalk struct {
	v           *vacuum
	ctx         context.Context
	t           TreeID
	from, until []byte
}

// node looks at a subtree; start is from until its leaf is found, and nil afterwards.
func (w *valueWalk) node(at child, level int, start []byte) error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	v := w.v
	v.reads--
	p, err := v.c.s.fetch(v.c.base.view, at.childRef, w.t, level)
	if err != nil {
		return err
	}
	defer p.release()
	nd := asNode(p.b)
	if level == 0 {
		return w.leaf(nd, at)
	}
	first := 0
	if start != nil {
		first = nd.childFor(start)
	}
	for i := first; i < nd.n && !v.stopped; i++ {
		if i > first && v.exhausted() {
			v.stopped, v.c.s.vacuumKey[w.t] = true, nd.appendKey(nil, i)
			break
		}
		if i > first && w.behind(&nd, i) {
			break
		}
		ch := nd.child(i)
		if ch.flags&cellOverflow == 0 {
			continue
		}
		if err := w.node(ch, level-1, start); err != nil {
			return err
		}
		start = nil
	}
	return nil
}

// behind reports whether key i of a node is not in front of until.
func (w *valueWalk) behind(nd *node, i int) bool {
	return w.until != nil && bytes.Compare(nd.appendKey(nil, i), w.until) >= 0
}

func (w *valueWalk) leaf(nd node, leaf child) error {
	v := w.v
	p, o, err := v.c.s.overlayOf(v.c.base.view, nd, leaf.childRef, leaf.delta, w.t)
	if err != nil {
		return err
	}
	defer p.release()
	o.seek(w.from)
	for {
		c, from, i, ok := o.rest()
		if !ok || w.behind(from, i) {
			return nil
		}
		if c.flags&cellOverflow == 0 {
			continue
		}
		ref := parseRef(c.val)
		pages := int(overflowLength(ref.Size, v.c.s.pageSize))
		if ref.birth == v.c.seq || pages > v.room {
			continue
		}
		last, far, err := v.far(ref)
		if err != nil {
			return err
		}
		if far {
			v.values = append(v.values, farValue{w.t, from.appendKey([]byte{}, i), ref, last, pages})
			v.take(pages)
		}
	}
}

// far reports whether a run of a value is to be moved, and where its last one begins. It takes the directory of the
// first run as it is, because verifying would mean to read a megabyte; who moves the value verifies.
func (v *vacuum) far(ref OverflowRef) (last PageID, far bool, err error) {
	s, n := v.c.s, runCount(ref.Size)
	last, far = ref.Page, v.wants(ref.Page, int(runOf(ref.Size, 0, s.pageSize).pages))
	if err := s.checkOverflowSize(ref); err != nil || n == 1 {
		return last, far, err
	}
	b := make([]byte, (headerSize+8*n+s.pageSize-1)/s.pageSize*s.pageSize)
	if err := s.readAt(b, ref.Page); err != nil {
		return last, far, err
	}
	pages, err := s.runDirectory(b, ref.Size)
	for i, p := range pages {
		last, far = max(last, p), far || v.wants(p, int(runOf(ref.Size, i+1, s.pageSize).pages))
	}
	return last, far, err
}

// placeValues takes pages for the values that were found, the longest first, since short ones and nodes fit anywhere. A
// value whose runs find no rows of free pages in front of from stays where it is, and room is made for it; if there is
// none to be made, it moves as far as it can.
func (v *vacuum) placeValues() {
	slices.SortStableFunc(v.values, func(a, b farValue) int { return b.pages - a.pages })
	for _, f := range v.values {
		runs := make([]int, runCount(f.ref.Size))
		for i := range runs {
			runs[i] = int(runOf(f.ref.Size, i, v.c.s.pageSize).pages)
		}
		if pages := v.place(&f, runs); pages != nil {
			v.tasks[f.t] = append(v.tasks[f.t], moveTask{key: f.key, pages: pages})
		}
	}
}

func (v *vacuum) place(f *farValue, runs []int) []PageID {
	if pages := v.c.alloc.allocBelow(runs, v.from); pages != nil {
		return pages
	}
	v.give(f.pages)
	if v.makeRoom(runs) {
		return nil
	}
	pages := v.c.alloc.allocBelow(runs, f.last)
	if pages != nil {
		v.take(f.pages)
	}
	return pages
}
