package pagestore

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// readAt reads whole pages. A short read is reported as corruption: every page that a superblock reaches is in the
// file.
func (s *Store) readAt(buf []byte, page PageID) error {
	if page >= maxPageID {
		return s.corrupt(page, "page number is out of range")
	}
	n, err := s.file.ReadAt(buf, int64(page)*int64(s.pageSize))
	s.stats.pageReads.Add(1)
	s.stats.readBytes.Add(int64(n))
	if n == len(buf) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return s.corrupt(page, fmt.Sprintf("the file ends %d bytes into it", n))
	}
	return s.ioError(err, "read page %d", page)
}

func (s *Store) corrupt(page PageID, what string) error {
	return &CorruptionError{File: s.name, Page: page, What: what}
}

// staleOr turns corruption that a view met into ErrStale when its pages were free to be reused. The order matters:
// the checkpoint that may overwrite pages of v begins after the one that ended v's protection was published, so
// whoever saw its bytes also sees that publication (I5).
func (s *Store) staleOr(v *View, err error) error {
	if errors.Is(err, ErrCorrupt) && !s.protected(v) {
		return ErrStale
	}
	return err
}

// fetch pins the node at ref and verifies that it is the node which belongs there.
func (s *Store) fetch(v *View, ref childRef, t TreeID, level int) (pinned, error) {
	return s.fetchBy(v, ref, t, level, nil)
}

// fetchBy is fetch with a hint where the frame is (see way); nil: none.
func (s *Store) fetchBy(v *View, ref childRef, t TreeID, level int, hint *atomic.Uint32) (pinned, error) {
	if ref.pages == 1 {
		if p, ok := s.cache.lookupBy(ref, hint); ok {
			if isNode(p.b, t, level) {
				return p, nil
			}
			p.release()
			return pinned{}, s.staleOr(v, s.corrupt(ref.page, "it is reached from two places"))
		}
	}
	return s.fetchSlow(v, ref, t, level)
}

// isNode reports whether a verified node has the tree and level that the parent expects: two parents may lead to one
// page in a damaged file.
func isNode(b []byte, t TreeID, level int) bool {
	return b[offKind] == kindAt(level) && b[offLevel] == byte(level) && b[offTree] == byte(t)
}

func (s *Store) fetchSlow(v *View, ref childRef, t TreeID, level int) (pinned, error) {
	for {
		if s.closed.Load() {
			return pinned{}, ErrClosed
		}
		if ref.pages > 1 {
			if b, ok := s.cache.large.get(ref); ok && isNode(b, t, level) {
				return pinned{b: b}, nil
			}
		}
		p, ok, load, lead := s.cache.begin(ref)
		switch {
		case ok && isNode(p.b, t, level):
			return p, nil
		case ok:
			p.release()
			return pinned{}, s.staleOr(v, s.corrupt(ref.page, "it is reached from two places"))
		case lead:
			p, err := s.lead(ref, load, t, level)
			return p, s.staleOr(v, err)
		}
		<-load.done
	}
}

// lead reads a node for itself and for those who wait on load.
func (s *Store) lead(ref childRef, load *pageLoad, t TreeID, level int) (pinned, error) {
	s.cache.misses.Add(1)
	var i uint32
	if ref.pages == 1 {
		if i = s.cache.unused(); i == 0 {
			i = s.cache.evict()
		}
	}
	if i == 0 {
		// A node of several pages, or all frames are pinned: the bytes live on the Go heap.
		b := make([]byte, int(ref.pages)*s.pageSize)
		err := s.readNode(b, ref, t, level)
		if err == nil && ref.pages > 1 {
			s.cache.large.put(ref, b)
		}
		s.cache.finish(ref, load, 0, false)
		if err != nil {
			return pinned{}, err
		}
		return pinned{b: b}, nil
	}
	b := s.cache.data(i)
	err := s.readNode(b, ref, t, level)
	s.cache.finish(ref, load, i, err == nil)
	if err != nil {
		return pinned{}, err
	}
	return pinned{b: b, f: &s.cache.frames[i]}, nil
}

// readNode reads a node from the file and verifies all of it.
func (s *Store) readNode(b []byte, ref childRef, t TreeID, level int) error {
	if err := s.readAt(b, ref.page); err != nil {
		return err
	}
	if what := verifyPage(b, s.seed, ref, s.pageSize); what != "" {
		return s.corrupt(ref.page, what)
	}
	if what := verifyNode(b, t, level, s.pageSize); what != "" {
		return s.corrupt(ref.page, what)
	}
	return nil
}
