package pagestore

import (
	"bytes"
	"encoding/binary"
	"sync/atomic"
)

// An image is a leaf as its delta leaves it, as one node in a frame of the cache. Reading it costs what reading a leaf without a
// delta costs. It is in no file: the cache has it beside the leaf and the delta, by the leaf's page and the birth of the delta, which
// together name one content (I3): a page freed by a checkpoint is not written by the next one, so no two leaves in one page
// have deltas of one birth. See "Images" in doc.go.

// imageBit tells the page of an image from the page of its leaf; pages of the file are below maxPageID.
const imageBit PageID = 1 << 62

// How often a leaf and its delta are read separately before there is an image of them, when it takes a frame that is not in use: by a
// search, and by who reads the whole leaf, to whom drawing costs little more; and when it takes the frame of another page.
const (
	readsBySearch = 2
	readsByScan   = 1
	readsForOther = 16
)

// undrawn is the count of reads that says that there can be no image; readsBits is how many bits a count has.
const (
	readsBits = 5
	undrawn   = 1<<readsBits - 1
)

func imageRef(leaf childRef, d deltaRef) childRef {
	return childRef{page: leaf.page | imageBit, birth: d.birth, pages: 1}
}

// image pins the image of a leaf with its delta, if there is one. The hint may be nil.
func (s *Store) image(leaf childRef, d deltaRef, t TreeID, hint *atomic.Uint32) (pinned, bool) {
	p, ok := s.cache.lookupBy(imageRef(leaf, d), hint)
	if ok && !isImage(p.b, leaf, d, t) {
		p.release()
		return pinned{}, false
	}
	return p, ok
}

// isImage reports whether an image is that of the leaf and the delta which a parent leads to: in a damaged file two parents
// may lead to one leaf.
func isImage(b []byte, leaf childRef, d deltaRef, t TreeID) bool {
	le := binary.LittleEndian
	return isNode(b, t, 0) && le.Uint64(b[offBirth:]) == leaf.birth &&
		le.Uint64(b[offPage:]) == uint64(d.page) && le.Uint32(b[offKeyID:]) == d.slot
}

// readApart notes that a pinned leaf and its delta are read separately. When it has been done at least so often, and is worth it, it
// makes their image, and pins it.
func (s *Store) readApart(v *View, p pinned, pl *place, t TreeID, least uint64) (image pinned, ok bool) {
	if p.f == nil {
		return pinned{}, false
	}
	d := pl.delta
	reads := p.f.readWith(d.birth)
	if reads < least || reads == undrawn {
		return pinned{}, false
	}
	i := s.cache.unused()
	if i == 0 && reads >= readsForOther {
		i = s.cache.evict()
	}
	if i == 0 {
		return pinned{}, false
	}
	b := s.cache.data(i)
	if !s.draw(v, b, asNode(p.b), pl.ref, d, t) {
		s.cache.giveBack(i)
		p.f.reads.Store(d.birth<<readsBits | undrawn)
		return pinned{}, false
	}
	s.cache.insert(imageRef(pl.ref, d), i, 1)
	return pinned{b: b, f: &s.cache.frames[i]}, true
}

// readWith counts the reads of a frame's leaf with the delta of a birth. The count is not exact: readers may overwrite each other's.
func (f *frame) readWith(birth uint64) uint64 {
	old := f.reads.Load()
	if old>>readsBits != birth {
		old = birth << readsBits
	}
	n := old & undrawn
	if n < undrawn-1 {
		n++
		f.reads.Store(birth<<readsBits | n)
	}
	return n
}

// draw writes the image of a leaf and its delta into a frame. It reports false when there is none: the records do not
// fit into a page, or the leaf's prefix or base timestamp are not theirs.
func (s *Store) draw(v *View, b []byte, nd node, leaf childRef, d deltaRef, t TreeID) bool {
	p, o, err := s.overlayOf(v, nd, leaf, d, t)
	if err != nil {
		return false
	}
	defer p.release()
	h := header{
		kind: kindLeaf, tree: uint8(t), page: d.page, birth: leaf.birth, pages: 1,
		baseTS: nd.base, prefix: uint32(nd.prefix),
	}
	if !o.draw(b, &h) {
		return false
	}
	h.put(b)
	binary.LittleEndian.PutUint32(b[offKeyID:], d.slot)
	return true
}

// draw writes the records of an overlay as a node, all but its header, of which it fills in what it knows.
func (o *overlay) draw(b []byte, h *header) bool {
	nd := &o.nd
	n := nd.n + o.dn.growth()
	heads := headerSize + nd.prefix
	offs, limit := heads+4*n, len(b)-trailerSize
	at := offs + 2*n
	if n <= 0 || nd.wide || at > limit {
		return false
	}
	copy(b[headerSize:], nd.common())
	le := binary.LittleEndian
	var room [64]byte
	key := room[:0]
	for i := range n {
		c, from, k, ok := o.rest()
		if !ok {
			return false
		}
		start, suffix := at, c.suffix
		if from == nd {
			cell := nd.b[nd.offset(k) : cap(nd.b)-cap(c.val)+len(c.val)]
			if at += len(cell); at > limit {
				return false
			}
			copy(b[start:], cell)
		} else {
			key = from.appendKey(key[:0], k)
			if !bytes.HasPrefix(key, nd.common()) {
				return false
			}
			suffix = key[nd.prefix:]
			it := item{ts: c.ts, flags: c.flags & cellOverflow}
			if c.ts < nd.base || at+cellSize(suffix, c.val, &it, nd.base) > limit {
				return false
			}
			at = putCell(b, at, suffix, c.val, &it, nd.base)
		}
		le.PutUint32(b[heads+4*i:], keyHead(suffix))
		le.PutUint16(b[offs+2*i:], uint16(start))
		h.maxTS = max(h.maxTS, c.ts)
	}
	h.cells = uint32(n)
	clear(b[limit:])
	_, _, _, more := o.rest()
	return !more
}

// growth is how many records a delta adds to its leaf, or, when negative, takes away.
func (d *delta) growth() (n int) {
	for k := range d.n {
		c := d.cell(k)
		if !c.dead() {
			n++
		}
		n -= d.spot(k) & 1
	}
	return n
}

// cellSize is how many bytes putCell writes.
func cellSize(suffix, val []byte, it *item, base uint64) int {
	n := uvarintLen(uint64(len(suffix))<<cellFlagBits) + uvarintLen(uint64(len(val))) + len(suffix) + len(val)
	if it.ts != base {
		n += uvarintLen(it.ts - base)
	}
	return n
}
