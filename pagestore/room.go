package pagestore

import (
	"math/bits"
	"slices"
)

// An overflow run needs a row of pages. When single nodes lie all over the front of the file, no row there is free, and
// long values hold the end of the file. So Vacuum makes room for them:
//
//	checkpoint N    a value finds no place: the emptiest rows of its lengths are kept, nobody takes their free pages
//	           N+1  what lies in the rows moves elsewhere
//	           N+3  the pages of the rows can be written (I2): the value moves in
//
// All of this is kept in memory only. What gets lost in a restart or an abort is done again.

// keptRow is a row of pages that is being emptied.
type keptRow struct {
	page PageID
	n    int
}

func (r keptRow) touches(p PageID, n int) bool { return p < r.page+PageID(r.n) && p+PageID(n) > r.page }

// room is rows for one value, one per run, kept since checkpoint seq.
type room struct {
	rows  []keptRow
	seq   uint64
	tried bool // everything that can be moved was moved
}

const (
	roomFor  = 5  // checkpoints that a room may take to become empty
	mostHard = 64 // rows remembered as hard
)

// keep withdraws the free pages of a row from allocation and returns how many these are.
func (a *allocator) keep(r keptRow) (n int) {
	for p := r.page; p < r.page+PageID(r.n); p++ {
		if !a.busy.has(p) {
			a.busy.set(p)
			a.kept.set(p)
			n++
		}
	}
	return n
}

// empty reports whether all pages of a kept row can be written.
func (a *allocator) empty(r keptRow) bool {
	return a.kept.nextClear(r.page) >= r.page+PageID(r.n)
}

// release offers the free pages of a kept row again.
func (a *allocator) release(r keptRow) {
	for p := r.page; p < r.page+PageID(r.n); p++ {
		if a.kept.has(p) {
			a.kept.clear(p)
			a.busy.clear(p)
		}
	}
	a.low = min(a.low, r.page)
	clear(a.lowRun)
}

// openRooms gives rooms that have become empty to allocation, and those that will not: part of a long value may lie
// there that has no place itself. Such rows are not tried again for a while.
func (c *Checkpoint) openRooms() {
	c.s.rooms = slices.DeleteFunc(c.s.rooms, func(r room) bool {
		full, hard := false, false
		for _, row := range r.rows {
			full = full || !c.alloc.empty(row)
			if r.tried && c.base.live.countSet(row.page, row.n) > 0 {
				hard = true
				c.s.hard = append(c.s.hard, row)
			}
		}
		if full && !hard && c.seq <= r.seq+roomFor {
			return false
		}
		for _, row := range r.rows {
			c.alloc.release(row)
		}
		return true
	})
	c.s.hard = c.s.hard[max(0, len(c.s.hard)-mostHard):]
}

// makeRoom picks rows to be emptied for a value that found no place, as far as their content has one elsewhere and the
// checkpoint may still move that much; for one value it always may. It reports whether there are such rows.
func (v *vacuum) makeRoom(runs []int) bool {
	r := room{seq: v.c.seq}
	moving, keeping := 0, 0
	for _, n := range runs {
		page, live := v.emptiest(n)
		moving += live
		if page == 0 || v.planned > 0 && moving > v.left || keeping+moving > v.room {
			for _, row := range r.rows {
				v.c.alloc.release(row)
			}
			return false
		}
		row := keptRow{page, n}
		r.rows = append(r.rows, row)
		keeping += v.c.alloc.keep(row)
	}
	v.planned += moving
	v.left -= moving
	v.room -= keeping + moving
	v.c.s.rooms = append(v.c.s.rooms, r)
	return true
}

// emptiest returns the row of n pages in front of the end part that has the fewest live pages, and how many. Rows with
// pages that this checkpoint wrote cannot be emptied by it. Page 0 means that there is none.
func (v *vacuum) emptiest(n int) (best PageID, live int) {
	a, old := v.c.alloc, v.c.base.live
	live = n
	step := max(1, PageID(n)/2)
	for p := PageID(2); p+PageID(n) <= v.from; p += step {
		used := a.next.countSet(p, n)
		if used < live && used == both(a.next, old, p, n) && a.kept.countSet(p, n) == 0 &&
			(used == 0 || !slices.ContainsFunc(v.c.s.hard, func(r keptRow) bool { return r.touches(p, n) })) {
			best, live = p, used
		}
	}
	return best, live
}

// countSet returns how many of the bits [p, p+n) are set.
func (m bitmap) countSet(p PageID, n int) int { return both(m, m, p, n) }

// both returns how many of the bits [p, p+n) are set in two bitmaps.
func both(a, b bitmap, p PageID, n int) (sum int) {
	end := p + PageID(n)
	for w := p / 64; w*64 < end && w < PageID(min(len(a), len(b))); w++ {
		word := a[w] & b[w]
		if w == p/64 {
			word &= ^uint64(0) << (p % 64)
		}
		if left := end - w*64; left < 64 {
			word &= 1<<left - 1
		}
		sum += bits.OnesCount64(word)
	}
	return sum
}
