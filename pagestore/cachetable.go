package pagestore

import "sync"

// begin looks for the node under the bucket's lock. When it is absent, the caller either leads the read of it (lead
// is set, and finish must follow) or waits for the leader and asks again.
func (c *cache) begin(ref childRef) (p pinned, ok bool, wait *pageLoad, lead bool) {
	sh := c.shardOf(ref.page)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if i := c.findLocked(ref.page); i != 0 {
		if p, ok = c.pinFrame(&c.frames[i], i, ref); ok {
			return p, true, nil, false
		}
	}
	if l := sh.mu.loads[ref]; l != nil {
		return pinned{}, false, l, false
	}
	if sh.mu.loads == nil {
		sh.mu.loads = map[childRef]*pageLoad{}
	}
	l := &pageLoad{done: make(chan struct{})}
	sh.mu.loads[ref] = l
	return pinned{}, false, l, true
}

// finish ends a read that begin made the caller lead. Frame i, if any, enters the table with one pin of the caller's.
func (c *cache) finish(ref childRef, l *pageLoad, i uint32, valid bool) {
	sh := c.shardOf(ref.page)
	sh.mu.Lock()
	delete(sh.mu.loads, ref)
	old := uint32(0)
	if i != 0 && valid {
		old = c.insertLocked(ref, i, 1)
	}
	sh.mu.Unlock()
	c.reclaim(old)
	if i != 0 && !valid {
		c.giveBack(i)
	}
	close(l.done)
}

// put enters a node that was just written. Unless evict is set it only takes room that nobody uses.
func (c *cache) put(ref childRef, b []byte, evict bool) {
	i := c.unused()
	if i == 0 && evict {
		i = c.evict()
	}
	if i == 0 {
		return
	}
	copy(c.data(i), b)
	c.insert(ref, i, 0)
}

// insert publishes a busy frame with pins of the caller's.
func (c *cache) insert(ref childRef, i uint32, pins uint32) {
	sh := c.shardOf(ref.page)
	sh.mu.Lock()
	old := c.insertLocked(ref, i, pins)
	sh.mu.Unlock()
	c.reclaim(old)
}

// reclaim gives back a frame that was taken out of the table, unless somebody has pinned it: then the clock hand comes by.
func (c *cache) reclaim(i uint32) {
	if i == 0 {
		return
	}
	f := &c.frames[i]
	st := f.state.Load()
	if st&frameValid == 0 || st&framePins != 0 || !f.state.CompareAndSwap(st, frameBusy) {
		return
	}
	// The clock hand may have come by since, and the frame hold another page again, in the table.
	c.detach(i)
	c.giveBack(i)
}

func (c *cache) shardOf(page PageID) *cacheShard {
	return &c.shard[pageHash(page)&c.mask%cacheShards]
}

// findLocked returns the frame of a page. REQUIRES: the shard of the page is locked.
func (c *cache) findLocked(page PageID) uint32 {
	i := c.buckets[pageHash(page)&c.mask].Load()
	for i != 0 && c.frames[i].page.Load() != uint64(page) {
		i = c.frames[i].next.Load()
	}
	return i
}

// insertLocked publishes a busy frame, in place of an older content of the page, whose frame it returns, 0 if there was
// none. REQUIRES: the shard of the page is locked.
func (c *cache) insertLocked(ref childRef, i uint32, pins uint32) (old uint32) {
	if old = c.findLocked(ref.page); old != 0 {
		c.unlinkLocked(ref.page, old)
	}
	f := &c.frames[i]
	bucket := &c.buckets[pageHash(ref.page)&c.mask]
	f.birth.Store(ref.birth)
	f.reads.Store(0)
	f.page.Store(uint64(ref.page))
	f.next.Store(bucket.Load())
	bucket.Store(i)
	// Last: with this the content of the frame happens before every pin.
	f.state.Store(frameValid | pins)
	return old
}

// unlinkLocked takes a frame out of its bucket; those who pinned it keep its bytes.
// REQUIRES: the shard of the page is locked.
func (c *cache) unlinkLocked(page PageID, i uint32) {
	f := &c.frames[i]
	link := &c.buckets[pageHash(page)&c.mask]
	for link.Load() != i {
		link = &c.frames[link.Load()].next
	}
	link.Store(f.next.Load())
	f.page.Store(0)
}

// unused returns a frame that holds nothing, or 0.
func (c *cache) unused() uint32 {
	c.free.Lock()
	if n := len(c.free.list); n > 0 {
		i := c.free.list[n-1]
		c.free.list = c.free.list[:n-1]
		c.free.Unlock()
		return c.own(i)
	}
	c.free.Unlock()
	if int(c.fresh.Load()) < len(c.frames)-1 {
		if i := c.fresh.Add(1); int(i) < len(c.frames) {
			c.bytes.Add(int64(c.pageSize))
			return c.own(i)
		}
		c.fresh.Store(uint32(len(c.frames) - 1))
	}
	return 0
}

// own makes a free frame busy; it fails when the cache was closed.
func (c *cache) own(i uint32) uint32 {
	if c.frames[i].state.CompareAndSwap(0, frameBusy) {
		return i
	}
	return 0
}

func (c *cache) giveBack(i uint32) {
	c.frames[i].state.Store(0)
	c.free.Lock()
	c.free.list = append(c.free.list, i)
	c.free.Unlock()
}

// evict takes a frame by the clock algorithm: one that was used since the hand came by gets another round. It returns
// 0 when all frames are pinned.
func (c *cache) evict() uint32 {
	n := uint32(len(c.frames) - 1)
	for range 3 * n {
		i := c.hand.Add(1)%n + 1
		f := &c.frames[i]
		st := f.state.Load()
		switch {
		case st&frameValid == 0 || st&framePins != 0:
		case st&frameHot != 0:
			f.state.CompareAndSwap(st, st&^frameHot)
		case f.state.CompareAndSwap(st, frameBusy):
			c.detach(i)
			c.evictions.Add(1)
			return i
		}
	}
	return 0
}

// detach takes a busy frame out of the table.
func (c *cache) detach(i uint32) {
	f := &c.frames[i]
	if page := PageID(f.page.Load()); page != 0 {
		sh := c.shardOf(page)
		sh.mu.Lock()
		if f.page.Load() == uint64(page) {
			c.unlinkLocked(page, i)
		}
		sh.mu.Unlock()
	}
	if poisonFrames {
		poison(c.data(i))
	}
}

func poison(b []byte) {
	for i := range b {
		b[i] = 0xdb
	}
}

// slabList is the memory of a cache, freed once.
type slabList struct {
	once  sync.Once
	slabs [][]byte
}

func (l *slabList) free() {
	l.once.Do(func() {
		for _, b := range l.slabs {
			freeSlab(b)
		}
	})
}
