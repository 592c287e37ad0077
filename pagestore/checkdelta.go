package pagestore

import "fmt"

// readDeltas reads the delta pages that a level-1 node leads to. No other node may lead to them (I9).
func (w *treeWalk) readDeltas(nd *node) error {
	w.deltas = map[PageID][]byte{}
	for i := range nd.n {
		d := nd.child(i).delta
		if _, ok := w.deltas[d.page]; ok || d.page == 0 {
			continue
		}
		w.deltas[d.page] = nil
		if !w.k.reach(d.page, 1) {
			continue
		}
		b := make([]byte, w.k.s.pageSize)
		if err := w.k.s.readNode(b, d.ref(), w.t, deltaLevel); err != nil {
			if err = w.k.filter(err); err != nil {
				return err
			}
			continue
		}
		w.k.space[w.t].addNode(deltaLevel, 1)
		w.deltas[d.page] = b
	}
	return nil
}

// overlay lays a leaf's delta over it and verifies that they belong together. It reports false when the delta cannot be
// used.
func (w *treeWalk) overlay(nd node, ch child) (o overlay, ok bool) {
	o = overlay{nd: nd}
	if ch.delta.page == 0 {
		return o, true
	}
	page := w.deltas[ch.delta.page]
	if page == nil {
		return o, false // said already
	}
	block, what := deltaBlock(page, ch.delta)
	if what == "" {
		o.dn = asDelta(block)
		what = o.verify(ch.page)
	}
	if what != "" {
		w.k.problem(ch.delta.page, "delta %d: %s", ch.delta.slot, what)
	}
	return o, what == ""
}

// verify compares the places that a delta names with the keys of its leaf.
func (o *overlay) verify(leaf PageID) string {
	if o.dn.leaf() != leaf {
		return fmt.Sprintf("it belongs to the leaf in page %d, not %d", o.dn.leaf(), leaf)
	}
	var key []byte
	for k := range o.dn.n {
		key = o.dn.appendKey(key[:0], k)
		i, found := o.nd.search(key, 0)
		if o.dn.before(k) != i || o.dn.after(k) > i != found {
			return fmt.Sprintf("record %d names place %d in the leaf, its key belongs to cell %d", k, o.dn.spot(k), i)
		}
	}
	return ""
}
