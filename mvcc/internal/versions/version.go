package versions

import (
	"sync/atomic"
	"unsafe"
)

// Kind says what a version does to its key.
type Kind uint8

// Kinds of versions.
const (
	Put Kind = iota + 1
	Delete
)

// String returns the name of the kind.
func (k Kind) String() string {
	switch k {
	case Put:
		return "put"
	case Delete:
		return "delete"
	default:
		return "unknown kind"
	}
}

// Version is one committed value of a key. Its exported fields are immutable, and safe to read
// from any goroutine. A version stays readable for as long as somebody holds it, pruned or not.
type Version struct {
	// Timestamp is the commit timestamp.
	Timestamp uint64
	Kind      Kind
	// first: it shares the memory of its key's entry (newborn).
	first bool
	// Value is the value of a Put. It belongs to the table: read it, do not change it.
	Value []byte

	// older is set before the version is published, and changes at most once more, to nil (V4).
	older atomic.Pointer[Version]
}

// Older returns the next older version in this table, nil at the end. The chain of a version ends
// early where Prune cut it, which is never above the newest version that the horizon still needs.
func (v *Version) Older() *Version { return v.older.Load() }

// sizeBytes is what Bytes counts for the version.
func (v *Version) sizeBytes() int64 { return versionBytes + int64(len(v.Value)) }

// entry is a key with its versions. Key and partition never change.
type entry struct {
	key []byte
	// head is the newest version, never nil once the entry is in an index (V3). Only Apply stores it.
	head atomic.Pointer[Version]
	// chained is set while the entry stands on its shard's list of chains (V5).
	chained   atomic.Bool
	partition uint32
}

// newborn is a new key with its first version, in one piece. What that retains when the version is pruned is
// little: its value mostly is in one buffer with the key.
type newborn struct {
	entry   entry
	version Version
}

// at returns the newest version at or before timestamp, nil if all are newer.
func (e *entry) at(timestamp uint64) *Version {
	v := e.head.Load()
	if v == nil || v.Timestamp <= timestamp {
		return v
	}
	return v.olderThan(timestamp)
}

// olderThan returns the newest version below v at or before timestamp, nil if there is none.
func (v *Version) olderThan(timestamp uint64) *Version {
	for v = v.older.Load(); v != nil && v.Timestamp > timestamp; {
		v = v.older.Load()
	}
	return v
}

// push makes v the newest version. REQUIRES: nobody else pushes to this entry.
func (e *entry) push(v *Version) {
	v.older.Store(e.head.Load())
	e.head.Store(v)
}

// What Bytes counts. A test compares the sum with the heap.
const (
	versionBytes = int64(unsafe.Sizeof(Version{}))
	entryBytes   = int64(unsafe.Sizeof(entry{}))
	slotBytes    = int64(unsafe.Sizeof(slot{}))
	// itemBytes is an item of the ordered index in a node that is two thirds full, with its
	// share of the inner nodes.
	itemBytes = int64(unsafe.Sizeof(item{})) * 3 / 2
)
