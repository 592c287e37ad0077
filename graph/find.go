package graph

import (
	"errors"
	"iter"
	"slices"
	"strings"

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
		properties := [1]string{property}
		tx.find(label, properties[:], yield, func(ix *index) iter.Seq2[NodeID, error] { return tx.entries(ix, r) })
	}
}

// FindComposite iterates over the nodes in the index on a label's properties, all of them and in the order of the index, whose
// first properties equal the given values, and whose next one lies in r. Range{} is all values; when all properties have to equal
// something there is none left for a range, and r must be that. The order is that of the values of the next property, then
// of the one after it, and so on, then of ids. Nodes that lack one of the properties are never found. It needs the index:
// ErrNoIndex. ErrInvalid when there are more values than properties.
func (tx *Txn) FindComposite(label string, properties []string, equal []Value, r Range) iter.Seq2[Node, error] {
	return func(yield func(Node, error) bool) {
		if n := len(equal); n > len(properties) || n == len(properties) && r != (Range{Reverse: r.Reverse}) {
			yield(Node{}, invalid("%d values and a range for the index on the %d properties %s of :%s", n, len(properties), strings.Join(properties, ", "), label))
			return
		}
		tx.find(label, properties, yield, func(ix *index) iter.Seq2[NodeID, error] { return tx.compositeEntries(ix, equal, r) })
	}
}

// find yields the nodes that search finds in the index on a label's properties.
func (tx *Txn) find(label string, properties []string, yield func(Node, error) bool, search func(*index) iter.Seq2[NodeID, error]) {
	ix, err := tx.usableIndex(label, properties)
	if err != nil {
		yield(Node{}, err)
		return
	}
	for node, err := range tx.nodes(search(ix)) {
		if !yield(node, err) || err != nil {
			return
		}
	}
	// At ReadCommitted the index may have been dropped under the iteration, which then has missed entries.
	if now, err := tx.usableIndex(label, properties); err != nil {
		yield(Node{}, err)
	} else if now.id != ix.id {
		yield(Node{}, tx.db.indexError(&index{label: ix.label, properties: ix.properties, state: IndexDropping}, false))
	}
}

// usableIndex returns the index on a label's properties if it is ready. The names are looked up after the schema was read:
// the names of its indexes were in memory before those were, so one that is not known then has no index in it (G8).
func (tx *Txn) usableIndex(label string, properties []string) (*index, error) {
	s, err := tx.readSchema()
	if err != nil {
		return nil, err
	}
	l, known := tx.db.labels.lookup(label)
	var room [MaxIndexProperties]uint64
	ids := room[:0]
	for _, name := range properties {
		id, known2 := tx.db.properties.lookup(name)
		known = known && known2
		ids = append(ids, id)
	}
	var ix *index
	if known {
		ix = s.find(l, ids...)
	}
	if ix == nil {
		return nil, &IndexError{Label: label, Property: strings.Join(properties, ", ")}
	}
	if ix.state != IndexReady {
		return nil, tx.db.indexError(ix, false)
	}
	return ix, nil
}

// entries iterates over the nodes of index entries.
func (tx *Txn) entries(ix *index, r Range) iter.Seq2[NodeID, error] {
	return func(yield func(NodeID, error) bool) {
		if ix.unique && r.isPoint() {
			if id, err := tx.uniqueEntry(ix, r.Lo); id != 0 || err != nil {
				yield(id, err)
			}
			return
		}
		tx.scanEntries(r, appendIndexPrefix(nil, ix), yield)
	}
}

// compositeEntries iterates over the nodes of entries of an index on several properties: lists that begin with the values.
func (tx *Txn) compositeEntries(ix *index, equal []Value, r Range) iter.Seq2[NodeID, error] {
	if len(ix.properties) == 1 && len(equal) == 0 {
		return tx.entries(ix, r)
	}
	if len(ix.properties) == 1 {
		return tx.entries(ix, Range{Lo: equal[0], Hi: equal[0], IncludeHi: true, ExcludeLo: equal[0].IsNull()})
	}
	return func(yield func(NodeID, error) bool) {
		if slices.ContainsFunc(equal, Value.IsNull) {
			return
		}
		if whole := List(equal...); ix.unique && len(equal) == len(ix.properties) {
			if id, err := tx.uniqueEntry(ix, whole); id != 0 || err != nil {
				yield(id, err)
			}
			return
		}
		prefix := append(appendIndexPrefix(nil, ix), tagList)
		for _, v := range equal {
			prefix = appendValue(prefix, v)
		}
		tx.scanEntries(r, prefix, yield)
	}
}

// scanEntries yields the nodes of the entries that go on with a value of the interval after the prefix.
func (tx *Txn) scanEntries(r Range, prefix []byte, yield func(NodeID, error) bool) {
	if r.Lo.IsNull() && r.Hi.IsNull() && r.ExcludeLo {
		return
	}
	keys := r.keys(prefix)
	if keys.Hi != nil && string(keys.Lo) >= string(keys.Hi) {
		return
	}
	scan := tx.kv.Scan
	if r.Reverse {
		scan = tx.kv.Reverse
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

// keys returns the index keys that go on with a value of the interval after the prefix.
func (r Range) keys(prefix []byte) mvcc.Range {
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
