package kit

import "strconv"

// Level is the isolation level that a transaction asked for. Levels may be
// mixed in one history. The zero Level is not valid.
type Level uint8

// The levels, weakest first. What each forbids is in the package comment.
const (
	// ReadCommitted is Adya's PL-2: no G0, no G1. Reads may come from any
	// committed states.
	ReadCommitted Level = iota + 1
	// MonotonicView is Adya's PL-2L: each operation sees one committed state,
	// and never an older one than the operation before it. It is what reading the
	// newest commit at each operation gives.
	MonotonicView
	// Snapshot is snapshot isolation: one state for all reads, and no concurrent
	// commits to the keys that the transaction wrote. Write skew is allowed.
	Snapshot
	// Serializable is Adya's PL-3: all reads hold at the commit.
	Serializable
	// StrictSerializable is Serializable in an order that agrees with real time
	// among the transactions of this level.
	StrictSerializable
)

var levelNames = [...]string{"", "read committed", "monotonic view", "snapshot", "serializable", "strict serializable"}

func (l Level) valid() bool { return l >= ReadCommitted && l <= StrictSerializable }

func (l Level) String() string {
	if l.valid() {
		return levelNames[l]
	}
	return "level " + strconv.Itoa(int(l))
}

// Status is what the client of a transaction was told about its end. The zero
// Status is not valid.
type Status uint8

// The outcomes of a transaction.
const (
	// Committed: the store acknowledged the commit.
	Committed Status = iota + 1
	// Aborted: the store said that nothing of the transaction is there.
	Aborted
	// Unknown: nobody knows, as after a crash. The transaction counts as
	// committed if and only if one of its values was read.
	Unknown
)

var statusNames = [...]string{"", "committed", "aborted", "unknown"}

func (s Status) valid() bool { return s >= Committed && s <= Unknown }

func (s Status) String() string {
	if s.valid() {
		return statusNames[s]
	}
	return "status " + strconv.Itoa(int(s))
}
