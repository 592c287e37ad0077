package mvcc

import (
	"bytes"
	"sort"

	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// readSet is what a commit validates: keys and ranges that must not have
// changed after they were read, and keys that must exist.
//
// Serializable transactions record all that they read; the others only what
// they were asked to require.
type readSet struct {
	points   []readPoint
	spans    []readSpan
	required [][]byte // internal keys
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
	r.points = append(r.points, readPoint{bytes.Clone(key), ts})
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
			if bytes.Compare(last.hi, hi) < 0 {
				last.hi = hi
			}
			return
		}
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

// againstState validates against the versions in the store. own are the
// transaction's writes: a required key among them is the transaction's affair.
func (r *readSet) againstState(st *state, own *writeSet) (conflict, error) {
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
		if _, mine := own.get(key); mine {
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
