package pagestore

import (
	"bytes"
	"math"
	"sync/atomic"
	"unsafe"
)

// A router is a copy of an inner node, with its children decoded, that a view keeps on the Go heap. Who goes through it pins
// nothing and asks no page table: neither for the inner node, nor, as long as the frame that it remembers is still right, for the leaf. See
// "Routers" in doc.go.
type router struct {
	nd     node
	ways   []way
	below  []signpost // of the children, which are inner nodes; nil at level 1
	deltas []deltaRef // of the children; nil when none has one
}

// way leads to a child.
type way struct {
	page  PageID
	birth uint64
	pages uint32
	// frame is where the leaf, or its image, was in the cache when somebody looked last. It is a hint: who follows it pins the
	// frame and then looks whether it is the right one.
	frame atomic.Uint32
}

func (w *way) ref() childRef { return childRef{page: w.page, birth: w.birth, pages: w.pages} }

// signpost is where the router of an inner node is, once it has been passed often enough.
type signpost struct {
	router atomic.Pointer[router]
	passed atomic.Uint32 // not exact: passers may overwrite each other's
}

// passesForRouter is how often a view passes an inner node before it makes a router: making one costs as much as some fifty
// passes save.
const passesForRouter = 16

// route returns the router of an inner node, nil when there is none. It makes one when the node has been passed often enough, and
// the view's routers may take more memory.
func (v *View) route(sp *signpost, ref childRef, t TreeID, level int) *router {
	if r := sp.router.Load(); r != nil {
		return r
	}
	n := sp.passed.Load() + 1
	if n < passesForRouter {
		sp.passed.Store(n)
		return nil
	}
	if v.routing.Load() >= v.s.cache.routing {
		return nil
	}
	p, err := v.s.fetch(v, ref, t, level)
	if err != nil {
		return nil // whoever needs the node meets the error
	}
	defer p.release()
	r, size := newRouter(p.b, level)
	if !sp.router.CompareAndSwap(nil, r) {
		return sp.router.Load()
	}
	v.routing.Add(size)
	return r
}

// newRouter returns the router of a verified inner node, and the bytes that it takes.
func newRouter(b []byte, level int) (*router, int64) {
	r := &router{nd: asNode(bytes.Clone(b))}
	n := r.nd.n
	r.ways = make([]way, n)
	size := len(b) + n*int(unsafe.Sizeof(way{}))
	if level > 1 {
		r.below = make([]signpost, n)
		size += n * int(unsafe.Sizeof(signpost{}))
	}
	for i := range n {
		ref, d := r.nd.route(i)
		w := &r.ways[i]
		w.page, w.birth, w.pages = ref.page, ref.birth, ref.pages
		if d.page == 0 {
			continue
		}
		if r.deltas == nil {
			r.deltas = make([]deltaRef, n)
			size += n * int(unsafe.Sizeof(deltaRef{}))
		}
		r.deltas[i] = d
	}
	return r, int64(size)
}

// dropRouters gives the routers up for good. A view that two checkpoints have replaced needs none, and its user may keep it for as
// long as he likes.
func (v *View) dropRouters() {
	v.routing.Store(math.MaxInt64 / 2) // no more are made; who is making one adds its size
	for t := range v.routers {
		v.routers[t].router.Store(nil)
	}
}

// follow puts child i into a place, and returns the signpost of its router, nil for a leaf.
func (r *router) follow(i int, pl *place) *signpost {
	w := &r.ways[i]
	pl.ref = w.ref()
	if r.below != nil {
		return &r.below[i]
	}
	pl.frame, pl.delta = &w.frame, r.delta(i)
	return nil
}

// delta returns the delta of child i.
func (r *router) delta(i int) deltaRef {
	if r.deltas == nil {
		return deltaRef{}
	}
	return r.deltas[i]
}

// lookupBy is lookup with a hint, which it corrects; nil: none.
func (c *cache) lookupBy(ref childRef, hint *atomic.Uint32) (pinned, bool) {
	if hint == nil {
		return c.lookup(ref)
	}
	if i := hint.Load(); i != 0 {
		// The page is looked at first so that a frame that went to another page does not count as used.
		if f := &c.frames[i]; f.page.Load() == uint64(ref.page) {
			if p, ok := c.pinFrame(f, i, ref); ok {
				return p, true
			}
		}
	}
	p, i := c.find(ref)
	if i != 0 {
		hint.Store(i)
	}
	return p, i != 0
}
