package mvcc

import (
	"bytes"
	"sort"

	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// readSet is what a transaction depends on: keys and ranges that must not have
// changed after they were read, and keys that must exist. What was required is
// validated at commit at every level, what was read at Serializable; at Snapshot it
// decides whether the snapshot may move forward.
type readSet struct {
	points   []readPoint
	spans    []readSpan
	required [][]byte // internal keys
	limit    int      // of points and spans together, 0: none
	overflow bool     // there were more than limit
}

type readPoint struct {
	key []byte
	ts  Timestamp
}

type readSpan struct {
	span
	ts Timestamp
}

func (r *readSet) empty() bool {
	return len(r.points) == 0 && len(r.spans) == 0 && len(r.required) == 0
}

func (r *readSet) addPoint(key []byte, ts Timestamp) {
	if n := len(r.points); n > 0 && r.points[n-1].ts == ts && bytes.Equal(r.points[n-1].key, key) {
		return
	}
	if r.full() {
		return
	}
	r.points = append(r.points, readPoint{bytes.Clone(key), ts})
}

// full reports, and notes, that the limit is reached.
func (r *readSet) full() bool {
	if r.limit > 0 && len(r.points)+len(r.spans) >= r.limit {
		r.overflow = true
	}
	return r.overflow
}

// moveTo makes everything a read at ts.
func (r *readSet) moveTo(ts Timestamp) {
	for i := range r.points {
		r.points[i].ts = ts
	}
	for i := range r.spans {
		r.spans[i].ts = ts
	}
}

// addSpan records that [lo, hi) was read; lo and hi are kept.
func (r *readSet) addSpan(lo, hi []byte, ts Timestamp) {
	s := readSpan{span{lo, hi}, ts}
	if s.empty() {
		return
	}
	if n := len(r.spans); n > 0 {
		last := &r.spans[n-1]
		if last.ts == ts && bytes.Equal(last.lo, lo) {
			if last.hi != nil && (hi == nil || bytes.Compare(last.hi, hi) < 0) {
				last.hi = hi
			}
			return
		}
	}
	if r.full() {
		return
	}
	r.spans = append(r.spans, s)
}

func (r *readSet) require(key []byte) {
	r.required = append(r.required, bytes.Clone(key))
}

// conflict is what validation found; the zero value is none.
type conflict struct {
	key    []byte
	reason ConflictReason
}

// againstState validates against the versions in the store. own is the
// transaction: a required key among its writes is the transaction's affair.
func (r *readSet) againstState(st *state, own *txn) (conflict, error) {
	for _, p := range r.points {
		if changed, err := st.changedAfter(p.key, p.ts); err != nil || changed {
			return conflict{p.key, ReadConflict}, err
		}
	}
	for _, s := range r.spans {
		if key, changed, err := st.spanChangedAfter(s.span, s.ts); err != nil || changed {
			return conflict{key, RangeConflict}, err
		}
	}
	for _, key := range r.required {
		if _, mine, err := own.own(key); mine || err != nil {
			if err != nil {
				return conflict{}, err
			}
			continue
		}
		if found, err := st.exists(key); err != nil || !found {
			return conflict{key, RequirementConflict}, err
		}
	}
	return conflict{}, nil
}

// againstWrites validates against the writes, in key order, of a commit that
// comes before this one and may not be in the store yet.
func (r *readSet) againstWrites(writes []versions.Write) conflict {
	for _, p := range r.points {
		if _, found := findWrite(writes, p.key); found {
			return conflict{p.key, ReadConflict}
		}
	}
	for _, s := range r.spans {
		if i, _ := findWrite(writes, s.lo); i < len(writes) && s.contains(writes[i].Key) {
			return conflict{writes[i].Key, RangeConflict}
		}
	}
	for _, key := range r.required {
		if i, found := findWrite(writes, key); found && writes[i].Kind == versions.Delete {
			return conflict{key, RequirementConflict}
		}
	}
	return conflict{}
}

// findWrite returns the place of the first write at or after key.
func findWrite(writes []versions.Write, key []byte) (i int, found bool) {
	return sort.Find(len(writes), func(i int) int { return bytes.Compare(key, writes[i].Key) })
}

func againstState(sets []*readSet, st *state, own *txn) (found conflict, err error) {
	for _, r := range sets {
		if found, err = r.againstState(st, own); err != nil || found.reason != 0 {
			break
		}
	}
	return found, err
}

func againstWrites(sets []*readSet, writes []versions.Write) (found conflict) {
	for _, r := range sets {
		if found = r.againstWrites(writes); found.reason != 0 {
			break
		}
	}
	return found
}
