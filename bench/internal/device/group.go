package device

import (
	"sync"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
)

// Group is group commit and nothing else: goroutines append records, one writes and syncs them for all, and wakes who waits. What is left for an engine with so
// many writers is less, by all that it does besides. A lone writer writes and syncs by itself.
//
// Safe for concurrent use. Close ends its goroutine.
type Group struct {
	d    *Device
	mu   sync.Mutex
	next *round // guarded by mu
	seq  uint64 // of the next record; guarded by mu
	wake chan struct{}
	over chan struct{}

	// Those of the goroutine that syncs:
	woken int           // by the last round
	took  time.Duration // by its sync
}

// round is what one sync is for. Its fields are guarded by Group.mu until it is taken, and by done afterwards.
type round struct {
	first  uint64
	n      int
	target int           // closes full when so many wait; 0 is never
	full   chan struct{} // made by who waits for it
	done   chan struct{}
	err    error
}

// NewGroup starts a group on an open device, which must not be used otherwise until Close.
func NewGroup(d *Device) *Group {
	g := &Group{d: d, next: newRound(0), wake: make(chan struct{}, 1), over: make(chan struct{})}
	go g.run()
	return g
}

func newRound(first uint64) *round { return &round{first: first, done: make(chan struct{})} }

// Append adds a record and returns when it has been synced.
func (g *Group) Append() error {
	g.mu.Lock()
	r := g.next
	g.seq++
	r.n++
	first := r.n == 1
	if r.n == r.target {
		close(r.full)
		r.target = 0
	}
	g.mu.Unlock()
	if first {
		g.wake <- struct{}{}
	}
	<-r.done
	return r.err
}

// run syncs round after round. After each it waits for those that it woke, for as long as a sync takes at most: without that, two halves of
// the writers take turns.
func (g *Group) run() {
	defer close(g.over)
	for range g.wake {
		g.gather()
		g.mu.Lock()
		r := g.next
		g.next = newRound(g.seq)
		g.mu.Unlock()
		began := time.Now()
		r.err = g.d.appendAll(r.first, r.n)
		g.took, g.woken = time.Since(began), r.n
		close(r.done)
	}
}

func (g *Group) gather() {
	g.mu.Lock()
	r := g.next
	if g.woken <= r.n {
		g.mu.Unlock()
		return
	}
	r.target, r.full = g.woken, make(chan struct{})
	g.mu.Unlock()
	late := time.NewTimer(g.took)
	defer late.Stop()
	select {
	case <-r.full:
	case <-late.C:
		g.mu.Lock()
		r.target = 0
		g.mu.Unlock()
	}
}

// Close waits for the goroutine and returns how many records there are. REQUIRES: nobody appends.
func (g *Group) Close() uint64 {
	close(g.wake)
	<-g.over
	return g.seq
}

// appendAll writes records in one piece, or in two at the end of the file, and syncs.
func (d *Device) appendAll(first uint64, n int) error {
	for n > 0 {
		part := min(n, int(d.slots-first%d.slots))
		d.buf = d.buf[:0]
		for i := range part {
			d.buf = gen.AppendValue(d.buf, first+uint64(i), 0, d.record)
		}
		if _, err := d.file.WriteAt(d.buf, d.at(first)); err != nil {
			return err
		}
		first, n = first+uint64(part), n-part
	}
	return syncData(d.file)
}
