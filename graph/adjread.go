package graph

import (
	"github.com/sombradb/sombra/mvcc"
)

// aliveCheck is how many edges of a copy go between two looks at whether the transaction has ended.
const aliveCheck = 1024

// copyOf returns a copy of a node's edges in a direction that is what the transaction would read there now, of the types at
// least, and takes these for read. It returns nil if there is none: then the caller has to read in the store. With whole the
// caller will read all edges in any case, so that a copy of a long list is worth making at once.
func (tx *Txn) copyOf(node NodeID, side int, types *nameSet, whole bool) (*adjList, error) {
	c := tx.db.adjacency
	l := c.get(node, side)
	if l != nil && l.kind == wholeList {
		ok, err := tx.holds(l, node, side, types)
		if err != nil {
			return nil, err
		}
		if ok {
			if !l.used.Load() {
				l.used.Store(true)
			}
			tx.hits++
			return l, nil
		}
	}
	tx.misses++
	return tx.fill(l, node, side, types, whole)
}

// holds reports whether the transaction may use the list, and takes the types for read if so. Who may write uses short
// lists only: what a loop that ends early has not seen is taken for read, too, and should be little.
func (tx *Txn) holds(l *adjList, node NodeID, side int, types *nameSet) (bool, error) {
	s, group := tx.db.adjacency.stamps, groupOf(node, side)
	if !tx.careful {
		return s.Holds(tx.kv, group, l.at, mvcc.Range{})
	}
	if l.edges > shortList {
		return false, nil
	}
	for _, r := range sideRanges(nil, node, side, types) {
		if ok, err := s.Holds(tx.kv, group, l.at, r.Range); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// fill makes a copy of a node's edges, stores it in place of what was there, and returns it if the transaction may use it.
func (tx *Txn) fill(old *adjList, node NodeID, side int, types *nameSet, whole bool) (*adjList, error) {
	c := tx.db.adjacency
	most := shortList
	if old != nil && old.kind != wholeList {
		old.used.Store(true)
		again, err := tx.again(old, node, side, whole)
		if !again || err != nil {
			return nil, err
		}
		most = c.longest
	} else if whole && !tx.careful {
		most = c.longest
	}
	b := c.builders.Get().(*listBuilder)
	defer c.builders.Put(b)
	b.reset()
	good := true
	group := groupOf(node, side)
	at, err := c.stamps.Copy(tx.kv, group, mvcc.Prefix(sidePrefix(node, side)), func(key []byte) bool {
		good = b.add(key)
		return good && len(b.others) <= most
	})
	if err != nil || at == 0 || !good { // a key that makes no sense is reported by who reads it
		return nil, err
	}
	if len(b.others) > most {
		kind := longList
		if most > shortList {
			kind = hugeList
		}
		c.put(node, side, &adjList{at: at, kind: kind})
		return nil, nil
	}
	l := b.list(at)
	c.put(node, side, l)
	if !tx.careful {
		return l, nil // of the transaction's snapshot, or of a moment since the operation began
	}
	if ok, err := tx.holds(l, node, side, types); !ok || err != nil {
		return nil, err
	}
	return l, nil
}

// again reports whether a long list that was not copied is worth it now: it has not changed since it was asked for the last
// time. Otherwise that is noted.
func (tx *Txn) again(old *adjList, node NodeID, side int, whole bool) (bool, error) {
	if tx.careful || old.kind == hugeList {
		return false, nil
	}
	if whole {
		return true, nil
	}
	same, err := tx.db.adjacency.stamps.Holds(tx.kv, groupOf(node, side), old.at, mvcc.Range{})
	if same || err != nil {
		return same, err
	}
	at, err := tx.kv.Snapshot()
	if err == nil && at > old.at {
		tx.db.adjacency.put(node, side, &adjList{at: at, kind: longList})
	}
	return false, err
}

// alive returns why the transaction cannot go on.
func (tx *Txn) alive() error {
	_, err := tx.kv.Snapshot()
	return err
}

// wants reports whether edges of a type are meant by the set. REQUIRES: who asks has met such an edge (G8).
func (tx *Txn) wants(types *nameSet, typ uint64) bool {
	if types.all {
		return true
	}
	for _, s := range types.spans {
		if s.lo <= typ && typ <= s.hi {
			return !s.free || tx.db.types.isLate(types.late, typ)
		}
	}
	return false
}

// flushCounts adds what the transaction has counted to the database's counters.
func (tx *Txn) flushCounts() {
	n := &tx.db.adjacency.count
	if tx.hits != 0 {
		n.hits.Add(tx.hits)
	}
	if tx.misses != 0 {
		n.misses.Add(tx.misses)
	}
	tx.hits, tx.misses = 0, 0
}
