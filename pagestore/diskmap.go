package pagestore

import (
	"encoding/binary"
	"slices"
)

// The bitmap of live pages lies in the file in two levels: bitmap pages, each with the bits of a fixed range of
// pages, and index pages with the places of the bitmap pages. Both are copied on write like nodes.

func chunkWords(pageSize int) int { return (pageSize - headerSize - trailerSize) / 8 }
func chunkBits(pageSize int) int  { return 64 * chunkWords(pageSize) }
func indexRefs(pageSize int) int  { return (pageSize - headerSize - trailerSize) / 16 }

// pageLimit returns how many pages a bitmap index can describe.
func pageLimit(pageSize int) PageID {
	return PageID(maxIndex) * PageID(indexRefs(pageSize)) * PageID(chunkBits(pageSize))
}

// readMap loads the bitmap of a version, and where its pages lie.
func (s *Store) readMap(sb *superblock) (live bitmap, chunks []childRef, err error) {
	per := indexRefs(s.pageSize)
	buf := make([]byte, s.pageSize)
	for i, ref := range sb.index {
		refs := make([]childRef, per)
		if ref.page != 0 {
			if err := s.readPage(buf, ref, kindIndex, uint64(i)); err != nil {
				return nil, nil, err
			}
			decodeIndexPage(buf, refs)
		}
		chunks = append(chunks, refs...)
	}
	for len(chunks) > 0 && chunks[len(chunks)-1].page == 0 {
		chunks = chunks[:len(chunks)-1]
	}
	live = make(bitmap, (sb.end+63)/64)
	for i, ref := range chunks {
		if ref.page == 0 {
			continue
		}
		if err := s.readPage(buf, ref, kindBitmap, uint64(i)); err != nil {
			return nil, nil, err
		}
		if !decodeBitmapPage(buf, live, i*chunkWords(s.pageSize)) {
			return nil, nil, s.corrupt(ref.page, "bitmap has live pages behind the end that the superblock says")
		}
	}
	live.set(0)
	live.set(1)
	if live.end() > sb.end {
		return nil, nil, s.corrupt(live.end()-1, "it is live, but behind the end that the superblock says")
	}
	return live, chunks, nil
}

func decodeIndexPage(b []byte, refs []childRef) {
	le := binary.LittleEndian
	for i := range refs {
		o := b[headerSize+16*i:]
		if page := PageID(le.Uint64(o)); page != 0 {
			refs[i] = childRef{page: page, birth: le.Uint64(o[8:]), pages: 1}
		}
	}
}

// decodeBitmapPage reports whether all set bits are within live.
func decodeBitmapPage(b []byte, live bitmap, from int) bool {
	for i := range chunkWords(len(b)) {
		word := binary.LittleEndian.Uint64(b[headerSize+8*i:])
		if from+i < len(live) {
			live[from+i] = word
		} else if word != 0 {
			return false
		}
	}
	return true
}

// readPage reads and verifies a bitmap or index page.
func (s *Store) readPage(buf []byte, ref childRef, kind byte, number uint64) error {
	if err := s.readAt(buf, ref.page); err != nil {
		return err
	}
	if what := verifyPage(buf, s.seed, ref, s.pageSize); what != "" {
		return s.corrupt(ref.page, what)
	}
	if buf[offKind] != kind || binary.LittleEndian.Uint64(buf[offBaseTS:]) != number {
		return s.corrupt(ref.page, "it is not the bitmap page that belongs here")
	}
	return nil
}

// mapWriter writes the changed part of a bitmap. Writing takes and frees pages, which changes bits again; so the set
// of changed pages is closed first, and only then written.
type mapWriter struct {
	c      *Checkpoint
	old    bitmap
	words  int // per bitmap page
	per    int // bitmap pages per index page
	chunks []childRef
	index  []childRef
	dirty  map[int]bool // bitmap pages
	redo   map[int]bool // index pages
	a, b   []uint64
}

func (c *Checkpoint) newMapWriter(old *version) *mapWriter {
	n := chunkWords(c.s.pageSize)
	return &mapWriter{
		c: c, old: old.live, words: n, per: indexRefs(c.s.pageSize),
		chunks: slices.Clone(old.chunks), index: slices.Clone(old.sb.index),
		dirty: map[int]bool{}, redo: map[int]bool{},
		a: make([]uint64, n), b: make([]uint64, n),
	}
}

// write brings the bitmap on disk in line with the allocator.
func (w *mapWriter) write() error {
	for {
		changed, err := w.claim()
		if err != nil {
			return err
		}
		if !changed {
			break
		}
	}
	for i := range w.chunks {
		if w.dirty[i] && w.chunks[i].page != 0 {
			if err := w.writeChunk(i); err != nil {
				return err
			}
		}
	}
	for i := range w.index {
		if w.redo[i] && w.index[i].page != 0 {
			if err := w.writeIndex(i); err != nil {
				return err
			}
		}
	}
	for len(w.index) > 0 && w.index[len(w.index)-1].page == 0 {
		w.index = w.index[:len(w.index)-1]
	}
	return nil
}

// claim finds bitmap pages that differ from the durable ones and takes pages for their new versions. It ends because
// each bitmap page is released and taken at most once. One that loses its last bit after that is written with zeros,
// and the next commit drops it.
func (w *mapWriter) claim() (changed bool, err error) {
	n := (max(len(w.old), len(w.c.alloc.next)) + w.words - 1) / w.words
	for len(w.chunks) < n {
		w.chunks = append(w.chunks, childRef{})
	}
	for i := range n {
		w.old.words(w.a, i*w.words)
		w.c.alloc.next.words(w.b, i*w.words)
		useless := w.chunks[i].page != 0 && allZero(w.b)
		if !w.dirty[i] && (useless || w.far(w.chunks[i]) || !slices.Equal(w.a, w.b)) {
			w.release(&w.chunks[i])
			w.dirty[i], changed = true, true
		}
		if w.dirty[i] && w.chunks[i].page == 0 && !allZero(w.b) {
			if err := w.take(&w.chunks[i]); err != nil {
				return false, err
			}
			changed = true
		}
	}
	return w.claimIndex(changed)
}

func (w *mapWriter) claimIndex(changed bool) (bool, error) {
	for i := range w.chunks {
		k := i / w.per
		if !w.dirty[i] && (k >= len(w.index) || w.redo[k] || !w.far(w.index[k])) {
			continue
		}
		for len(w.index) <= k {
			w.index = append(w.index, childRef{})
		}
		if !w.redo[k] {
			w.release(&w.index[k])
			w.redo[k], changed = true, true
		}
		used := slices.ContainsFunc(w.chunks[k*w.per:min(len(w.chunks), (k+1)*w.per)],
			func(r childRef) bool { return r.page != 0 })
		if used && w.index[k].page == 0 {
			if err := w.take(&w.index[k]); err != nil {
				return false, err
			}
			changed = true
		}
	}
	return changed, nil
}

// far reports whether a bitmap page lies where Vacuum empties the file.
func (w *mapWriter) far(ref childRef) bool {
	return ref.page > 0 && w.c.moving != nil && w.c.moving.touches(ref.page, 1)
}

func allZero(words []uint64) bool {
	return !slices.ContainsFunc(words, func(w uint64) bool { return w != 0 })
}

func (w *mapWriter) take(ref *childRef) error {
	p, err := w.c.alloc.alloc(1)
	*ref = childRef{page: p, birth: w.c.seq, pages: 1}
	return err
}

func (w *mapWriter) release(ref *childRef) {
	if ref.page != 0 {
		w.c.alloc.free(ref.page, 1)
	}
	*ref = childRef{}
}

func (w *mapWriter) writeChunk(i int) error {
	b, err := w.page(w.chunks[i], kindBitmap, i)
	if err != nil {
		return err
	}
	w.c.alloc.next.words(w.b, i*w.words)
	for k, word := range w.b {
		binary.LittleEndian.PutUint64(b[headerSize+8*k:], word)
	}
	seal(b, w.c.s.seed)
	return nil
}

func (w *mapWriter) writeIndex(i int) error {
	b, err := w.page(w.index[i], kindIndex, i)
	if err != nil {
		return err
	}
	for k, r := range w.chunks[i*w.per : min(len(w.chunks), (i+1)*w.per)] {
		binary.LittleEndian.PutUint64(b[headerSize+16*k:], uint64(r.page))
		binary.LittleEndian.PutUint64(b[headerSize+16*k+8:], r.birth)
	}
	seal(b, w.c.s.seed)
	return nil
}

func (w *mapWriter) page(ref childRef, kind uint8, number int) ([]byte, error) {
	b, err := w.c.w.reserve(ref.page, 1)
	if err != nil {
		return nil, err
	}
	h := header{kind: kind, page: ref.page, birth: ref.birth, tree: noTree, pages: 1, baseTS: uint64(number)}
	h.put(b)
	return b, nil
}
