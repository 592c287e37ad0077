package graph

import (
	"math"
	"slices"
	"sync/atomic"

	"github.com/sombradb/sombra/mvcc"
)

// adjList is a copy of the edges of one node in one direction, in the order of their keys. But for used it is never changed.
//
// The words are: a type and where its edges end, for each type; the other ends; the edges. So who only wants to know
// where the edges lead reads four bytes for each. Ids that need it make all of the list's ids two words.
type adjList struct {
	at    mvcc.Timestamp // the snapshot that it was read at
	words []uint32
	types uint32
	edges uint32
	kind  listKind
	wide  bool
	used  atomic.Bool // since the last eviction came by
}

// listKind says what an adjList stands for.
type listKind uint8

const (
	wholeList listKind = iota
	longList           // no copy: there are many edges, and so far nobody asked for them twice
	hugeList           // no copy: it would be too large
)

// adjListBytes is the size of an adjList without its words.
const adjListBytes = 48

func (l *adjList) bytes() int64 { return adjListBytes + int64(cap(l.words))*4 }

// stretch returns the type number k, counted from 0, and where its edges begin and end.
func (l *adjList) stretch(k int) (typ uint64, lo, hi int) {
	if k > 0 {
		lo = int(l.words[2*k-1])
	}
	return uint64(l.words[2*k]), lo, int(l.words[2*k+1])
}

// other returns the other end of edge i.
func (l *adjList) other(i int) NodeID {
	if l.wide {
		return NodeID(l.double(2*int(l.types) + 2*i))
	}
	return NodeID(l.words[2*int(l.types)+i])
}

// others returns the other ends of the edges, nil if they are wide.
func (l *adjList) others() []uint32 {
	if l.wide {
		return nil
	}
	return l.words[2*l.types:][:l.edges]
}

// edge returns the id of edge i.
func (l *adjList) edge(i int) EdgeID {
	if l.wide {
		return EdgeID(l.double(2*int(l.types) + 2*int(l.edges) + 2*i))
	}
	return EdgeID(l.words[2*int(l.types)+int(l.edges)+i])
}

func (l *adjList) double(i int) uint64 { return uint64(l.words[i]) | uint64(l.words[i+1])<<32 }

// place returns the place of edge i, which has the type.
func (l *adjList) place(i int, node NodeID, in bool, typ uint64) place {
	p := place{src: node, dst: l.other(i), typ: typ, edge: l.edge(i)}
	if in {
		p.src, p.dst = p.dst, p.src
	}
	return p
}

// listBuilder collects the edges of a list.
type listBuilder struct {
	types  []uint32 // each with where its edges end
	others []uint64
	edges  []uint64
	wide   bool
}

func (b *listBuilder) reset() {
	b.types, b.others, b.edges, b.wide = b.types[:0], b.others[:0], b.edges[:0], false
}

// add appends the edge of an out or in key, and reports whether that was possible.
func (b *listBuilder) add(key []byte) bool {
	f, err := cutUints(key[1:], 4)
	typ, other, edge := f[1], f[2], f[3]
	if err != nil || typ > math.MaxUint32 || len(b.others) == math.MaxInt32 {
		return false
	}
	if n := len(b.types); n == 0 || b.types[n-2] != uint32(typ) {
		b.types = append(b.types, uint32(typ), 0)
	}
	b.others, b.edges = append(b.others, other), append(b.edges, edge)
	b.types[len(b.types)-1] = uint32(len(b.others))
	b.wide = b.wide || (other|edge)>>32 != 0
	return true
}

// list returns what was collected.
func (b *listBuilder) list(at mvcc.Timestamp) *adjList {
	l := &adjList{at: at, types: uint32(len(b.types) / 2), edges: uint32(len(b.others)), wide: b.wide}
	if len(b.others) == 0 {
		return l
	}
	n := len(b.types) + 2*len(b.others)
	if b.wide {
		n += 2 * len(b.others)
	}
	l.words = append(slices.Grow(l.words, n), b.types...)
	for _, ids := range [][]uint64{b.others, b.edges} {
		for _, id := range ids {
			l.words = append(l.words, uint32(id))
			if b.wide {
				l.words = append(l.words, uint32(id>>32))
			}
		}
	}
	return l
}
