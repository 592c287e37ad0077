package graph

import (
	"errors"
	"iter"

	"github.com/sombradb/sombra/mvcc"
)

// Nodes iterates over all nodes in the order of their ids. An error ends it.
func (tx *Txn) Nodes() iter.Seq2[Node, error] {
	return func(yield func(Node, error) bool) {
		for item, err := range tx.kv.Scan(tx.db.ks, mvcc.Prefix([]byte{keyNode})) {
			if err != nil {
				yield(Node{}, err)
				return
			}
			node, err := tx.nodeOf(item)
			if !yield(node, err) || err != nil {
				return
			}
		}
	}
}

func (tx *Txn) nodeOf(item mvcc.Item) (Node, error) {
	id, err := parseNodeKey(item.Key)
	if err != nil {
		return Node{}, tx.db.corrupt(item.Key, "its key is malformed")
	}
	n, err := decodeNode(string(item.Value))
	if err != nil {
		return Node{}, tx.db.corrupt(item.Key, "its record is malformed")
	}
	return tx.publicNode(id, n)
}

// NodesByLabel iterates over the nodes with a label in the order of their ids. An error ends it.
func (tx *Txn) NodesByLabel(label string) iter.Seq2[Node, error] {
	return tx.nodes(tx.labelled(label))
}

// CountByLabel counts the nodes with a label. Its time grows with the result.
func (tx *Txn) CountByLabel(label string) (int, error) {
	n := 0
	for _, err := range tx.labelled(label) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// Labels iterates over the labels that at least one node has, in the order in
// which the names were first used. An error ends it.
func (tx *Txn) Labels() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		lo := []byte{keyLabel}
		end := mvcc.Prefix(lo).Hi
		for {
			label, err := tx.firstLabel(mvcc.Range{Lo: lo, Hi: end})
			if err != nil {
				yield("", err)
				return
			}
			if label == 0 {
				return
			}
			if !yield(tx.db.labels.describe(label), nil) {
				return
			}
			lo = mvcc.Prefix(appendUint([]byte{keyLabel}, label)).Hi
		}
	}
}

// firstLabel returns the label of the first label entry in a range, 0 when there is none.
func (tx *Txn) firstLabel(r mvcc.Range) (uint64, error) {
	for key, err := range tx.kv.Keys(tx.db.ks, r) {
		if err != nil {
			return 0, err
		}
		label, _, err := tx.labelEntry(key)
		return label, err
	}
	return 0, nil
}

// labelEntry decodes the key of a label entry.
func (tx *Txn) labelEntry(key []byte) (label uint64, id NodeID, err error) {
	if label, id, err = parseLabelKey(key); err != nil {
		err = tx.db.corrupt(key, "its key is malformed")
	}
	return label, id, err
}

// labelled iterates over the ids of the nodes with a label.
func (tx *Txn) labelled(label string) iter.Seq2[NodeID, error] {
	return func(yield func(NodeID, error) bool) {
		if id, known := tx.db.labels.lookup(label); known { // without a set to allocate
			tx.labelEntries(idSpan{lo: id, hi: id}, nil, yield)
			return
		}
		set := tx.db.labels.resolve([]string{label})
		for _, s := range set.spans {
			if !tx.labelEntries(s, set.late, yield) {
				return
			}
		}
	}
}

// labelEntries yields the nodes of the label entries in a span and reports whether to go on.
func (tx *Txn) labelEntries(s idSpan, late []string, yield func(NodeID, error) bool) bool {
	for key, err := range tx.kv.Keys(tx.db.ks, s.keys([]byte{keyLabel})) {
		var label uint64
		var id NodeID
		if err == nil {
			label, id, err = tx.labelEntry(key)
		}
		if err == nil && s.free && !tx.db.labels.isLate(late, label) {
			continue
		}
		if !yield(id, err) || err != nil {
			return false
		}
	}
	return true
}

// nodes reads the nodes with the ids. A node that was deleted during the iteration is passed over.
func (tx *Txn) nodes(ids iter.Seq2[NodeID, error]) iter.Seq2[Node, error] {
	return func(yield func(Node, error) bool) {
		for id, err := range ids {
			var node Node
			if err == nil {
				if node, err = tx.Node(id); errors.Is(err, ErrNodeNotFound) {
					continue
				}
			}
			if !yield(node, err) || err != nil {
				return
			}
		}
	}
}

// Range is an interval of property values, in the order of Value.Compare. Null
// bounds are open: then the interval ends where the kind of the other bound does (all
// numbers are one kind); with two null bounds it holds all values.
type Range struct {
	Lo, Hi    Value
	ExcludeLo bool // Lo itself is not in it
	IncludeHi bool // Hi itself is in it
	Reverse   bool // iterate from Hi to Lo
}

// Find iterates over the nodes with a label whose property equals v (Int(1) and
// Float(1) are equal), in the order of their ids. It needs an index: ErrNoIndex. Null is never found.
func (tx *Txn) Find(label, property string, v Value) iter.Seq2[Node, error] {
	return tx.FindRange(label, property, Range{Lo: v, Hi: v, IncludeHi: !v.IsNull(), ExcludeLo: v.IsNull()})
}

// FindRange iterates over the nodes with a label whose property lies in r, in the order of
// values, then of ids. It needs an index: ErrNoIndex. An error ends it.
func (tx *Txn) FindRange(label, property string, r Range) iter.Seq2[Node, error] {
	return func(yield func(Node, error) bool) {
		ix, err := tx.usableIndex(label, property)
		if err != nil {
			yield(Node{}, err)
			return
		}
		if r.Lo.IsNull() && r.Hi.IsNull() && r.ExcludeLo {
			return
		}
		for node, err := range tx.nodes(tx.entries(ix, r)) {
			if !yield(node, err) || err != nil {
				return
			}
		}
		// At ReadCommitted the index may have been dropped under the iteration, which then has missed entries.
		if now, err := tx.usableIndex(label, property); err != nil {
			yield(Node{}, err)
		} else if now.id != ix.id {
			yield(Node{}, tx.db.indexError(&index{label: ix.label, property: ix.property, state: IndexDropping}, false))
		}
	}
}

// usableIndex returns the index on a label's property if it is ready. The names are looked up after the schema was read:
// the names of its indexes were in memory before those were, so one that is not known then has no index in it (G8).
func (tx *Txn) usableIndex(label, property string) (*index, error) {
	s, err := tx.readSchema()
	if err != nil {
		return nil, err
	}
	l, known := tx.db.labels.lookup(label)
	p, known2 := tx.db.properties.lookup(property)
	if !known || !known2 {
		return nil, &IndexError{Label: label, Property: property}
	}
	ix := s.find(l, p)
	if ix == nil {
		return nil, &IndexError{Label: label, Property: property}
	}
	if ix.state != IndexReady {
		return nil, tx.db.indexError(ix, false)
	}
	return ix, nil
}

// entries iterates over the nodes of index entries.
func (tx *Txn) entries(ix *index, r Range) iter.Seq2[NodeID, error] {
	scan := tx.kv.Scan
	if r.Reverse {
		scan = tx.kv.Reverse
	}
	return func(yield func(NodeID, error) bool) {
		if ix.unique && r.isPoint() {
			if id, err := tx.uniqueEntry(ix, r.Lo); id != 0 || err != nil {
				yield(id, err)
			}
			return
		}
		keys := r.keys(ix)
		if keys.Hi != nil && string(keys.Lo) >= string(keys.Hi) {
			return
		}
		for item, err := range scan(tx.db.ks, keys) {
			var id NodeID
			if err == nil {
				id, err = tx.entryNode(item)
			}
			if !yield(id, err) || err != nil {
				return
			}
		}
	}
}

// isPoint reports whether the interval holds one value.
func (r Range) isPoint() bool {
	return !r.Lo.IsNull() && r.Lo == r.Hi && r.IncludeHi && !r.ExcludeLo
}

// uniqueEntry returns the node with a value in a unique index, 0 when there is none.
func (tx *Txn) uniqueEntry(ix *index, v Value) (NodeID, error) {
	tx.key = appendIndexKey(tx.key[:0], ix, v, 0)
	value, err := tx.get()
	if errors.Is(err, mvcc.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	id, err := tx.db.uintValue(tx.key, []byte(value))
	return NodeID(id), err
}

func (tx *Txn) entryNode(item mvcc.Item) (NodeID, error) {
	_, _, id, err := parseIndexKey(item.Key)
	if err != nil {
		return 0, tx.db.corrupt(item.Key, "its key is malformed")
	}
	if id == 0 {
		u, err := tx.db.uintValue(item.Key, item.Value)
		return NodeID(u), err
	}
	return id, nil
}

// keys returns the index keys of the interval.
func (r Range) keys(ix *index) mvcc.Range {
	prefix := appendIndexPrefix(nil, ix)
	at := func(v Value) mvcc.Range { return mvcc.Prefix(appendValue(prefix[:len(prefix):len(prefix)], v)) }
	keys := mvcc.Prefix(prefix)
	switch {
	case !r.Lo.IsNull():
		keys = kindKeys(prefix, r.Lo)
	case !r.Hi.IsNull():
		keys = kindKeys(prefix, r.Hi)
	}
	if !r.Lo.IsNull() {
		if keys.Lo = at(r.Lo).Lo; r.ExcludeLo {
			keys.Lo = at(r.Lo).Hi
		}
	}
	if !r.Hi.IsNull() {
		if keys.Hi = at(r.Hi).Lo; r.IncludeHi {
			keys.Hi = at(r.Hi).Hi
		}
	}
	return keys
}

// kindKeys returns the index keys of all values of v's kind.
func kindKeys(prefix []byte, v Value) mvcc.Range {
	first, last := byte(tagBytes), byte(tagBytes)
	switch v.kind {
	case KindBool:
		first, last = tagFalse, tagTrue
	case KindInt, KindFloat:
		first, last = tagNaN, tagNumber
	case KindString:
		first, last = tagString, tagString
	case KindDate, KindTime, KindDuration:
		first = tagDate + byte(v.kind-KindDate)
		last = first
	case KindList:
		first, last = tagList, tagList
	case KindMap:
		first, last = tagMap, tagMap
	}
	n := len(prefix)
	return mvcc.Range{Lo: append(prefix[:n:n], first), Hi: append(prefix[:n:n], last+1)}
}
