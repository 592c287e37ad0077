package runs

import (
	"bytes"
	"sort"
)

// index says where the blocks are, and between which separators (F1). It holds no pointers to many things, so that the
// garbage collector has nothing to follow.
type index struct {
	keys   []byte // the separators, one after the other
	blocks []span
}

// span is the place of a block.
type span struct {
	offset int64
	keyEnd uint64 // of its separator in keys
	length uint32
}

func (s span) end() int64 { return s.offset + int64(s.length) }

// add appends a block. before is the last key of the block before it.
func (x *index) add(offset int64, length int, before, first []byte) {
	if len(x.blocks) > 0 {
		x.keys = append(x.keys, first[:commonPrefix(before, first)+1]...)
	}
	x.blocks = append(x.blocks, span{offset, uint64(len(x.keys)), uint32(length)})
}

func (x *index) separator(i int) []byte {
	if i == 0 {
		return nil
	}
	return x.keys[x.blocks[i-1].keyEnd:x.blocks[i].keyEnd]
}

// find returns the only block that may have key, -1 when there is no block.
func (x *index) find(key []byte) int {
	return sort.Search(len(x.blocks), func(i int) bool { return bytes.Compare(x.separator(i), key) > 0 }) - 1
}

// findBefore returns the last block that may have a key before key, -1 when there is none.
func (x *index) findBefore(key []byte) int {
	return sort.Search(len(x.blocks), func(i int) bool { return bytes.Compare(x.separator(i), key) >= 0 }) - 1
}

const spanBytes = 24

func (x *index) memoryBytes() int64 { return int64(cap(x.keys)) + spanBytes*int64(cap(x.blocks)) }
