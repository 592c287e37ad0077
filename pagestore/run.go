package pagestore

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"github.com/sombradb/sombra/internal/invariants"
)

// Run gives records that follow each other in a leaf, one at a time and where they lie: only the key's own part is copied, behind
// the common prefix of the leaf, which stays. ReadAhead begins it, and the reset of its Ahead ends it. In between the cursor must
// not move. It holds no record of the leaf's delta, and none with a large value.
type Run struct {
	c      *Cursor // on the leaf; nil without a run
	leaf   []byte
	offs   int // where the offsets of the cells are
	i, end int // the next cell, and the one that the run pauses at
	stop   int // the cell that the run ends at
	step   int // 1 or -1
	newest uint64
	plain  bool // cells may be read in their usual form

	// The record that the run stands on. The value is kept as numbers, since a pointer costs a write barrier.
	key      []byte          // the common prefix, the key's own part, and room
	own      *[usualKey]byte // the own part in key
	prefix   int
	size     int // of the key
	from, to int // of the value in the leaf
}

// leastRun is how many cells in a row are worth a run.
const leastRun = 4

const (
	// usualKey is the room for a key's own part, as its length in a cell of the usual form has five bits.
	usualKey = 32
	// unusualKey are the bits of such a cell's first byte that are not set: there are no flags, and no second byte.
	unusualKey = 0x80 | 1<<cellFlagBits - 1
)

// Active reports whether there is a run.
func (r *Run) Active() bool { return r.c != nil }

// Key returns the key of the record, valid until Next or the end of the run.
func (r *Run) Key() []byte { return r.key[:r.size] }

// Value returns the value of the record, valid until the end of the run.
func (r *Run) Value() []byte { return r.leaf[r.from:r.to:r.to] }

// Cut drops the records that follow the present one.
func (r *Run) Cut() { r.end, r.stop = r.i, r.i }

// GoOn goes to the next record of a run that has paused, and on to at most n-1 more. It reports false when the run is at its end.
func (r *Run) GoOn(n int) bool {
	r.Extend(n)
	return r.Next()
}

// Extend makes a run pause after n more cells instead.
func (r *Run) Extend(n int) {
	if r.end = r.i + r.step*n; r.step*(r.stop-r.end) < 0 {
		r.end = r.stop
	}
}

// IntoNext goes on with an ascending run that has come to the end of its leaf in the next one, up to bound (nil: no bound), for at most n
// cells. It reports false when that takes more than a look into the cache: the leaf has another parent, is not cached, has a delta
// without an image, or begins with what a run cannot show. Then the run is at its end.
func (r *Run) IntoNext(bound []byte, n int) bool {
	c := r.c // a descending run is never at the end
	if c == nil || r.i != c.nd.n || c.hi != c.dn.n || c.pos+1 >= c.pn.n {
		return false
	}
	pl := c.place(c.pos + 1)
	p, ok := c.cached(&pl)
	if !ok {
		return false
	}
	warmAhead(p.b)
	nd := asNode(p.b)
	stop := nd.n
	if bound != nil {
		stop, _ = nd.search(bound, 0)
	}
	if stop == 0 || nd.wide {
		p.release()
		return false
	}
	c.v.s.cache.used(pl.ref.page, 1)
	c.releaseLeaf()
	c.leaf, c.nd, c.pos = p, nd, c.pos+1
	c.lo, c.hi, c.start, c.stop = 0, 0, 0, nd.n
	r.over(&c.nd, 0, stop)
	return r.GoOn(n)
}

// over lays the run over a leaf.
func (r *Run) over(nd *node, i, stop int) {
	r.leaf, r.offs, r.prefix = nd.b, nd.offs, nd.prefix
	r.i, r.stop = i, stop
	r.plain = !nd.wide // the base is not newer than the record that Next finds first
	r.room(usualKey)
	copy(r.key, nd.common())
}

// begin starts a run at the cursor's record, which is a cell of the leaf and not newer, up to the cell stop. It pauses after n cells.
func (r *Run) begin(c *Cursor, stop, step int, newest uint64, n int) {
	r.c, r.step, r.newest = c, step, newest
	r.over(&c.nd, c.i, stop)
	r.GoOn(n)
}

// room makes place for n bytes behind the prefix.
func (r *Run) room(n int) {
	if n += r.prefix; n > len(r.key) {
		key := make([]byte, 2*n)
		copy(key, r.key[:min(r.prefix, len(r.key))])
		r.key = key
	}
	r.own = (*[usualKey]byte)(r.key[r.prefix:])
}

// Each calls yield for the record of the run and all that follow it, each key without its first skip bytes, until yield
// returns false or stop is set. It reports whether yield did not return false. What yield does may end the run, or cut it.
//
// A full scan spends most of its time here. Cells of the usual form are decoded in place: no flags, so the base timestamp, and
// lengths of one byte for the key and at most two for the value. Nothing checks that they lie in the leaf, which was verified when it
// was read (I4). Of the key 16 bytes are copied, or 32, which costs less than a call: behind it are other bytes of
// the leaf, those of the page's trailer at least.
func Each[T ~struct{ Key, Value []byte }](r *Run, skip int, stop *atomic.Pointer[error], yield func(T, error) bool) bool {
	leaf := unsafe.Pointer(unsafe.SliceData(r.leaf))
	for {
		key := unsafe.Slice(&r.key[skip], r.size-skip)
		value := unsafe.Slice((*byte)(unsafe.Add(leaf, r.from)), r.to-r.from)
		if !yield(T{key, value}, nil) {
			return false
		}
		i := r.i
		if stop.Load() != nil || i == r.end {
			return true
		}
		if r.plain {
			at := int(binary.LittleEndian.Uint16((*[2]byte)(unsafe.Add(leaf, r.offs+2*i))[:]))
			head := (*[3]byte)(unsafe.Add(leaf, at))
			value := int(head[1])
			at += 2
			if value >= 0x80 {
				if head[2] >= 0x80 {
					goto odd
				}
				value = value&0x7f | int(head[2])<<7
				at++
			}
			if head[0]&unusualKey != 0 {
				goto odd
			}
			n := int(head[0] >> cellFlagBits)
			*(*[16]byte)(r.own[:]) = *(*[16]byte)(unsafe.Add(leaf, at))
			if n > 16 {
				*(*[16]byte)(r.own[16:]) = *(*[16]byte)(unsafe.Add(leaf, at+16))
			}
			r.i, r.size = i+r.step, r.prefix+n
			r.from, r.to = at+n, at+n+value
			continue
		}
	odd:
		if !r.Next() {
			return true
		}
	}
}

// Next goes to the next record. When there is none, or the run pauses, it stays and reports false.
func (r *Run) Next() bool {
	for ; r.i != r.end; r.i += r.step {
		cl := r.c.nd.cell(r.i)
		if cl.flags&cellOverflow != 0 {
			r.Cut()
			break
		}
		if cl.ts > r.newest {
			continue
		}
		r.i += r.step
		r.room(max(len(cl.suffix), usualKey))
		r.size = r.prefix + copy(r.key[r.prefix:], cl.suffix)
		r.from = cap(r.leaf) - cap(cl.val) // where a slice of the leaf begins in it
		r.to = r.from + len(cl.val)
		return true
	}
	return false
}

// finish ends the run: the cursor stands on its last record, and must move.
func (r *Run) finish() {
	if r.c == nil {
		return
	}
	r.c.i = r.i - r.step
	r.c, r.leaf, r.i = nil, nil, 0
	r.Cut()
	if invariants.Enabled {
		invariants.Poison(r.key)
	}
	if cap(r.key) > maxKeptKeys {
		r.key = nil
	}
}
