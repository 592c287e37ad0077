package pagestore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// verify checks the table of a cache that nobody uses at the moment: every frame in a bucket is valid and hashes there,
// every page is there once, and frames outside have no page.
func (c *cache) verify(t fataler) {
	t.Helper()
	linked := map[uint32]bool{}
	pages := map[uint64]bool{}
	for b := range c.buckets {
		for i := c.buckets[b].Load(); i != 0; i = c.frames[i].next.Load() {
			f := &c.frames[i]
			if linked[i] || pages[f.page.Load()] {
				t.Fatalf("frame %d with page %d is in the table twice", i, f.page.Load())
			}
			linked[i], pages[f.page.Load()] = true, true
			if f.state.Load()&frameValid == 0 || pageHash(PageID(f.page.Load()))&c.mask != uint64(b) {
				t.Fatalf("frame %d with page %d does not belong into bucket %d", i, f.page.Load(), b)
			}
			if f.state.Load()&framePins != 0 {
				t.Fatalf("frame %d is still pinned", i)
			}
		}
	}
	for i := range c.frames {
		if !linked[uint32(i)] && c.frames[i].page.Load() != 0 {
			t.Fatalf("frame %d has page %d and is not in the table", i, c.frames[i].page.Load())
		}
	}
	for i := range c.shard {
		if len(c.shard[i].mu.loads) != 0 {
			t.Fatal("a read never ended")
		}
	}
}

func fill(b []byte, page PageID, birth uint64) {
	for i := range b {
		b[i] = byte(page) ^ byte(birth) ^ byte(i)
	}
}

func isFilled(b []byte, page PageID, birth uint64) bool {
	for i := range b {
		if b[i] != byte(page)^byte(birth)^byte(i) {
			return false
		}
	}
	return true
}

// TestPinnedFramesKeepTheirContent lets goroutines look up, load, replace and evict in a cache with few frames: whoever
// holds a pin must see the content that page and birth name, for as long as it holds it.
func TestPinnedFramesKeepTheirContent(t *testing.T) {
	c, err := newCache(minCache, MaxPageSize) // 15 frames
	if err != nil {
		t.Fatal(err)
	}
	c.pageSize = MaxPageSize
	rounds := 4000
	if poisonFrames {
		rounds = 300
	}
	var wg sync.WaitGroup
	var reads, hits atomic.Int64
	for g := range uint64(4) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(g, 7))
			var held []pinned
			var refs []childRef
			for range rounds {
				ref := childRef{page: PageID(2 + rng.IntN(40)), birth: rng.Uint64N(3), pages: 1}
				p, ok := c.lookup(ref)
				if ok {
					hits.Add(1)
				} else {
					p = loadForTest(c, ref, &reads)
				}
				held, refs = append(held, p), append(refs, ref)
				if rng.IntN(4) == 0 {
					b := make([]byte, MaxPageSize)
					put := childRef{page: PageID(2 + rng.IntN(40)), birth: rng.Uint64N(3), pages: 1}
					fill(b, put.page, put.birth)
					c.put(put, b, rng.IntN(2) == 0)
				}
				for i := range held {
					if !isFilled(held[i].b[:64], refs[i].page, refs[i].birth) {
						t.Errorf("a pinned frame of page %d changed", refs[i].page)
						return
					}
				}
				for len(held) > rng.IntN(4) {
					held[0].release()
					held, refs = held[1:], refs[1:]
				}
			}
			for i := range held {
				held[i].release()
			}
		})
	}
	wg.Wait()
	c.verify(t)
	t.Logf("%d reads, %d hits, %d evictions", reads.Load(), hits.Load(), c.evictions.Load())
	c.close()
	if _, ok := c.lookup(childRef{page: 2, pages: 1}); ok {
		t.Fatal("a closed cache has pages")
	}
}

func loadForTest(c *cache, ref childRef, reads *atomic.Int64) pinned {
	for {
		p, ok, wait, lead := c.begin(ref)
		if ok {
			return p
		}
		if !lead {
			<-wait.done
			continue
		}
		reads.Add(1)
		i := c.unused()
		if i == 0 {
			i = c.evict()
		}
		if i == 0 {
			b := make([]byte, c.pageSize)
			fill(b, ref.page, ref.birth)
			c.finish(ref, wait, 0, false)
			return pinned{b: b}
		}
		fill(c.data(i), ref.page, ref.birth)
		c.finish(ref, wait, i, true)
		return pinned{b: c.data(i), f: &c.frames[i]}
	}
}

// TestConcurrentMissesReadAPageOnce holds a read up until all readers have asked for the page.
func TestConcurrentMissesReadAPageOnce(t *testing.T) {
	const readers = 8
	mem := vfs.NewMem()
	s := mustCreate(t, mem, 4096)
	commit(t, s, []Edit{{Key: []byte("a"), Value: []byte("b")}})
	_ = s.Close()
	hold := make(chan struct{})
	var reads atomic.Int64
	var armed atomic.Bool
	fs := vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
		if op.Kind == vfs.OpRead && armed.Load() {
			reads.Add(1)
			return vfs.Fault{Wait: hold}
		}
		return vfs.Fault{}
	})
	s = openAt(t, fs)
	defer func() { _ = s.Close() }()
	armed.Store(true)
	var asked, wg sync.WaitGroup
	asked.Add(readers)
	for range readers {
		wg.Go(func() {
			asked.Done()
			if v, _, found, err := s.View().Get(DataTree, []byte("a"), nil); string(v) != "b" || !found || err != nil {
				t.Error(string(v), found, err)
			}
		})
	}
	asked.Wait()
	close(hold)
	wg.Wait()
	if reads.Load() != 1 {
		t.Fatalf("%d reads of one page", reads.Load())
	}
	s.cache.verify(t)
}

// TestFailedReadsAreNotCached fails the first read of a leaf; the next reader tries again.
func TestFailedReadsAreNotCached(t *testing.T) {
	mem := vfs.NewMem()
	s := mustCreate(t, mem, 4096)
	commit(t, s, []Edit{{Key: []byte("a"), Value: []byte("b")}})
	_ = s.Close()
	broken := errors.New("broken cable")
	fail := false
	s = openAt(t, vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
		if fail && op.Kind == vfs.OpRead {
			return vfs.Fault{Err: broken, Short: 100}
		}
		return vfs.Fault{}
	}))
	defer func() { _ = s.Close() }()
	fail = true
	for range 3 {
		if _, _, _, err := s.View().Get(DataTree, []byte("a"), nil); !errors.Is(err, broken) || errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	}
	fail = false
	if v, _, found, err := s.View().Get(DataTree, []byte("a"), nil); string(v) != "b" || !found || err != nil {
		t.Fatal(string(v), found, err)
	}
	s.cache.verify(t)
}

// TestMoreCursorsThanFrames pins every frame of a tiny cache: reading goes on outside of it, within one node's memory.
// TestReplacedFramesAreFreeAgain puts contents of one page in a row, with and without a pin on the one before.
func TestReplacedFramesAreFreeAgain(t *testing.T) {
	c, err := newCache(minCache, MaxPageSize)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	b := make([]byte, MaxPageSize)
	put := func(birth uint64) childRef {
		ref := childRef{page: 9, birth: birth, pages: 1}
		fill(b, ref.page, birth)
		c.put(ref, b, false)
		return ref
	}
	for birth := range uint64(10 * len(c.frames)) {
		put(birth)
	}
	p, ok := c.lookup(put(1000))
	if used := c.fresh.Load(); !ok || used > 2 {
		t.Fatalf("one page takes %d frames", used)
	}
	put(1001)
	for range c.frames { // that a frame given away would go to
		c.put(childRef{page: 10, pages: 1}, b, false)
	}
	if !isFilled(p.b, 9, 1000) {
		t.Fatal("a pinned frame was given away")
	}
	p.release()
	c.reclaim(c.findLocked(9)) // as if the clock hand had been faster, and the frame had a page again
	c.verify(t)
}

func TestMoreCursorsThanFrames(t *testing.T) {
	s := mustCreate(t, vfs.NewMem(), MaxPageSize)
	var edits []Edit
	for k := range 3000 {
		edits = append(edits, Edit{Key: fmt.Appendf(nil, "%06d", k), Value: pattern(1000, uint64(k))})
	}
	v := commit(t, s, edits)
	var cursors []*Cursor
	for k := 0; k < 3000; k += 40 {
		c := v.Cursor(DataTree)
		if !c.Seek(edits[k].Key) {
			t.Fatal(c.Err())
		}
		cursors = append(cursors, c)
	}
	for i, c := range cursors {
		if got, err := c.Value(); err != nil || string(got) != string(edits[i*40].Value) {
			t.Fatal(i, err)
		}
		c.Close()
	}
	s.cache.verify(t)
	if m := s.Metrics(); m.CacheBytes > m.CacheBudget || m.CacheMisses == 0 || m.Evictions == 0 {
		t.Fatalf("%+v", m)
	}
}

func TestCachedReadsDoNotAllocate(t *testing.T) {
	if poisonFrames {
		return // other builds allocate for their checks
	}
	s := mustCreate(t, vfs.NewMem(), 4096)
	var edits []Edit
	for k := range uint64(5000) {
		edits = append(edits, Edit{Key: roundKey(k), Value: pattern(100, k)})
	}
	v := commit(t, s, edits)
	key, dst := roundKey(77), make([]byte, 0, 200)
	c := v.Cursor(DataTree)
	defer c.Close()
	if !c.Seek(key) {
		t.Fatal(c.Err())
	}
	if n := testing.AllocsPerRun(100, func() {
		_, _, _, _ = v.Get(DataTree, key, dst)
		_, _, _ = v.Timestamp(DataTree, key)
		c.Seek(key)
		for range 100 {
			c.Next()
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
