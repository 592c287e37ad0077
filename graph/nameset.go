package graph

import (
	"cmp"
	"math"
	"slices"

	"github.com/sombradb/sombra/mvcc"
)

// nameSet is what a read by names has to look at in the store (G8): the ids of those names that have one, and, if some
// have none, all ids that no name has, because elements of those names will be there. Such a read happens in the
// caller's transaction like any other: it takes the snapshot, it finds what has come meanwhile and what the transaction
// itself makes, and it is validated. Without it the answer "none" would be nobody's snapshot and be held against nobody:
//
//	T1 counts the edges of type FIRST at n: FIRST has no id, so there are 0
//	T2 does the same
//	T1 gives FIRST an id, creates such an edge at n, commits
//	T2 finds that id, creates such an edge at n, commits: both were the first
//
// Why that range is right: whoever writes an element has its names in memory, and names and free ids are looked at in
// one critical section. So what any snapshot, taken then or later, has of a name that was not in memory stands under an
// id that was free. And by the time that a read meets the element, its name is in memory: has recognises it.
//
// Why not read the key in the catalog under which the name will stand: names get ids in small transactions of their own,
// so T1 would be in conflict with its own name, and if it is protected (mvcc) even wait for itself; and everybody
// who has asked for the name, anywhere, would lose to the first who uses it, anywhere, or only gives it an id and rolls
// back. The range at n holds only what is at n. What it has too much are elements of other names that are new since: such
// a conflict is possible once for each, then the name is known.
//
// The set costs a read of known names nothing, and others one scan of a range that is empty as a rule.
type nameSet struct {
	all   bool     // no names: all ids are meant
	spans []idSpan // ascending and disjoint
	late  []string // the names that have no id
}

// idSpan is the ids from lo to hi, both included.
type idSpan struct {
	lo, hi uint64
	free   bool // of its ids only those count that turn out to be of late names
}

// keys returns the keys that go on with one of the ids after the prefix.
func (s idSpan) keys(prefix []byte) mvcc.Range {
	prefix = slices.Clip(prefix)
	lo := appendUint(prefix, s.lo)
	if s.lo == s.hi {
		return mvcc.Prefix(lo)
	}
	return mvcc.Range{Lo: lo, Hi: mvcc.Prefix(appendUint(prefix, s.hi)).Hi}
}

// resolve returns the set for the names.
func (d *dict) resolve(names []string) nameSet {
	if len(names) == 1 {
		if id, known := d.lookup(names[0]); known {
			return nameSet{spans: d.named(id).only[:]} // which nobody changes
		}
	}
	spans := make([]idSpan, 0, len(names))
	for _, name := range names {
		id, known := d.lookup(name)
		if !known {
			return d.resolveLate(names)
		}
		spans = append(spans, idSpan{lo: id, hi: id})
	}
	return nameSet{spans: ascending(spans)}
}

// resolveLate is resolve for names of which some have no id. Ids and free ids are of one moment.
func (d *dict) resolveLate(names []string) nameSet {
	d.mu.Lock()
	defer d.mu.Unlock()
	var set nameSet
	for _, name := range names {
		if id, known := d.lookupLocked(name); known {
			set.spans = append(set.spans, idSpan{lo: id, hi: id})
		} else {
			set.late = append(set.late, name)
		}
	}
	if len(set.late) > 0 {
		set.spans = append(set.spans, d.mu.free...)
	}
	set.spans = ascending(set.spans)
	return set
}

func ascending(spans []idSpan) []idSpan {
	slices.SortFunc(spans, func(a, b idSpan) int { return cmp.Compare(a.lo, b.lo) })
	return slices.Compact(spans) // a name may be there twice
}

// isLate reports whether the id is of one of the late names by now.
func (d *dict) isLate(late []string, id uint64) bool {
	name, known := d.name(id)
	return known && slices.Contains(late, name)
}

// allIDs is free at the beginning.
func allIDs() []idSpan { return []idSpan{{lo: 1, hi: math.MaxUint64, free: true}} }

// without takes an id out of the free ones. They are one span as a rule, but ids come into memory in any order, and one
// whose transaction's outcome is not known may never come.
func without(free []idSpan, id uint64) []idSpan {
	i := slices.IndexFunc(free, func(s idSpan) bool { return s.lo <= id && id <= s.hi })
	if i < 0 {
		return free
	}
	s := free[i]
	var rest []idSpan
	if s.lo < id {
		rest = append(rest, idSpan{s.lo, id - 1, true})
	}
	if id < s.hi {
		rest = append(rest, idSpan{id + 1, s.hi, true})
	}
	return slices.Replace(free, i, i+1, rest...)
}
