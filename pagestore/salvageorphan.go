package pagestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
)

// orphan is an intact live node that no intact node leads to.
type orphan struct {
	ref   childRef
	level int
	key   []byte // the smallest key below it that can be read
	taken bool
}

// orphanDelta is a delta in a page that no intact node leads to. It means something only if the lost parent said so.
type orphanDelta struct {
	birth uint64
	block []byte
}

// orphanage has what a scan over the live pages has found. The bitmap is exact (I8): each node in it belongs to the version.
type orphanage struct {
	tops       []*orphan
	deltas     map[PageID][]orphanDelta // by leaf
	unreadable int                      // pages that are live, and damaged or inside of something damaged
}

// take returns the orphans for a damaged node, in key order.
func (f *orphanage) take(level int, fe fences) (tops []*orphan) {
	for _, o := range f.tops {
		if o.taken || o.level >= level || bytes.Compare(o.key, fe.low) < 0 || fe.high != nil && bytes.Compare(o.key, fe.high) >= 0 {
			continue
		}
		o.taken = true
		tops = append(tops, o)
	}
	return tops
}

// gather scans the live pages for orphans of the tree.
func (w *salvageWalk) gather() (*orphanage, error) {
	reached := bitmap{}
	if root := w.v.sb.trees[w.t]; w.v.superblocks > 0 {
		w.mark(&reached, root.childRef, root.height-1)
	}
	f := &orphanage{deltas: map[PageID][]orphanDelta{}}
	referenced := map[childRef]bool{}
	err := w.v.eachPage(w.ctx, func(p PageID, b []byte) {
		switch {
		case b == nil && !reached.has(p):
			f.unreadable++
		case b != nil && !reached.has(p) && b[offTree] == byte(w.t):
			f.add(p, b, w.t, w.v.s.pageSize, referenced)
		}
	})
	if err != nil {
		return nil, err
	}
	f.tops = slices.DeleteFunc(f.tops, func(o *orphan) bool {
		if referenced[o.ref] {
			return true
		}
		o.key = w.smallest(o.ref, o.level)
		return o.key == nil
	})
	slices.SortFunc(f.tops, func(a, b *orphan) int { return bytes.Compare(a.key, b.key) })
	return f, nil
}

// add takes in a page of the tree.
func (f *orphanage) add(p PageID, b []byte, t TreeID, pageSize int, referenced map[childRef]bool) {
	level := int(b[offLevel])
	if b[offKind] == kindDelta {
		level = deltaLevel
	}
	if verifyNode(b, t, level, pageSize) != "" {
		f.unreadable++
		return
	}
	nd := asNode(b)
	if level == deltaLevel {
		for k := range nd.n {
			at := headerSize + 2*k
			block := bytes.Clone(b[binary.LittleEndian.Uint16(b[at:]):binary.LittleEndian.Uint16(b[at+2:])])
			d := asDelta(block)
			f.deltas[d.leaf()] = append(f.deltas[d.leaf()], orphanDelta{nd.birth(), block})
		}
		return
	}
	ref := childRef{page: p, birth: nd.birth(), pages: binary.LittleEndian.Uint32(b[offPages:])}
	f.tops = append(f.tops, &orphan{ref: ref, level: level})
	if level == 0 {
		return
	}
	for i := range nd.n {
		referenced[nd.child(i).childRef] = true
	}
}

// mark notes all pages that intact inner nodes lead to.
func (w *salvageWalk) mark(reached *bitmap, ref childRef, level int) {
	if ref.page+PageID(ref.pages) > w.v.sb.end || reached.has(ref.page) {
		return
	}
	for p := range PageID(ref.pages) {
		reached.set(ref.page + p)
	}
	if level <= 0 {
		return
	}
	b := make([]byte, int(ref.pages)*w.v.s.pageSize)
	if w.v.s.readNode(b, ref, w.t, level) != nil {
		return
	}
	nd := asNode(b)
	for i := range nd.n {
		c := nd.child(i)
		w.mark(reached, c.childRef, level-1)
		if c.delta.page != 0 {
			reached.set(c.delta.page)
		}
	}
}

// smallest returns the least key below a node that can be read, nil when there is none.
func (w *salvageWalk) smallest(ref childRef, level int) []byte {
	b := make([]byte, int(ref.pages)*w.v.s.pageSize)
	if w.v.s.readNode(b, ref, w.t, level) != nil {
		return nil
	}
	nd := asNode(b)
	if level == 0 {
		return nd.appendKey([]byte{}, 0)
	}
	if key := w.smallest(nd.child(0).childRef, level-1); key != nil {
		return key
	}
	if nd.n > 1 {
		return nd.appendKey([]byte{}, 1)
	}
	return nil
}

// orphanLeaves saves leaves whose parent is lost, and with it what it said of their deltas. A delta page may hold deltas
// that mean nothing any more, so of those that fit a leaf the newest is chosen, and what the grandparent says of the
// records and their newest timestamp decides whether that was right.
func (w *salvageWalk) orphanLeaves(tops []*orphan, parent child, level int, fe fences) error {
	overlays := make([]overlay, len(tops))
	candidates := make([]int, len(tops))
	var sum subtree
	some := false
	for i, top := range tops {
		b, what := w.read(top.ref, 0)
		if what != "" {
			continue // it was intact when it was found: read twice, or the device is failing
		}
		overlays[i].nd = asNode(b)
		candidates[i] = w.found.choose(&overlays[i], top.ref)
		o := overlays[i]
		s := o.sum()
		sum.count, sum.maxTS = sum.count+s.count, max(sum.maxTS, s.maxTS)
		some = some || candidates[i] > 0
	}
	proven := level == 1 && parent.count >= 0 && sum.count == parent.count && sum.maxTS == parent.maxTS
	for i, top := range tops {
		if overlays[i].nd.b == nil {
			continue
		}
		var err error
		if proven || candidates[i] == 0 && w.found.unreadable == 0 && (some || parent.count < 0) {
			err = w.emit(&overlays[i])
		} else {
			err = w.doubtful(&overlays[i], top)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// doubtful treats a leaf as outdated whose newest changes are not known.
func (w *salvageWalk) doubtful(o *overlay, top *orphan) error {
	last := o.nd.appendKey(nil, o.nd.n-1)
	ch := child{childRef: top.ref, count: int64(o.nd.n)}
	return w.outdated(o, ch, fences{top.key, append(last, 0)}, top.ref.page, "its parent is damaged and its newest changes are not known")
}

// choose lays the newest of the deltas that fit over a leaf, and says how many do.
func (f *orphanage) choose(o *overlay, leaf childRef) (fitting int) {
	var best orphanDelta
	for _, d := range f.deltas[leaf.page] {
		try := overlay{nd: o.nd, dn: asDelta(d.block)}
		if d.birth < leaf.birth || try.verify(leaf.page) != "" {
			continue
		}
		if fitting++; fitting == 1 || newerDelta(d, best) {
			best, o.dn = d, try.dn
		}
	}
	return fitting
}

// newerDelta reports whether a was made after b, both for one leaf. For a key in both, timestamps tell. If they do not,
// the births do, unless a page was moved.
func newerDelta(a, b orphanDelta) bool {
	x, y := asDelta(a.block), asDelta(b.block)
	for i := range x.n {
		key := x.appendKey(nil, i)
		k, found := y.search(key, 0)
		if !found {
			continue
		}
		cx, cy := x.cell(i), y.cell(k)
		if !cx.dead() && !cy.dead() && cx.ts != cy.ts {
			return cx.ts > cy.ts
		}
	}
	return a.birth > b.birth
}

// eachPage calls f with each live page or row of pages that is intact in itself, and with nil for a page that is not.
// Without a bitmap all pages count.
func (v *Salvage) eachPage(ctx context.Context, f func(p PageID, b []byte)) error {
	page := make([]byte, v.s.pageSize)
	for p := PageID(2); p < v.sb.end; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if v.live != nil && !v.live.has(p) {
			p = v.live.nextSet(p, v.sb.end)
			continue
		}
		b := v.intact(p, page)
		f(p, b)
		p += PageID(max(1, len(b)/v.s.pageSize))
	}
	return nil
}

// intact returns the page or row of pages at p if it is intact in itself and not newer than the version, else nil.
func (v *Salvage) intact(p PageID, page []byte) []byte {
	if v.s.readAt(page, p) != nil {
		return nil
	}
	n := binary.LittleEndian.Uint32(page[offPages:])
	b := page
	switch {
	case n == 0 || n > max(maxNodePages(v.s.pageSize), runBytes/uint32(v.s.pageSize)):
		return nil
	case n > 1:
		if p+PageID(n) > v.sb.end {
			return nil
		}
		b = make([]byte, int(n)*v.s.pageSize)
		if v.s.readAt(b, p) != nil {
			return nil
		}
	}
	birth := binary.LittleEndian.Uint64(b[offBirth:])
	if birth > v.sb.sequence || verifyPage(b, v.s.seed, childRef{page: p, birth: birth, pages: n}, v.s.pageSize) != "" {
		return nil
	}
	if v.superblocks == 0 {
		v.newest = max(v.newest, pageNewest(b))
	}
	return b
}

// pageNewest returns the newest timestamp in a node, 0 in other pages.
func pageNewest(b []byte) uint64 {
	if k := b[offKind]; k == kindLeaf || k == kindInner || k == kindDelta {
		return binary.LittleEndian.Uint64(b[offMaxTS:])
	}
	return 0
}

// rebuild finds a version in a file without superblocks: page size and seed of the checksums from the pages, and the live
// pages from the newest bitmap of which all live pages are intact. A checkpoint that a crash has ended may have left pages,
// too; its version, if it is whole, has nothing that was not durable in the log.
func (v *Salvage) rebuild(ctx context.Context, size int64) error {
	if v.s.pageSize, v.s.seed = findSeed(v.s.file, size); v.s.pageSize == 0 {
		return &NotDatabaseError{File: v.s.name, Found: "no intact page of one"}
	}
	v.sb = &superblock{pageSize: v.s.pageSize, sequence: ^uint64(0), end: PageID(size / int64(v.s.pageSize))}
	v.show()
	index := map[uint64][]childRef{} // index pages by number
	if err := v.eachPage(ctx, func(p PageID, b []byte) {
		if b != nil && b[offKind] == kindIndex {
			i := binary.LittleEndian.Uint64(b[offBaseTS:])
			index[i] = append(index[i], childRef{page: p, birth: binary.LittleEndian.Uint64(b[offBirth:]), pages: 1})
		}
	}); err != nil {
		return err
	}
	slices.SortFunc(index[0], func(a, b childRef) int { return int(int64(b.birth - a.birth)) })
	index[0] = index[0][:min(len(index[0]), 2)] // the log is kept for two versions
	fewest := -1
	var best superblock
	var bestLive bitmap
	for _, ref := range index[0] {
		sb := *v.sb
		sb.sequence, sb.index = ref.birth, indexAt(index, ref.birth)
		live, _, err := v.s.readMap(&sb)
		if err != nil {
			continue
		}
		bad := 0
		try := &Salvage{s: v.s, sb: &sb, live: live}
		if err := try.eachPage(ctx, func(_ PageID, b []byte) {
			if b == nil {
				bad++
			}
		}); err != nil {
			return err
		}
		if fewest < 0 || bad < fewest {
			fewest, best, bestLive = bad, sb, live
		}
		if bad == 0 {
			break
		}
	}
	if fewest < 0 {
		v.lose(Loss{What: "no bitmap is left either, so that live pages cannot be told from old ones", Records: -1})
		return nil
	}
	v.sb, v.live, v.newest = &best, bestLive, 0
	v.show()
	v.lose(Loss{What: fmt.Sprintf("both superblocks are damaged; the version of checkpoint %d was found by its pages", best.sequence)})
	return nil
}

// indexAt returns the newest index pages that are not newer than a checkpoint.
func indexAt(index map[uint64][]childRef, birth uint64) (refs []childRef) {
	for i := range uint64(maxIndex) {
		var newest childRef
		for _, r := range index[i] {
			if r.birth <= birth && r.birth >= newest.birth {
				newest = r
			}
		}
		if newest.page == 0 {
			break
		}
		refs = append(refs, newest)
	}
	return refs
}
