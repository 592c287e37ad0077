package pagestore

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// verifyNode checks the structure of a leaf or inner node so completely that the accessors of node cannot leave its
// bytes afterwards (I4). It returns what is wrong, or "". The common part of the page must have been verified.
func verifyNode(b []byte, tree TreeID, level, pageSize int) string {
	if what := verifyIdentity(b, tree, level); what != "" {
		return what
	}
	if level == deltaLevel {
		return verifyDeltaPage(b)
	}
	le := binary.LittleEndian
	cells, prefix := uint64(le.Uint32(b[offCells:])), uint64(le.Uint32(b[offPrefix:]))
	width := uint64(2)
	if b[offFlags]&flagWide != 0 {
		width = 4
	}
	slotEnd := headerSize + prefix + cells*(4+width)
	limit := uint64(len(b) - trailerSize)
	if cells == 0 {
		return "node has no cells"
	}
	if prefix > MaxKeySize || slotEnd > limit {
		return fmt.Sprintf("%d cells and a prefix of %d bytes do not fit the node", cells, prefix)
	}
	v := cellVerifier{nd: asNode(b), level: level, first: int(slotEnd), limit: int(limit), pageSize: pageSize}
	v.birth = v.nd.birth()
	for i := range v.nd.n {
		if what := v.verify(i); what != "" {
			return fmt.Sprintf("cell %d: %s", i, what)
		}
	}
	if v.newest != v.nd.maxTS() {
		return fmt.Sprintf("newest timestamp is %d, header says %d", v.newest, v.nd.maxTS())
	}
	return ""
}

func verifyIdentity(b []byte, tree TreeID, level int) string {
	kind := kindAt(level)
	if b[offKind] != kind || b[offLevel] != byte(level) {
		return fmt.Sprintf("kind %d level %d where kind %d level %d belongs", b[offKind], b[offLevel], kind, byte(level))
	}
	if b[offTree] != byte(tree) {
		return fmt.Sprintf("it belongs to tree %d, not to %d", b[offTree], tree)
	}
	if b[offFlags]&^flagWide != 0 {
		return fmt.Sprintf("unknown flags %02x", b[offFlags])
	}
	return ""
}

// cellVerifier checks cells in order.
type cellVerifier struct {
	nd           node
	level        int
	birth        uint64 // of the page
	first, limit int    // cells lie in [first, limit)
	pageSize     int
	prev         []byte
	newest       uint64
}

func (v *cellVerifier) verify(i int) string {
	off := v.nd.offset(i)
	if off < v.first || off >= v.limit {
		return fmt.Sprintf("offset %d is outside of the cells", off)
	}
	r := reader{b: v.nd.b[off:v.limit]}
	u := r.uvarint()
	ts := v.nd.base
	if u&cellHasTS != 0 {
		ts += r.uvarint()
	}
	valLen := r.uvarint()
	suffix := r.take(u >> cellFlagBits)
	val := r.take(valLen)
	if r.bad || ts < v.nd.base {
		return "is not well formed"
	}
	if what := v.verifyKey(i, suffix); what != "" {
		return what
	}
	if v.level == deltaLevel && u&cellOverflow != 0 && valLen == 0 {
		if u&cellHasTS != 0 {
			return "a deletion has a timestamp"
		}
		return ""
	}
	v.newest = max(v.newest, ts)
	if v.level > 0 {
		return v.verifyChild(val)
	}
	return v.verifyValue(u, val)
}

func (v *cellVerifier) verifyKey(i int, suffix []byte) string {
	if v.level > 0 && i == 0 {
		if len(suffix) > 0 {
			return "the first child has a separator"
		}
		return ""
	}
	if v.nd.prefix+len(suffix) > MaxKeySize {
		return "key is too long"
	}
	if v.nd.head(i) != keyHead(suffix) {
		return "key head does not match its key"
	}
	if v.prev != nil && bytes.Compare(v.prev, suffix) >= 0 {
		return "keys are not in ascending order"
	}
	v.prev = suffix
	if v.prev == nil {
		v.prev = []byte{}
	}
	return ""
}

func (v *cellVerifier) verifyChild(val []byte) string {
	r := reader{b: val}
	page, pages, age, count := r.uvarint(), r.uvarint(), r.uvarint(), r.uvarint()
	if r.bad {
		return "child is not well formed"
	}
	if !validRef(PageID(page), pages, v.pageSize) || age > v.birth || int64(count) <= 0 {
		return fmt.Sprintf("child at page %d (%d pages, age %d, %d records) cannot be", page, pages, age, count)
	}
	if len(r.b) > 0 {
		return v.verifyDelta(&r, pages)
	}
	return ""
}

// verifyDelta checks the reference from a level-1 node to the delta of a leaf, which has one page.
func (v *cellVerifier) verifyDelta(r *reader, pages uint64) string {
	page, age, slot, size := r.uvarint(), r.uvarint(), r.uvarint(), r.uvarint()
	if r.bad || len(r.b) > 0 {
		return "delta reference is not well formed"
	}
	if v.level != 1 || pages != 1 || !validRef(PageID(page), 1, v.pageSize) || age > v.birth ||
		slot >= uint64(v.pageSize) || size >= uint64(v.pageSize) {
		return fmt.Sprintf("delta at page %d (age %d, slot %d, %d bytes) of a node of level %d cannot be",
			page, age, slot, size, v.level-1)
	}
	return ""
}

func (v *cellVerifier) verifyValue(u uint64, val []byte) string {
	if u&cellOverflow == 0 {
		return ""
	}
	r := reader{b: val}
	page, birth, size := r.uvarint(), r.uvarint(), r.uvarint()
	if r.bad || len(r.b) > 0 {
		return "overflow reference is not well formed"
	}
	if PageID(page) < 2 || PageID(page) >= maxPageID || birth > v.birth || size > MaxValueSize {
		return fmt.Sprintf("overflow value of %d bytes at page %d born in %d cannot be", size, page, birth)
	}
	return ""
}

func validRef(page PageID, pages uint64, pageSize int) bool {
	return page >= 2 && page < maxPageID && pages >= 1 && pages <= uint64(maxNodePages(pageSize))
}
