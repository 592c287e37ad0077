package pagestore

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// runBytes is the length of a full overflow run.
const runBytes = 1 << 20

const runRoom = runBytes - headerSize - trailerSize

// runCount returns how many runs a value takes. The first run holds the places of the others, eight bytes each, so
// that a value can be freed by reading one run.
func runCount(size int64) int {
	if size <= runRoom {
		return 1
	}
	return int((size - 8 + runRoom - 8 - 1) / (runRoom - 8))
}

// overflowRun is one run of a value: where in the value it lies and how long it is in the file.
type overflowRun struct {
	from, to int64 // bytes of the value
	dir      int   // bytes of the directory in front of them
	pages    uint32
}

func runOf(size int64, i, pageSize int) overflowRun {
	n := runCount(size)
	dir := 8 * (n - 1)
	first := min(size, int64(runRoom-dir))
	r := overflowRun{to: first, dir: dir}
	if i > 0 {
		r.from = first + int64(i-1)*runRoom
		r.to, r.dir = min(size, r.from+runRoom), 0
	}
	r.pages = uint32((headerSize + r.dir + int(r.to-r.from) + trailerSize + pageSize - 1) / pageSize)
	return r
}

// writeOverflow writes a value outside of the tree.
func (c *Checkpoint) writeOverflow(value []byte) (OverflowRef, error) {
	size := int64(len(value))
	pages := make([]PageID, runCount(size))
	for i := range pages {
		p, err := c.alloc.alloc(int(runOf(size, i, c.s.pageSize).pages))
		if err != nil {
			return OverflowRef{}, err
		}
		pages[i] = p
	}
	for i := range pages {
		if err := c.writeRun(value, pages, i); err != nil {
			return OverflowRef{}, err
		}
	}
	return OverflowRef{Page: pages[0], Size: size, birth: c.seq}, nil
}

func (c *Checkpoint) writeRun(value []byte, pages []PageID, i int) error {
	r := runOf(int64(len(value)), i, c.s.pageSize)
	b, err := c.w.reserve(pages[i], int(r.pages))
	if err != nil {
		return err
	}
	h := header{
		kind: kindOverflow, page: pages[i], birth: c.seq, maxTS: uint64(len(value)), tree: noTree,
		pages: r.pages, cells: uint32(i), baseTS: uint64(len(pages)),
	}
	h.put(b)
	if i == 0 {
		for k, p := range pages[1:] {
			binary.LittleEndian.PutUint64(b[headerSize+8*k:], uint64(p))
		}
	}
	copy(b[headerSize+r.dir:], value[r.from:r.to])
	seal(b, c.s.seed)
	return nil
}

// readRun reads and verifies run i of a value into buf, which has the run's length.
func (s *Store) readRun(buf []byte, ref OverflowRef, page PageID, i int) error {
	if err := s.readAt(buf, page); err != nil {
		return err
	}
	want := childRef{page: page, birth: ref.birth, pages: uint32(len(buf) / s.pageSize)}
	if what := verifyPage(buf, s.seed, want, s.pageSize); what != "" {
		return s.corrupt(page, what)
	}
	le := binary.LittleEndian
	if buf[offKind] != kindOverflow || int(le.Uint32(buf[offCells:])) != i ||
		le.Uint64(buf[offMaxTS:]) != uint64(ref.Size) || le.Uint64(buf[offBaseTS:]) != uint64(runCount(ref.Size)) {
		return s.corrupt(page, fmt.Sprintf("it is not run %d of an overflow value of %d bytes", i, ref.Size))
	}
	return nil
}

// runDirectory returns the places of runs 1.. from a verified first run.
func (s *Store) runDirectory(first []byte, size int64) ([]PageID, error) {
	pages := make([]PageID, runCount(size)-1)
	for k := range pages {
		pages[k] = PageID(binary.LittleEndian.Uint64(first[headerSize+8*k:]))
		if pages[k] < 2 || pages[k] >= maxPageID {
			return nil, s.corrupt(PageID(binary.LittleEndian.Uint64(first[offPage:])),
				fmt.Sprintf("its directory leads to page %d", pages[k]))
		}
	}
	return pages, nil
}

// appendOverflow appends a value to dst. Runs are read to where they belong and their headers moved out of the way,
// so that no second buffer is needed. The runs bypass the page cache: one value could empty it.
func (s *Store) appendOverflow(v *View, dst []byte, ref OverflowRef) ([]byte, error) {
	if err := s.checkOverflowSize(ref); err != nil {
		return dst, s.staleOr(v, err)
	}
	first := runOf(ref.Size, 0, s.pageSize)
	start := len(dst)
	// The last run ends with up to a page of padding.
	dst = slices.Grow(dst, int(ref.Size)+headerSize+trailerSize+first.dir+s.pageSize)
	var pages []PageID
	for i := range runCount(ref.Size) {
		page, r := ref.Page, runOf(ref.Size, i, s.pageSize)
		if i > 0 {
			page = pages[i-1]
		}
		buf := dst[len(dst) : len(dst)+int(r.pages)*s.pageSize]
		err := s.readRun(buf, ref, page, i)
		if err == nil && i == 0 {
			pages, err = s.runDirectory(buf, ref.Size)
		}
		if err != nil {
			return dst[:start], s.staleOr(v, err)
		}
		n := copy(buf, buf[headerSize+r.dir:headerSize+r.dir+int(r.to-r.from)])
		dst = dst[:len(dst)+n]
	}
	return dst, nil
}

// checkOverflowSize refuses a size that the file cannot hold before memory is taken for it.
func (s *Store) checkOverflowSize(ref OverflowRef) error {
	if ref.Size > MaxValueSize || ref.Size > s.fileBytes.Load() {
		return s.corrupt(ref.Page, fmt.Sprintf("overflow value of %d bytes is larger than the file", ref.Size))
	}
	return nil
}

// overflowPages calls f with each run of a value.
func (s *Store) overflowPages(ref OverflowRef, f func(p PageID, n int)) error {
	if err := s.checkOverflowSize(ref); err != nil {
		return err
	}
	first := runOf(ref.Size, 0, s.pageSize)
	buf := make([]byte, int(first.pages)*s.pageSize)
	var pages []PageID
	if runCount(ref.Size) > 1 {
		if err := s.readRun(buf, ref, ref.Page, 0); err != nil {
			return err
		}
		var err error
		if pages, err = s.runDirectory(buf, ref.Size); err != nil {
			return err
		}
	}
	f(ref.Page, int(first.pages))
	for i, p := range pages {
		f(p, int(runOf(ref.Size, i+1, s.pageSize).pages))
	}
	return nil
}
