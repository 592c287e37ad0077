package versions

import "sync"

const (
	firstBatch = 8
	maxBatch   = 64
)

// scan walks the entries of a table in key order, either way. It copies small batches of entry
// pointers under the partition's mutex and holds nothing between calls. The first batch is small,
// since most scans are short; each further one is twice as large, up to maxBatch.
//
// A batch may be older than the index. That loses nothing: what has been added since is newer
// than the snapshot that the scan serves (V1).
type scan struct {
	table *Table

	batch [maxBatch]*entry
	read  int // entries of the batch that were handed out
	size  int
	limit int // size of the next batch

	backward bool
	// partition is where the next batch comes from, past the table's ends when there is none.
	partition int
	// from is where the next batch begins: after (before, going backward) this entry if exclusive,
	// at it if not; nil is the partition's edge.
	from      *entry
	exclusive bool

	// target stands for the key that was sought: the index compares entries with entries.
	target entry
	// add is addItem bound to this scan, once, as each binding costs an allocation.
	add func(item) bool
}

var scans = sync.Pool{New: func() any { return newScan() }}

func newScan() *scan {
	s := &scan{}
	s.add = s.addItem
	return s
}

// release drops all pointers into the table.
func (s *scan) release() {
	clear(s.batch[:])
	s.table, s.from, s.target.key = nil, nil, nil
	s.read, s.size = 0, 0
}

// seek places the scan before the first key >= key. The key must not change until next was called.
func (s *scan) seek(key []byte) {
	s.start(false, s.table.locate(key))
	s.target.key, s.from, s.exclusive = key, &s.target, false
}

// seekLT places the scan, backward, after the last key < key, or the last key if it is nil. The
// key must not change until next was called.
func (s *scan) seekLT(key []byte) {
	if key == nil {
		s.start(true, len(s.table.partitions)-1)
		return
	}
	s.start(true, s.table.locate(key))
	s.target.key, s.from, s.exclusive = key, &s.target, true
}

// turn places the scan just after the entry in the given direction.
func (s *scan) turn(e *entry, backward bool) {
	s.start(backward, int(e.partition))
	s.from, s.exclusive = e, true
}

func (s *scan) start(backward bool, partition int) {
	s.backward = backward
	s.enter(partition)
	s.read, s.size, s.limit = 0, 0, firstBatch
}

// next returns the next entry in the scan's direction, nil at the end.
func (s *scan) next() *entry {
	if s.read == s.size && !s.fill() {
		return nil
	}
	e := s.batch[s.read]
	s.read++
	return e
}

// take returns what is left of the batch. It is valid until the next fill.
func (s *scan) take() []*entry {
	batch := s.batch[s.read:s.size]
	s.read = s.size
	return batch
}

// fill gets the next batch that is not empty.
func (s *scan) fill() bool {
	s.read, s.size = 0, 0
	for s.size == 0 {
		occupied := s.occupied()
		if occupied != s.partition {
			s.enter(occupied)
		}
		if occupied < 0 {
			return false
		}
		s.collect(&s.table.partitions[occupied])
	}
	return true
}

// occupied returns the nearest partition with keys from the scan's own on, -1 if there is none.
func (s *scan) occupied() int {
	switch {
	case s.partition < 0 || s.partition >= len(s.table.partitions):
		return -1
	case s.backward:
		return s.table.occupied.previous(s.partition)
	default:
		return s.table.occupied.next(s.partition)
	}
}

// collect fills the batch from the partition, and says where the one after begins.
func (s *scan) collect(p *partition) {
	limit := s.limit
	p.walk(s.from, s.backward, s.add)
	s.target.key = nil // it is the caller's; the scan goes on from an entry
	if s.size == limit {
		s.from, s.exclusive = s.batch[s.size-1], true
		s.limit = min(2*limit, maxBatch)
		return
	}
	if s.backward {
		s.enter(s.partition - 1)
	} else {
		s.enter(s.partition + 1)
	}
}

// enter goes on at the edge of another partition.
func (s *scan) enter(partition int) {
	s.partition, s.from, s.exclusive = partition, nil, false
}

// addItem puts an item of the index in the batch; it reports whether there is room for more.
func (s *scan) addItem(i item) bool {
	if s.exclusive {
		s.exclusive = false // only the first item can be the one to leave out
		if string(i.entry.key) == string(s.from.key) {
			return true
		}
	}
	s.batch[s.size] = i.entry
	s.size++
	return s.size < s.limit
}

// walk calls add for the items from the entry on, or from the partition's edge if it is nil.
func (p *partition) walk(from *entry, backward bool, add func(item) bool) {
	p.readLock()
	defer p.mu.RUnlock()
	switch tree := p.mu.tree; {
	case tree == nil:
	case from == nil && backward:
		tree.Descend(add)
	case from == nil:
		tree.Ascend(add)
	case backward:
		tree.DescendLessOrEqual(itemOf(from), add)
	default:
		tree.AscendGreaterOrEqual(itemOf(from), add)
	}
}
