package pagestore

import "sync"

// largeNodes caches nodes of several pages. They live on the Go heap, so they need no pins: the garbage collector
// keeps what a reader holds. The oldest go first.
type largeNodes struct {
	limit int64
	mu    struct {
		sync.Mutex
		m     map[childRef][]byte
		queue []childRef
		bytes int64
	}
}

func (l *largeNodes) get(ref childRef) ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.mu.m[ref]
	return b, ok
}

// put keeps b, which nobody may change afterwards, unless it is larger than the whole share.
func (l *largeNodes) put(ref childRef, b []byte) {
	size := int64(len(b))
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.mu.m[ref]; ok || size > l.limit {
		return
	}
	for l.mu.bytes+size > l.limit {
		old := l.mu.queue[0]
		l.mu.queue = l.mu.queue[1:]
		l.mu.bytes -= int64(len(l.mu.m[old]))
		delete(l.mu.m, old)
	}
	if l.mu.m == nil {
		l.mu.m = map[childRef][]byte{}
	}
	l.mu.m[ref] = b
	l.mu.queue = append(l.mu.queue, ref)
	l.mu.bytes += size
}

func (l *largeNodes) bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.bytes
}
