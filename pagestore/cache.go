package pagestore

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// The state word of a frame: pins in the low bits, then flags. The states and who moves between them:
//
//	0 (free) --unused--> busy --insertLocked--> valid <--pin, unpin--> valid with pins
//	   ^                  |  ^                    |
//	   +-----giveBack-----+  +---evict, close-----+  only without pins
//
// The bytes may be written in busy only, and read in valid by those who hold a pin. Every step is a compare-and-swap or
// is made by the only owner, so close can tell that nobody uses a frame by making it busy for ever.
const (
	framePins  = 1<<24 - 1
	frameBusy  = 1 << 29 // owned by one goroutine, which fills it
	frameHot   = 1 << 30 // used since the clock hand came by
	frameValid = 1 << 31
)

// slabBytes is the size of the pieces that the cache takes its memory in.
const slabBytes = 16 << 20

// cacheShards is the number of locks over the buckets of the page table.
const cacheShards = 64

// frame describes one page-sized piece of memory. The page number changes under the lock of the bucket only, and
// never while the frame is valid and pinned, but to 0 when a newer page takes its place.
type frame struct {
	page  atomic.Uint64 // 0: not in the table
	birth atomic.Uint64
	state atomic.Uint32
	next  atomic.Uint32 // next frame in the bucket, 0 at the end
	reads atomic.Uint64 // of a leaf with its delta, see readWith
}

// pin keeps the frame's bytes from being reused. It fails when the frame is not valid.
func (f *frame) pin() bool {
	for {
		st := f.state.Load()
		if st&frameValid == 0 {
			return false
		}
		if f.state.CompareAndSwap(st, (st+1)|frameHot) {
			return true
		}
	}
}

func (f *frame) unpin() { f.state.Add(^uint32(0)) }

// pinned is a node's bytes and what keeps them in place. The zero frame means that the garbage collector does.
type pinned struct {
	b []byte
	f *frame
}

func (p *pinned) release() {
	if p.f != nil {
		p.f.unpin()
	}
	*p = pinned{}
}

// cache holds single-page nodes by page number in frames outside of the Go heap. A hit takes no lock: it walks a
// bucket, pins, and looks at page and birth again. See "Page cache" in doc.go.
type cache struct {
	pageSize int
	budget   int64
	perSlab  int
	routing  int64 // bytes that the routers of a view may take
	slabs    [][]byte
	frames   []frame // frame 0 is not used, so that 0 can mean none
	buckets  []atomic.Uint32
	mask     uint64

	fresh atomic.Uint32 // frames never used: those above
	hand  atomic.Uint32
	shard [cacheShards]cacheShard
	large largeNodes

	free struct {
		sync.Mutex
		list []uint32
	}
	memory *slabList

	stripes                  [16]stripe
	misses, evictions, bytes atomic.Int64
}

// stripe counts uses apart from its neighbours' cache lines.
type stripe struct {
	uses atomic.Int64
	_    [56]byte
}

type cacheShard struct {
	mu struct {
		sync.Mutex
		loads map[childRef]*pageLoad
	}
	_ [40]byte
}

// pageLoad is a read in flight; done is closed when it ended either way.
type pageLoad struct{ done chan struct{} }

// newCache takes its memory from the system once. A sixteenth of the budget is on the Go heap: half of it for nodes of several
// pages, and a quarter for the routers of each of two views.
func newCache(budget int64, pageSize int) (*cache, error) {
	n := int((budget - budget/16) / int64(pageSize+32))
	c := &cache{pageSize: pageSize, budget: budget, perSlab: slabBytes / pageSize, frames: make([]frame, n+1)}
	buckets := 1
	for buckets < 2*n {
		buckets *= 2
	}
	c.buckets, c.mask = make([]atomic.Uint32, buckets), uint64(buckets-1)
	c.memory = &slabList{}
	for i := 0; i < n; i += c.perSlab {
		b, err := newSlab(min(c.perSlab, n-i) * pageSize)
		if err != nil {
			c.memory.free()
			return nil, err
		}
		c.memory.slabs = append(c.memory.slabs, b)
	}
	c.slabs, c.large.limit, c.routing = c.memory.slabs, budget/32, budget/64
	// Memory that close could not free, because a cursor was open, goes when nobody can reach the cache any more.
	runtime.AddCleanup(c, func(m *slabList) { m.free() }, c.memory)
	return c, nil
}

// close makes every frame that nobody uses busy for ever, so that later lookups miss. When that took all of them, the
// memory is given back at once.
func (c *cache) close() {
	all := true
	for i := range c.frames[1:] {
		f := &c.frames[i+1]
		st := f.state.Load()
		if st&framePins != 0 || st&frameBusy != 0 || !f.state.CompareAndSwap(st, frameBusy) {
			all = false
		}
	}
	if all {
		c.memory.free()
	}
}

func (c *cache) data(i uint32) []byte {
	k := int(i - 1)
	off := k % c.perSlab * c.pageSize
	return c.slabs[k/c.perSlab][off : off+c.pageSize : off+c.pageSize]
}

func pageHash(page PageID) uint64 { return uint64(page) * 0x9e3779b97f4a7c15 >> 20 }

// lookup pins the frame that holds the node, if there is one.
func (c *cache) lookup(ref childRef) (pinned, bool) {
	p, i := c.find(ref)
	return p, i != 0
}

// find pins the frame that holds the node and returns its number, 0 if there is none.
func (c *cache) find(ref childRef) (pinned, uint32) {
	i := c.buckets[pageHash(ref.page)&c.mask].Load()
	// A frame that is being moved may lead into another bucket: the walk is bounded, and a miss asks under the lock.
	for steps := 0; i != 0 && steps < 64; steps++ {
		f := &c.frames[i]
		if f.page.Load() == uint64(ref.page) {
			if p, ok := c.pinFrame(f, i, ref); ok {
				return p, i
			}
			break
		}
		i = f.next.Load()
	}
	return pinned{}, 0
}

func (c *cache) pinFrame(f *frame, i uint32, ref childRef) (pinned, bool) {
	if !f.pin() {
		return pinned{}, false
	}
	if f.page.Load() != uint64(ref.page) || f.birth.Load() != ref.birth {
		f.unpin()
		return pinned{}, false
	}
	return pinned{b: c.data(i), f: f}, true
}

// used counts n nodes asked for. The leaf's page spreads the counters.
func (c *cache) used(page PageID, n int) { c.stripes[page%16].uses.Add(int64(n)) }

func (c *cache) uses() int64 {
	var n int64
	for i := range c.stripes {
		n += c.stripes[i].uses.Load()
	}
	return n
}
