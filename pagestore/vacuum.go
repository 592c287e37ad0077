package pagestore

import (
	"context"
	"encoding/binary"
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
// a damaged page is left for Check to find. After an error the checkpoint can only be aborted. Errors are those of Merge.
func (c *Checkpoint) Vacuum(ctx context.Context, maxPages int) (moved int64, err error) {
	if err := c.usable(); err != nil {
		return 0, err
	}
	if maxPages == AutoVacuum {
		end, free := int64(c.alloc.next.end()), c.alloc.reusable()
		maxPages = vacuumBudget(c.s.pageSize, end, free, c.w.pages)
	}
	live := c.alloc.next.count()
	moved, c.err = c.moveTail(ctx, maxPages, PageID(live+live/16+spareMapPages))
	return moved, c.err
}

// moveTail moves up to maxPages pages from behind page dense to free pages in front of them. The last value that it takes
// on may be longer than that.
func (c *Checkpoint) moveTail(ctx context.Context, maxPages int, dense PageID) (moved int64, err error) {
	from, room := c.vacuumFrom(maxPages, dense)
	if room <= 0 {
		return 0, nil
	}
	if err := c.w.flush(); err != nil {
		return 0, err
	}
	c.moveMapFrom = from
	v := &vacuum{c: c, from: from, left: maxPages, room: room, reads: 4*maxPages + 1024}
	if v.findNodes() {
		if err := v.findValues(ctx); err != nil {
			return v.moved, err
		}
		v.placeValues()
	}
	for t := range TreeID(NumTrees) {
		if err := c.moveTree(ctx, t, v.tasks[t], false); err != nil {
			return v.moved, err
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

	stopped bool // the search for values has ended early
	values  []farValue
	tasks   [NumTrees][]moveTask
}

// farValue is an overflow value of which a part lies at the end.
type farValue struct {
	t     TreeID
	key   []byte
	ref   OverflowRef
	pages int
}

// moveTask names a leaf by a key in its range, or a record whose value is to be moved to pages.
type moveTask struct {
	key   []byte
	pages []PageID
}

func (v *vacuum) take(pages int) {
	v.moved += int64(pages)
	v.left -= pages
	v.room -= pages
}

// findNodes reads the end of the file. A live page there is a node, or a part of one, or a bitmap page, which Commit
// moves, or, what it reports, maybe a part of a value.
func (v *vacuum) findNodes() (values bool) {
	live, size := v.c.alloc.next, PageID(v.c.s.pageSize)
	end := live.end()
	buf := make([]byte, writeBatch)
	for p := live.nextSet(v.from, end); p < end; p = live.nextSet(p, end) {
		n := min(live.nextClear(p)-p, writeBatch/size)
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

// look takes on the node that begins with page p, and reports whether it may belong to a value instead.
func (v *vacuum) look(p PageID, b []byte) (value bool) {
	le := binary.LittleEndian
	ref := childRef{page: p, birth: le.Uint64(b[offBirth:]), pages: le.Uint32(b[offPages:])}
	switch kind := b[offKind]; {
	case le.Uint32(b[offMagic:]) != pageMagic || kind == kindOverflow:
		return true
	case kind > kindInner || ref.birth >= v.c.seq || !validRef(p, uint64(ref.pages), v.c.s.pageSize):
		return false
	}
	if t := TreeID(b[offTree]); t < NumTrees {
		v.addNode(ref, t, int(b[offLevel]))
	}
	return false
}

func (v *vacuum) addNode(ref childRef, t TreeID, level int) {
	b := make([]byte, int(ref.pages)*v.c.s.pageSize)
	if int(ref.pages) > v.room || v.c.s.readNode(b, ref, t, level) != nil {
		return
	}
	nd := asNode(b)
	// The first cell of an inner node has no key of its own; the keys of the last cell's child are in its range.
	v.tasks[t] = append(v.tasks[t], moveTask{key: nd.appendKey([]byte{}, nd.n-1)})
	v.take(int(ref.pages))
}

// findValues walks the subtrees that have overflow values, from where the last search ended early.
func (v *vacuum) findValues(ctx context.Context) error {
	for t := range TreeID(NumTrees) {
		root, start := v.c.trees[t], v.c.s.vacuumKey[t]
		if root.height == 0 || v.exhausted() {
			continue
		}
		v.c.s.vacuumKey[t] = nil
		if err := v.walk(ctx, t, root.childRef, root.height-1, start); err != nil {
			return err
		}
	}
	return nil
}

func (v *vacuum) exhausted() bool { return v.stopped || v.left <= 0 || v.reads <= 0 }

// walk looks at the records of a subtree from a key on.
func (v *vacuum) walk(ctx context.Context, t TreeID, ref childRef, level int, start []byte) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	v.reads--
	p, err := v.c.s.fetch(v.c.base.view, ref, t, level)
	if err != nil {
		return err
	}
	defer p.release()
	nd := asNode(p.b)
	if level == 0 {
		return v.walkLeaf(t, &nd)
	}
	first := 0
	if start != nil {
		first = nd.childFor(start)
	}
	for i := first; i < nd.n && !v.stopped; i++ {
		if i > first && v.exhausted() {
			v.stopped, v.c.s.vacuumKey[t] = true, nd.appendKey(nil, i)
			break
		}
		ch := nd.child(i)
		if ch.flags&cellOverflow == 0 {
			continue
		}
		if err := v.walk(ctx, t, ch.childRef, level-1, start); err != nil {
			return err
		}
		start = nil
	}
	return nil
}

func (v *vacuum) walkLeaf(t TreeID, nd *node) error {
	for i := range nd.n {
		c := nd.cell(i)
		if c.flags&cellOverflow == 0 {
			continue
		}
		ref := parseRef(c.val)
		far, err := v.far(ref)
		if err != nil {
			return err
		}
		pages := int(overflowLength(ref.Size, v.c.s.pageSize))
		if far && ref.birth < v.c.seq && pages <= v.room {
			v.values = append(v.values, farValue{t, nd.appendKey([]byte{}, i), ref, pages})
			v.take(pages)
		}
	}
	return nil
}

// far reports whether a run of a value lies behind from. It takes the directory of the first run as it is, because
// verifying would mean to read a megabyte; who moves the value verifies.
func (v *vacuum) far(ref OverflowRef) (bool, error) {
	s, last := v.c.s, runCount(ref.Size)-1
	if last == 0 || ref.Page >= v.from {
		return ref.Page+PageID(runOf(ref.Size, 0, s.pageSize).pages) > v.from, s.checkOverflowSize(ref)
	}
	if err := s.checkOverflowSize(ref); err != nil {
		return false, err
	}
	b := make([]byte, (headerSize+8*last+s.pageSize-1)/s.pageSize*s.pageSize)
	if err := s.readAt(b, ref.Page); err != nil {
		return false, err
	}
	pages, err := s.runDirectory(b, ref.Size)
	for _, p := range pages {
		if p+runBytes/PageID(s.pageSize) > v.from {
			return true, err
		}
	}
	return false, err
}

// placeValues takes pages for the values that were found, the longest first, since short ones and nodes fit anywhere. A
// value whose runs find no row of free pages in front of from stays where it is.
func (v *vacuum) placeValues() {
	slices.SortStableFunc(v.values, func(a, b farValue) int { return b.pages - a.pages })
	for _, f := range v.values {
		runs := make([]int, runCount(f.ref.Size))
		for i := range runs {
			runs[i] = int(runOf(f.ref.Size, i, v.c.s.pageSize).pages)
		}
		if pages := v.c.alloc.allocBelow(runs, v.from); pages != nil {
			v.tasks[f.t] = append(v.tasks[f.t], moveTask{f.key, pages})
		} else {
			v.moved -= int64(f.pages)
		}
	}
}
