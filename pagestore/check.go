package pagestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
)

// maxProblems is how many problems a report holds.
const maxProblems = 100

// CheckReport says what Check verified.
type CheckReport struct {
	Pages, Records, OverflowValues, FreePages int64
	Bytes                                     int64
	Problems                                  []error // each a *CorruptionError; at most 100
}

// Check reads every page that the newest superblock reaches, from the file and not from the cache, and verifies
// checksums, page numbers, key order, fences, timestamps, counts of records and pages, and the allocation bitmaps (each
// page is reached once or free). The pages are kept from being reused meanwhile, so checkpoints may be committed. progress (may be nil) is
// called now and then with pages done and their total. Damage is in the report; the error is for what kept Check from
// its work: the context's cause, ErrClosed, or what the file system says.
func (s *Store) Check(ctx context.Context, progress func(done, total int64)) (CheckReport, error) {
	if s.closed.Load() {
		return CheckReport{}, ErrClosed
	}
	v, release := s.hold()
	defer release()
	k := &checker{s: s, v: v, ctx: ctx, progress: progress}
	k.seen.set(0)
	k.seen.set(1)
	k.rep.Pages = 2
	for t := range TreeID(NumTrees) {
		if err := k.checkTree(t); err != nil {
			return k.rep, err
		}
	}
	if err := k.checkMap(); err != nil {
		return k.rep, err
	}
	k.checkSpace()
	if err := k.checkSupers(); err != nil {
		return k.rep, err
	}
	k.rep.FreePages = int64(v.sb.end) - k.rep.Pages
	k.rep.Bytes = k.rep.Pages * int64(s.pageSize)
	k.report(true)
	return k.rep, nil
}

type checker struct {
	s        *Store
	v        *version
	ctx      context.Context
	progress func(done, total int64)
	seen     bitmap
	space    [NumTrees]treePages
	rep      CheckReport
}

// problem records damage; what else is wrong with a subtree that cannot be read stays unknown.
func (k *checker) problem(page PageID, format string, args ...any) {
	k.note(k.s.corrupt(page, fmt.Sprintf(format, args...)))
}

func (k *checker) note(err error) {
	if len(k.rep.Problems) < maxProblems {
		k.rep.Problems = append(k.rep.Problems, err)
	}
}

// filter notes damage and returns other errors.
func (k *checker) filter(err error) error {
	if errors.Is(err, ErrCorrupt) {
		k.note(err)
		return nil
	}
	return err
}

func (k *checker) report(last bool) {
	if k.progress != nil && (last || k.rep.Pages%256 == 0) {
		k.progress(k.rep.Pages, k.v.sb.live)
	}
}

// reach marks pages as reached. It reports false when they may not be read.
func (k *checker) reach(p PageID, n int) bool {
	if p < 2 || p+PageID(n) > k.v.sb.end {
		k.problem(p, "it is reached but lies outside of the file")
		return false
	}
	for i := range PageID(n) {
		if k.seen.has(p + i) {
			k.problem(p+i, "it is reached from two places")
			return false
		}
		k.seen.set(p + i)
		k.rep.Pages++
		k.report(false)
	}
	return true
}

// subtree is what a parent says about a child, or a walk found out.
type subtree struct {
	count    int64
	maxTS    uint64
	overflow bool // it has overflow values
}

func (k *checker) checkTree(t TreeID) error {
	root := k.v.sb.trees[t]
	if root.height == 0 {
		return nil
	}
	w := treeWalk{k: k, t: t}
	want := subtree{root.count, root.maxTS, false}
	got, err := w.node(child{childRef: root.childRef}, root.height-1, fences{}, want)
	if got.overflow = false; err == nil && got != want {
		k.problem(PageID(k.v.slot), "tree %d has %d records up to timestamp %d, the superblock says %d up to %d",
			t, got.count, got.maxTS, want.count, want.maxTS)
	}
	return err
}

type treeWalk struct {
	k *checker
	t TreeID

	deltas map[PageID][]byte // verified delta pages of the level-1 node that is being walked
}

// fences bound the keys of a subtree: [low, high); high nil: no bound.
type fences struct{ low, high []byte }

// node verifies a subtree and says what it has, or want when it cannot be read. The depth of the recursion is the
// height, which superblock and levels bound.
func (w *treeWalk) node(ch child, level int, fe fences, want subtree) (got subtree, err error) {
	k, ref := w.k, ch.childRef
	if k.ctx.Err() != nil {
		return want, context.Cause(k.ctx)
	}
	if !k.reach(ref.page, int(ref.pages)) {
		return want, nil
	}
	b := make([]byte, int(ref.pages)*k.s.pageSize)
	if err := k.s.readNode(b, ref, w.t, level); err != nil {
		return want, k.filter(err)
	}
	k.space[w.t].addNode(level, int64(ref.pages))
	nd := asNode(b)
	if level == 0 {
		return w.leaf(nd, ch, fe, want)
	}
	return w.inner(&nd, ref.page, level, fe)
}

func (w *treeWalk) inner(nd *node, page PageID, level int, fe fences) (sum subtree, err error) {
	low := fe.low
	sum.maxTS = nd.maxTS()
	if level == 1 {
		if err := w.readDeltas(nd); err != nil {
			return sum, err
		}
	}
	for i := range nd.n {
		high := fe.high
		if i+1 < nd.n {
			high = nd.appendKey(nil, i+1)
			w.checkFence(page, high, fe)
		}
		c := nd.child(i)
		want := subtree{c.count, c.maxTS, c.flags&cellOverflow != 0}
		got, err := w.node(c, level-1, fences{low, high}, want)
		if err != nil {
			return sum, err
		}
		if got != want {
			w.k.problem(c.page, "its records, newest timestamp and overflow are %v, its parent says %v", got, want)
		}
		sum.count += c.count
		sum.overflow = sum.overflow || want.overflow
		low = high
	}
	return sum, nil
}

func (w *treeWalk) leaf(nd node, ch child, fe fences, want subtree) (sum subtree, err error) {
	k := w.k
	o, ok := w.overlay(nd, ch)
	if !ok {
		return want, nil
	}
	w.checkFence(ch.page, nd.appendKey(nil, 0), fe)
	w.checkFence(ch.page, nd.appendKey(nil, nd.n-1), fe)
	for {
		c, _, _, ok := o.rest()
		if !ok {
			break
		}
		sum.count++
		sum.maxTS = max(sum.maxTS, c.ts)
		if c.flags&cellOverflow != 0 {
			sum.overflow = true
			if err := w.overflow(parseRef(c.val)); err != nil {
				return sum, err
			}
		}
	}
	k.rep.Records += sum.count
	return sum, nil
}

// overflow verifies every run of a value.
func (w *treeWalk) overflow(ref OverflowRef) error {
	k := w.k
	k.rep.OverflowValues++
	if err := k.s.checkOverflowSize(ref); err != nil {
		return k.filter(err)
	}
	k.space[w.t].overflow += overflowLength(ref.Size, k.s.pageSize)
	var pages []PageID
	for i := range runCount(ref.Size) {
		page, r := ref.Page, runOf(ref.Size, i, k.s.pageSize)
		if i > 0 {
			page = pages[i-1]
		}
		if !k.reach(page, int(r.pages)) {
			return nil
		}
		buf := make([]byte, int(r.pages)*k.s.pageSize)
		err := k.s.readRun(buf, ref, page, i)
		if err == nil && i == 0 {
			pages, err = k.s.runDirectory(buf, ref.Size)
		}
		if err != nil {
			return k.filter(err)
		}
	}
	return nil
}

func (w *treeWalk) checkFence(page PageID, key []byte, fe fences) {
	if bytes.Compare(key, fe.low) < 0 || fe.high != nil && bytes.Compare(key, fe.high) >= 0 {
		w.k.problem(page, "key %x is outside of its parent's separators", key[:min(len(key), 32)])
	}
}

// checkSpace compares the counts of pages in the superblock with what was reached, when that is all there is.
func (k *checker) checkSpace() {
	if len(k.rep.Problems) > 0 {
		return
	}
	sb := k.v.sb
	for t, got := range k.space {
		if sb.counted(TreeID(t)) && got != sb.space[t] {
			k.problem(PageID(k.v.slot), "tree %d has %s, the superblock says %s", t, got, sb.space[t])
		}
	}
}

// checkSupers verifies both superblocks, but not the one that a checkpoint may be writing.
func (k *checker) checkSupers() error {
	b := make([]byte, superSize)
	for slot := range 2 {
		if _, err := k.s.file.ReadAt(b, int64(slot*k.s.pageSize)); err != nil {
			return k.s.ioError(err, "read superblock %d", slot)
		}
		sb, what, err := k.s.parseSuper(b, slot*k.s.pageSize)
		if err != nil {
			return err
		}
		if sb == nil && (slot == k.v.slot || k.quiet()) {
			k.problem(PageID(slot), "superblock: %s", what)
		}
	}
	return nil
}

// quiet reports whether nobody has written a superblock since the check began.
func (k *checker) quiet() bool {
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	return k.s.mu.open == nil && k.s.mu.durable == k.v
}

// checkMap compares the bitmap in the file with what was reached.
func (k *checker) checkMap() error {
	sb := k.v.sb
	live, chunks, err := k.s.readMap(sb)
	if err != nil {
		return k.filter(err)
	}
	for _, ref := range slices.Concat(sb.index, chunks) {
		if ref.page != 0 {
			k.reach(ref.page, 1)
		}
	}
	if len(k.rep.Problems) > 0 {
		return nil // a subtree that cannot be read makes its pages look lost
	}
	for p := range sb.end {
		switch {
		case k.seen.has(p) && !live.has(p):
			k.problem(p, "it is in use, but the bitmap says free")
		case live.has(p) && !k.seen.has(p):
			k.problem(p, "the bitmap says in use, but nothing leads to it")
		}
	}
	if n := live.count(); n != sb.live {
		k.problem(PageID(k.v.slot), "superblock counts %d live pages, the bitmap has %d", sb.live, n)
	}
	if live.end() != sb.end {
		k.problem(PageID(k.v.slot), "superblock ends at page %d, the bitmap at %d", sb.end, live.end())
	}
	return nil
}
