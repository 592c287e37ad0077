package pagestore

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Merging in parts. The children of a root share nothing but free pages. So when they are inner nodes, several workers
// merge the edits of one child each at a time: a merger sees its child as a tree of its own, with the fences that it has
// in the whole one, and leaves the nodes that take the child's place. The root is then built from all of them, as if one
// merger had passed by. Delta pages are no obstacle, as each belongs to a level-1 node (I9) and so to one part.
//
// A small tree, to which a load adds many records behind its last key, has no such children. There the owner says where
// to cut what is new, and workers build level-1 nodes of one range each.

// maxMergers bounds the workers of a merge, whose buffers belong to what the owner of the store calls its fixed memory.
const maxMergers = 4

// partBatch is the largest single write of a worker in bytes, partPages how many pages it takes at a time so that its
// writes are of neighbours.
const (
	partBatch = 256 << 10
	partPages = partBatch / 8192
)

// Ranges are edits that are known by range.
type Ranges struct {
	// Edits returns the edits with keys in [from, to) in strictly ascending order, and the function that sees what they
	// supersede, as for Merge. A nil from means from the first key on, a nil to up to the last one. It and what it returns
	// are called from several goroutines. The slices stay valid.
	Edits func(from, to []byte) (edits iter.Seq[Edit], superseded func(Record) (keepValue bool))
	// Hurry, which is called from several goroutines, says whether several ranges should be merged at the same time; nil
	// says always.
	Hurry func() bool
	// Splits are ascending keys that cut many edits into parts of about one size, from the first of them on; for small
	// trees. Optional.
	Splits [][]byte
}

// MergeRanges is Merge for edits that are known by range. It asks for ranges that do not overlap and cover all keys, and
// goes over several of them at the same time, up to GOMAXPROCS.
func (c *Checkpoint) MergeRanges(ctx context.Context, t TreeID, r Ranges) error {
	if err := c.claim(t); err != nil {
		return err
	}
	c.err = c.mergeRanges(ctx, t, &r)
	return c.err
}

func (c *Checkpoint) mergeRanges(ctx context.Context, t TreeID, r *Ranges) error {
	workers := c.s.mergers
	if workers == 0 {
		workers = min(runtime.GOMAXPROCS(0), maxMergers)
	}
	w := &crew{c: c, t: t, Ranges: r, most: int64(workers)}
	height := c.trees[t].height
	switch behind, err := c.isBehind(t, r.Splits); {
	case err != nil:
		return err
	case workers > 1 && height > 2:
		w.top = height - 1
		return c.mergeParts(ctx, w)
	case workers > 1 && behind:
		w.top = 2
		return c.mergeBehind(ctx, w)
	}
	edits, superseded := r.Edits(nil, nil)
	m := newMerger(c, t, superseded)
	defer m.release()
	return m.run(ctx, edits)
}

// mergePart is a child of the root, or a range without records.
type mergePart struct {
	ch        child  // page 0: none
	low, high []byte // high is nil behind the last key

	// What is found out by merging it.
	dirty     bool     // the child gives way to others
	thin      bool     // these are one node, too small to stand alone
	nodes     *builder // the items of the root that lead to them, or nil
	deltas    deltaOwners
	appending bool
}

func (c *Checkpoint) mergeParts(ctx context.Context, w *crew) error {
	m := newMerger(c, w.t, nil)
	defer m.release()
	if err := m.start(); err != nil {
		return err
	}
	w.parts = m.split()
	if err := w.run(ctx); err != nil {
		return err
	}
	if slices.ContainsFunc(w.parts, func(p mergePart) bool { return p.dirty }) {
		root := &m.path[len(m.path)-1]
		root.dirty, root.done = true, root.nd.n
		if err := m.joinAll(w); err != nil {
			return err
		}
	}
	return m.finish()
}

// isBehind reports whether all records of a tree of at most two levels are in front of the first split.
func (c *Checkpoint) isBehind(t TreeID, splits [][]byte) (bool, error) {
	if len(splits) < 2 || c.trees[t].height > 2 {
		return false, nil
	}
	last := c.base.view.Cursor(t)
	defer last.Close()
	if !last.Last() {
		return last.Err() == nil, last.Err()
	}
	return bytes.Compare(last.Key(), splits[0]) < 0, nil
}

// mergeBehind merges the edits in front of the first split into the tree, and has workers build what comes behind.
func (c *Checkpoint) mergeBehind(ctx context.Context, w *crew) error {
	edits, superseded := w.Edits(nil, w.Splits[0])
	m := newMerger(c, w.t, superseded)
	defer m.release()
	if err := m.start(); err != nil {
		return err
	}
	if err := m.applyAll(ctx, edits, nil); err != nil {
		return err
	}
	for i, low := range w.Splits {
		w.parts = append(w.parts, mergePart{low: low})
		if i > 0 {
			w.parts[i-1].high = low
		}
	}
	if err := w.run(ctx); err != nil {
		return err
	}
	if slices.ContainsFunc(w.parts, func(p mergePart) bool { return p.dirty }) {
		if err := errors.Join(m.leaveRoot(), m.joinAll(w)); err != nil {
			return err
		}
	}
	return m.finish()
}

// leaveRoot makes the old tree a child of what is being built above it, or finishes the leaves that take its place.
func (m *merger) leaveRoot() error {
	var flags uint8
	if m.open < len(m.path) {
		flags = overflowFlag(m.path[len(m.path)-1].nd)
	}
	for m.open < len(m.path) {
		if err := m.drain(); err != nil {
			return err
		}
	}
	height := len(m.path)
	if height == 0 || m.path[height-1].dirty {
		m.path, m.open = nil, 0
		return m.finishLevel(0)
	}
	root := m.path[height-1].ch
	root.flags = flags
	m.path, m.open = nil, 0
	return m.pass(height, nil, root)
}

// overflowFlag returns the flag that a node's parent has for it.
func overflowFlag(nd node) uint8 {
	for i := range nd.n {
		if flags := nd.cell(i).flags & cellOverflow; flags != 0 {
			return flags
		}
	}
	return 0
}

func (m *merger) joinAll(w *crew) error {
	for i := range w.parts {
		if err := m.join(&w.parts[i], w.top); err != nil {
			return err
		}
	}
	return nil
}

// split returns the children of the root.
func (m *merger) split() []mergePart {
	nd := &m.path[len(m.path)-1].nd
	parts := make([]mergePart, nd.n)
	for i := range parts {
		parts[i].ch = nd.child(i)
		if i > 0 {
			parts[i].low = nd.appendKey(nil, i)
			parts[i-1].high = parts[i].low
		}
	}
	return parts
}

// crew is the workers of one merge. Each takes the next part that nobody has taken. The first one stays to the end;
// while there is hurry, others join it.
type crew struct {
	*Ranges
	c     *Checkpoint
	t     TreeID
	most  int64 // workers
	parts []mergePart
	top   int // level of the nodes that lead to the parts

	next    atomic.Int64 // part
	working atomic.Int64
	all     sync.WaitGroup
	cancel  context.CancelCauseFunc // of all, by the first error
	mu      sync.Mutex              // guards what collect changes in c
}

func (w *crew) hurries() bool { return w.Hurry == nil || w.Hurry() }

func (w *crew) run(ctx context.Context) error {
	ctx, w.cancel = context.WithCancelCause(ctx)
	defer w.cancel(nil)
	w.working.Add(1)
	w.work(ctx, true)
	w.all.Wait()
	return context.Cause(ctx)
}

// work merges parts until there are none, or, if it is not the first worker, until there is no hurry.
func (w *crew) work(ctx context.Context, first bool) {
	h := w.c.helper()
	defer w.collect(h)
	m := newMerger(h, w.t, nil)
	m.top = w.top
	defer m.release()
	for first || w.hurries() {
		i := int(w.next.Add(1)) - 1
		if i >= len(w.parts) {
			break
		}
		w.hire(ctx, len(w.parts)-i-1)
		if err := m.mergePart(ctx, &w.parts[i], w.Ranges); err != nil {
			w.cancel(err)
			return
		}
	}
	if err := h.w.flush(); err != nil {
		w.cancel(err)
	}
}

// hire starts another worker if there is hurry and work for it.
func (w *crew) hire(ctx context.Context, left int) {
	if left == 0 || !w.hurries() {
		return
	}
	if w.working.Add(1) > w.most {
		w.working.Add(-1)
		return
	}
	w.all.Go(func() {
		defer w.working.Add(-1)
		w.work(ctx, false)
	})
}

// helper returns a checkpoint for one worker of c. It has a writer, a stock of pages and counts of its own.
func (c *Checkpoint) helper() *Checkpoint {
	return &Checkpoint{s: c.s, base: c.base, seq: c.seq, alloc: c.alloc, w: writer{s: c.s, batch: partBatch}, batch: partPages}
}

// collect adds what a worker has counted, and gives back the pages that it has not used.
func (w *crew) collect(h *Checkpoint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.c
	c.alloc.giveBack(h.stock)
	for t := range c.trees {
		c.trees[t].count += h.trees[t].count
		c.space[t].add(h.space[t])
	}
	c.leaves += h.leaves
	c.deltas += h.deltas
	c.w.pages += h.w.pages
	c.w.bytes += h.w.bytes
}

// mergePart merges the edits of a part. The merger is that of a worker, and goes from part to part.
func (m *merger) mergePart(ctx context.Context, p *mergePart, r *Ranges) error {
	var edits iter.Seq[Edit]
	edits, m.superseded = r.Edits(p.low, p.high)
	opened := false
	first := func(e *Edit) error {
		if bytes.Compare(e.Key, p.low) < 0 || p.high != nil && bytes.Compare(e.Key, p.high) >= 0 {
			return ErrEditOrder // it belongs to another part
		}
		if opened {
			return nil
		}
		opened = true
		return m.openPart(p)
	}
	if err := m.applyAll(ctx, edits, first); err != nil || !opened {
		return err
	}
	return m.closePart(p)
}

// openPart makes the path that of a tree whose root is the child, or of an empty one.
func (m *merger) openPart(p *mergePart) error {
	m.deltas, m.appending, m.cold, m.low = deltaOwners{}, p.ch.page == 0, p.ch.page == 0, p.low
	m.c.w.early.on = m.cold
	if p.ch.page == 0 {
		return nil
	}
	if m.path == nil {
		m.path = make([]pathNode, m.top)
	}
	m.open = m.top
	return m.descend(p.ch, p.low, p.high, p.high != nil)
}

// closePart closes the path, builds the nodes that take the child's place, and leaves them to the part.
func (m *merger) closePart(p *mergePart) error {
	for m.open < len(m.path) {
		if err := m.drain(); err != nil {
			return err
		}
	}
	if p.dirty = p.ch.page == 0 || m.path[m.top-1].dirty; !p.dirty {
		return nil
	}
	for l := range m.top {
		if l == m.top-1 && l < len(m.levels) && !m.levels[l].empty() {
			p.thin = m.tooSmall(l) && (len(m.levels) <= m.top || m.levels[m.top].empty())
		}
		if err := m.finishLevel(l); err != nil {
			return err
		}
	}
	p.deltas, p.appending = m.deltas, m.appending
	if len(m.levels) > m.top {
		p.nodes = m.levels[m.top].take()
	}
	return nil
}

// finishLevel makes nodes of all that waits at a level.
func (m *merger) finishLevel(l int) error {
	if l >= len(m.levels) || m.levels[l].empty() {
		return nil
	}
	if m.tooSmall(l) {
		if err := m.absorbLeft(l); err != nil {
			return err
		}
	}
	return m.flush(l)
}

// join passes on what took the place of a child, or the child itself. A thin node is opened and joins its neighbour.
func (m *merger) join(p *mergePart, level int) error {
	if !p.dirty && p.ch.page == 0 {
		return nil
	}
	if !p.dirty {
		return m.pass(level, p.low, p.ch)
	}
	m.deltas.join(&p.deltas)
	m.appending = m.appending || p.appending
	if p.nodes == nil {
		return nil // nothing is left
	}
	for i := range p.nodes.items {
		low, ch := p.nodes.key(&p.nodes.items[i]), m.decodeItem(p.nodes, &p.nodes.items[i])
		var err error
		if p.thin && ch.pages == 1 {
			err = m.absorb(level-1, low, ch)
		} else {
			err = m.pass(level, low, ch)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
