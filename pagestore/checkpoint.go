package pagestore

// Checkpoint builds the next version of the trees. Methods are not safe for concurrent use, but run beside any number
// of readers. It must be ended by Commit or Abort.
//
//	Begin --> open --Merge, Clear--> open --Commit--> done (new view, or the store has failed)
//	           |  \--error in Merge, Clear, Commit--> broken --Abort--> done (old view)
//	           +--Abort--> done (old view)
type Checkpoint struct {
	s     *Store
	base  *version
	seq   uint64
	alloc *allocator
	w     writer
	stock []PageID // pages taken in advance, ascending; only by a worker
	batch int      // how many it takes at a time

	trees  [NumTrees]treeRoot
	merged [NumTrees]bool
	// counted says whether space is known; if not, Commit counts.
	space   [NumTrees]treePages
	counted [NumTrees]bool
	leaves  int64
	deltas  int64   // delta pages
	moving  *vacuum // what is being emptied, of bitmap pages by Commit; or nil
	cutAll  bool    // no tail is left for growth

	done bool
	err  error // why it can only be aborted
}

// Begin starts a checkpoint. Only one is open at a time; a second Begin fails with ErrCheckpointOpen. Other errors:
// ErrReadOnly, ErrClosed, *FailedError.
func (s *Store) Begin() (*Checkpoint, error) {
	if s.closed.Load() {
		return nil, ErrClosed
	}
	if s.readOnly {
		return nil, ErrReadOnly
	}
	s.mu.Lock()
	if s.mu.failed != nil || s.mu.open != nil {
		defer s.mu.Unlock()
		if s.mu.failed != nil {
			return nil, s.mu.failed
		}
		return nil, ErrCheckpointOpen
	}
	s.mu.lastSeq++
	c := &Checkpoint{s: s, base: s.mu.durable, seq: s.mu.lastSeq, trees: s.mu.durable.sb.trees}
	c.w.s = s
	s.mu.open = c
	c.space = c.base.sb.space
	for t := range TreeID(NumTrees) {
		c.counted[t] = c.base.sb.counted(t)
	}
	var protected []bitmap
	for _, v := range s.protectedLocked() {
		protected = append(protected, v.live)
	}
	s.mu.Unlock()
	c.alloc = newAllocator(c.base.live, protected, pageLimit(s.pageSize))
	for _, r := range s.rooms {
		for _, row := range r.rows {
			c.alloc.keep(row)
		}
	}
	return c, nil
}

// protectedLocked returns all versions whose pages must stay as they are (I2).
func (s *Store) protectedLocked() []*version {
	versions := []*version{s.mu.durable}
	if s.mu.older != nil {
		versions = append(versions, s.mu.older)
	}
	for v := range s.mu.held {
		versions = append(versions, v)
	}
	return versions
}

// usable says why the checkpoint accepts no changes.
func (c *Checkpoint) usable() error {
	if c.done {
		return ErrCheckpointDone
	}
	if c.s.closed.Load() {
		return ErrClosed
	}
	return c.err
}

// take takes n contiguous pages.
func (c *Checkpoint) take(n int) (PageID, error) {
	if n > 1 || c.batch == 0 {
		return c.alloc.alloc(n)
	}
	if len(c.stock) == 0 {
		var err error
		if c.stock, err = c.alloc.allocSome(c.stock, c.batch); err != nil {
			return 0, err
		}
	}
	p := c.stock[0]
	c.stock = c.stock[1:]
	return p, nil
}

// claim reserves a tree for one change.
func (c *Checkpoint) claim(t TreeID) error {
	if err := c.usable(); err != nil {
		return err
	}
	if t >= NumTrees {
		return ErrUnknownTree
	}
	if c.merged[t] {
		return ErrMerged
	}
	c.merged[t] = true
	return nil
}

// Clear empties a tree. It counts as the tree's Merge. It reads the inner nodes and the leaves with overflow values.
func (c *Checkpoint) Clear(t TreeID) error {
	if err := c.claim(t); err != nil {
		return err
	}
	root := c.trees[t]
	if root.height > 0 {
		ch := child{childRef: root.childRef}
		if c.err = c.freeTree(t, ch, root.height-1); c.err != nil {
			return c.err
		}
	}
	c.trees[t] = treeRoot{}
	return nil
}

func (c *Checkpoint) freeTree(t TreeID, ch child, level int) error {
	p, err := c.s.fetch(c.base.view, ch.childRef, t, level)
	if err != nil {
		return err
	}
	defer p.release()
	nd := asNode(p.b)
	if level > 0 {
		err = c.freeChildren(t, &nd, level)
	} else {
		err = c.freeValues(t, nd, ch)
	}
	if err != nil {
		return err
	}
	c.alloc.free(ch.page, int(ch.pages))
	return nil
}

func (c *Checkpoint) freeChildren(t TreeID, nd *node, level int) error {
	deltas := map[PageID]bool{}
	for i := range nd.n {
		ch := nd.child(i)
		if d := ch.delta.page; d != 0 && !deltas[d] {
			deltas[d] = true
			c.alloc.free(d, 1)
		}
		if level == 1 && ch.flags&cellOverflow == 0 {
			c.alloc.free(ch.page, int(ch.pages))
		} else if err := c.freeTree(t, ch, level-1); err != nil {
			return err
		}
	}
	return nil
}

func (c *Checkpoint) freeValues(t TreeID, nd node, leaf child) error {
	p, o, err := c.s.overlayOf(c.base.view, nd, leaf.childRef, leaf.delta, t)
	if err != nil {
		return err
	}
	defer p.release()
	for {
		cl, _, _, ok := o.rest()
		if !ok {
			return nil
		}
		if cl.flags&cellOverflow == 0 {
			continue
		}
		if err := c.s.overflowPages(parseRef(cl.val), c.alloc.free); err != nil {
			return err
		}
	}
}

// CheckpointStats says what a checkpoint wrote so far.
type CheckpointStats struct {
	PagesWritten, BytesWritten int64
	PagesFreed                 int64
	LeavesRewritten            int64
	DeltaPages                 int64 // written; see "Deltas" in the package documentation
}

// Stats returns the checkpoint's figures.
func (c *Checkpoint) Stats() CheckpointStats {
	return CheckpointStats{
		PagesWritten: c.w.pages, BytesWritten: c.w.bytes,
		PagesFreed: c.alloc.freed, LeavesRewritten: c.leaves, DeltaPages: c.deltas,
	}
}

// Abort gives the pages back. It is a no-op after Commit, unless Commit failed.
func (c *Checkpoint) Abort() {
	if !c.done {
		c.end()
	}
}

// end lets the next checkpoint begin.
func (c *Checkpoint) end() {
	c.done = true
	c.s.mu.Lock()
	c.s.mu.open = nil
	c.s.mu.Unlock()
}

// Commit writes what is left, syncs, writes the other superblock, syncs, and publishes the new view. When it fails
// before the first sync, the checkpoint must be aborted and the store goes on; when a sync or the superblock write
// fails, nobody knows what is durable: the old view stays current and every later Begin returns a *FailedError.
func (c *Checkpoint) Commit(meta Meta) (*View, error) {
	if err := c.usable(); err != nil {
		return nil, err
	}
	if c.err = c.countTrees(); c.err != nil {
		return nil, c.err
	}
	m := c.newMapWriter(c.base)
	if c.err = m.write(); c.err != nil {
		return nil, c.err
	}
	if c.err = c.w.flush(); c.err != nil {
		return nil, c.err
	}
	next := &version{
		slot: 1 - c.base.slot, live: c.alloc.next, chunks: m.chunks,
		sb: &superblock{
			pageSize: c.s.pageSize, id: c.s.id, sequence: c.seq, end: c.alloc.next.end(),
			live: c.alloc.next.count(), meta: meta, trees: c.trees, space: c.space, index: m.index,
		},
	}
	next.view = &View{s: c.s, sb: next.sb, generation: c.base.view.generation + 1}
	if err := c.flip(next); err != nil {
		c.err = c.s.fail(err)
		return nil, c.err
	}
	c.s.publish(next)
	c.s.shrink(c.cutAll) // before the next checkpoint can write behind the new end
	c.end()
	return next.view, nil
}

// flip makes everything durable, and then the superblock that leads to it (I1).
func (c *Checkpoint) flip(next *version) error {
	if err := c.s.sync(); err != nil {
		return err
	}
	b := next.sb.encode()
	n, err := c.s.file.WriteAt(b, int64(next.slot*c.s.pageSize))
	c.s.stats.pageWrites.Add(1)
	c.s.stats.writtenBytes.Add(int64(n))
	if err != nil {
		return c.s.ioError(err, "write superblock %d", next.slot)
	}
	return c.s.sync()
}

func (s *Store) sync() error {
	s.stats.syncs.Add(1)
	if err := s.file.SyncData(); err != nil {
		return s.ioError(err, "sync")
	}
	return nil
}

// fail ends the store's ability to write.
func (s *Store) fail(cause error) error {
	err := &FailedError{Cause: cause}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.failed = err
	return err
}

// publish makes a durable version the current one.
func (s *Store) publish(next *version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.older != nil {
		s.mu.older.view.dropRouters()
	}
	s.mu.older = s.mu.durable
	s.mu.olderLSN = s.mu.durable.sb.meta.LogLSN
	s.mu.durable = next
	s.current.Store(next.view)
}

// shrink cuts off the tail that no protected version reaches, when all of it is to go, or it is long enough to be worth
// growing it again. A
// failure costs only space, so it is logged and not returned. REQUIRES: the caller owns the open checkpoint.
func (s *Store) shrink(all bool) {
	var end PageID
	s.mu.Lock()
	for _, v := range s.protectedLocked() {
		end = max(end, v.sb.end)
	}
	s.mu.Unlock()
	size, keep := s.fileBytes.Load(), int64(end)*int64(s.pageSize)
	if size <= keep || !all && size-keep <= s.growthStep(keep)*5/4 {
		return
	}
	if err := s.file.Truncate(keep); err != nil {
		s.log.Warn("pagestore: cannot shorten the file", "file", s.name, "error", err)
		return
	}
	s.fileBytes.Store(keep)
}
