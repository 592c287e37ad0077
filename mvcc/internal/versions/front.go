package versions

import (
	"math"
	"sync"
	"sync/atomic"
)

const (
	shardBits  = 8
	shardCount = 1 << shardBits
	firstSlots = 8
	cacheLine  = 64
)

// slot is one place of the front. The entry is stored first and the hash last (V6).
type slot struct {
	hash  atomic.Uint64
	entry atomic.Pointer[entry]
}

// slots is an open-addressed table of a power of two places, with at least one of them empty.
type slots struct {
	mask  uint64
	table []slot
}

func newSlots(size int) *slots {
	return &slots{mask: uint64(size - 1), table: make([]slot, size)}
}

// find returns the entry of the key, nil if there is none. It takes no lock.
func (s *slots) find(hash uint64, key []byte) *entry {
	for i := home(hash) & s.mask; ; i = (i + 1) & s.mask {
		switch s.table[i].hash.Load() {
		case 0:
			return nil
		case hash:
			if e := s.table[i].entry.Load(); string(e.key) == string(key) {
				return e
			}
		}
	}
}

// add puts the entry in the first empty place. REQUIRES: the shard's mutex is held (or s is not
// yet published), the key is not there, and two places are empty.
func (s *slots) add(hash uint64, e *entry) {
	i := home(hash) & s.mask
	for s.table[i].hash.Load() != 0 {
		i = (i + 1) & s.mask
	}
	s.table[i].entry.Store(e)
	s.table[i].hash.Store(hash)
}

// grown returns a copy with twice the places.
func (s *slots) grown() *slots {
	larger := newSlots(2 * len(s.table))
	for i := range s.table {
		if hash := s.table[i].hash.Load(); hash != 0 {
			larger.add(hash, s.table[i].entry.Load())
		}
	}
	return larger
}

// home is where probing begins: the bits between the one that marks a full slot and the shard's.
func home(hash uint64) uint64 { return hash >> 1 }

// shard is one part of the front, with the chains among its keys.
type shard struct {
	// slots is nil until the first key. It has a cache line of its own: readers load it all the
	// time, and it changes only when the shard grows.
	slots atomic.Pointer[slots]
	_     [cacheLine - 8]byte

	// prunableAt is the lowest chain.next of the list, never if there is none.
	prunableAt atomic.Uint64
	mu         struct {
		sync.Mutex
		keys   int
		chains []chain
	}
	_ [cacheLine - 48]byte
}

// never is the prunableAt of a shard without chains.
const never = math.MaxUint64

func (s *shard) find(hash uint64, key []byte) *entry {
	if table := s.slots.Load(); table != nil {
		return table.find(hash, key)
	}
	return nil
}

// insert adds the entry unless its key is there already; then it returns the entry that is. It
// also returns the bytes by which the front grew.
func (s *shard) insert(hash uint64, e *entry) (present *entry, grownBytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if present := s.find(hash, e.key); present != nil {
		return present, 0
	}
	grownBytes = s.reserveLocked()
	s.slots.Load().add(hash, e)
	s.mu.keys++
	return nil, grownBytes
}

// reserveLocked makes room for one more key, so that at most three quarters of the slots are full.
func (s *shard) reserveLocked() (grownBytes int64) {
	table := s.slots.Load()
	switch {
	case table == nil:
		s.slots.Store(newSlots(firstSlots))
		return firstSlots * slotBytes
	case 4*(s.mu.keys+1) > 3*len(table.table):
		s.slots.Store(table.grown())
		return int64(len(table.table)) * slotBytes
	default:
		return 0
	}
}
