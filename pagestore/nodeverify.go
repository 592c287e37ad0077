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
	v := cellVerifier{nd: asNode(b), inner: level > 0, first: int(slotEnd), limit: int(limit), pageSize: pageSize}
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
	kind := byte(kindLeaf)
	if level > 0 {
		kind = kindInner
	}
	if b[offKind] != kind || int(b[offLevel]) != level {
		return fmt.Sprintf("kind %d level %d where kind %d level %d belongs", b[offKind], b[offLevel], kind, level)
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
	inner        bool
	first, limit int // cells lie in [first, limit)
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
	v.newest = max(v.newest, ts)
	if what := v.verifyKey(i, suffix); what != "" {
		return what
	}
	if v.inner {
		return v.verifyChild(val)
	}
	return v.verifyValue(u, val)
}

func (v *cellVerifier) verifyKey(i int, suffix []byte) string {
	if v.inner && i == 0 {
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
	if r.bad || len(r.b) > 0 {
		return "child is not well formed"
	}
	if !validRef(PageID(page), pages, v.pageSize) || age > v.nd.birth() || int64(count) <= 0 {
		return fmt.Sprintf("child at page %d (%d pages, age %d, %d records) cannot be", page, pages, age, count)
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
	if PageID(page) < 2 || PageID(page) >= maxPageID || birth > v.nd.birth() || size > MaxValueSize {
		return fmt.Sprintf("overflow value of %d bytes at page %d born in %d cannot be", size, page, birth)
	}
	return ""
}

func validRef(page PageID, pages uint64, pageSize int) bool {
	return page >= 2 && page < maxPageID && pages >= 1 && pages <= uint64(maxNodePages(pageSize))
}
