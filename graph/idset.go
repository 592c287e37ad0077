package graph

// idSet is a set of node ids, made to be used again: what a search has visited. Ids are dense, so it is a bitmap in
// pages, of which only those exist that were needed. Ids beyond the table of pages, which the store does not have in practice, are in a map.
type idSet struct {
	pages []*idPage
	used  []uint32 // pages with something in them
	free  []*idPage
	far   map[NodeID]struct{}
}

// A page has 4096 ids in 512 bytes.
const (
	pageBits  = 12
	pageWords = 1 << pageBits / 64
	// maxPages bounds the table of pages: 8 MiB for the ids below 2^32.
	maxPages = 1 << 20
	// maxFreePages is how many pages a set keeps that it does not need: 512 KiB.
	maxFreePages = 1024
)

type idPage [pageWords]uint64

// add puts an id into the set, and reports whether it was not there.
func (s *idSet) add(id NodeID) bool {
	if p := uint64(id) >> pageBits; p < uint64(len(s.pages)) && s.pages[p] != nil {
		word, bit := &s.pages[p][id/64%pageWords], uint64(1)<<(id%64)
		fresh := *word&bit == 0
		*word |= bit
		return fresh
	}
	return s.addSlow(id)
}

// addSlow is add for an id whose page is not there.
func (s *idSet) addSlow(id NodeID) bool {
	p := uint64(id) >> pageBits
	if p >= maxPages {
		if _, found := s.far[id]; found {
			return false
		}
		if s.far == nil {
			s.far = map[NodeID]struct{}{}
		}
		s.far[id] = struct{}{}
		return true
	}
	for uint64(len(s.pages)) <= p {
		s.pages = append(s.pages, make([]*idPage, max(p+1, uint64(2*len(s.pages)))-uint64(len(s.pages)))...)
	}
	if n := len(s.free); n > 0 {
		s.pages[p] = s.free[n-1]
		s.free = s.free[:n-1]
	} else {
		s.pages[p] = new(idPage)
	}
	s.used = append(s.used, uint32(p))
	s.pages[p][id/64%pageWords] |= 1 << (id % 64)
	return true
}

// has reports whether an id is in the set.
func (s *idSet) has(id NodeID) bool {
	if p := uint64(id) >> pageBits; p < uint64(len(s.pages)) {
		page := s.pages[p]
		return page != nil && page[id/64%pageWords]&(1<<(id%64)) != 0
	}
	return s.far != nil && s.hasFar(id)
}

func (s *idSet) hasFar(id NodeID) bool {
	_, found := s.far[id]
	return found
}

// reset empties the set. It takes time for what was in it, not for the greatest id.
func (s *idSet) reset() {
	for _, p := range s.used {
		if len(s.free) < maxFreePages {
			*s.pages[p] = idPage{}
			s.free = append(s.free, s.pages[p])
		}
		s.pages[p] = nil
	}
	s.used, s.far = s.used[:0], nil
}
