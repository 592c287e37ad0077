package mvcc

import (
	"bytes"
	"cmp"
	"slices"
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
	required []readPoint // keys that must exist; ts is of when they were required
	limit    int         // of points and spans together, 0: none
	overflow bool        // there were more than limit
	// most is how many there may be of all before neighbours are joined; 0: no bound.
	most int
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
	r.bound()
}

// keptReads is how many points or spans a set that is cleared keeps the memory of.
const keptReads = 16

// clear empties the set.
func (r *readSet) clear() { *r = readSet{points: emptied(r.points), spans: emptied(r.spans)} }

// emptied returns s without elements, nil if its memory is not worth keeping.
func emptied[T any](s []T) []T {
	if cap(s) > keptReads {
		return nil
	}
	clear(s)
	return s[:0]
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
	for i := range r.required {
		r.required[i].ts = ts
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
	r.bound()
}

func (r *readSet) require(key []byte, ts Timestamp) {
	r.required = append(r.required, readPoint{bytes.Clone(key), ts})
	r.bound()
}

// bound keeps the set small (R7): when there is too much in it, neighbours become one span. What lies between them then
// conflicts though it was not read, so a transaction that reads very much may fail needlessly, but never wrongly succeeds.
func (r *readSet) bound() {
	if r.most == 0 || len(r.points)+len(r.spans)+len(r.required) <= r.most {
		return
	}
	r.dropDoubles()
	for len(r.points)+len(r.spans)+len(r.required) > r.most/2 {
		before := len(r.spans) + len(r.points) + len(r.required)
		r.join()
		if len(r.spans) >= before { // all in different keyspaces
			return
		}
	}
}

// dropDoubles keeps one of several requirements of a key.
func (r *readSet) dropDoubles() {
	slices.SortFunc(r.required, func(a, b readPoint) int { return cmp.Or(bytes.Compare(a.key, b.key), cmp.Compare(a.ts, b.ts)) })
	r.required = slices.CompactFunc(r.required, func(a, b readPoint) bool { return bytes.Equal(a.key, b.key) })
}

// join makes spans of everything, each over two neighbours of one keyspace.
func (r *readSet) join() {
	all := r.spans
	for _, p := range slices.Concat(r.points, r.required) {
		all = append(all, readSpan{span{p.key, successor(nil, p.key)}, p.ts})
	}
	slices.SortFunc(all, func(a, b readSpan) int { return bytes.Compare(a.lo, b.lo) })
	joined := all[:0]
	for i := 0; i < len(all); i++ {
		s := all[i]
		if i+1 < len(all) && sameKeyspace(s.lo, all[i+1].lo) {
			i++
			s.ts = min(s.ts, all[i].ts)
			if hi := all[i].hi; s.hi != nil && (hi == nil || bytes.Compare(hi, s.hi) > 0) {
				s.hi = hi
			}
		}
		joined = append(joined, s)
	}
	clear(all[len(joined):])
	r.points, r.spans, r.required = nil, joined, nil
}

func sameKeyspace(a, b []byte) bool {
	return len(a) >= prefixSize && len(b) >= prefixSize && bytes.Equal(a[:prefixSize], b[:prefixSize])
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
	for _, p := range r.required {
		key := p.key
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
	for _, p := range r.required {
		if i, found := findWrite(writes, p.key); found && writes[i].Kind == versions.Delete {
			return conflict{p.key, RequirementConflict}
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
