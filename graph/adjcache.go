package graph

import (
	"sync"
	"sync/atomic"

	"github.com/sombradb/sombra/mvcc"
)

// adjCache keeps copies of adjacency lists, so that a step of a traversal costs no search in the store. Whether a
// copy is what a transaction would read, mvcc.Stamps tells: so the cache is exact at every isolation level, for the past,
// too, and nothing has to be thrown away when something changes.
//
//	root        slice by id / 65,536             replaced when it grows
//	`- branch   1024 pointers
//	   `- chunk 64 pointers to lists
//
// Who looks up takes no lock. Who stores or evicts holds mu. What has been evicted may still be in use, and is as good as
// before: only the collector takes it away.
//
// Eviction is a clock over the chunks: it passes over lists that were used since it last came by, and drops the others.
type adjCache struct {
	stamps  *mvcc.Stamps
	limit   int64                                          // of bytes
	longest int                                            // edges of the longest list that is kept
	roots   [2]atomic.Pointer[[]atomic.Pointer[adjBranch]] // out, in
	bytes   atomic.Int64
	count   adjCounts
	mu      struct {
		sync.Mutex
		ring []*adjChunk
		hand int
	}
	builders sync.Pool // of *listBuilder
}

// adjCounts are what Metrics tells.
type adjCounts struct{ hits, misses, lists, evicted atomic.Int64 }

const (
	chunkBits, branchBits = 6, 10
	chunkLists            = 1 << chunkBits
	branchChunks          = 1 << branchBits
)

type adjBranch struct {
	chunks [branchChunks]atomic.Pointer[adjChunk]
	live   int // guarded by mu
}

type adjChunk struct {
	lists  [chunkLists]atomic.Pointer[adjList]
	number uint64 // of the chunk
	side   int
	live   int // guarded by mu
}

// Sizes in bytes; a chunk's includes its place in the ring.
const (
	chunkBytes  = chunkLists*8 + 32 + 16
	branchBytes = branchChunks*8 + 8
)

// shortList is up to how many edges are copied when they are asked for once. Of a longer list the caller may want only the
// beginning: it is copied when it is asked for again and has not changed meanwhile.
const shortList = 128

// copyShare is the part of the page cache's memory that the cache has, in percent, unless the options say otherwise.
const copyShare = 50

// newAdjCache returns a cache in memory bytes. Half of that is for lists: the collector lets the heap grow
// to twice what is live (mvcc/admission.go).
func newAdjCache(ks *mvcc.Keyspace, memory int64) *adjCache {
	stripes := 1
	for int64(stripes)*128 <= memory {
		stripes *= 2
	}
	c := &adjCache{limit: (memory - int64(stripes)*8) / 2}
	c.longest = int(c.limit / 8 / 8)
	c.stamps = ks.Stamps(stripes, adjacencyGroup)
	for i := range c.roots {
		c.roots[i].Store(new([]atomic.Pointer[adjBranch]))
	}
	c.builders.New = func() any { return new(listBuilder) }
	return c
}

// sideOf numbers the directions of lists: 0 is out, 1 is in.
func sideOf(in bool) int {
	if in {
		return 1
	}
	return 0
}

// groupOf is the group of a node's keys in one direction.
func groupOf(node NodeID, side int) uint64 { return uint64(node)<<1 | uint64(side) }

// adjacencyGroup returns the group of a key of the keyspace.
func adjacencyGroup(key []byte) (uint64, bool) {
	if len(key) == 0 || key[0] != keyOut && key[0] != keyIn {
		return 0, false
	}
	node, _, err := cutUint(key[1:])
	return groupOf(NodeID(node), sideOf(key[0] == keyIn)), err == nil
}

// get returns the list that is stored for a node, nil if there is none.
func (c *adjCache) get(node NodeID, side int) *adjList {
	if chunk := c.chunk(uint64(node)>>chunkBits, side); chunk != nil {
		return chunk.lists[node%chunkLists].Load()
	}
	return nil
}

func (c *adjCache) chunk(number uint64, side int) *adjChunk {
	root := *c.roots[side].Load()
	if i := number >> branchBits; i < uint64(len(root)) {
		if b := root[i].Load(); b != nil {
			return b.chunks[number%branchChunks].Load()
		}
	}
	return nil
}

// put stores a list, unless the table of ids would be too large.
func (c *adjCache) put(node NodeID, side int, l *adjList) {
	c.mu.Lock()
	defer c.mu.Unlock()
	chunk := c.makeChunk(uint64(node)>>chunkBits, side)
	if chunk == nil {
		return
	}
	slot := &chunk.lists[node%chunkLists]
	old := slot.Load()
	slot.Store(l)
	size := l.bytes()
	if old != nil {
		size -= old.bytes()
	} else {
		chunk.live++
		c.count.lists.Add(1)
	}
	if c.bytes.Add(size) > c.limit {
		c.evict()
	}
}

// makeChunk returns the chunk, which it makes if it is not there. REQUIRES: mu.
func (c *adjCache) makeChunk(number uint64, side int) *adjChunk {
	if chunk := c.chunk(number, side); chunk != nil {
		return chunk
	}
	i := number >> branchBits
	root := *c.roots[side].Load()
	if i >= uint64(len(root)) {
		if i >= uint64(c.limit)/8/8 {
			return nil
		}
		grown := make([]atomic.Pointer[adjBranch], max(i+1, min(2*uint64(len(root)), uint64(c.limit)/8/8)))
		for k := range root {
			grown[k].Store(root[k].Load())
		}
		c.bytes.Add(int64(len(grown)-len(root)) * 8)
		root = grown
		c.roots[side].Store(&root)
	}
	b := root[i].Load()
	if b == nil {
		b = new(adjBranch)
		root[i].Store(b)
		c.bytes.Add(branchBytes)
	}
	chunk := &adjChunk{number: number, side: side}
	b.chunks[number%branchChunks].Store(chunk)
	b.live++
	c.mu.ring = append(c.mu.ring, chunk)
	c.bytes.Add(chunkBytes)
	return chunk
}

// evict drops lists until the cache is a sixteenth below its limit. REQUIRES: mu.
func (c *adjCache) evict() {
	m := &c.mu
	for c.bytes.Load() > c.limit-c.limit/16 && len(m.ring) > 0 {
		if m.hand >= len(m.ring) {
			m.hand = 0
		}
		chunk := m.ring[m.hand]
		c.sweep(chunk)
		if chunk.live > 0 {
			m.hand++
			continue
		}
		last := len(m.ring) - 1
		m.ring[m.hand], m.ring[last] = m.ring[last], nil
		m.ring = m.ring[:last]
		c.drop(chunk)
	}
}

// sweep drops the lists of a chunk that have not been used.
func (c *adjCache) sweep(chunk *adjChunk) {
	for i := range chunk.lists {
		l := chunk.lists[i].Load()
		if l == nil || l.used.Load() && l.used.CompareAndSwap(true, false) {
			continue
		}
		chunk.lists[i].Store(nil)
		chunk.live--
		c.bytes.Add(-l.bytes())
		c.count.lists.Add(-1)
		c.count.evicted.Add(1)
	}
}

// drop takes an empty chunk out of the table, and its branch if that is empty then.
func (c *adjCache) drop(chunk *adjChunk) {
	root := *c.roots[chunk.side].Load()
	slot := &root[chunk.number>>branchBits]
	b := slot.Load()
	b.chunks[chunk.number%branchChunks].Store(nil)
	c.bytes.Add(-chunkBytes)
	if b.live--; b.live == 0 {
		slot.Store(nil)
		c.bytes.Add(-branchBytes)
	}
}

// AdjacencyMetrics tell about the copies of adjacency lists that traversals use. Counters are since Open.
type AdjacencyMetrics struct {
	Hits, Misses int64 // lists that were asked for; counted when their transaction ends
	Evicted      int64 // lists
	Lists        int64 // now
	Bytes, Limit int64 // of the lists, now and at most
}

// Adjacency returns readings of the cache of adjacency lists.
func (db *DB) Adjacency() AdjacencyMetrics {
	c := db.adjacency
	return AdjacencyMetrics{
		Hits: c.count.hits.Load(), Misses: c.count.misses.Load(), Evicted: c.count.evicted.Load(),
		Lists: c.count.lists.Load(), Bytes: c.bytes.Load(), Limit: c.limit,
	}
}
