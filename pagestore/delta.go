package pagestore

import (
	"encoding/binary"
	"fmt"
)

// A delta page is a table of the offsets of its blocks and of their end, two bytes each, and the blocks. A block is the
// delta of one leaf; see "Deltas" in doc.go.
const (
	blockCells  = 0
	blockPrefix = 2
	blockBaseTS = 4
	blockLeaf   = 12
	blockHeader = 20
)

// deltaRef says where the delta of a leaf lies. The zero value means that the leaf has none.
type deltaRef struct {
	page  PageID
	birth uint64
	slot  uint32
	size  uint32 // bytes of the block, so that an owner can tell how much of a page is in use
}

func (d *deltaRef) ref() childRef { return childRef{page: d.page, birth: d.birth, pages: 1} }

// maxDeltaRef bounds the encoding of a deltaRef that was just written.
const maxDeltaRef = 7 + 1 + 3 + 3

// appendDeltaRef and parseDeltaRef are what follows the child in a cell of a level-1 node.
func appendDeltaRef(dst []byte, d deltaRef, parentBirth uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(d.page))
	dst = binary.AppendUvarint(dst, parentBirth-d.birth)
	dst = binary.AppendUvarint(dst, uint64(d.slot))
	return binary.AppendUvarint(dst, uint64(d.size))
}

func parseDeltaRef(b []byte, at int, parentBirth uint64) (d deltaRef) {
	u, at := uvarintAt(b, at)
	d.page = PageID(u)
	u, at = uvarintAt(b, at)
	d.birth = parentBirth - u
	u, at = uvarintAt(b, at)
	d.slot = uint32(u)
	u, _ = uvarintAt(b, at)
	d.size = uint32(u)
	return d
}

// delta gives access to a block of a verified delta page: its records as cells of a node, and where in the leaf each of
// them belongs. The zero value is the delta of a leaf without one.
type delta struct {
	node
	spots int // offset of the spots
}

func asDelta(block []byte) delta {
	le := binary.LittleEndian
	h := block[:blockHeader]
	d := delta{node: node{
		b:      block,
		n:      int(le.Uint16(h[blockCells:])),
		prefix: int(le.Uint16(h[blockPrefix:])),
		base:   le.Uint64(h[blockBaseTS:]),
	}}
	d.heads = blockHeader + d.prefix
	d.offs = d.heads + 4*d.n
	d.spots = d.offs + 2*d.n
	return d
}

func (d *delta) leaf() PageID { return PageID(binary.LittleEndian.Uint64(d.b[blockLeaf:])) }

// spot returns where record k belongs: before cell spot/2 of the leaf, or in its place when the spot is odd.
func (d *delta) spot(k int) int { return int(binary.LittleEndian.Uint16(d.b[d.spots+2*k:])) }

// before is the number of leaf cells in front of record k, after the first cell behind it.
func (d *delta) before(k int) int { return d.spot(k) >> 1 }
func (d *delta) after(k int) int  { return (d.spot(k) + 1) >> 1 }

// fits reports whether all spots are in a leaf of n cells. Spots ascend, so the last one tells.
func (d *delta) fits(n int) bool { return d.n == 0 || d.after(d.n-1) <= n }

// deltaBlock returns the block that a reference leads to in a verified delta page, or what is wrong.
func deltaBlock(page []byte, ref deltaRef) ([]byte, string) {
	le := binary.LittleEndian
	if n := le.Uint32(page[offCells:]); ref.slot >= n {
		return nil, fmt.Sprintf("delta %d of %d is asked for", ref.slot, n)
	}
	at := headerSize + 2*int(ref.slot)
	from, to := le.Uint16(page[at:]), le.Uint16(page[at+2:])
	if uint32(to-from) != ref.size {
		return nil, fmt.Sprintf("delta %d has %d bytes, its parent says %d", ref.slot, to-from, ref.size)
	}
	return page[from:to:to], ""
}

// fetchDelta pins the page of a leaf's delta.
func (s *Store) fetchDelta(v *View, ref deltaRef, t TreeID, leaf PageID) (pinned, delta, error) {
	p, err := s.fetch(v, ref.ref(), t, deltaLevel)
	if err != nil {
		return pinned{}, delta{}, err
	}
	block, what := deltaBlock(p.b, ref)
	if what == "" {
		d := asDelta(block)
		if d.leaf() == leaf {
			return p, d, nil
		}
		what = fmt.Sprintf("delta %d belongs to the leaf in page %d, not %d", ref.slot, d.leaf(), leaf)
	}
	p.release()
	return pinned{}, delta{}, s.staleOr(v, s.corrupt(ref.page, what))
}

// verifyDeltaPage is verifyNode for the content of a delta page.
func verifyDeltaPage(b []byte) string {
	le := binary.LittleEndian
	n, limit := uint64(le.Uint32(b[offCells:])), uint64(len(b)-trailerSize)
	end := headerSize + 2*(n+1)
	if n == 0 || end > limit || b[offFlags] != 0 || le.Uint64(b[offBaseTS:]) != 0 || le.Uint32(b[offPrefix:]) != 0 {
		return fmt.Sprintf("%d deltas do not fit, or fields that it does not use are set", n)
	}
	newest := uint64(0)
	for k := range n {
		at := headerSize + 2*k
		from, to := uint64(le.Uint16(b[at:])), uint64(le.Uint16(b[at+2:]))
		if from != end || to < from+blockHeader || to > limit {
			return fmt.Sprintf("delta %d lies from %d to %d", k, from, to)
		}
		ts, what := verifyBlock(b[from:to], le.Uint64(b[offBirth:]))
		if what != "" {
			return fmt.Sprintf("delta %d: %s", k, what)
		}
		newest, end = max(newest, ts), to
	}
	if newest != le.Uint64(b[offMaxTS:]) {
		return fmt.Sprintf("newest timestamp is %d, header says %d", newest, le.Uint64(b[offMaxTS:]))
	}
	return ""
}

// verifyBlock checks a block of at least blockHeader bytes, and returns its newest timestamp.
func verifyBlock(block []byte, birth uint64) (newest uint64, what string) {
	d := asDelta(block)
	first := d.spots + 2*d.n
	if d.n == 0 || first > len(block) || d.leaf() < 2 || d.leaf() >= maxPageID {
		return 0, fmt.Sprintf("%d records and a prefix of %d bytes for the leaf in page %d cannot be", d.n, d.prefix, d.leaf())
	}
	v := cellVerifier{nd: d.node, level: deltaLevel, birth: birth, first: first, limit: len(block)}
	least := 0
	for k := range d.n {
		if what := v.verify(k); what != "" {
			return 0, fmt.Sprintf("record %d: %s", k, what)
		}
		spot := d.spot(k)
		if c := d.cell(k); spot < least || c.dead() && spot&1 == 0 {
			return 0, fmt.Sprintf("record %d: its place in the leaf, %d, cannot be", k, spot)
		}
		least = spot + spot&1
	}
	return v.newest, ""
}

// change is a record that a merge puts into a delta. Key and value lie one behind the other in the arena of changes.
type change struct {
	off    int
	keyLen int32
	valLen int32
	ts     uint64
	flags  uint8 // cellOverflow
	dead   bool
	spot   uint16
}

// changes are records in key order that become a delta.
type changes struct {
	list  []change
	arena []byte
}

func (cs *changes) reset() { cs.list, cs.arena = cs.list[:0], cs.arena[:0] }

func (cs *changes) add(prefix, suffix, val []byte, ch change) {
	ch.off, ch.keyLen, ch.valLen = len(cs.arena), int32(len(prefix)+len(suffix)), int32(len(val))
	cs.arena = append(append(append(cs.arena, prefix...), suffix...), val...)
	cs.list = append(cs.list, ch)
}

func (cs *changes) key(k int) []byte {
	ch := &cs.list[k]
	return cs.arena[ch.off : ch.off+int(ch.keyLen)]
}

func (cs *changes) val(k int) []byte {
	ch := &cs.list[k]
	at := ch.off + int(ch.keyLen)
	return cs.arena[at : at+int(ch.valLen)]
}

// changeBytes is what a record takes in a block beside key and value: its place in the tables, and lengths.
const changeBytes = 8 + 4

// size is about the length of the block.
func (cs *changes) size() int { return len(cs.arena) + changeBytes*len(cs.list) }

// base returns the oldest timestamp of the records that are not deletions.
func (cs *changes) base() uint64 {
	base, any := uint64(0), false
	for i := range cs.list {
		if ch := &cs.list[i]; !ch.dead && (!any || ch.ts < base) {
			base, any = ch.ts, true
		}
	}
	return base
}

// encode returns the block of the changes, which are not empty and have less than 64 KiB, in dst's memory if there is
// room.
func (cs *changes) encode(dst []byte, leaf PageID) []byte {
	n := len(cs.list)
	prefix := sharedPrefix(cs.key(0), cs.key(n-1))
	base := cs.base()
	cells := blockHeader + prefix + 8*n
	room := cells + len(cs.arena) + n*3*binary.MaxVarintLen64
	if cap(dst) < room {
		dst = make([]byte, room)
	}
	dst = dst[:room]
	le := binary.LittleEndian
	le.PutUint16(dst[blockCells:], uint16(n))
	le.PutUint16(dst[blockPrefix:], uint16(prefix))
	le.PutUint64(dst[blockBaseTS:], base)
	le.PutUint64(dst[blockLeaf:], uint64(leaf))
	copy(dst[blockHeader:], cs.key(0)[:prefix])
	heads := blockHeader + prefix
	at := cells
	for k := range n {
		ch := &cs.list[k]
		it := item{ts: ch.ts, flags: ch.flags}
		if ch.dead {
			it = item{ts: base, flags: cellOverflow}
		}
		suffix := cs.key(k)[prefix:]
		le.PutUint32(dst[heads+4*k:], keyHead(suffix))
		le.PutUint16(dst[heads+4*n+2*k:], uint16(at))
		le.PutUint16(dst[heads+6*n+2*k:], ch.spot)
		at = putCell(dst, at, suffix, cs.val(k), &it, base)
	}
	return dst[:at]
}
