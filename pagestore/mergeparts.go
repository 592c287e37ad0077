package pagestore

import (
	"bytes"
	"context"
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

// maxMergers bounds the workers of a merge, whose buffers belong to what the owner of the store calls its fixed memory.
const maxMergers = 4

// partBatch is the largest single write of a worker in bytes, partPages how many pages it takes at a time so that its
// writes are of neighbours.
const (
	partBatch = 256 << 10
	partPages = partBatch / 8192
)

// Source returns the edits with keys in [from, to) in strictly ascending order, and the function that sees what they
// supersede, as for Merge. A nil from means from the first key on, a nil to up to the last one. The slices stay valid.
type Source func(from, to []byte) (edits iter.Seq[Edit], superseded func(Record) (keepValue bool))

// MergeRanges is Merge for edits that are known by range. It asks for ranges that do not overlap and cover all keys, and
// goes over several of them at the same time, up to GOMAXPROCS, while hurry says that it should; nil says always. In a
// small tree there is one range. hurry is called from several goroutines.
func (c *Checkpoint) MergeRanges(ctx context.Context, t TreeID, source Source, hurry func() bool) error {
	if err := c.claim(t); err != nil {
		return err
	}
	workers := c.s.mergers
	if workers == 0 {
		workers = min(runtime.GOMAXPROCS(0), maxMergers)
	}
	if workers > 1 && c.trees[t].height > 2 {
		c.err = c.mergeParts(ctx, &crew{c: c, t: t, source: source, most: int64(workers), hurry: hurry})
		return c.err
	}
	edits, superseded := source(nil, nil)
	m := newMerger(c, t, superseded)
	defer m.release()
	c.err = m.run(ctx, edits)
	return c.err
}

// mergePart is a child of the root.
type mergePart struct {
	ch        child
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
		for i := range w.parts {
			if err := m.join(&w.parts[i]); err != nil {
				return err
			}
		}
	}
	return m.finish()
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
	c      *Checkpoint
	t      TreeID
	source Source
	hurry  func() bool
	most   int64 // workers
	parts  []mergePart

	next    atomic.Int64 // part
	working atomic.Int64
	all     sync.WaitGroup
	cancel  context.CancelCauseFunc // of all, by the first error
	mu      sync.Mutex              // guards what collect changes in c
}

func (w *crew) hurries() bool { return w.hurry == nil || w.hurry() }

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
	defer m.release()
	for first || w.hurries() {
		i := int(w.next.Add(1)) - 1
		if i >= len(w.parts) {
			break
		}
		w.hire(ctx, len(w.parts)-i-1)
		if err := m.mergePart(ctx, &w.parts[i], w.source); err != nil {
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
func (m *merger) mergePart(ctx context.Context, p *mergePart, source Source) error {
	var edits iter.Seq[Edit]
	edits, m.superseded = source(p.low, p.high)
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

func (m *merger) rootLevel() int { return m.v.sb.trees[m.t].height - 1 }

// openPart makes the path that of a tree whose root is the child.
func (m *merger) openPart(p *mergePart) error {
	m.top = m.rootLevel()
	if m.path == nil {
		m.path = make([]pathNode, m.top)
	}
	m.open, m.appending, m.deltas = m.top, false, deltaOwners{}
	return m.descend(p.ch, p.low, p.high, p.high != nil)
}

// closePart closes the path, builds the nodes that take the child's place, and leaves them to the part.
func (m *merger) closePart(p *mergePart) error {
	for m.open < len(m.path) {
		if err := m.drain(); err != nil {
			return err
		}
	}
	if p.dirty = m.path[m.top-1].dirty; !p.dirty {
		return nil
	}
	for l := range m.top {
		if l >= len(m.levels) || m.levels[l].empty() {
			continue
		}
		if m.tooSmall(l) {
			if err := m.absorbLeft(l); err != nil {
				return err
			}
		}
		p.thin = l == m.top-1 && m.tooSmall(l) && (len(m.levels) <= m.top || m.levels[m.top].empty())
		if err := m.flush(l); err != nil {
			return err
		}
	}
	p.deltas, p.appending = m.deltas, m.appending
	if len(m.levels) > m.top {
		p.nodes = m.levels[m.top].take()
	}
	return nil
}

// join passes on what took the place of a child, or the child itself. A thin node is opened and joins its neighbour.
func (m *merger) join(p *mergePart) error {
	level := m.rootLevel()
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
