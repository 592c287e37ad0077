package mvcc

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// modelGuard is a range that must not change from a place in the order on.
type modelGuard struct {
	r   Range
	seq int
}

// guarded reports whether all that the transaction has required holds.
func (m *machine) guarded(x *modelTxn) bool {
	for key := range x.required {
		if _, mine := x.writes[key]; mine {
			continue
		}
		if _, found := m.model.at(key, m.model.seq); !found {
			return false
		}
	}
	for key := range m.model.versions {
		for _, g := range x.guards {
			if inRange(g.r, key) && m.model.changedAfter(key, g.seq) {
				return false
			}
		}
	}
	return true
}

// move moves the snapshot to the newest state.
func (m *machine) move(x *modelTxn) {
	x.snapshot = m.model.seq
	for i := range x.guards {
		x.guards[i].seq = m.model.seq
	}
}

// GetForShare reads under a lock that others may share.
func (m *machine) GetForShare(t *rapid.T) {
	x, key := m.pick(t), modelKey(t)
	var wantErr error
	switch {
	case x.locks[key]:
		wantErr = m.lock(x, key)
	case slices.ContainsFunc(m.txns, func(o *modelTxn) bool { return o != x && o.locks[key] }):
		wantErr = ErrLockNotAvailable
	default:
		x.shared[key] = true
		if x.iso != ReadCommitted && m.model.changedAfter(key, m.readSeq(x)) {
			if m.unchanged(x) {
				m.move(x)
			} else {
				wantErr = ErrConflict
			}
		}
	}
	v, err := x.tx.GetForShare(m.ks, []byte(key))
	wantValue, wantFound := m.see(x, key)
	if wantErr == nil && !wantFound {
		wantErr = ErrNotFound
	}
	if !errors.Is(err, wantErr) || err == nil && string(v) != wantValue {
		t.Fatalf("get %q for share: got %q, %v, want %q, %v", key, v, err, wantValue, wantErr)
	}
	if _, mine := x.writes[key]; !mine && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrLockNotAvailable) {
		x.points[key] = true
	}
}

func modelCounter(t *rapid.T) string {
	return rapid.SampledFrom([]string{"b-counter", "counter"}).Draw(t, "counter")
}

func modelSum(value string, found bool, delta int64) string {
	n := int64(0)
	if found {
		n, _ = DecodeInt64([]byte(value)) // nothing else is there
	}
	return string(EncodeInt64(n + delta))
}

// Add adds to a counter, which never conflicts.
func (m *machine) Add(t *rapid.T) {
	x, key, delta := m.pick(t), modelCounter(t), int64(rapid.IntRange(-3, 3).Draw(t, "delta"))
	if err := x.tx.Add(m.ks, []byte(key), delta); err != nil {
		t.Fatalf("add to %q: %v", key, err)
	}
	x.adds[key] += delta
}

// GetCounter reads a counter, which is an ordinary read, own additions or not.
func (m *machine) GetCounter(t *rapid.T) {
	x, key := m.pick(t), modelCounter(t)
	wantValue, wantFound := m.see(x, key)
	x.points[key] = true
	m.compare(t, x, key, wantValue, wantFound)
}

// addUp commits the additions to the model, on what is newest.
func (m *machine) addUp(x *modelTxn) {
	for key, delta := range x.adds {
		value, found := m.model.at(key, m.model.seq)
		m.model.versions[key] = append(m.model.versions[key], modelVersion{seq: m.model.seq, value: modelSum(value, found, delta)})
	}
}

// Disturb is a whole transaction that writes what another one has read or required.
func (m *machine) Disturb(t *rapid.T) {
	x := m.pick(t)
	keys := slices.Collect(maps.Keys(x.points))
	keys = slices.AppendSeq(keys, maps.Keys(x.required))
	keys = slices.DeleteFunc(keys, func(key string) bool { return strings.HasSuffix(key, "counter") })
	if len(keys) == 0 {
		t.Skip("it has read nothing")
	}
	slices.Sort(keys)
	key := rapid.SampledFrom(keys).Draw(t, "of")
	other := m.begin(t, ReadCommitted)
	m.write(t, other, key)
	m.commit(t, other)
}

// RequireExists makes the commit depend on a key.
func (m *machine) RequireExists(t *rapid.T) {
	x, key := m.pick(t), modelKey(t)
	_, found := m.see(x, key)
	m.readSeq(x)
	err := x.tx.RequireExists(m.ks, []byte(key))
	if found != (err == nil) || err != nil && !errors.Is(err, ErrNotFound) {
		t.Fatalf("require %q: %v, found %v", key, err, found)
	}
	if err == nil {
		x.required[key] = true
	}
}

// RequireUnchanged makes the commit depend on a range.
func (m *machine) RequireUnchanged(t *rapid.T) {
	x, r := m.pick(t), drawRange(t)
	if err := x.tx.RequireUnchanged(m.ks, r); err != nil {
		t.Fatalf("require %q: %v", r, err)
	}
	x.guards = append(x.guards, modelGuard{r, m.readSeq(x)})
}
