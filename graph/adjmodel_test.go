package graph

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sombradb/sombra/mvcc"
	"pgregory.net/rapid"
)

// openTxn is a transaction of the state machine, with what it has to see.
type openTxn struct {
	*Txn
	edges map[EdgeID]place
	saved []savedEdges
	level mvcc.Isolation
}

type savedEdges struct {
	mark  mvcc.Savepoint
	edges map[EdgeID]place
}

// Several transactions are open at once, at all levels and in the past, and make and delete edges, with savepoints. What
// each sees by copies is what it reads in the store, and what a map of edges says.
func TestCopiesAreWhatATransactionReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		db, err := Open(testPath, &Options{Options: mvcc.Options{FS: newMem(t), MemoryBudget: mvcc.MinMemoryBudget, SegmentSize: 1 << 20, Retain: mvcc.Retention{Duration: time.Hour}}})
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		m := &copyMachine{db: db, nodes: addNodes(t, db, 3, "N"), past: map[mvcc.Timestamp]map[EdgeID]place{}}
		m.committed = map[EdgeID]place{}
		m.note()
		defer func() {
			for _, tx := range m.open {
				tx.Rollback()
			}
			db.adjacency.verify(t)
			check(t, db)
			if err := db.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}()
		t.Repeat(map[string]func(*rapid.T){
			"begin": m.begin, "create": m.create, "delete": m.deleteEdge, "save": m.save, "undo": m.undo, "end": m.end,
			"checkpoint": func(t *rapid.T) {
				if err := db.Store().Checkpoint(bg); err != nil {
					t.Fatalf("checkpoint: %v", err)
				}
			},
			"": m.compare,
		})
	})
}

// copyMachine drives transactions beside maps of edges.
type copyMachine struct {
	db        *DB
	nodes     []NodeID
	committed map[EdgeID]place
	past      map[mvcc.Timestamp]map[EdgeID]place
	open      []*openTxn
}

func cloneEdges(m map[EdgeID]place) map[EdgeID]place {
	c := map[EdgeID]place{}
	for id, p := range m {
		c[id] = p
	}
	return c
}

// note remembers what was committed as of now.
func (m *copyMachine) note() { m.past[m.db.Store().Metrics().Watermark] = cloneEdges(m.committed) }

func (m *copyMachine) pick(t *rapid.T) *openTxn {
	var list []*openTxn
	for _, tx := range m.open {
		if !tx.Store().ReadOnly() {
			list = append(list, tx)
		}
	}
	if len(list) == 0 {
		t.Skip("no transaction is open")
	}
	return rapid.SampledFrom(list).Draw(t, "txn")
}

func (m *copyMachine) begin(t *rapid.T) {
	if len(m.open) == 4 {
		t.Skip("enough are open")
	}
	o := &mvcc.TxnOptions{Isolation: rapid.SampledFrom(levels).Draw(t, "level"), ReadOnly: rapid.Bool().Draw(t, "readOnly"), NoWait: true}
	edges := m.committed
	if o.Isolation != mvcc.ReadCommitted && rapid.Bool().Draw(t, "past") {
		var times []mvcc.Timestamp
		for ts := range m.past {
			times = append(times, ts)
		}
		slices.Sort(times)
		o.AsOf = rapid.SampledFrom(times).Draw(t, "asOf")
		edges = m.past[o.AsOf]
	}
	tx, err := m.db.Begin(bg, o)
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	if _, err := tx.Store().Snapshot(); err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	m.open = append(m.open, &openTxn{Txn: tx, edges: cloneEdges(edges), level: o.Isolation})
}

func (m *copyMachine) create(t *rapid.T) {
	tx := m.pick(t)
	src, dst := rapid.SampledFrom(m.nodes).Draw(t, "src"), rapid.SampledFrom(m.nodes).Draw(t, "dst")
	name := rapid.SampledFrom(modelTypes).Draw(t, "type")
	id, err := tx.CreateEdge(src, dst, name, nil)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	typ, _ := m.db.types.lookup(name)
	tx.edges[id] = place{src: src, dst: dst, typ: typ, edge: id}
}

func (m *copyMachine) deleteEdge(t *rapid.T) {
	tx := m.pick(t)
	ids := []EdgeID{}
	for id := range tx.edges {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		t.Skip("no edge")
	}
	slices.Sort(ids)
	id := rapid.SampledFrom(ids).Draw(t, "edge")
	switch err := tx.DeleteEdge(id); {
	case err == nil:
		delete(tx.edges, id)
	case mvcc.IsRetryable(err) || errors.Is(err, mvcc.ErrLockNotAvailable) || errors.Is(err, ErrEdgeNotFound) && tx.level == mvcc.ReadCommitted:
		m.close(tx)
	default:
		t.Fatalf("delete: %v", err)
	}
}

func (m *copyMachine) save(t *rapid.T) {
	tx := m.pick(t)
	mark, err := tx.Savepoint()
	if err != nil {
		t.Fatalf("savepoint: %v", err)
	}
	tx.saved = append(tx.saved, savedEdges{mark, cloneEdges(tx.edges)})
}

func (m *copyMachine) undo(t *rapid.T) {
	tx := m.pick(t)
	if len(tx.saved) == 0 {
		t.Skip("no savepoint")
	}
	s := rapid.SampledFrom(tx.saved).Draw(t, "savepoint")
	if err := tx.RollbackTo(s.mark); err != nil {
		t.Fatalf("rollback to: %v", err)
	}
	tx.edges = cloneEdges(s.edges)
}

func (m *copyMachine) end(t *rapid.T) {
	if len(m.open) == 0 {
		t.Skip("no transaction is open")
	}
	tx := rapid.SampledFrom(m.open).Draw(t, "txn")
	if rapid.IntRange(0, 3).Draw(t, "rollback") == 0 {
		m.open = slices.DeleteFunc(m.open, func(o *openTxn) bool { return o == tx })
		tx.Rollback()
		return
	}
	m.close(tx)
}

// close ends a transaction, with a commit when that is possible, and takes what is committed then from the store.
func (m *copyMachine) close(tx *openTxn) {
	m.open = slices.DeleteFunc(m.open, func(o *openTxn) bool { return o == tx })
	if tx.Store().ReadOnly() || tx.Commit() != nil {
		tx.Rollback()
		return
	}
	m.committed = map[EdgeID]place{}
	_ = m.db.View(bg, func(v *Txn) error {
		for item, err := range v.kv.Keys(m.db.ks, mvcc.Prefix([]byte{keyOut})) {
			if err != nil {
				return err
			}
			p, _ := parseAdjacency(item)
			m.committed[p.edge] = p
		}
		return nil
	})
	m.note()
}

func (m *copyMachine) compare(t *rapid.T) {
	view(t, m.db, func(tx *Txn) { m.compareTxn(t, &openTxn{Txn: tx, edges: m.committed}) })
	if len(m.open) > 0 {
		m.compareTxn(t, rapid.SampledFrom(m.open).Draw(t, "compared"))
	}
}

// compareReach compares a search with one that is made by hand.
func (m *copyMachine) compareReach(t *rapid.T, tx *openTxn) {
	start := m.nodes[0]
	depths, queue := map[NodeID]int{start: 0}, []NodeID{start}
	for len(queue) > 0 {
		for _, p := range readPlaces(t, tx.Txn, queue[0], Out, allTypes) {
			if _, seen := depths[p.dst]; !seen {
				depths[p.dst] = depths[queue[0]] + 1
				queue = append(queue, p.dst)
			}
		}
		queue = queue[1:]
	}
	for _, v := range collect(t, tx.BFS(start, Traversal{})) {
		if d, found := depths[v.Node]; !found || d != v.Depth {
			t.Fatalf("visit %+v, want depth %d (%v)", v, d, found)
		}
		p, err := tx.ShortestPath(start, v.Node, Traversal{})
		if err != nil || len(p.Edges) != v.Depth {
			t.Fatalf("path %v, %v to a node at depth %d", p, err, v.Depth)
		}
		delete(depths, v.Node)
	}
	if len(depths) > 0 {
		t.Fatalf("not visited: %v", depths)
	}
}

// compareTxn compares copies with the store, and with the map where nothing of others can come in between.
func (m *copyMachine) compareTxn(t *rapid.T, tx *openTxn) {
	m.compareReach(t, tx)
	for _, node := range m.nodes {
		for _, d := range []Direction{Out, In, Both} {
			for _, names := range [][]string{nil, {"R"}, {"S", "never"}} {
				types := tx.typeSet(names)
				got, read := placesOf(t, tx.Txn, node, d, types), readPlaces(t, tx.Txn, node, d, types)
				same(t, fmt.Sprint("edges of ", node, d, names, tx.level), got, read)
				var ends []NodeID
				for _, p := range read {
					ends = append(ends, p.other(node))
				}
				same(t, "neighbours", collect(t, tx.Neighbors(node, d, names...)), ends)
				if tx.Store().ReadOnly() && tx.level != mvcc.ReadCommitted && len(names) == 0 && d == Out {
					n := 0
					for _, p := range tx.edges {
						if p.src == node {
							n++
						}
					}
					if n != len(got) {
						t.Fatalf("node %d has %d edges, the map says %d", node, len(got), n)
					}
				}
			}
		}
	}
}
