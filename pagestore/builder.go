package pagestore

import (
	"encoding/binary"
	"math/bits"
)

// item is a cell that waits in a builder. Key and value lie one behind the other in the builder's arena, so that items
// hold no pointers.
type item struct {
	off    int // key; the value follows it
	keyLen int32
	valLen int32
	ts     uint64 // record: timestamp; child: newest timestamp in the subtree
	count  int64  // records: 1 for a record
	extra  int32  // bytes behind the value: what is known about the delta of a leaf
	flags  uint8  // cellOverflow, which a parent inherits; itemBlock
}

// itemBlock says that the extra bytes of an item are the delta itself, which is still to be written. Without it they
// are the reference to one.
const itemBlock = 0x80

// builder gathers the cells of one level in key order until a merger cuts them into nodes.
type builder struct {
	level int
	items []item
	arena []byte
	sum   nodeSum // of all items
	short nodeSum // of all but the last one that was added

	// A run is a row of neighbouring nodes that are built together. The separator before a leaf is found between the
	// last key of the leaf before it in the run and its first key; before the first leaf it is the lower fence of
	// what the run replaces.
	lowFence []byte
	lastKey  []byte
	inRun    bool // lastKey is set

	deltas  []deltaRef // of the items that encode is to write; see placeDeltas
	scratch []byte
}

// nodeSum bounds the size of a node from what its cells have in common; it never underestimates.
type nodeSum struct {
	n            int
	keyed        int // cells that store a key: all, but the first one of an inner node
	keys, rest   int // bytes of keys; bytes of values and lengths
	prefix       int // bytes that all stored keys share
	minTS, maxTS uint64
	atMin        int // cells at minTS, which need no timestamp of their own
}

// size returns an upper bound of the node's length in bytes.
func (s *nodeSum) size() int {
	size := headerSize + trailerSize + s.prefix + s.keys - s.keyed*s.prefix + s.rest + 6*s.n
	if s.atMin < s.n {
		size += (s.n - s.atMin) * uvarintLen(s.maxTS-s.minTS)
	}
	if size > MaxPageSize {
		size += 2 * s.n // offsets need four bytes
	}
	return size
}

// extend adds an item to a sum that starts with the builder's first item.
func (b *builder) extend(s *nodeSum, it *item) {
	if s.n == 0 || it.ts < s.minTS {
		s.minTS, s.atMin = it.ts, 0
	}
	if it.ts == s.minTS {
		s.atMin++
	}
	s.maxTS = max(s.maxTS, it.ts)
	s.rest += uvarintLen(uint64(it.keyLen)<<cellFlagBits) + uvarintLen(uint64(it.valLen)) + int(it.valLen)
	switch {
	case it.flags&itemBlock != 0:
		s.rest += maxDeltaRef
	case it.extra > 0: // it may be written anew
		s.rest += max(maxDeltaRef, int(it.extra))
	}
	s.n++
	if b.level > 0 && s.n == 1 {
		return
	}
	s.keyed++
	s.keys += int(it.keyLen)
	if s.keyed == 1 {
		s.prefix = int(it.keyLen)
		return
	}
	first := &b.items[s.n-s.keyed] // the first one with a key
	s.prefix = sharedPrefix(b.key(first)[:s.prefix], b.key(it))
}

func sharedPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; n-i >= 8; i += 8 {
		if d := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); d != 0 {
			return i + bits.TrailingZeros64(d)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

func (b *builder) key(it *item) []byte { return b.arena[it.off : it.off+int(it.keyLen)] }

func (b *builder) val(it *item) []byte {
	at := it.off + int(it.keyLen)
	return b.arena[at : at+int(it.valLen)]
}

func (b *builder) extra(it *item) []byte {
	at := it.off + int(it.keyLen) + int(it.valLen)
	return b.arena[at : at+int(it.extra)]
}

func (b *builder) empty() bool { return len(b.items) == 0 }

// add copies a cell behind the others. The key comes in two parts, as nodes store it.
func (b *builder) add(prefix, suffix, val, extra []byte, it item) {
	it.off, it.keyLen, it.valLen = len(b.arena), int32(len(prefix)+len(suffix)), int32(len(val))
	it.extra = int32(len(extra))
	b.arena = append(append(append(append(b.arena, prefix...), suffix...), val...), extra...)
	b.items = append(b.items, it)
	b.short = b.sum
	b.extend(&b.sum, &b.items[len(b.items)-1])
}

// minItems is how many cells a node has at least, when there are that many: an inner node with one child is no use.
func (b *builder) minItems() int {
	if b.level > 0 {
		return 2
	}
	return 1
}

// fit returns the sum of the first items, as many as fill a node up to limit bytes. It leaves no rest below minItems when
// it can.
func (b *builder) fit(limit int) nodeSum {
	var s nodeSum
	for i := range b.items {
		longer := s
		b.extend(&longer, &b.items[i])
		if longer.size() > limit && s.n >= b.minItems() {
			break
		}
		s = longer
	}
	if rest := len(b.items) - s.n; rest > 0 && rest < b.minItems() && s.n > b.minItems() {
		return b.sumOf(s.n - 1)
	}
	return s
}

// fitLeaf is fit for leaves that are cut as soon as they are too large, which mostly is all but the item that came last.
func (b *builder) fitLeaf(limit int) nodeSum {
	if n := len(b.items) - 1; n > 0 && b.short.n == n && b.short.size() <= limit {
		return b.short
	}
	return b.fit(limit)
}

// sumOf returns the sum of the first n items.
func (b *builder) sumOf(n int) nodeSum {
	var s nodeSum
	for i := range b.items[:n] {
		b.extend(&s, &b.items[i])
	}
	return s
}

// drop forgets the first n items.
func (b *builder) drop(n int) {
	if n == len(b.items) {
		b.items, b.arena, b.sum, b.short = b.items[:0], b.arena[:0], nodeSum{}, nodeSum{}
		return
	}
	off := b.items[n].off
	b.arena = b.arena[:copy(b.arena, b.arena[off:])]
	b.items = b.items[:copy(b.items, b.items[n:])]
	for i := range b.items {
		b.items[i].off -= off
	}
	b.sum, b.short = b.sumOf(len(b.items)), nodeSum{}
}

// take moves all items out, for those who must put something in front of them.
func (b *builder) take() *builder {
	old := *b
	*b = builder{level: b.level}
	return &old
}

// encode writes the first items as a node into b, which is zeroed and large enough for s.
func (b *builder) encode(dst []byte, s *nodeSum, h *header) {
	items := b.items[:s.n]
	h.level, h.cells, h.prefix = uint8(b.level), uint32(s.n), uint32(s.prefix)
	h.baseTS, h.maxTS = s.minTS, s.maxTS
	h.kind = kindAt(b.level)
	width := 2
	if len(dst) > MaxPageSize {
		h.flags, width = flagWide, 4
	}
	h.put(dst)
	if s.keyed > 0 {
		copy(dst[headerSize:], b.key(&items[s.n-1])[:s.prefix])
	}
	heads := headerSize + s.prefix
	offs := heads + 4*s.n
	at := offs + width*s.n
	le := binary.LittleEndian
	for i := range items {
		it := &items[i]
		var suffix []byte
		if i > 0 || b.level == 0 {
			suffix = b.key(it)[s.prefix:]
		}
		le.PutUint32(dst[heads+4*i:], keyHead(suffix))
		if width == 4 {
			le.PutUint32(dst[offs+4*i:], uint32(at))
		} else {
			le.PutUint16(dst[offs+2*i:], uint16(at))
		}
		at = putCell(dst, at, suffix, b.fullValue(i, h.birth), it, s.minTS)
	}
}

// fullValue returns the value of item i with the reference to its delta.
func (b *builder) fullValue(i int, birth uint64) []byte {
	val := b.val(&b.items[i])
	if i >= len(b.deltas) || b.deltas[i].page == 0 {
		return val
	}
	b.scratch = appendDeltaRef(append(b.scratch[:0], val...), b.deltas[i], birth)
	return b.scratch
}

// putCell writes one cell at dst[at:] and returns the position behind it.
func putCell(dst []byte, at int, suffix, val []byte, it *item, base uint64) int {
	u := uint64(len(suffix))<<cellFlagBits | uint64(it.flags&cellOverflow)
	if it.ts != base {
		u |= cellHasTS
	}
	at += binary.PutUvarint(dst[at:], u)
	if it.ts != base {
		at += binary.PutUvarint(dst[at:], it.ts-base)
	}
	at += binary.PutUvarint(dst[at:], uint64(len(val)))
	at += copy(dst[at:], suffix)
	return at + copy(dst[at:], val)
}

// separator returns the shortest key that is above left and not above right.
func separator(left, right []byte) []byte {
	return right[:sharedPrefix(left, right)+1]
}
