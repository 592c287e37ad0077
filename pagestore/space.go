package pagestore

import (
	"context"
	"errors"
	"fmt"
)

// treePages counts the pages of a tree. Every checkpoint knows which pages it takes and gives, so the superblock holds
// the counts of its version. Files of releases that did not count have zeros there, which no tree with records can
// have: such counts are unknown until the first checkpoint, which walks the tree once. Nothing relies on the counts but
// what is reported, so wrong ones keep no file from being opened; Check finds them.
type treePages struct {
	leaves, deltas, inner, overflow int64
}

func (n treePages) String() string {
	return fmt.Sprintf("%d leaf, %d delta, %d inner and %d overflow pages", n.leaves, n.deltas, n.inner, n.overflow)
}

func (n *treePages) addNode(level int, pages int64) {
	switch kindAt(level) {
	case kindLeaf:
		n.leaves += pages
	case kindDelta:
		n.deltas += pages
	default:
		n.inner += pages
	}
}

func (n *treePages) add(o treePages) {
	n.leaves, n.deltas, n.inner, n.overflow = n.leaves+o.leaves, n.deltas+o.deltas, n.inner+o.inner, n.overflow+o.overflow
}

// counted reports whether the superblock says how many pages tree t has.
func (sb *superblock) counted(t TreeID) bool {
	return sb.trees[t].height == 0 || sb.space[t] != (treePages{})
}

// allocNode takes pages for a node of the merger's tree.
func (m *merger) allocNode(level, pages int) (PageID, error) {
	m.c.space[m.t].addNode(level, int64(pages))
	return m.c.take(pages)
}

// freeNode gives the pages of a node of the merger's tree back.
func (m *merger) freeNode(level int, ref childRef) {
	m.c.space[m.t].addNode(level, -int64(ref.pages))
	m.c.alloc.free(ref.page, int(ref.pages))
}

// countOverflow notes that times values of the given size join the tree, or leave it.
func (m *merger) countOverflow(size, times int64) {
	m.c.space[m.t].overflow += times * overflowLength(size, m.s.pageSize)
}

// overflowLength returns how many pages an overflow value takes.
func overflowLength(size int64, pageSize int) int64 {
	last := runCount(size) - 1
	return int64(last)*int64(runBytes/pageSize) + int64(runOf(size, last, pageSize).pages)
}

// countTrees brings the counts in order before a commit: an empty tree has no pages, whether or not it was known how
// many it had, and trees whose pages the file did not say are counted. A tree with a damaged page stays uncounted: the
// checkpoint does not need it, and Check names the damage.
func (c *Checkpoint) countTrees() error {
	for t := range TreeID(NumTrees) {
		root := c.trees[t]
		if root.height == 0 {
			c.space[t] = treePages{}
		}
		if root.height == 0 || c.counted[t] {
			continue
		}
		if err := c.w.flush(); err != nil {
			return err
		}
		k := pageCounter{s: c.s, v: c.base.view, t: t, ctx: context.Background()}
		err := k.count(child{childRef: root.childRef}, root.height-1)
		if errors.Is(err, ErrCorrupt) {
			k.n = treePages{}
		} else if err != nil {
			return err
		}
		c.space[t] = k.n
	}
	return nil
}

// pageCounter walks the inner nodes of a tree, and the leaves that have overflow values.
type pageCounter struct {
	s   *Store
	v   *View
	t   TreeID
	ctx context.Context
	n   treePages
}

func (k *pageCounter) count(ch child, level int) error {
	if k.ctx.Err() != nil {
		return context.Cause(k.ctx)
	}
	k.n.addNode(level, int64(ch.pages))
	p, err := k.s.fetch(k.v, ch.childRef, k.t, level)
	if err != nil {
		return err
	}
	defer p.release()
	nd := asNode(p.b)
	if level == 0 {
		return k.countValues(nd, ch)
	}
	return k.countChildren(&nd, level)
}

func (k *pageCounter) countChildren(nd *node, level int) error {
	deltas := map[PageID]bool{} // no other node leads to them (I9)
	for i := range nd.n {
		ch := nd.child(i)
		if d := ch.delta.page; d != 0 && !deltas[d] {
			deltas[d] = true
			k.n.addNode(deltaLevel, 1)
		}
		if level == 1 && ch.flags&cellOverflow == 0 {
			k.n.addNode(0, int64(ch.pages))
		} else if err := k.count(ch, level-1); err != nil {
			return err
		}
	}
	return nil
}

func (k *pageCounter) countValues(nd node, leaf child) error {
	p, o, err := k.s.overlayOf(k.v, nd, leaf.childRef, leaf.delta, k.t)
	if err != nil {
		return err
	}
	defer p.release()
	for {
		c, _, _, ok := o.rest()
		if !ok {
			return nil
		}
		if c.flags&cellOverflow != 0 {
			k.n.overflow += overflowLength(parseRef(c.val).Size, k.s.pageSize)
		}
	}
}

// Space says what each byte of the file is for. The fields except File add up to File.
type Space struct {
	File        int64 // length of the file
	Superblocks int64 // the two superblocks, a page each
	Bitmaps     int64 // pages that say which pages are live, and their index
	Trees       [NumTrees]TreeSpace
	Free        int64 // the next checkpoint may write there
	Protected   int64 // free in the newest version, but the older superblock or a running Check leads there
	Tail        int64 // behind the last page of all these: reserved for growth, or not yet cut off
}

// TreeSpace is the part of one tree in bytes.
type TreeSpace struct {
	Leaves, Inner, Overflow int64
	Deltas                  int64 // pages that hold what changed in leaves since they were written
}

// Space returns what the file's bytes are for at the newest version. Pages that a running checkpoint has written count
// as Free or Tail until it commits. It costs a look at the bitmaps in memory; only in a file that a release without
// these counts wrote last are the inner nodes read as well, until the next checkpoint; and a read-only store reads the
// bitmaps. Errors: the context's cause, ErrClosed, *CorruptionError, or what the file system says.
func (s *Store) Space(ctx context.Context) (Space, error) {
	if s.closed.Load() {
		return Space{}, ErrClosed
	}
	v, release := s.hold()
	defer release()
	s.mu.Lock()
	// The file never ends before the versions that are protected at this moment do.
	file, others := s.fileBytes.Load(), s.protectedLocked()
	s.mu.Unlock()
	live, chunks, err := s.mapOf(v)
	if err != nil {
		return Space{}, err
	}
	bytes := int64(s.pageSize)
	sp := Space{File: file, Superblocks: 2 * bytes}
	for _, refs := range [][]childRef{v.sb.index, chunks} {
		for _, ref := range refs {
			if ref.page != 0 {
				sp.Bitmaps += bytes
			}
		}
	}
	if err := s.treeSpace(ctx, v, &sp); err != nil {
		return Space{}, err
	}
	return sp, s.freeSpace(live, others, &sp)
}

// treeSpace fills in the trees of a version.
func (s *Store) treeSpace(ctx context.Context, v *version, sp *Space) error {
	for t := range TreeID(NumTrees) {
		n := v.sb.space[t]
		if !v.sb.counted(t) {
			k := pageCounter{s: s, v: v.view, t: t, ctx: ctx}
			root := v.sb.trees[t]
			if err := k.count(child{childRef: root.childRef}, root.height-1); err != nil {
				return err
			}
			n = k.n
		}
		bytes := int64(s.pageSize)
		sp.Trees[t] = TreeSpace{Leaves: n.leaves * bytes, Inner: n.inner * bytes, Overflow: n.overflow * bytes, Deltas: n.deltas * bytes}
	}
	return nil
}

// freeSpace fills in what no tree and no bitmap has.
func (s *Store) freeSpace(live bitmap, protected []*version, sp *Space) error {
	var busy bitmap
	busy.union(live)
	for _, v := range protected {
		m, _, err := s.mapOf(v)
		if errors.Is(err, ErrCorrupt) {
			continue // an older version that cannot be opened is not protected
		}
		if err != nil {
			return err
		}
		busy.union(m)
	}
	used, taken, end, bytes := live.count(), busy.count(), int64(busy.end()), int64(s.pageSize)
	sp.Protected = (taken - used) * bytes
	sp.Free = (end - taken) * bytes
	sp.Tail = sp.File - end*bytes
	return nil
}

// mapOf returns the bitmap of a version, which a read-only store does not keep in memory.
func (s *Store) mapOf(v *version) (bitmap, []childRef, error) {
	if v.live != nil {
		return v.live, v.chunks, nil
	}
	return s.readMap(v.sb)
}
