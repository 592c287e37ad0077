package kit

import (
	"iter"
	"maps"
	"slices"
)

// Map is a model of an ordered store with transactions: a map that keeps every version of every key. It is as simple as
// it can be, so that whatever differs from it is wrong. Its transactions follow the rules of this engine when they do not
// wait for locks: first updater wins, and a snapshot moves forward when nothing that was read has changed. Those of other
// stores can be modelled by committing writes with Apply and reading At a version.
//
// Not safe for concurrent use.
type Map struct {
	version  int
	versions map[string][]mapVersion // oldest first
	open     []*MapTxn
}

type mapVersion struct {
	at    int
	value *string // nil: deleted
}

// NewMap returns an empty map, at version 0.
func NewMap() *Map { return &Map{versions: map[string][]mapVersion{}} }

// Version returns the number of commits.
func (m *Map) Version() int { return m.version }

// Apply commits writes as one version; a nil value deletes its key. It returns the version.
func (m *Map) Apply(writes map[string]*string) int {
	m.version++
	for key, value := range writes {
		m.versions[key] = append(m.versions[key], mapVersion{m.version, value})
	}
	return m.version
}

// Get returns the value of a key at a version.
func (m *Map) Get(key string, at int) (value string, found bool) {
	for _, v := range slices.Backward(m.versions[key]) {
		if v.at <= at {
			if v.value == nil {
				return "", false
			}
			return *v.value, true
		}
	}
	return "", false
}

// Scan iterates over the pairs of a version with from <= key < to in key order; an empty to is no bound.
func (m *Map) Scan(from, to string, at int) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, key := range slices.Sorted(maps.Keys(m.versions)) {
			if !inside(key, from, to) {
				continue
			}
			if value, found := m.Get(key, at); found && !yield(key, value) {
				return
			}
		}
	}
}

func inside(key, from, to string) bool { return key >= from && (to == "" || key < to) }

// changedAfter reports whether a key was written after a version.
func (m *Map) changedAfter(key string, at int) bool {
	vs := m.versions[key]
	return len(vs) > 0 && vs[len(vs)-1].at > at
}

// Begin starts a transaction at ReadCommitted or MonotonicView, which are one here, Snapshot, or Serializable and above.
func (m *Map) Begin(level Level) *MapTxn {
	t := &MapTxn{m: m, level: level, snapshot: -1, writes: map[string]*string{}, locks: map[string]bool{}, points: map[string]bool{}}
	m.open = append(m.open, t)
	return t
}

// MapTxn is a transaction of a Map.
type MapTxn struct {
	m        *Map
	level    Level
	snapshot int // -1 until the first operation
	writes   map[string]*string
	locks    map[string]bool
	points   map[string]bool // keys that were read
	ranges   [][2]string     // ranges that were read
}

// at returns the version that is read.
func (t *MapTxn) at() int {
	if t.level < Snapshot {
		return t.m.version
	}
	if t.snapshot < 0 {
		t.snapshot = t.m.version
	}
	return t.snapshot
}

func (t *MapTxn) see(key string) (string, bool) {
	if value, mine := t.writes[key]; mine {
		if value == nil {
			return "", false
		}
		return *value, true
	}
	return t.m.Get(key, t.at())
}

// Get reads a key.
func (t *MapTxn) Get(key string) (value string, found bool) {
	value, found = t.see(key)
	if _, mine := t.writes[key]; !mine {
		t.points[key] = true
	}
	return value, found
}

// GetForUpdate locks a key and reads it. The error is that of Put.
func (t *MapTxn) GetForUpdate(key string) (value string, found bool, err error) {
	if err := t.lock(key); err != nil {
		return "", false, err
	}
	value, found = t.Get(key)
	return value, found, nil
}

// Scan iterates over the pairs with from <= key < to in key order; an empty to is no bound. Where the iteration is left
// the transaction stops having read.
func (t *MapTxn) Scan(from, to string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		t.at()
		keys := slices.Collect(maps.Keys(t.m.versions))
		keys = slices.AppendSeq(keys, maps.Keys(t.writes))
		slices.Sort(keys)
		for _, key := range slices.Compact(keys) {
			if !inside(key, from, to) {
				continue
			}
			if value, found := t.see(key); found && !yield(key, value) {
				t.ranges = append(t.ranges, [2]string{from, key + "\x00"})
				return
			}
		}
		t.ranges = append(t.ranges, [2]string{from, to})
	}
}

// Put sets a key. The error is ErrLocked when another transaction holds the key, and ErrConflict when it was changed after
// the snapshot and something that was read, too.
func (t *MapTxn) Put(key, value string) error { return t.write(key, &value) }

// Delete removes a key, which need not be there. The error is that of Put.
func (t *MapTxn) Delete(key string) error { return t.write(key, nil) }

func (t *MapTxn) write(key string, value *string) error {
	if _, mine := t.writes[key]; !mine {
		if err := t.lock(key); err != nil {
			return err
		}
	}
	t.writes[key] = value
	return nil
}

// lock takes a lock and applies first updater wins.
func (t *MapTxn) lock(key string) error {
	for _, other := range t.m.open {
		if other != t && other.locks[key] {
			return ErrLocked
		}
	}
	t.locks[key] = true
	if t.level < Snapshot || !t.m.changedAfter(key, t.at()) {
		return nil
	}
	if !t.unchanged() {
		return ErrConflict
	}
	t.snapshot = t.m.version
	return nil
}

// unchanged reports whether everything that was read is still so.
func (t *MapTxn) unchanged() bool {
	for key := range t.m.versions {
		if !t.m.changedAfter(key, t.snapshot) {
			continue
		}
		if t.points[key] || slices.ContainsFunc(t.ranges, func(r [2]string) bool { return inside(key, r[0], r[1]) }) {
			return false
		}
	}
	return true
}

// Savepoint returns what RollbackTo goes back to.
func (t *MapTxn) Savepoint() MapSavepoint { return MapSavepoint{maps.Clone(t.writes)} }

// MapSavepoint is a mark in a transaction of a Map.
type MapSavepoint struct{ writes map[string]*string }

// RollbackTo takes back the writes after a savepoint, which stays usable. Locks are kept.
func (t *MapTxn) RollbackTo(s MapSavepoint) { t.writes = maps.Clone(s.writes) }

// Commit ends the transaction. The error is ErrConflict, and nothing is written, when it is Serializable, has written, and
// something that it read has changed.
func (t *MapTxn) Commit() error {
	defer t.Rollback()
	if len(t.writes) == 0 {
		return nil
	}
	if t.level >= Serializable && t.snapshot >= 0 && !t.unchanged() {
		return ErrConflict
	}
	t.m.Apply(t.writes)
	return nil
}

// Rollback ends the transaction without effect; after its end it does nothing.
func (t *MapTxn) Rollback() {
	t.m.open = slices.DeleteFunc(t.m.open, func(o *MapTxn) bool { return o == t })
}
