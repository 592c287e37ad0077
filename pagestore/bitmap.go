package pagestore

import (
	"math/bits"
	"slices"
)

// bitmap has one bit per page, set when the page is live. Pages behind its end are free. A bitmap of a durable version
// is never changed.
type bitmap []uint64

func (m bitmap) has(p PageID) bool {
	w := p / 64
	return w < PageID(len(m)) && m[w]&(1<<(p%64)) != 0
}

// grown returns a bitmap that has a word for page p, with room to spare.
func (m bitmap) grown(p PageID) bitmap {
	need := int(p/64) + 1
	if need <= len(m) {
		return m
	}
	m = slices.Grow(m, max(need-len(m), len(m)/4, 64))
	return m[:need]
}

func (m *bitmap) set(p PageID) {
	*m = m.grown(p)
	(*m)[p/64] |= 1 << (p % 64)
}

func (m bitmap) clear(p PageID) {
	if m.has(p) {
		m[p/64] &^= 1 << (p % 64)
	}
}

// union sets every bit of o.
func (m *bitmap) union(o bitmap) {
	if len(o) > len(*m) {
		*m = m.grown(PageID(len(o))*64 - 1)
	}
	for i, w := range o {
		(*m)[i] |= w
	}
}

func (m bitmap) count() int64 {
	n := 0
	for _, w := range m {
		n += bits.OnesCount64(w)
	}
	return int64(n)
}

// countClear returns how many bits below page end are clear.
func (m bitmap) countClear(end PageID) int64 {
	n := int64(end)
	for i, w := range m {
		if left := int64(end) - int64(i)*64; left < 64 {
			if left > 0 {
				n -= int64(bits.OnesCount64(w & (1<<left - 1)))
			}
			break
		}
		n -= int64(bits.OnesCount64(w))
	}
	return n
}

// end returns the number of the page behind the last set bit.
func (m bitmap) end() PageID {
	for i := len(m) - 1; i >= 0; i-- {
		if m[i] != 0 {
			return PageID(i*64 + bits.Len64(m[i]))
		}
	}
	return 0
}

// nextClear returns the first page at or behind p whose bit is clear.
func (m bitmap) nextClear(p PageID) PageID {
	for w := int(p / 64); w < len(m); w++ {
		free := ^m[w]
		if w == int(p/64) {
			free &= ^uint64(0) << (p % 64)
		}
		if free != 0 {
			return PageID(w*64 + bits.TrailingZeros64(free))
		}
	}
	return max(p, PageID(len(m)*64))
}

// nextSet returns the first page in [p, limit) whose bit is set, or limit.
func (m bitmap) nextSet(p, limit PageID) PageID {
	for w := int(p / 64); w < len(m) && PageID(w*64) < limit; w++ {
		used := m[w]
		if w == int(p/64) {
			used &= ^uint64(0) << (p % 64)
		}
		if used != 0 {
			return min(limit, PageID(w*64+bits.TrailingZeros64(used)))
		}
	}
	return limit
}

// nextRun returns the first page at or behind p that starts n clear bits.
func (m bitmap) nextRun(p PageID, n int) PageID {
	for {
		p = m.nextClear(p)
		used := m.nextSet(p, p+PageID(n))
		if used == p+PageID(n) {
			return p
		}
		p = used
	}
}

// words returns the words [from, to), with zeros behind the end, in dst.
func (m bitmap) words(dst []uint64, from int) {
	clear(dst)
	if from < len(m) {
		copy(dst, m[from:])
	}
}
