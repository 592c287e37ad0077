package pagestore

import (
	"maps"
	"slices"
	"sync"
)

// allocator hands out pages to one checkpoint. A page is free when no protected version has it (I2) and this
// checkpoint has not taken it; so pages freed by the checkpoint itself are not taken again.
//
// Its alloc, allocSome, giveBack and free may be called by several workers of a checkpoint at the same time; mu guards it
// then. All else belongs to the goroutine that owns the checkpoint, while no worker runs.
type allocator struct {
	mu   sync.Mutex
	busy bitmap // union of all protected versions, of what was taken, and of kept
	kept bitmap // free pages in rows that are being emptied
	next bitmap // live pages of the version being built

	low    PageID         // no free page lies below
	lowRun map[int]PageID // per run length: no free run of that length starts below
	limit  PageID         // the bitmap index cannot describe pages from here on
	freed  int64          // pages
}

func newAllocator(current bitmap, protected []bitmap, limit PageID) *allocator {
	a := &allocator{next: slices.Clone(current), low: 2, lowRun: map[int]PageID{}, limit: limit}
	for _, m := range protected {
		a.busy.union(m)
	}
	return a
}

// alloc takes n contiguous pages, the lowest there are: low pages first, so that the tail of the file becomes free.
func (a *allocator) alloc(n int) (PageID, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.allocLocked(n)
}

// allocSome appends up to n single pages to dst, at least one.
func (a *allocator) allocSome(dst []PageID, n int) ([]PageID, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for k := range n {
		p, err := a.allocLocked(1)
		if err != nil && k == 0 {
			return dst, err
		}
		if err != nil {
			break
		}
		dst = append(dst, p)
	}
	return dst, nil
}

// giveBack takes back single pages that were not written.
func (a *allocator) giveBack(pages []PageID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range pages {
		a.busy.clear(p)
		a.next.clear(p)
		a.low = min(a.low, p)
	}
	clear(a.lowRun)
}

func (a *allocator) allocLocked(n int) (PageID, error) {
	from := max(a.low, a.lowRun[n])
	p := a.busy.nextRun(from, n)
	if p+PageID(n) > a.limit {
		return 0, ErrFull
	}
	if n == 1 {
		a.low = p + 1
	} else {
		a.lowRun[n] = p + PageID(n)
	}
	for i := range PageID(n) {
		a.busy.set(p + i)
		a.next.set(p + i)
	}
	return p, nil
}

// allocBelow takes rows of contiguous pages in front of limit, or returns nil and takes nothing.
func (a *allocator) allocBelow(rows []int, limit PageID) []PageID {
	low, lowRun := a.low, maps.Clone(a.lowRun)
	pages := make([]PageID, 0, len(rows))
	for _, n := range rows {
		p := a.busy.nextRun(max(a.low, a.lowRun[n]), n)
		if p+PageID(n) > limit {
			a.untake(pages, rows)
			a.low, a.lowRun = low, lowRun
			return nil
		}
		p, _ = a.alloc(n) // limit is below what can fail
		pages = append(pages, p)
	}
	return pages
}

func (a *allocator) untake(pages []PageID, rows []int) {
	for i, p := range pages {
		for k := range PageID(rows[i]) {
			a.busy.clear(p + k)
			a.next.clear(p + k)
		}
	}
}

// reusable returns how many pages in front of the end of the next version can still be taken.
func (a *allocator) reusable() int64 {
	return a.busy.countClear(a.next.end())
}

// free gives n pages back to the version after the next one.
func (a *allocator) free(p PageID, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range PageID(n) {
		a.next.clear(p + i)
	}
	a.freed += int64(n)
}
