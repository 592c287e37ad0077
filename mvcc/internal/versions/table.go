package versions

import (
	"bytes"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
)

// Table is one generation of the version store. All methods are safe for concurrent use.
type Table struct {
	seed maphash.Seed
	// used is set before the first key is entered and never cleared, so that readers of an empty table need not look.
	used       atomic.Bool
	partitions []partition
	occupied   occupancy
	shards     [shardCount]shard
	nurseries  [nurseries]nursery

	// pruning is held by the one Prune that runs.
	pruning sync.Mutex

	_     [cacheLine]byte
	keys  atomic.Int64
	bytes atomic.Int64
	kept  atomic.Int64 // of bytes: first versions that were pruned, whose memory their entries keep
	_     [cacheLine]byte
}

// New returns an empty table whose ordered index is cut at the given keys (ascending; may be nil).
// Each split is the first key of a partition. The table keeps no reference to splits. Repeated
// and empty ones have no effect, and others are put in order.
func New(splits [][]byte) *Table {
	splits = ordered(splits)
	t := &Table{
		seed:       maphash.MakeSeed(),
		partitions: make([]partition, len(splits)+1),
		occupied:   newOccupancy(len(splits) + 1),
	}
	for i := range t.partitions {
		t.partitions[i].number = uint32(i)
	}
	for i, split := range splits {
		t.partitions[i].end = split
		t.partitions[i+1].start = split
	}
	for i := range t.shards {
		t.shards[i].prunableAt.Store(never)
	}
	return t
}

// ordered returns copies of the splits, ascending, each once, without empty ones.
func ordered(splits [][]byte) [][]byte {
	copies := make([][]byte, 0, len(splits))
	for _, split := range splits {
		if len(split) > 0 {
			copies = append(copies, bytes.Clone(split))
		}
	}
	slices.SortFunc(copies, bytes.Compare)
	return slices.CompactFunc(copies, bytes.Equal)
}

// Get returns the newest version at or before timestamp, nil if there is none here. It does not
// allocate, and takes no lock.
func (t *Table) Get(key []byte, timestamp uint64) *Version {
	if e := t.find(key); e != nil {
		return e.at(timestamp)
	}
	return nil
}

// Newest returns the newest version of the key, nil if there is none. It does not allocate, and
// takes no lock. A caller that holds the key's lock sees all commits of earlier holders.
func (t *Table) Newest(key []byte) *Version {
	if e := t.find(key); e != nil {
		return e.head.Load()
	}
	return nil
}

// NewerInRange reports a key in [lo, hi) (hi nil: no bound) with a version after the timestamp,
// the lowest there is. It passes over partitions without anything so new, and takes no lock for a range of one key.
func (t *Table) NewerInRange(lo, hi []byte, after uint64) (key []byte, found bool) {
	if isOne(lo, hi) {
		if e := t.find(lo); e != nil && e.head.Load().Timestamp > after {
			return e.key, true
		}
		return nil, false
	}
	first, last := t.locate(lo), len(t.partitions)-1
	if hi != nil {
		if bytes.Compare(lo, hi) >= 0 {
			return nil, false
		}
		last = t.locate(hi)
	}
	for i := t.occupied.next(first); i >= 0 && i <= last; i = t.occupied.next(i + 1) {
		if t.partitions[i].newest.Load() <= after {
			continue
		}
		if e := t.newerInPartition(i, lo, hi, after); e != nil {
			return e.key, true
		}
	}
	return nil, false
}

// isOne reports whether [lo, hi) is a single key: hi is lo and a zero.
func isOne(lo, hi []byte) bool {
	n := len(lo)
	return len(hi) == n+1 && hi[n] == 0 && bytes.Equal(hi[:n], lo)
}

// newerInPartition returns the first entry of one partition in [lo, hi) with a version after the
// timestamp.
func (t *Table) newerInPartition(partition int, lo, hi []byte, after uint64) *entry {
	s := scans.Get().(*scan)
	defer scans.Put(s)
	defer s.release()
	s.table = t
	s.seek(lo)
	if partition > s.partition {
		s.start(false, partition)
	}
	for e := s.next(); e != nil && int(e.partition) == partition; e = s.next() {
		if hi != nil && bytes.Compare(e.key, hi) >= 0 {
			return nil
		}
		if e.head.Load().Timestamp > after {
			return e
		}
	}
	return nil
}

// All calls yield for each key in ascending order with its newest version, until yield returns
// false. No lock is held meanwhile. The table must be sealed: no Apply runs.
func (t *Table) All(yield func(key []byte, newest *Version) bool) {
	s := newScan()
	s.table = t
	s.seek(nil)
	for e := s.next(); e != nil; e = s.next() {
		if !yield(e.key, e.head.Load()) {
			return
		}
	}
}

// Keys returns the number of keys, those that are deleted included.
func (t *Table) Keys() int64 { return t.keys.Load() }

// Bytes returns the approximate memory in bytes that the commits have added: keys, values and the
// table's own structures. An empty table has 0.
func (t *Table) Bytes() int64 { return t.bytes.Load() }

func (t *Table) find(key []byte) *entry {
	if !t.used.Load() {
		return nil
	}
	hash := t.hash(key)
	return t.shard(hash).find(hash, key)
}

// hash never returns 0, which marks an empty slot.
func (t *Table) hash(key []byte) uint64 { return maphash.Bytes(t.seed, key) | 1 }

func (t *Table) shard(hash uint64) *shard { return &t.shards[t.shardNumber(hash)] }

func (t *Table) shardNumber(hash uint64) int { return int(hash >> (64 - shardBits)) }

// locate returns the number of the partition that the key belongs to.
func (t *Table) locate(key []byte) int {
	low, high := 0, len(t.partitions)-1
	for low < high {
		middle := (low + high + 1) / 2
		if bytes.Compare(t.partitions[middle].start, key) <= 0 {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}
