package lockmgr

import "bytes"

// minBuckets is the least size of an index with entries. A power of two.
const minBuckets = 8

// index finds the entries of a shard by key: a chained hash table whose links
// are in the entries, so that neither insertion nor removal allocates. The
// shard's mutex guards it.
type index struct {
	buckets []*entry // a power of two in length, or empty
	count   int
}

func (x *index) bucket(hash uint64) **entry {
	return &x.buckets[hash&uint64(len(x.buckets)-1)]
}

// find returns the entry of the key, or nil.
func (x *index) find(hash uint64, key []byte) *entry {
	if x.count == 0 {
		return nil
	}
	e := *x.bucket(hash)
	for e != nil && (e.hash != hash || !bytes.Equal(e.key, key)) {
		e = e.chain
	}
	return e
}

// insert adds an entry whose key is not there yet.
func (x *index) insert(e *entry) {
	if x.count >= len(x.buckets) {
		x.resize(max(minBuckets, 2*len(x.buckets)))
	}
	x.link(e)
	x.count++
}

func (x *index) link(e *entry) {
	head := x.bucket(e.hash)
	e.chain, *head = *head, e
}

// remove takes out an entry that is there.
func (x *index) remove(e *entry) {
	at := x.bucket(e.hash)
	for *at != e {
		at = &(*at).chain
	}
	*at, e.chain = e.chain, nil
	x.count--
	// A table that once held the locks of a huge transaction gives memory back;
	// the distance between growing and shrinking keeps it from doing so all the time.
	if len(x.buckets) > minBuckets && x.count < len(x.buckets)/8 {
		x.resize(len(x.buckets) / 4)
	}
}

func (x *index) resize(size int) {
	old := x.buckets
	x.buckets = make([]*entry, max(size, minBuckets))
	for _, e := range old {
		for e != nil {
			next := e.chain
			x.link(e)
			e = next
		}
	}
}

// each calls f for all entries.
func (x *index) each(f func(*entry)) {
	for _, e := range x.buckets {
		for ; e != nil; e = e.chain {
			f(e)
		}
	}
}
