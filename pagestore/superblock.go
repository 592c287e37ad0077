package pagestore

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
)

// A superblock takes the first 4096 bytes of page 0 or page 1, whatever the page size.
const (
	superSize  = 4096
	superMagic = "SombraDB"

	sbVersion  = 8
	sbPageSize = 12
	sbID       = 16
	sbSequence = 32
	sbEnd      = 40
	sbLive     = 48
	sbTime     = 56
	sbLSN      = 64
	sbTrees    = 80 // NumTrees x superTree bytes
	superTree  = 48
	sbOwner    = 256
	sbSpace    = 512 // NumTrees x superSpace bytes
	superSpace = 24
	sbDeltas   = 560  // NumTrees x 8 bytes: what version 2 adds to sbSpace
	sbIndex    = 1024 // maxIndex x 16 bytes: page, birth
	maxIndex   = 128
	sbSum      = superSize - trailerSize
)

// maxHeight bounds the height of a tree; with two children per node no file can need more.
const maxHeight = 48

// treeRoot is a tree in a superblock. Height 0 is the empty tree.
type treeRoot struct {
	childRef
	height int
	count  int64
	maxTS  uint64
}

// superblock is one durable version of the whole store.
type superblock struct {
	version  uint32 // of the format; 0: the one that is written today
	pageSize int
	id       DatabaseID
	sequence uint64
	end      PageID // behind the last live page
	live     int64  // live pages, superblocks included
	meta     Meta
	trees    [NumTrees]treeRoot
	space    [NumTrees]treePages
	index    []childRef // pages of the bitmap index; page 0: that part of the file is free
}

func (sb *superblock) encode() []byte {
	le := binary.LittleEndian
	b := make([]byte, superSize)
	copy(b, superMagic)
	le.PutUint32(b[sbVersion:], cmp.Or(sb.version, formatVersion))
	le.PutUint32(b[sbPageSize:], uint32(sb.pageSize))
	copy(b[sbID:], sb.id[:])
	le.PutUint64(b[sbSequence:], sb.sequence)
	le.PutUint64(b[sbEnd:], uint64(sb.end))
	le.PutUint64(b[sbLive:], uint64(sb.live))
	le.PutUint64(b[sbTime:], sb.meta.Timestamp)
	le.PutUint64(b[sbLSN:], sb.meta.LogLSN)
	for i, t := range sb.trees {
		o := b[sbTrees+i*superTree:]
		le.PutUint64(o, uint64(t.page))
		le.PutUint64(o[8:], t.birth)
		le.PutUint32(o[16:], t.pages)
		le.PutUint32(o[20:], uint32(t.height))
		le.PutUint64(o[24:], uint64(t.count))
		le.PutUint64(o[32:], t.maxTS)
	}
	for i, n := range sb.space {
		o := b[sbSpace+i*superSpace:]
		le.PutUint64(o, uint64(n.leaves))
		le.PutUint64(o[8:], uint64(n.inner))
		le.PutUint64(o[16:], uint64(n.overflow))
		le.PutUint64(b[sbDeltas+8*i:], uint64(n.deltas))
	}
	copy(b[sbOwner:], sb.meta.Owner[:])
	for i, r := range sb.index {
		le.PutUint64(b[sbIndex+16*i:], uint64(r.page))
		le.PutUint64(b[sbIndex+16*i+8:], r.birth)
	}
	seal(b, 0)
	return b
}

// superVersion returns the format version of an intact superblock. Magic, version, length and checksum stay where
// they are in all versions, so that a newer file is told from a damaged one.
func superVersion(b []byte) (uint32, string) {
	le := binary.LittleEndian
	if !bytes.HasPrefix(b, []byte(superMagic)) {
		return 0, "it does not start with the magic bytes"
	}
	if got, want := le.Uint32(b[sbSum:]), checksum(b, 0); got != want {
		return 0, fmt.Sprintf("checksum is %08x, content has %08x", got, want)
	}
	return le.Uint32(b[sbVersion:]), ""
}

// decodeSuperblock reads an intact superblock of a known version and returns what is wrong with it, or "".
func decodeSuperblock(b []byte) (*superblock, string) {
	le := binary.LittleEndian
	sb := &superblock{
		version:  le.Uint32(b[sbVersion:]),
		pageSize: int(le.Uint32(b[sbPageSize:])),
		sequence: le.Uint64(b[sbSequence:]),
		end:      PageID(le.Uint64(b[sbEnd:])),
		live:     int64(le.Uint64(b[sbLive:])),
		meta:     Meta{Timestamp: le.Uint64(b[sbTime:]), LogLSN: le.Uint64(b[sbLSN:])},
	}
	copy(sb.id[:], b[sbID:])
	copy(sb.meta.Owner[:], b[sbOwner:])
	if !validPageSize(sb.pageSize) {
		return nil, fmt.Sprintf("page size %d cannot be", sb.pageSize)
	}
	if sb.end < 2 || sb.end > maxPageID || sb.live < 2 || sb.live > int64(sb.end) || sb.sequence == 0 {
		return nil, fmt.Sprintf("checkpoint %d with %d of %d pages live cannot be", sb.sequence, sb.live, sb.end)
	}
	for i := range sb.trees {
		t, what := sb.decodeTree(b[sbTrees+i*superTree:])
		if what != "" {
			return nil, fmt.Sprintf("tree %d: %s", i, what)
		}
		sb.trees[i] = t
		o := b[sbSpace+i*superSpace:]
		sb.space[i] = treePages{
			leaves: int64(le.Uint64(o)), inner: int64(le.Uint64(o[8:])), overflow: int64(le.Uint64(o[16:])),
			deltas: int64(le.Uint64(b[sbDeltas+8*i:])),
		}
	}
	return sb, sb.decodeIndex(b[sbIndex:])
}

func (sb *superblock) decodeTree(b []byte) (treeRoot, string) {
	le := binary.LittleEndian
	t := treeRoot{
		childRef: childRef{page: PageID(le.Uint64(b)), birth: le.Uint64(b[8:]), pages: le.Uint32(b[16:])},
		height:   int(le.Uint32(b[20:])),
		count:    int64(le.Uint64(b[24:])),
		maxTS:    le.Uint64(b[32:]),
	}
	if t.height == 0 && t == (treeRoot{}) {
		return t, ""
	}
	if t.height < 1 || t.height > maxHeight || t.count <= 0 || t.birth > sb.sequence {
		return t, fmt.Sprintf("height %d with %d records, born in %d, cannot be", t.height, t.count, t.birth)
	}
	if !validRef(t.page, uint64(t.pages), sb.pageSize) || t.page+PageID(t.pages) > sb.end {
		return t, fmt.Sprintf("root at page %d (%d pages) cannot be", t.page, t.pages)
	}
	return t, ""
}

func (sb *superblock) decodeIndex(b []byte) string {
	le := binary.LittleEndian
	for i := range maxIndex {
		r := childRef{page: PageID(le.Uint64(b[16*i:])), birth: le.Uint64(b[16*i+8:]), pages: 1}
		if r.page == 0 {
			r = childRef{}
		} else if r.page < 2 || r.page >= sb.end || r.birth > sb.sequence {
			return fmt.Sprintf("bitmap index %d at page %d cannot be", i, r.page)
		}
		sb.index = append(sb.index, r)
	}
	for len(sb.index) > 0 && sb.index[len(sb.index)-1].page == 0 {
		sb.index = sb.index[:len(sb.index)-1]
	}
	return ""
}
