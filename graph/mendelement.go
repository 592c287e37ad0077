package graph

import (
	"bytes"
	"errors"
	"maps"
	"slices"

	"github.com/sombradb/sombra/mvcc"
)

// out completes an edge whose record is there.
func (m *mender) out(item mvcc.Item) error {
	p, err := parseAdjacency(item.Key)
	if err != nil {
		return err
	}
	props, err := decodeEdge(string(item.Value))
	if err != nil {
		return err
	}
	if err := m.propsNamed(props); err != nil {
		return err
	}
	return m.complete(p)
}

// complete adds what belongs to the record of an edge: its ends, its other entries.
func (m *mender) complete(p place) error {
	if err := m.seen(p); err != nil {
		return err
	}
	if err := m.add(appendInKey(nil, p), nil); err != nil {
		return err
	}
	return m.lead(p)
}

// lead makes the edge's id lead to its place.
func (m *mender) lead(p place) error {
	key := appendEdgeKey(nil, p.edge)
	at := appendPlace(nil, p)
	value, err := m.tx.kv.Append(m.tx.db.ks, m.buf[:0], key)
	if err == nil {
		m.buf = value
		if bytes.Equal(value, at) {
			return nil
		}
	} else if !errors.Is(err, mvcc.ErrNotFound) {
		return err
	}
	m.report.Added++
	return m.put(key, at)
}

// seen notes that an edge exists, and so its ends.
func (m *mender) seen(p place) error {
	if err := m.named(dictTypes, p.typ); err != nil {
		return err
	}
	m.last.edge = max(m.last.edge, uint64(p.edge))
	if err := m.exists(p.src); err != nil {
		return err
	}
	return m.exists(p.dst)
}

// exists notes that a node exists.
func (m *mender) exists(id NodeID) error {
	if m.lost[id] != nil {
		return nil
	}
	found, err := m.has(appendNodeKey(nil, id))
	if err == nil && !found {
		m.lost[id] = &nodeRec{}
	}
	return err
}

func (m *mender) place(item mvcc.Item) error {
	f, err := cutUints(item.Key[1:], 1)
	if err != nil {
		return err
	}
	p, err := parsePlace(EdgeID(f[0]), item.Value)
	if err != nil {
		return err
	}
	return m.anew(p)
}

func (m *mender) in(item mvcc.Item) error {
	p, err := parseAdjacency(item.Key)
	if err != nil {
		return err
	}
	return m.anew(p)
}

// anew makes an edge, one of whose entries is there, unless its record is there, too.
func (m *mender) anew(p place) error {
	found, err := m.has(appendOutKey(nil, p))
	if err != nil || found {
		return err
	}
	m.report.Edges = append(m.report.Edges, p.edge)
	if err := m.put(appendOutKey(nil, p), nil); err != nil {
		return err
	}
	return m.complete(p)
}

// external notes the id of an element that was imported. It proves nothing: the entry outlives the element.
func (m *mender) external(item mvcc.Item) error {
	kind, _, _, err := parseExternalKey(item.Key)
	if err != nil {
		return err
	}
	f, err := cutUints(item.Value, 1)
	if err != nil {
		return err
	}
	last := &m.last.node
	if kind == externalEdge {
		last = &m.last.edge
	}
	*last = max(*last, f[0])
	return nil
}

func (m *mender) label(item mvcc.Item) error {
	label, id, err := parseLabelKey(item.Key)
	if err != nil {
		return err
	}
	if err := m.named(dictLabels, label); err != nil {
		return err
	}
	n, err := m.owner(id)
	if err != nil || n.hasLabel(label) {
		return err
	}
	if m.lost[id] == nil {
		return m.remove(item.Key)
	}
	n.addLabel(label)
	return nil
}

// owner returns the node that an entry leads to: its record, or what is known of it if that is lost.
func (m *mender) owner(id NodeID) (*nodeRec, error) {
	if n := m.lost[id]; n != nil {
		return n, nil
	}
	m.buf = appendNodeKey(m.buf[:0], id)
	value, err := m.tx.kv.Get(m.tx.db.ks, m.buf)
	if errors.Is(err, mvcc.ErrNotFound) {
		n := &nodeRec{}
		m.lost[id] = n
		return n, nil
	}
	if err != nil {
		return nil, err
	}
	return decodeNode(string(value))
}

func (m *mender) index(item mvcc.Item) error {
	number, v, id, err := parseIndexKey(item.Key)
	if err != nil {
		return err
	}
	m.last.index = max(m.last.index, number)
	ix := m.schema.byID[number]
	if ix == nil || ix.unique != (item.Key[0] == keyUnique) {
		return m.remove(item.Key) // of an index whose definition is lost
	}
	if ix.state != IndexReady {
		return nil // the next Open removes the index
	}
	if ix.unique {
		f, err := cutUints(item.Value, 1)
		if err != nil {
			return err
		}
		id = NodeID(f[0])
	}
	n, err := m.owner(id)
	if err != nil || ix.valueIn(n).Equal(v) {
		return err
	}
	if m.lost[id] == nil || !ix.fill(n, v) {
		return m.remove(item.Key)
	}
	return nil
}

// putLost puts the records of nodes that are made anew.
func (m *mender) putLost() error {
	m.report.Nodes = slices.Sorted(maps.Keys(m.lost))
	for _, id := range m.report.Nodes {
		if err := m.put(appendNodeKey(nil, id), appendNode(nil, m.lost[id])); err != nil {
			return err
		}
	}
	slices.Sort(m.report.Edges)
	return nil
}

// node adds the entries that a node calls for.
func (m *mender) node(item mvcc.Item) error {
	id, err := parseNodeKey(item.Key)
	if err != nil {
		return err
	}
	n, err := decodeNode(string(item.Value))
	if err != nil {
		return err
	}
	m.last.node = max(m.last.node, uint64(id))
	if err := m.propsNamed(n.props); err != nil {
		return err
	}
	for _, label := range n.labels {
		if err := m.named(dictLabels, label); err != nil {
			return err
		}
		if err := m.add(appendLabelKey(nil, label, id), nil); err != nil {
			return err
		}
		for _, ix := range m.schema.maintained[label] {
			if err := m.indexed(ix, n, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// indexed adds a node's entry in an index, or gives a unique one up that has no room for it.
func (m *mender) indexed(ix *index, n *nodeRec, id NodeID) error {
	v := ix.valueIn(n)
	if v.IsNull() || ix.state != IndexReady || m.broken[ix.id].ix != nil {
		return nil
	}
	key := appendIndexKey(nil, ix, v, id)
	if !ix.unique {
		return m.add(key, nil)
	}
	value, err := m.tx.kv.Get(m.tx.db.ks, key)
	if errors.Is(err, mvcc.ErrNotFound) {
		m.report.Added++
		return m.put(key, appendUint(nil, uint64(id)))
	}
	if err != nil {
		return err
	}
	f, err := cutUints(value, 1)
	if err != nil || NodeID(f[0]) == id {
		return err
	}
	m.broken[ix.id] = violation{ix: ix, value: v, node: id, existing: NodeID(f[0])}
	return nil
}
