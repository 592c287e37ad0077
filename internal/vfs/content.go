package vfs

import (
	"bytes"
	"fmt"
	"maps"
)

const chunkSize = 4096

// chunk is a piece of content. Only the content whose owner it carries may
// write to it; others share it.
type chunk struct {
	owner *ownership
	data  [chunkSize]byte
}

// ownership is an identity; the byte makes its addresses distinct.
type ownership struct{ _ byte }

// content is a sparse byte sequence: missing chunks are zeros, and so is
// everything behind size. A clone costs one map copy, because chunks are
// copied when they are written.
type content struct {
	size   int64
	chunks map[int64]*chunk // by offset / chunkSize
	owner  *ownership
}

func newContent() content {
	return content{chunks: map[int64]*chunk{}, owner: &ownership{}}
}

// clone returns an independent copy. Both sides get a new identity, so neither
// owns the chunks they share.
func (c *content) clone() content {
	c.owner = &ownership{}
	return content{size: c.size, chunks: maps.Clone(c.chunks), owner: &ownership{}}
}

// readAt fills p from off and returns how much the size allows.
func (c *content) readAt(p []byte, off int64) int {
	if off >= c.size {
		return 0
	}
	p = p[:min(int64(len(p)), c.size-off)]
	forChunks(off, off+int64(len(p)), func(index, from, to, done int64) {
		out := p[done : done+to-from]
		if ch := c.chunks[index]; ch != nil {
			copy(out, ch.data[from:to])
		} else {
			clear(out)
		}
	})
	return len(p)
}

func (c *content) writeAt(p []byte, off int64) {
	forChunks(off, off+int64(len(p)), func(index, from, to, done int64) {
		in := p[done : done+to-from]
		if c.chunks[index] == nil && allZero(in) {
			return
		}
		copy(c.own(index).data[from:to], in)
	})
	c.grow(off + int64(len(p)))
}

// own returns the chunk for writing.
func (c *content) own(index int64) *chunk {
	ch := c.chunks[index]
	if ch != nil && ch.owner == c.owner {
		return ch
	}
	mine := &chunk{owner: c.owner}
	if ch != nil {
		mine.data = ch.data
	}
	c.chunks[index] = mine
	return mine
}

func (c *content) grow(size int64) { c.size = max(c.size, size) }

func (c *content) truncate(size int64) {
	if size < c.size {
		c.zero(size, c.size)
	}
	c.size = size
}

// zero clears [from, to). A wide range, such as that of a truncation of a
// sparse file, must not cost a step per chunk that is not there.
func (c *content) zero(from, to int64) {
	if (to-from)/chunkSize > int64(len(c.chunks)) {
		for index := range c.chunks {
			start := index * chunkSize
			c.zeroChunk(index, clamp(from-start), clamp(to-start))
		}
		return
	}
	forChunks(from, to, func(index, from, to, _ int64) { c.zeroChunk(index, from, to) })
}

func clamp(inChunk int64) int64 { return min(max(inChunk, 0), chunkSize) }

func (c *content) zeroChunk(index, from, to int64) {
	switch {
	case from >= to || c.chunks[index] == nil:
	case to-from == chunkSize:
		delete(c.chunks, index)
	default:
		clear(c.own(index).data[from:to])
	}
}

// forChunks calls f for each chunk that [from, to) touches, with the range
// inside the chunk and the number of bytes already done.
func forChunks(from, to int64, f func(index, chunkFrom, chunkTo, done int64)) {
	for off := from; off < to; {
		index := off / chunkSize
		start := off - index*chunkSize
		end := min(chunkSize, start+to-off)
		f(index, start, end, off-from)
		off += end - start
	}
}

var zeros [chunkSize]byte

func allZero(p []byte) bool {
	for len(p) > chunkSize {
		if !bytes.Equal(p[:chunkSize], zeros[:]) {
			return false
		}
		p = p[chunkSize:]
	}
	return bytes.Equal(p, zeros[:len(p)])
}

// check verifies that nothing lies behind the size, and returns what is wrong.
func (c *content) check() string {
	for index, ch := range c.chunks {
		used := clamp(c.size - index*chunkSize)
		if !allZero(ch.data[used:]) {
			return fmt.Sprintf("bytes behind the size %d in chunk %d are not zero", c.size, index)
		}
	}
	return ""
}

// differsFrom names the first difference that it finds, if there is one.
func (c *content) differsFrom(o *content) string {
	if c.size != o.size {
		return fmt.Sprintf("size %d, expected %d", c.size, o.size)
	}
	for _, side := range []*content{c, o} {
		for index := range side.chunks {
			if !bytes.Equal(c.bytesOf(index), o.bytesOf(index)) {
				return fmt.Sprintf("the %d bytes at %d are not the expected ones", chunkSize, index*chunkSize)
			}
		}
	}
	return ""
}

func (c *content) bytesOf(index int64) []byte {
	if ch := c.chunks[index]; ch != nil {
		return ch.data[:]
	}
	return zeros[:]
}
