package bench

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
)

// meter measures operations, in total and since it was last read. Safe for concurrent use.
type meter struct {
	mu            sync.Mutex
	total, recent *drive.Histogram // in ns
}

func newMeter() *meter { return &meter{total: drive.NewHistogram(), recent: drive.NewHistogram()} }

func (m *meter) add(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.recent.Add(d)
}

// read returns the number of operations since the last reading, and their latency.
func (m *meter) read() (ops int64, l Latency) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ops, l = m.recent.Count(), m.recent.Latency()
	m.total.Merge(m.recent)
	m.recent.Reset()
	return ops, l
}

// all returns the number of all operations, and their latency.
func (m *meter) all() (ops int64, l Latency) {
	m.read()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total.Count(), m.total.Latency()
}

// pauseLimit is the time without any commit that counts as a pause.
const pauseLimit = 100 * time.Millisecond

// pauses finds times in which nothing was committed. Safe for concurrent use.
type pauses struct {
	start   time.Time
	last    atomic.Int64 // time of the newest commit, in ns since the start
	count   atomic.Int64
	longest atomic.Int64 // ns
}

func newPauses() *pauses { return &pauses{start: time.Now()} }

// commit notes a commit now.
func (p *pauses) commit() {
	now := int64(time.Since(p.start))
	gap := now - p.last.Swap(now)
	if gap > int64(pauseLimit) {
		p.count.Add(1)
	}
	for {
		longest := p.longest.Load()
		if gap <= longest || p.longest.CompareAndSwap(longest, gap) {
			return
		}
	}
}
