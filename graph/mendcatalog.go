package graph

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sombradb/sombra/mvcc"
)

// catalog makes G6 and G7 hold, and retires the indexes that cannot be kept.
func (m *mender) catalog() error {
	for _, ix := range m.schema.byID {
		m.last.index = max(m.last.index, ix.id)
		err := m.named(dictLabels, ix.label)
		for _, p := range ix.properties {
			err = errors.Join(err, m.named(dictProperties, p))
		}
		if err != nil {
			return m.tx.db.corrupt(appendIndexDefKey(nil, ix.id), "its value is malformed")
		}
	}
	for _, r := range m.schema.rules {
		m.last.rule = max(m.last.rule, r.id)
		for _, n := range r.names(m.tx.db) {
			if err := m.named(n.dict.kind, n.id); err != nil {
				return m.tx.db.corrupt(appendRuleKey(nil, r.id), "its value is malformed")
			}
		}
	}
	for _, d := range []*dict{m.tx.db.labels, m.tx.db.types, m.tx.db.properties} {
		if err := m.names(d); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		name string
		last uint64
	}{{counterNodes, m.last.node}, {counterEdges, m.last.edge}, {counterIndexes, m.last.index}, {counterRules, m.last.rule}} {
		if _, err := m.counter(c.name, c.last); err != nil {
			return err
		}
	}
	return m.retire()
}

// names gives a name to every id of a dictionary that has none: those in use, and those below its counter.
func (m *mender) names(d *dict) error {
	prefix := appendNameKey(nil, d.kind, "")
	byID, taken := map[uint64]string{}, map[string]bool{}
	last := m.last.names[d.kind]
	err := m.walk(prefix, func(item mvcc.Item) error {
		f, err := cutUints(item.Value, 1)
		if err != nil || f[0] > MaxNames {
			return errMalformed
		}
		name := string(item.Key[len(prefix):])
		byID[f[0]], taken[name] = name, true
		last = max(last, f[0])
		return nil
	})
	if err != nil {
		return err
	}
	next, err := m.counter(string(d.kind), last)
	if err != nil {
		return err
	}
	for id := uint64(1); id < next; id++ {
		if byID[id] != "" {
			continue
		}
		name := fmt.Sprintf("recovered-%d", id)
		for taken[name] {
			name += "'"
		}
		m.report.Names = append(m.report.Names, d.what+" "+name)
		if err := m.put(appendNameKey(nil, d.kind, name), appendUint(nil, id)); err != nil {
			return err
		}
		byID[id], taken[name] = name, true
	}
	for id, name := range byID { // so that reports can say them
		d.add(name, id)
	}
	return nil
}

// counter raises a counter above the ids in use and returns it: the next id.
func (m *mender) counter(name string, last uint64) (next uint64, err error) {
	key := counterKey(name)
	value, err := m.tx.kv.Get(m.tx.db.ks, key)
	switch {
	case errors.Is(err, mvcc.ErrNotFound):
		next = 1
	case err != nil:
		return 0, err
	default:
		if next, err = m.tx.db.uintValue(key, value); err != nil {
			return 0, err
		}
	}
	if next > last {
		return next, nil
	}
	m.report.Counters = append(m.report.Counters, name)
	return last + 1, m.put(key, appendUint(nil, last+1))
}

// retire marks the indexes that cannot be kept: the next Open removes them. Constraints that cannot be kept go at once. The epoch
// moves with that. Names are known by now.
func (m *mender) retire() error {
	if len(m.broken)+len(m.faults) == 0 {
		return nil
	}
	if err := m.dropRules(); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(m.broken)) {
		v := m.broken[id]
		m.report.Dropped = append(m.report.Dropped, m.tx.db.constraintError(v.node, indexChange{ix: v.ix, new: v.value}, v.existing))
		retired := *v.ix
		retired.state = IndexDropping
		if err := m.put(appendIndexDefKey(nil, id), appendIndexDef(nil, &retired)); err != nil {
			return err
		}
	}
	return m.put(epochKey, appendUint(nil, m.schema.epoch+1))
}
