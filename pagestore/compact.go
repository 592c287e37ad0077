package pagestore

import (
	"context"
)

// Compaction makes a file as short as a fresh load of its records would, in steps that are parts of ordinary
// checkpoints. Readers and writers go on between the steps and beside them, and each step is as safe from a crash as any
// checkpoint. It is not safe for concurrent use.
//
//	repack --all leaves seen--> move --nothing to move in three steps--> done
//
// repack rewrites neighbouring leaves that fit in fewer pages, and merges deltas into them. move takes pages from the end to free ones in front, as
// Vacuum does, but down to the last one. A page that was freed can be written by the second checkpoint after it, so steps
// may find nothing to do for a while.
type Compaction struct {
	s     *Store
	state compactState
	last  compactState // before the step of checkpoint seq, which may be aborted
	seq   uint64
}

// compactState is how far a compaction has come.
type compactState struct {
	tree  TreeID // of which leaves are repacked; NumTrees: all are
	key   []byte // from where on
	seen  int64  // leaves
	moved int64
	idle  int // steps one behind the other that found nothing to move and wait for no room
	stuck int // steps that did not bring the end down
	end   PageID
}

// CompactProgress says how far a compaction has come, in pages.
type CompactProgress struct {
	// Done counts leaves that were looked at and pages that were moved; Left estimates what is still to be done. Writers
	// may make it grow.
	Done, Left int64
	// Moved counts the pages that were written anew.
	Moved int64
	// Finished is set when nothing is left to do. The file has its final length when the step's checkpoint is committed.
	Finished bool
}

// NewCompaction begins a compaction of the whole file. Nothing happens until Step.
func (s *Store) NewCompaction() *Compaction { return &Compaction{s: s} }

// compactStuck is how many steps in a row may fail to shorten the file before a compaction ends: then the free pages in
// front have no place for the values at the end, or writers take them.
const compactStuck = 20

// Step does a part of the compaction in a checkpoint of the same store, between the last Merge and Commit, in place of
// Vacuum. It rewrites about maxPages pages, 1 at least. When the checkpoint is aborted, the next step does the same part
// again. Calling it after Finished is no error and does nothing. After an error the checkpoint can only be aborted, and
// the compaction may go on in another one. Errors are those of Merge.
func (k *Compaction) Step(ctx context.Context, c *Checkpoint, maxPages int) (CompactProgress, error) {
	if err := c.usable(); err != nil {
		return CompactProgress{}, err
	}
	if c.s != k.s {
		return CompactProgress{}, ErrForeignCheckpoint
	}
	if k.seq > c.base.sb.sequence {
		k.state = k.last // the step before this one was aborted
	}
	k.last, k.seq = k.state, c.seq
	c.cutAll = true
	if c.err = k.step(ctx, c, max(1, maxPages)); c.err != nil {
		return CompactProgress{}, c.err
	}
	return k.progress(c), nil
}

func (k *Compaction) step(ctx context.Context, c *Checkpoint, maxPages int) error {
	st := &k.state
	left := maxPages
	for st.tree < NumTrees && left > 0 {
		n, err := k.repack(ctx, c, left)
		if err != nil {
			return err
		}
		left -= n
	}
	if st.tree < NumTrees || st.finished() {
		return nil
	}
	moved, err := c.moveTail(ctx, max(1, left), c.denseEnd())
	if err != nil {
		return err
	}
	st.moved += moved
	if st.idle++; moved > 0 || len(c.s.rooms) > 0 {
		st.idle = 0
	}
	if end := c.alloc.next.end(); st.end == 0 || end < st.end {
		st.stuck, st.end = 0, end
	} else {
		st.stuck++
	}
	return nil
}

func (st *compactState) finished() bool {
	return st.tree == NumTrees && (st.idle >= 3 || st.stuck >= compactStuck)
}

// denseEnd is where the file would end without a free page but those for the bitmaps.
func (c *Checkpoint) denseEnd() PageID { return PageID(c.alloc.next.count()) + spareMapPages }

func (k *Compaction) progress(c *Checkpoint) CompactProgress {
	st := &k.state
	p := CompactProgress{Done: st.seen + st.moved, Moved: st.moved, Finished: st.finished()}
	if p.Finished {
		return p
	}
	if st.tree < NumTrees {
		var leaves int64
		for _, n := range c.space {
			leaves += n.leaves
		}
		p.Left = max(0, leaves-st.seen)
	}
	dense := c.denseEnd()
	inFront := int64(dense) - c.alloc.next.countClear(dense)
	p.Left += c.alloc.next.count() - inFront
	return p
}

// repackWindow is how many neighbouring leaves are rewritten together, if that saves one of them.
const repackWindow = 32

// repack looks at leaves of one tree until about budget pages are to be rewritten or four times as many were read, and
// rewrites those that fit in fewer pages or have deltas. It returns what of the budget was used.
func (k *Compaction) repack(ctx context.Context, c *Checkpoint, budget int) (used int, err error) {
	st := &k.state
	r := &repacker{c: c, t: st.tree, left: budget, reads: 4 * budget}
	if root := c.trees[st.tree]; root.height > 1 {
		if err := c.w.flush(); err != nil {
			return 0, err
		}
		if err := r.walk(ctx, root.childRef, root.height-1, st.key); err != nil {
			return 0, err
		}
	}
	st.seen += int64(r.seen)
	st.moved += int64(len(r.tasks))
	if st.key = r.next; st.key == nil {
		st.tree++
	}
	if err := c.moveTree(ctx, r.t, r.tasks, true); err != nil {
		return 0, err
	}
	return max(len(r.tasks), r.seen/4), nil
}

// repacker finds the leaves of a tree that are worth rewriting.
type repacker struct {
	c     *Checkpoint
	t     TreeID
	left  int // leaves that may still be taken on
	reads int // leaves that may still be read
	seen  int
	tasks []moveTask
	next  []byte // where to go on; nil: the end of the tree was reached
}

// walk looks at the leaves below an inner node from a key on.
func (r *repacker) walk(ctx context.Context, ref childRef, level int, start []byte) error {
	p, err := r.c.s.fetch(r.c.base.view, ref, r.t, level)
	if err != nil {
		return err
	}
	defer p.release()
	nd := asNode(p.b)
	first, width := 0, 1
	if start != nil {
		first = nd.childFor(start)
	}
	if level == 1 {
		width = repackWindow
	}
	for i := first; i < nd.n && r.next == nil; i += width {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if i > first && (r.left <= 0 || r.reads <= 0) {
			r.next = nd.appendKey([]byte{}, i)
			return nil
		}
		if level == 1 {
			err = r.window(&nd, i, min(i+width, nd.n))
		} else {
			err = r.walk(ctx, nd.child(i).childRef, level-1, start)
		}
		if err != nil {
			return err
		}
		start = nil
	}
	return nil
}

// window takes on the leaves [from, to) of an inner node if their records fit in fewer pages, or some have deltas: a
// delta takes room beside its leaf, and a whole page until all that is in the page has gone.
func (r *repacker) window(nd *node, from, to int) error {
	b := builder{}
	pages, need := 0, 0
	var keys []moveTask
	deltas := false
	for i := from; i < to; i++ {
		ch := nd.child(i)
		key, err := r.gather(&b, ch)
		if err != nil {
			return err
		}
		keys = append(keys, moveTask{key: key})
		deltas = deltas || ch.delta.page != 0
		pages += int(ch.pages)
		need += b.cut(r.c.s.pageSize, false)
	}
	r.seen += to - from
	r.reads -= to - from
	if need += b.cut(r.c.s.pageSize, true); need < pages || deltas {
		r.tasks = append(r.tasks, keys...)
		r.left -= len(keys)
	}
	return nil
}

// gather adds the records of a leaf to a builder and returns a key in the leaf's range.
func (r *repacker) gather(b *builder, ch child) (key []byte, err error) {
	p, err := r.c.s.fetch(r.c.base.view, ch.childRef, r.t, 0)
	if err != nil {
		return nil, err
	}
	defer p.release()
	leaf := asNode(p.b)
	dp, o, err := r.c.s.overlayOf(r.c.base.view, leaf, ch.childRef, ch.delta, r.t)
	if err != nil {
		return nil, err
	}
	defer dp.release()
	for {
		c, from, _, ok := o.rest()
		if !ok {
			return leaf.appendKey([]byte{}, leaf.n-1), nil
		}
		b.add(from.common(), c.suffix, c.val, nil, item{ts: c.ts})
	}
}

// cut drops what fills nodes and returns how many pages these have; the last one waits for more unless all is set.
func (b *builder) cut(pageSize int, all bool) (pages int) {
	for !b.empty() && (all || b.sum.size() > pageSize) {
		s := b.fit(pageSize)
		pages += (s.size() + pageSize - 1) / pageSize
		b.drop(s.n)
	}
	return pages
}
