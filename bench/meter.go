package bench

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// meter measures operations, in total and since it was last read. Safe for concurrent use.
type meter struct {
	mu            sync.Mutex
	total, recent *hdrhistogram.Histogram // in ns
}

func newMeter() *meter { return &meter{total: newHistogram(), recent: newHistogram()} }

func (m *meter) add(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// A value outside the histogram's range is only missing from the percentiles.
	_ = m.recent.RecordValue(d.Nanoseconds())
}

// read returns the number of operations since the last reading, and their latency.
func (m *meter) read() (ops int64, l Latency) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ops, l = m.recent.TotalCount(), latencyOf(m.recent)
	m.total.Merge(m.recent)
	m.recent.Reset()
	return ops, l
}

// all returns the number of all operations, and their latency.
func (m *meter) all() (ops int64, l Latency) {
	m.read()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total.TotalCount(), latencyOf(m.total)
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
