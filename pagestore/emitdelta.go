package pagestore

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
)

// A delta page belongs to one level-1 node: only that node's cells lead to it (I9). So whoever writes such a node anew
// sees all that leads to the page, and the page is freed when none of the new nodes has taken it over.

// deltaShare is the share of a page, in hundredths, that a delta may have before its leaf is built anew. A larger one
// saves leaves and costs deltas: each edit writes the delta again that is there already.
const deltaShare = 20

// maxDeltaMemory bounds the deltas that wait until their level-1 node is written. Pages up to 16 KiB never reach it.
const maxDeltaMemory = 8 << 20

// sparseDelta is the share of a delta page, in hundredths, below which what is left in it is always written anew.
const sparseDelta = 25

// deltaRoom is how much of a delta page its blocks and their table may fill.
func (s *Store) deltaRoom() int { return s.pageSize - headerSize - trailerSize - 2 }

// deltaOwners knows the delta pages of the level-1 nodes that a merge has written anew: those that may be free now, and
// those that a new node has taken over.
type deltaOwners struct {
	retired map[PageID]bool
	taken   map[PageID]bool
	evicted map[PageID]bool // no new node may take these over: Vacuum moves them
}

// join takes over what another merge knows of other level-1 nodes.
func (d *deltaOwners) join(o *deltaOwners) {
	d.retired, d.taken = joined(d.retired, o.retired), joined(d.taken, o.taken)
}

func joined(a, b map[PageID]bool) map[PageID]bool {
	if a == nil {
		return b
	}
	maps.Copy(a, b)
	return a
}

// evict says that no new node may take a delta page over. It must come before the first change of the tree.
func (m *merger) evict(page PageID) {
	if page == 0 {
		return
	}
	if m.deltas.evicted == nil {
		m.deltas.evicted = map[PageID]bool{}
	}
	m.deltas.evicted[page] = true
}

// retire notes that a node of the old tree goes which may own delta pages. New nodes may have taken them over by then.
func (m *merger) retire(nd *node, level int) {
	if level != 1 {
		return
	}
	for i := range nd.n {
		if _, d := nd.route(i); d.page != 0 {
			if m.deltas.retired == nil {
				m.deltas.retired = map[PageID]bool{}
			}
			m.deltas.retired[d.page] = true
		}
	}
}

// giveUp takes the delta pages from a node that is opened to be joined with another one.
func (m *merger) giveUp(nd *node, level int) {
	m.retire(nd, level)
	for i := 0; i < nd.n && level == 1; i++ {
		_, d := nd.route(i)
		delete(m.deltas.taken, d.page)
	}
}

// freeDeltas frees the pages that no new node has taken over.
func (m *merger) freeDeltas() {
	for page := range m.deltas.retired {
		if !m.deltas.taken[page] {
			m.freeNode(deltaLevel, childRef{page: page, pages: 1})
		}
	}
}

// placeDeltas gives the first n items of level 1, which become one node, their deltas: pages that the node takes over,
// and new ones for what a merge has made or must move.
func (m *merger) placeDeltas(b *builder, n int) error {
	b.deltas = b.deltas[:0]
	if !slices.ContainsFunc(b.items[:n], func(it item) bool { return it.extra > 0 }) {
		return nil
	}
	b.deltas = slices.Grow(b.deltas, n)[:n]
	clear(b.deltas)
	moving := m.movingPages(b, n)
	w := deltaWriter{m: m, refs: b.deltas}
	for i := range b.items[:n] {
		if b.items[i].extra == 0 {
			continue
		}
		ch := m.decodeItem(b, &b.items[i])
		if ch.delta.page != 0 && !moving[ch.delta.page] {
			b.deltas[i] = ch.delta
			continue
		}
		block := ch.block
		if ch.delta.page != 0 {
			var err error
			if block, err = m.readBlock(ch.delta); err != nil {
				return err
			}
		}
		if err := w.add(i, block); err != nil {
			return err
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	for _, d := range b.deltas {
		if d.page != 0 {
			if m.deltas.taken == nil {
				m.deltas.taken = map[PageID]bool{}
			}
			m.deltas.taken[d.page] = true
		}
	}
	return nil
}

// movingPages chooses the pages whose blocks are written anew: those that the node cannot take over, those of which
// little is used, and those that fit into the page that will not be full anyway.
func (m *merger) movingPages(b *builder, n int) map[PageID]bool {
	moving, used, fresh := map[PageID]bool{}, map[PageID]int{}, 0
	for i := range b.items[:n] {
		ch := m.decodeItem(b, &b.items[i])
		if page := ch.delta.page; page == 0 && len(ch.block) > 0 {
			fresh += len(ch.block) + 2
		} else if m.deltas.taken[page] || m.deltas.evicted[page] {
			moving[page] = true
			fresh += int(ch.delta.size) + 2
		} else if page != 0 {
			used[page] += int(ch.delta.size) + 2
		}
	}
	pages := make([]PageID, 0, len(used))
	for page := range used {
		pages = append(pages, page)
	}
	slices.SortFunc(pages, func(a, b PageID) int { return cmpPages(used[a], used[b], a, b) })
	limit := m.s.pageSize * sparseDelta / 100
	if fresh == 0 && (len(pages) < 2 || used[pages[1]] >= limit) {
		return moving // one page that is written for another one is no gain
	}
	full := m.s.deltaRoom()
	room := (full - fresh%full) % full
	for _, page := range pages {
		if used[page] > room && used[page] >= limit {
			break
		}
		moving[page] = true
		room = (room + full - used[page]) % full
	}
	return moving
}

func cmpPages(usedA, usedB int, a, b PageID) int {
	if usedA != usedB {
		return usedA - usedB
	}
	if a < b {
		return -1
	}
	return 1
}

// readBlock returns a copy of a delta.
func (m *merger) readBlock(d deltaRef) ([]byte, error) {
	if err := m.flushBefore(d.birth); err != nil {
		return nil, err
	}
	p, err := m.s.fetch(m.v, d.ref(), m.t, deltaLevel)
	if err != nil {
		return nil, err
	}
	defer p.release()
	block, what := deltaBlock(p.b, d)
	if what != "" {
		return nil, m.s.corrupt(d.page, what)
	}
	return bytes.Clone(block), nil
}

// deltaWriter packs blocks into pages.
type deltaWriter struct {
	m      *merger
	refs   []deltaRef // of the items; page 0 while the page is being gathered
	items  []int
	blocks [][]byte
	size   int
}

// add takes the block of an item, which must stay as it is until its page is written.
func (w *deltaWriter) add(item int, block []byte) error {
	if w.size+len(block)+2 > w.m.s.deltaRoom() {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.items, w.blocks = append(w.items, item), append(w.blocks, block)
	w.size += len(block) + 2
	return nil
}

// flush writes the page that was gathered.
func (w *deltaWriter) flush() error {
	if len(w.items) == 0 {
		return nil
	}
	c := w.m.c
	page, err := w.m.allocNode(deltaLevel, 1)
	if err != nil {
		return err
	}
	b, err := c.w.reserve(page, 1)
	if err != nil {
		return err
	}
	h := header{
		kind: kindDelta, level: byte(deltaLevel & 0xff), page: page, birth: c.seq, tree: uint8(w.m.t),
		pages: 1, cells: uint32(len(w.blocks)),
	}
	le := binary.LittleEndian
	at := headerSize + 2*(len(w.blocks)+1)
	for k, block := range w.blocks {
		le.PutUint16(b[headerSize+2*k:], uint16(at))
		at += copy(b[at:], block)
		h.maxTS = max(h.maxTS, newestIn(block))
		w.refs[w.items[k]] = deltaRef{page: page, birth: c.seq, slot: uint32(k), size: uint32(len(block))}
	}
	le.PutUint16(b[headerSize+2*len(w.blocks):], uint16(at))
	h.put(b)
	seal(b, c.s.seed)
	c.s.cache.put(childRef{page: page, birth: c.seq, pages: 1}, b, false)
	c.deltas++
	w.items, w.blocks, w.size = w.items[:0], w.blocks[:0], 0
	return nil
}

// newestIn returns the newest timestamp of the records in a block that are not deletions.
func newestIn(block []byte) (ts uint64) {
	d := asDelta(block)
	for k := range d.n {
		if c := d.cell(k); !c.dead() {
			ts = max(ts, c.ts)
		}
	}
	return ts
}
