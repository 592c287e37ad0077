package versions

import (
	"sync"
	"unsafe"
)

// pieceSize is the number of new keys that are allocated together, in 4 KiB.
const pieceSize = 4096 / int(unsafe.Sizeof(newborn{}))

// nurseries is how many pieces a table allocates from at a time.
const nurseries = 4

// nursery has room for new keys. Entries live as long as their table, so that sharing a piece retains nothing.
type nursery struct {
	mu struct {
		sync.Mutex
		free []newborn
	}
	_ [cacheLine - 32]byte
}

// take returns n new keys.
func (nu *nursery) take(n int) []newborn {
	if n > pieceSize/2 {
		return make([]newborn, n)
	}
	nu.mu.Lock()
	defer nu.mu.Unlock()
	if len(nu.mu.free) < n {
		nu.mu.free = make([]newborn, pieceSize)
	}
	born := nu.mu.free[:n:n]
	nu.mu.free = nu.mu.free[n:]
	return born
}
