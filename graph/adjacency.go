package graph

import (
	"errors"
	"iter"

	"github.com/sombradb/sombra/mvcc"
)

// Direction says which edges of a node are meant.
type Direction uint8

// Directions of edges, seen from a node. A loop is met once by each of them.
const (
	Out Direction = iota
	In
	Both
)

// String returns the direction's name in lower case.
func (d Direction) String() string {
	switch d {
	case Out:
		return "out"
	case In:
		return "in"
	case Both:
		return "both"
	}
	return "direction(?)"
}

// reverse returns the direction seen from the other end.
func (d Direction) reverse() Direction {
	switch d {
	case Out:
		return In
	case In:
		return Out
	}
	return d
}

// sides returns the sides, as sideOf numbers them, from the first to the last.
func (d Direction) sides() (first, last int) {
	if d == In {
		first = 1
	}
	if d != Out {
		last = 1
	}
	return first, last
}

// adjRange is one range of adjacency keys to be read.
type adjRange struct {
	mvcc.Range
	in        bool
	skipLoops bool     // they were met in the out range
	late      []string // when not nil, only edges with one of these types are meant
}

// passes reports whether an edge in the range is meant.
func (tx *Txn) passes(r *adjRange, p place) bool {
	if r.skipLoops && p.src == p.dst {
		return false
	}
	return r.late == nil || tx.db.types.isLate(r.late, p.typ)
}

// adjRanges lists the ranges with the edges of a node.
func adjRanges(node NodeID, d Direction, types nameSet) (list []adjRange) {
	first, last := d.sides()
	for side := first; side <= last; side++ {
		list = sideRanges(list, node, side, &types)
	}
	for i := range list {
		list[i].skipLoops = list[i].in && d == Both
	}
	return list
}

// sideRanges appends the ranges on one side.
func sideRanges(list []adjRange, node NodeID, side int, types *nameSet) []adjRange {
	prefix := sidePrefix(node, side)
	if types.all {
		return append(list, adjRange{Range: mvcc.Prefix(prefix), in: side == 1})
	}
	for _, s := range types.spans {
		r := adjRange{Range: s.keys(prefix), in: side == 1}
		if s.free {
			r.late = types.late
		}
		list = append(list, r)
	}
	return list
}

// sidePrefix is what the keys of a node's edges on one side begin with.
func sidePrefix(node NodeID, side int) []byte {
	tag := byte(keyOut)
	if side == 1 {
		tag = keyIn
	}
	return appendUint([]byte{tag}, uint64(node))
}

// allTypes means the edges of all types.
var allTypes = nameSet{all: true}

// typeSet returns what to read of the edge types with the names; none are all types.
func (tx *Txn) typeSet(names []string) nameSet {
	if len(names) == 0 {
		return allTypes
	}
	return tx.db.types.resolve(names)
}

// adjacent iterates over the places of a node's edges without reading records.
func (tx *Txn) adjacent(node NodeID, d Direction, types nameSet) iter.Seq2[place, error] {
	return func(yield func(place, error) bool) {
		first, last := d.sides()
		for side := first; side <= last; side++ {
			l, err := tx.copyOf(node, side, &types, false)
			if err != nil {
				yield(place{}, err)
				return
			}
			v := sideView{tx: tx, node: node, side: side, skipLoops: side == 1 && d == Both}
			if l != nil && !v.places(l, &types, yield) || l == nil && !v.stream(types, yield) {
				return
			}
		}
	}
}

// Edges iterates over the edges of a node, those of the given types only if there are any, out edges
// before in edges, each ordered by when the type was first used and by the other end's id. A node that does not exist
// has none. An error ends the iteration.
func (tx *Txn) Edges(node NodeID, d Direction, types ...string) iter.Seq2[Edge, error] {
	return tx.publicEdges(tx.records(node, d, tx.typeSet(types)))
}

// edgeRec is an edge's place and its undecoded properties.
type edgeRec struct {
	place
	record string
}

// records iterates over a node's edges with their records.
func (tx *Txn) records(node NodeID, d Direction, types nameSet) iter.Seq2[edgeRec, error] {
	return func(yield func(edgeRec, error) bool) {
		for _, r := range adjRanges(node, d, types) {
			read := tx.outRecords
			if r.in {
				read = tx.inRecords
			}
			for e, err := range read(r) {
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}

// outRecords reads a range of out records.
func (tx *Txn) outRecords(r adjRange) iter.Seq2[edgeRec, error] {
	return func(yield func(edgeRec, error) bool) {
		for item, err := range tx.kv.Scan(tx.db.ks, r.Range) {
			var e edgeRec
			if err == nil {
				e.record = string(item.Value)
				if e.place, err = parseAdjacency(item.Key); err != nil {
					err = tx.db.corrupt(item.Key, "its key is malformed")
				} else if !tx.passes(&r, e.place) {
					continue
				}
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// inRecords reads a range of in entries and the out record of each. An edge
// that was deleted during the iteration is passed over.
func (tx *Txn) inRecords(r adjRange) iter.Seq2[edgeRec, error] {
	return func(yield func(edgeRec, error) bool) {
		for key, err := range tx.kv.Keys(tx.db.ks, r.Range) {
			var e edgeRec
			if err == nil {
				if e.place, err = parseAdjacency(key); err != nil {
					err = tx.db.corrupt(key, "its key is malformed")
				} else if !tx.passes(&r, e.place) {
					continue
				} else {
					tx.key = appendOutKey(tx.key[:0], e.place)
					e.record, err = tx.get()
				}
				if errors.Is(err, mvcc.ErrNotFound) {
					continue
				}
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func (tx *Txn) publicEdges(records iter.Seq2[edgeRec, error]) iter.Seq2[Edge, error] {
	return func(yield func(Edge, error) bool) {
		for r, err := range records {
			var e Edge
			if err == nil {
				e, err = tx.publicEdge(r.place, r.record)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Neighbors iterates over the other ends of a node's edges, once per edge, in
// the order of Edges. It costs less than Edges because it reads no records.
func (tx *Txn) Neighbors(node NodeID, d Direction, types ...string) iter.Seq2[NodeID, error] {
	return func(yield func(NodeID, error) bool) { tx.neighbors(node, d, types, yield) }
}

func (tx *Txn) neighbors(node NodeID, d Direction, names []string, yield func(NodeID, error) bool) {
	types := tx.typeSet(names)
	first, last := d.sides()
	for side := first; side <= last; side++ {
		l, err := tx.copyOf(node, side, &types, false)
		if err != nil {
			yield(0, err)
			return
		}
		v := sideView{tx: tx, node: node, side: side, skipLoops: side == 1 && d == Both}
		if l != nil && !v.ends(l, &types, yield) || l == nil && !v.streamEnds(types, yield) {
			return
		}
	}
}

func (p place) other(node NodeID) NodeID {
	if p.src == node {
		return p.dst
	}
	return p.src
}

// Degree counts a node's edges, a loop once. Its time grows with the result.
func (tx *Txn) Degree(node NodeID, d Direction, types ...string) (int, error) {
	n := 0
	for _, err := range tx.Neighbors(node, d, types...) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// AllEdges iterates over all edges, ordered by source, type and destination. An error ends it.
func (tx *Txn) AllEdges() iter.Seq2[Edge, error] {
	return tx.publicEdges(tx.outRecords(adjRange{Range: mvcc.Prefix([]byte{keyOut})}))
}
