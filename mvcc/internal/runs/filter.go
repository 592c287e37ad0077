package runs

import (
	"bytes"
	"hash/maphash"
	"sort"
)

const (
	lineBytes   = 64 // of a cache line, and so of the bits of one key
	keysPerLine = lineBytes * 8 / 10
	probes      = 6
	// Lines of the first segment and of the largest ones.
	minLines = 16
	maxLines = 1 << 20 / lineBytes
)

// hashSeed is drawn anew by each process: no choice of keys makes a filter useless on purpose.
var hashSeed = maphash.MakeSeed()

// filter tells which keys are not in the run, in segments by key range. One that was given up, or is not wanted, tells
// nothing.
type filter struct {
	segments []segment
	left     int64 // lines that may still be taken
	off      bool
}

type segment struct {
	first []byte // the smallest key; the next segment's is the end
	lines []line
	keys  int
}

type line [lineBytes / 8]uint64

func newFilter(maxBytes int64) filter {
	return filter{left: maxBytes / lineBytes, off: maxBytes < lineBytes}
}

// add enters a key, which is above all others.
func (f *filter) add(key []byte) {
	if f.off {
		return
	}
	n := len(f.segments)
	if n == 0 || f.segments[n-1].keys == keysPerLine*len(f.segments[n-1].lines) {
		if !f.grow(key) {
			return
		}
		n = len(f.segments)
	}
	s := &f.segments[n-1]
	s.keys++
	s.add(maphash.Bytes(hashSeed, key))
}

// grow begins a segment, or gives the filter up.
func (f *filter) grow(first []byte) bool {
	lines := int64(minLines)
	if n := len(f.segments); n > 0 {
		lines = min(2*int64(len(f.segments[n-1].lines)), maxLines)
	}
	lines = min(lines, f.left)
	if lines == 0 {
		f.segments, f.off = nil, true
		return false
	}
	f.left -= lines
	f.segments = append(f.segments, segment{first: bytes.Clone(first), lines: make([]line, lines)})
	return true
}

// finish shrinks the last segment to what it needs.
func (f *filter) finish() {
	if n := len(f.segments); n > 0 {
		f.segments[n-1].fold()
	}
}

// excludes reports that the run does not have the key (F5).
func (f *filter) excludes(key []byte) bool {
	if f.off {
		return false
	}
	i := sort.Search(len(f.segments), func(i int) bool { return bytes.Compare(f.segments[i].first, key) > 0 }) - 1
	return i < 0 || !f.segments[i].has(maphash.Bytes(hashSeed, key))
}

func (f *filter) memoryBytes() (sum int64) {
	for _, s := range f.segments {
		sum += int64(len(s.first)) + lineBytes*int64(cap(s.lines))
	}
	return sum
}

// line returns the line of a hash. Its number is the upper half of the hash scaled to the number of lines, so that
// half as many lines mean half the number.
func (s *segment) line(hash uint64) *line { return &s.lines[(hash>>32)*uint64(len(s.lines))>>32] }

// add sets the bits of a hash, which are the top ones of its lower half times powers of the golden ratio.
func (s *segment) add(hash uint64) {
	l, h := s.line(hash), uint32(hash)
	for range probes {
		bit := h >> (32 - 9)
		l[bit/64] |= 1 << (bit % 64)
		h *= 0x9e3779b9
	}
}

func (s *segment) has(hash uint64) bool {
	l, h := s.line(hash), uint32(hash)
	for range probes {
		bit := h >> (32 - 9)
		if l[bit/64]&(1<<(bit%64)) == 0 {
			return false
		}
		h *= 0x9e3779b9
	}
	return true
}

// fold lays pairs of lines over each other while half of them are enough.
func (s *segment) fold() {
	n := len(s.lines)
	for n%2 == 0 && s.keys <= keysPerLine*n/2 {
		n /= 2
		for i := range n {
			for j := range s.lines[i] {
				s.lines[i][j] = s.lines[2*i][j] | s.lines[2*i+1][j]
			}
		}
	}
	if n < len(s.lines) {
		s.lines = append(make([]line, 0, n), s.lines[:n]...)
	}
}
