package pagestore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// FormatVersion is the version of pages and superblocks that this package writes. It reads all versions up to it.
const FormatVersion = formatVersion

// Version 2 has deltas. Everything that version 1 has is the same in it.
const formatVersion = 2

// Every page but the superblocks starts with a header and ends with a trailer; see the byte tables in doc.go.
const (
	headerSize  = 64
	trailerSize = 16

	pageMagic = 0x53424d50 // "PMBS" in file order

	offMagic   = 0
	offKind    = 4
	offVersion = 5
	offFlags   = 6
	offLevel   = 7
	offPage    = 8
	offBirth   = 16
	offMaxTS   = 24
	offTree    = 32
	offKeyID   = 36
	offPages   = 40
	offCells   = 44
	offBaseTS  = 48
	offPrefix  = 56
	offUnused  = 60
)

// The kinds of pages.
const (
	kindLeaf     = 1
	kindInner    = 2
	kindBitmap   = 3
	kindIndex    = 4
	kindOverflow = 5
	kindDelta    = 6
)

// deltaLevel is the level of delta pages, 255 in the header: below the leaves.
const deltaLevel = -1

// kindAt returns the kind of the pages at a level of a tree.
func kindAt(level int) byte {
	switch {
	case level > 0:
		return kindInner
	case level == 0:
		return kindLeaf
	}
	return kindDelta
}

// noTree is the tree id in pages that belong to no tree.
const noTree = 0xff

// flagWide marks a node whose slot offsets have four bytes instead of two.
const flagWide = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// childRef is everything that a parent knows about where a node lies. The birth makes it exact: content with the
// right page number and an older birth is a write that never reached the disk (I3).
type childRef struct {
	page  PageID
	birth uint64
	pages uint32
}

// header is the decoded form of a page's first 64 bytes.
type header struct {
	kind, flags, level uint8
	page               PageID
	birth              uint64
	maxTS              uint64 // overflow run: size of the whole value
	tree               uint8
	pages              uint32
	cells              uint32 // overflow run: number of the run
	baseTS             uint64 // overflow run: number of runs; bitmap and index page: their number
	prefix             uint32
}

func (h *header) put(b []byte) {
	le := binary.LittleEndian
	le.PutUint32(b[offMagic:], pageMagic)
	b[offKind], b[offVersion], b[offFlags], b[offLevel] = h.kind, formatVersion, h.flags, h.level
	le.PutUint64(b[offPage:], uint64(h.page))
	le.PutUint64(b[offBirth:], h.birth)
	le.PutUint64(b[offMaxTS:], h.maxTS)
	le.PutUint32(b[offTree:], uint32(h.tree))
	le.PutUint32(b[offKeyID:], 0)
	le.PutUint32(b[offPages:], h.pages)
	le.PutUint32(b[offCells:], h.cells)
	le.PutUint64(b[offBaseTS:], h.baseTS)
	le.PutUint32(b[offPrefix:], h.prefix)
	le.PutUint32(b[offUnused:], 0)
}

// seal writes the trailer: the checksum over all that precedes it, and twelve zero bytes that a later format may use
// for an authentication tag.
func seal(b []byte, seed uint32) {
	t := b[len(b)-trailerSize:]
	clear(t)
	binary.LittleEndian.PutUint32(t, checksum(b, seed))
}

func checksum(b []byte, seed uint32) uint32 {
	return crc32.Update(seed, castagnoli, b[:len(b)-trailerSize])
}

// checksumSeed ties the checksums of pages to one database.
func checksumSeed(id DatabaseID) uint32 { return crc32.Checksum(id[:], castagnoli) }

// verifyPage checks what all pages have in common and returns what is wrong, or "".
func verifyPage(b []byte, seed uint32, want childRef, pageSize int) string {
	le := binary.LittleEndian
	t := b[len(b)-trailerSize:]
	if sum := checksum(b, seed); le.Uint32(t) != sum {
		return fmt.Sprintf("checksum is %08x, content has %08x", le.Uint32(t), sum)
	}
	if le.Uint64(t[4:]) != 0 || le.Uint32(t[12:]) != 0 {
		return "reserved bytes of the trailer are not zero"
	}
	if m := le.Uint32(b[offMagic:]); m != pageMagic {
		return fmt.Sprintf("magic is %08x, want %08x", m, uint32(pageMagic))
	}
	if b[offVersion] == 0 || b[offVersion] > formatVersion {
		return fmt.Sprintf("page format is %d, want 1 to %d", b[offVersion], formatVersion)
	}
	if p := PageID(le.Uint64(b[offPage:])); p != want.page {
		return fmt.Sprintf("it says that it is page %d: a misdirected write", p)
	}
	if birth := le.Uint64(b[offBirth:]); birth != want.birth {
		return fmt.Sprintf("it was written by checkpoint %d, its parent expects %d", birth, want.birth)
	}
	if n := le.Uint32(b[offPages:]); n != want.pages || int(n)*pageSize != len(b) {
		return fmt.Sprintf("it says that it has %d pages, its parent expects %d", n, want.pages)
	}
	if le.Uint32(b[offKeyID:]) != 0 || le.Uint32(b[offUnused:]) != 0 || le.Uint32(b[offTree:]) > noTree {
		return "reserved bytes of the header are not zero"
	}
	return ""
}

// maxNodePages bounds the length of a node: one key of the largest size and everything that may stand beside it.
func maxNodePages(pageSize int) uint32 {
	return uint32((MaxKeySize+pageSize-1)/pageSize + 1)
}
