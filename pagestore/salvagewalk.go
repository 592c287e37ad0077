package pagestore

import (
	"bytes"
	"context"
	"fmt"
	"slices"
)

// salvageWalk goes over one tree in key order.
type salvageWalk struct {
	v     *Salvage
	t     TreeID
	ctx   context.Context
	yield func(Record) error

	seen   bitmap            // pages that were read
	deltas map[PageID][]byte // of the level-1 node that is being walked; nil: damaged
	found  *orphanage        // what no intact node leads to; nil until it is needed

	last        []byte // key given last
	some        bool   // there is one
	saved, gone int64  // records
	value       []byte
}

// read returns the node that belongs at ref, or what is wrong with it.
func (w *salvageWalk) read(ref childRef, level int) (b []byte, what string) {
	for p := range PageID(ref.pages) {
		if w.seen.has(ref.page + p) {
			return nil, "it is reached from two places"
		}
	}
	if int64(ref.page+PageID(ref.pages))*int64(w.v.s.pageSize) > w.v.s.fileBytes.Load() {
		return nil, "the file ends before it"
	}
	for p := range PageID(ref.pages) {
		w.seen.set(ref.page + p)
	}
	b = make([]byte, int(ref.pages)*w.v.s.pageSize)
	if err := w.v.s.readNode(b, ref, w.t, level); err != nil {
		return nil, w.v.damage(err, kindName(level)).What
	}
	w.v.newest = max(w.v.newest, pageNewest(b))
	return b, ""
}

func kindName(level int) string {
	switch {
	case level > 0:
		return "inner node"
	case level == 0:
		return "leaf"
	}
	return "delta page"
}

// node saves a subtree. A count below zero is not known.
func (w *salvageWalk) node(ch child, level int, fe fences) error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	b, what := w.read(ch.childRef, level)
	switch {
	case what != "" && level > 0:
		return w.descendants(ch, level, fe, what)
	case what != "":
		return w.lostLeaf(ch, fe, what)
	case level > 0:
		return w.inner(b, level, fe)
	}
	o, what := w.overlay(asNode(b), ch)
	if what != "" {
		return w.outdated(&o, ch, fe, ch.delta.page, what)
	}
	return w.emit(&o)
}

func (w *salvageWalk) inner(b []byte, level int, fe fences) error {
	nd := asNode(b)
	if level == 1 {
		w.readDeltas(&nd)
	}
	low := fe.low
	for i := range nd.n {
		high := fe.high
		if i+1 < nd.n {
			high = nd.appendKey(nil, i+1)
		}
		if err := w.node(nd.child(i), level-1, fences{low, high}); err != nil {
			return err
		}
		low = high
	}
	return nil
}

func (w *salvageWalk) readDeltas(nd *node) {
	w.deltas = map[PageID][]byte{}
	for i := range nd.n {
		d := nd.child(i).delta
		if _, known := w.deltas[d.page]; known || d.page == 0 {
			continue
		}
		b, what := w.read(d.ref(), deltaLevel)
		w.deltas[d.page] = b
		if what != "" {
			w.v.lose(Loss{Page: d.page, Tree: w.t, What: what})
		}
	}
}

// overlay lays the delta over a leaf, or says why it cannot.
func (w *salvageWalk) overlay(nd node, ch child) (o overlay, what string) {
	o = overlay{nd: nd}
	if ch.delta.page == 0 {
		return o, ""
	}
	dn, what := w.delta(ch)
	if what == "" {
		o.dn = dn
		if what = o.verify(ch.page); what != "" {
			o.dn = delta{}
		}
	}
	return o, what
}

// delta returns the delta of a leaf.
func (w *salvageWalk) delta(ch child) (d delta, what string) {
	page := w.deltas[ch.delta.page]
	if page == nil {
		return d, "the page of its newest changes is damaged"
	}
	block, what := deltaBlock(page, ch.delta)
	if what != "" {
		return d, what
	}
	if d = asDelta(block); d.leaf() != ch.page {
		return delta{}, fmt.Sprintf("its newest changes belong to the leaf in page %d", d.leaf())
	}
	return d, ""
}

// lostLeaf saves what the delta has of a leaf that cannot be read.
func (w *salvageWalk) lostLeaf(ch child, fe fences, what string) error {
	before := w.saved
	if ch.delta.page != 0 {
		if d, bad := w.delta(ch); bad == "" {
			o := overlay{dn: d}
			if err := w.emit(&o); err != nil {
				return err
			}
		}
	}
	w.lost(Loss{Page: ch.page, What: what, From: fe.low, To: fe.high, Records: ch.count - (w.saved - before)})
	return nil
}

// outdated saves the records of a leaf of which something newer is lost, if that is wanted.
func (w *salvageWalk) outdated(o *overlay, ch child, fe fences, page PageID, what string) error {
	l := Loss{Page: page, What: what + ", so that the records of the leaf in page " + fmt.Sprint(ch.page) + " may be outdated", From: fe.low, To: fe.high}
	if !w.v.opts.KeepOutdated {
		l.Records = ch.count
		w.lost(l)
		return nil
	}
	before := w.saved
	err := w.emit(o)
	l.Outdated, l.Records = w.saved-before, -1 // and records that only the delta had
	w.lost(l)
	return err
}

// lost notes a loss.
func (w *salvageWalk) lost(l Loss) {
	l.Tree = w.t
	w.gone += max(l.Records, 0)
	if l.From == nil {
		l.From = []byte{}
	}
	w.v.lose(l)
}

// emit gives what is left of an overlay. A key that is not behind the last one can be in a file only that is damaged in a
// way that checksums do not see.
func (w *salvageWalk) emit(o *overlay) error {
	var key []byte
	for {
		c, from, at, ok := o.rest()
		if !ok {
			return nil
		}
		key = from.appendKey(key[:0], at)
		if w.some && bytes.Compare(key, w.last) <= 0 {
			continue
		}
		w.last, w.some = append(w.last[:0], key...), true
		rec := Record{Key: key, Value: c.val, Timestamp: c.ts}
		if c.flags&cellOverflow != 0 {
			ref := parseRef(c.val)
			var err error
			if w.value, err = w.v.s.appendOverflow(w.v.s.current.Load(), w.value[:0], ref); err != nil {
				l := w.v.damage(err, "overflow value")
				l.From, l.To, l.Records = bytes.Clone(key), append(bytes.Clone(key), 0), 1
				w.lost(l)
				continue
			}
			rec.Value = w.value
		}
		w.saved++
		if err := w.yield(rec); err != nil {
			return err
		}
	}
}

// descendants saves what lies below a damaged inner node: live nodes that nothing intact leads to, with keys in its range.
func (w *salvageWalk) descendants(ch child, level int, fe fences, what string) error {
	l := Loss{Page: ch.page, What: what, From: fe.low, To: fe.high, Records: ch.count}
	if w.v.live == nil {
		l.What += "; without a bitmap, what lies below it cannot be told from old pages"
		w.lost(l)
		return nil
	}
	if w.found == nil {
		var err error
		if w.found, err = w.gather(); err != nil {
			return err
		}
	}
	before := w.saved + w.gone
	tops := w.found.take(level, fe)
	if !slices.ContainsFunc(tops, func(o *orphan) bool { return o.level > 0 }) {
		if err := w.orphanLeaves(tops, ch, level, fe); err != nil {
			return err
		}
	} else if err := w.subtrees(tops, ch, fe); err != nil {
		return err
	}
	if l.Records = -1; ch.count >= 0 {
		l.Records = max(0, ch.count-(w.saved+w.gone-before))
	} else if w.found.unreadable == 0 {
		l.Records = 0 // all that is live is there
	}
	w.lost(l)
	return nil
}

// subtrees saves orphans of which some are inner nodes. The leaves among them have lost their parent, too.
func (w *salvageWalk) subtrees(tops []*orphan, ch child, fe fences) error {
	for i, top := range tops {
		within := fe
		if i > 0 {
			within.low = top.key
		}
		if i+1 < len(tops) {
			within.high = tops[i+1].key
		}
		var err error
		if top.level == 0 {
			err = w.orphanLeaves(tops[i:i+1], child{childRef: ch.childRef, count: -1}, maxHeight, within)
		} else {
			err = w.node(child{childRef: top.ref, count: -1}, top.level, within)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
