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
// goes over up to GOMAXPROCS of them at the same time. In a small tree there is one range.
func (c *Checkpoint) MergeRanges(ctx context.Context, t TreeID, source Source) error {
	if err := c.claim(t); err != nil {
		return err
	}
	workers := c.s.mergers
	if workers == 0 {
		workers = min(runtime.GOMAXPROCS(0), maxMergers)
	}
	if workers > 1 && c.trees[t].height > 2 {
		c.err = c.mergeParts(ctx, t, source, workers)
		return c.err
	}
	edits, superseded := source(nil, nil)
	m := newMerger(c, t, superseded)
	defer m.release()
	c.err = m.run(ctx, edits)
	return c.err
}

// mergePart is a child of the root, and the merger that works below it, which is nil when there are no edits.
type mergePart struct {
	ch        child
	low, high []byte // high is nil behind the last key
	m         *merger
	dirty     bool // the child gives way to what the merger has built
	thin      bool // that is one node, too small to stand alone
}

func (c *Checkpoint) mergeParts(ctx context.Context, t TreeID, source Source, workers int) error {
	m := newMerger(c, t, nil)
	defer m.release()
	if err := m.start(); err != nil {
		return err
	}
	parts := m.split()
	if err := c.runParts(ctx, t, parts, source, workers); err != nil {
		return err
	}
	if slices.ContainsFunc(parts, func(p mergePart) bool { return p.dirty }) {
		root := &m.path[len(m.path)-1]
		root.dirty, root.done = true, root.nd.n
		for i := range parts {
			if err := m.join(&parts[i]); err != nil {
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

// runParts has workers take the parts one after the other. The first error ends them all.
func (c *Checkpoint) runParts(ctx context.Context, t TreeID, parts []mergePart, source Source, workers int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var running sync.WaitGroup
	helpers := make([]*Checkpoint, min(workers, len(parts)))
	errs := make([]error, len(helpers))
	for i := range helpers {
		helpers[i] = c.helper()
		running.Go(func() {
			if errs[i] = helpers[i].takeParts(ctx, t, parts, source, &next); errs[i] != nil {
				cancel(errs[i])
			}
		})
	}
	running.Wait()
	for i := range helpers {
		c.collect(helpers[i])
	}
	for _, err := range errs {
		if err != nil {
			return context.Cause(ctx) // the first one
		}
	}
	return nil
}

// helper returns a checkpoint for one worker of c. It has a writer, a stock of pages and counts of its own.
func (c *Checkpoint) helper() *Checkpoint {
	return &Checkpoint{s: c.s, base: c.base, seq: c.seq, alloc: c.alloc, w: writer{s: c.s, batch: partBatch}, batch: partPages}
}

// collect adds what a worker has counted, and gives back the pages that it has not used.
func (c *Checkpoint) collect(h *Checkpoint) {
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

func (c *Checkpoint) takeParts(ctx context.Context, t TreeID, parts []mergePart, source Source, next *atomic.Int64) error {
	for {
		i := int(next.Add(1)) - 1
		if i >= len(parts) {
			return c.w.flush()
		}
		if err := parts[i].run(ctx, c, t, source); err != nil {
			return err
		}
	}
}

// run merges the edits of a part.
func (p *mergePart) run(ctx context.Context, c *Checkpoint, t TreeID, source Source) error {
	edits, superseded := source(p.low, p.high)
	m := newMerger(c, t, superseded)
	defer m.release()
	begin := func(e *Edit) error {
		if m.path != nil {
			return p.check(e)
		}
		p.m = m
		level := m.rootLevel() - 1
		m.path, m.open, m.top = make([]pathNode, level+1), level+1, level+1
		if err := p.check(e); err != nil {
			return err
		}
		return m.descend(p.ch, p.low, p.high, p.high != nil)
	}
	if err := m.applyAll(ctx, edits, begin); err != nil || p.m == nil {
		return err
	}
	return p.close()
}

func (m *merger) rootLevel() int { return m.v.sb.trees[m.t].height - 1 }

// check refuses an edit that belongs to another part.
func (p *mergePart) check(e *Edit) error {
	if bytes.Compare(e.Key, p.low) < 0 || p.high != nil && bytes.Compare(e.Key, p.high) >= 0 {
		return ErrEditOrder
	}
	return nil
}

// close closes the path and builds the nodes that take the child's place.
func (p *mergePart) close() error {
	m := p.m
	for m.open < len(m.path) {
		if err := m.drain(); err != nil {
			return err
		}
	}
	if !m.path[m.top-1].dirty {
		return nil
	}
	p.dirty = true
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
	return nil
}

// join passes on what took the place of a child, or the child itself. A thin node is opened and joins its neighbour.
func (m *merger) join(p *mergePart) error {
	level := m.rootLevel()
	if !p.dirty {
		return m.pass(level, p.low, p.ch)
	}
	m.deltas.join(&p.m.deltas)
	m.appending = m.appending || p.m.appending
	if len(p.m.levels) <= level {
		return nil // nothing is left
	}
	b := p.m.levels[level]
	for i := range b.items {
		low, ch := b.key(&b.items[i]), p.m.decodeItem(b, &b.items[i])
		step := func() error { return m.pass(level, low, ch) }
		if p.thin && ch.pages == 1 {
			step = func() error { return m.absorb(level-1, low, ch) }
		}
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
