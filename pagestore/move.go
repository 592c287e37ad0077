package pagestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
)

// moveTree writes the nodes and values of tasks anew. When full is set, it fills nodes completely.
func (c *Checkpoint) moveTree(ctx context.Context, t TreeID, tasks []moveTask, full bool) error {
	if len(tasks) == 0 {
		return nil
	}
	slices.SortFunc(tasks, func(a, b moveTask) int { return bytes.Compare(a.key, b.key) })
	m := newMerger(c, t, nil)
	defer m.release()
	if err := m.start(); err != nil {
		return err
	}
	m.appending = full
	for _, task := range tasks {
		m.evict(task.delta)
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

// move makes the path to the task's key dirty, which writes it anew, and copies the record's value if told where. A leaf
// that is written anew loses its delta, and a delta page moves with the level-1 node that leads to it.
func (m *merger) move(task moveTask) error {
	if err := m.seek(task.key); err != nil {
		return err
	}
	if task.inner {
		return m.touchParents()
	}
	f := &m.path[0]
	if err := m.rewrite(f); err != nil || task.pages == nil {
		return err
	}
	c, found := f.o.find(task.key)
	if !found || c.flags&cellOverflow == 0 {
		return m.s.corrupt(f.ch.page, "the record of an overflow value is not where it was a moment ago")
	}
	if err := m.skipTo(f, task.key); err != nil {
		return err
	}
	ref, err := m.c.copyOverflow(parseRef(c.val), task.pages)
	if err != nil {
		return err
	}
	m.val = appendRef(m.val[:0], ref)
	m.add(0, f.low, nil, task.key, m.val, nil, item{ts: c.ts, count: 1, flags: cellOverflow})
	return m.spill(0)
}

// copyOverflow writes a value anew to pages, run by run, and frees the old one.
func (c *Checkpoint) copyOverflow(ref OverflowRef, pages []PageID) (OverflowRef, error) {
	var old []PageID
	err := c.s.overflowPages(ref, func(p PageID, n int) { old = append(old, p) })
	if err != nil {
		return ref, err
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
