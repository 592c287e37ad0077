package pagestore

import (
	"bytes"
	"encoding/binary"
)

// Cell flags, the low bits of a cell's first varint.
const (
	cellHasTS    = 1 // a timestamp delta follows; without it the record has the node's base timestamp
	cellOverflow = 2 // leaf: the value is the encoding of an OverflowRef; inner: the subtree has such a value;
	// in a delta without a value: the record is deleted
	cellFlagBits = 2
)

// node gives access to the bytes of a verified leaf or inner node. It holds no memory of its own.
type node struct {
	b      []byte
	n      int // cells
	prefix int // bytes that all keys share
	heads  int // offset of the key heads
	offs   int // offset of the cell offsets
	base   uint64
	wide   bool
}

func asNode(b []byte) node {
	le := binary.LittleEndian
	h := b[:headerSize]
	nd := node{
		b:      b,
		n:      int(le.Uint32(h[offCells:])),
		prefix: int(le.Uint32(h[offPrefix:])),
		base:   le.Uint64(h[offBaseTS:]),
		wide:   h[offFlags]&flagWide != 0,
	}
	nd.heads = headerSize + nd.prefix
	nd.offs = nd.heads + 4*nd.n
	return nd
}

func (nd *node) maxTS() uint64 { return binary.LittleEndian.Uint64(nd.b[offMaxTS:]) }
func (nd *node) birth() uint64 { return binary.LittleEndian.Uint64(nd.b[offBirth:]) }

func (nd *node) common() []byte { return nd.b[nd.heads-nd.prefix : nd.heads] }

func (nd *node) head(i int) uint32 { return binary.LittleEndian.Uint32(nd.b[nd.heads+4*i:]) }

func (nd *node) offset(i int) int {
	if nd.wide {
		return int(binary.LittleEndian.Uint32(nd.b[nd.offs+4*i:]))
	}
	return int(binary.LittleEndian.Uint16(nd.b[nd.offs+2*i:]))
}

// cell is one decoded cell. The slices point into the node.
type cell struct {
	suffix, val []byte
	ts          uint64
	flags       uint8
}

// dead reports whether a cell of a delta deletes the record.
func (c *cell) dead() bool { return c.flags&cellOverflow != 0 && len(c.val) == 0 }

// cell decodes cell i. The one-byte case of each varint stands here because a call would cost as much as the rest.
func (nd *node) cell(i int) (c cell) {
	b, at := nd.b, nd.offset(i)
	u := uint64(b[at])
	if at++; u >= 0x80 {
		u, at = uvarintLong(b, at-1)
	}
	c.flags, c.ts = uint8(u)&(1<<cellFlagBits-1), nd.base
	if u&cellHasTS != 0 {
		d := uint64(b[at])
		if at++; d >= 0x80 {
			d, at = uvarintLong(b, at-1)
		}
		c.ts += d
	}
	n := uint64(b[at])
	if at++; n >= 0x80 {
		n, at = uvarintLong(b, at-1)
	}
	mid := at + int(u>>cellFlagBits)
	c.suffix = b[at:mid]
	c.val = b[mid : mid+int(n)]
	return c
}

// suffix returns the part of key i behind the common prefix.
func (nd *node) suffix(i int) []byte {
	b, at := nd.b, nd.offset(i)
	u := uint64(b[at])
	if at++; u >= 0x80 {
		u, at = uvarintLong(b, at-1)
	}
	if u&cellHasTS != 0 {
		at = uvarintSkip(b, at)
	}
	at = uvarintSkip(b, at)
	return b[at : at+int(u>>cellFlagBits)]
}

// appendKey appends key i to dst.
func (nd *node) appendKey(dst []byte, i int) []byte {
	return append(append(dst, nd.common()...), nd.suffix(i)...)
}

// keyHead returns the first four bytes of a suffix as a number, so that most comparisons need no look at the cell.
// Zero padding keeps the order: a head is never above the head of a larger key.
func keyHead(suffix []byte) uint32 {
	if len(suffix) >= 4 {
		return binary.BigEndian.Uint32(suffix)
	}
	var h uint32
	for i, c := range suffix {
		h |= uint32(c) << (24 - 8*i)
	}
	return h
}

// search returns the position of the first cell at or behind from whose key is not below key, and whether it is equal.
// Inner nodes search from 1: their first separator is not stored.
func (nd *node) search(key []byte, from int) (int, bool) {
	if nd.prefix > 0 {
		n := min(len(key), nd.prefix)
		c := bytes.Compare(key[:n], nd.common()[:n])
		if c < 0 || c == 0 && n < nd.prefix {
			return from, false
		}
		if c > 0 {
			return nd.n, false
		}
		key = key[nd.prefix:]
	}
	i := nd.headAtLeast(keyHead(key), from)
	return nd.searchSuffix(key, i)
}

// headAtLeast returns the position of the first cell at or behind from whose head is not below want. The loop has no
// branch that depends on the heads: a processor could not foretell it, and would lose more by that than a step costs.
func (nd *node) headAtLeast(want uint32, from int) int {
	heads := nd.b[nd.heads:nd.offs]
	i, n := from, nd.n-from
	for n > 1 {
		half := n >> 1
		i += half & below(heads, i+half-1, want)
		n -= half
	}
	if n == 1 {
		i += 1 & below(heads, i, want)
	}
	return i
}

// below returns -1 if head i is below want, else 0.
func below(heads []byte, i int, want uint32) int {
	return int((int64(binary.LittleEndian.Uint32(heads[4*i:])) - int64(want)) >> 63)
}

// searchSuffix goes on from the first cell whose head is not below that of the suffix, among those with the same head.
func (nd *node) searchSuffix(suffix []byte, i int) (int, bool) {
	head := keyHead(suffix)
	if i >= nd.n || nd.head(i) != head {
		return i, false
	}
	if c := bytes.Compare(nd.suffix(i), suffix); c >= 0 {
		return i, c == 0
	}
	lo, hi := i+1, nd.n
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		c := 1
		if nd.head(mid) == head {
			c = bytes.Compare(nd.suffix(mid), suffix)
		}
		if c == 0 {
			return mid, true
		}
		if c < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, false
}

// warmBytes is how much of a node warm touches: header, common prefix, heads and offsets of about 60 cells.
const warmBytes = 448

// warm touches the cache lines that a search of a node will look at. The loads do not depend on each other, so the processor waits
// for all of them at once, and not, as in a search, for one after the other. The second half of a node is another page of
// the processor's, whose address takes as long to translate. The result means nothing.
//
//go:noinline
func warm(b []byte) (sum byte) {
	sum = b[len(b)/2]
	b = b[:warmBytes] // a page is longer
	return sum + b[0] + b[64] + b[128] + b[192] + b[256] + b[320] + b[384]
}

// warmAhead is warm for a scan that comes to a leaf: it goes on with the first cells, and with those in the second half, from where
// the processor fetches ahead by itself.
//
//go:noinline
func warmAhead(b []byte) (sum byte) {
	half := b[len(b)/2:][:384]
	sum = half[0] + half[64] + half[128] + half[192] + half[256] + half[320]
	b = b[:768]
	return sum + b[0] + b[64] + b[128] + b[192] + b[256] + b[320] + b[384] + b[448] + b[512] + b[576] + b[640] + b[704]
}

// childFor returns the index of the child that may hold key.
func (nd *node) childFor(key []byte) int {
	i, found := nd.search(key, 1)
	if found {
		return i
	}
	return i - 1
}

// childBelow returns the index of the child that may hold the last key below key.
func (nd *node) childBelow(key []byte) int {
	i, _ := nd.search(key, 1)
	return i - 1
}

// child is one decoded cell of an inner node.
type child struct {
	childRef
	maxTS uint64
	count int64 // records in the subtree
	flags uint8 // cellOverflow: the subtree has overflow values

	delta deltaRef // of a leaf
	block []byte   // the delta, while a merge has not written it yet; then delta is not set
}

func (nd *node) child(i int) child {
	c := nd.cell(i)
	ch := child{maxTS: c.ts, flags: c.flags & cellOverflow}
	u, at := uvarintAt(c.val, 0)
	ch.page = PageID(u)
	u, at = uvarintAt(c.val, at)
	ch.pages = uint32(u)
	u, at = uvarintAt(c.val, at)
	ch.birth = nd.birth() - u
	u, at = uvarintAt(c.val, at)
	ch.count = int64(u)
	if at < len(c.val) {
		ch.delta = parseDeltaRef(c.val, at, nd.birth())
	}
	return ch
}

// route returns where child i lies, and its delta: the part of child that a descent needs.
func (nd *node) route(i int) (ref childRef, d deltaRef) {
	val := nd.cell(i).val
	u, at := uvarintAt(val, 0)
	ref.page = PageID(u)
	u, at = uvarintAt(val, at)
	ref.pages = uint32(u)
	u, at = uvarintAt(val, at)
	ref.birth = nd.birth() - u
	if at = uvarintSkip(val, at); at < len(val) {
		d = parseDeltaRef(val, at, nd.birth())
	}
	return ref, d
}

// appendChild encodes what an inner cell says about its child. A child is never younger than its parent, because a
// parent is rewritten with it; so the birth is stored as the distance.
func appendChild(dst []byte, ref childRef, count int64, parentBirth uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(ref.page))
	dst = binary.AppendUvarint(dst, uint64(ref.pages))
	dst = binary.AppendUvarint(dst, parentBirth-ref.birth)
	return binary.AppendUvarint(dst, uint64(count))
}

// appendRef and parseRef are the value of a cell with cellOverflow.
func appendRef(dst []byte, r OverflowRef) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.Page))
	dst = binary.AppendUvarint(dst, r.birth)
	return binary.AppendUvarint(dst, uint64(r.Size))
}

func parseRef(b []byte) OverflowRef {
	r := reader{b: b}
	return OverflowRef{Page: PageID(r.uvarint()), birth: r.uvarint(), Size: int64(r.uvarint())}
}
