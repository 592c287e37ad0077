package graph

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sombradb/sombra/mvcc"
)

// mixes are the levels that several goroutines use in turn.
var mixes = map[string][]mvcc.Isolation{
	"read committed": {mvcc.ReadCommitted}, "snapshot": {mvcc.Snapshot}, "serializable": {mvcc.Serializable}, "mixed": levels,
}

func TestWritersAddEdgesToAHubWithoutConflicts(t *testing.T) {
	for name, mix := range mixes {
		for _, writers := range []int{8, 32} {
			t.Run(fmt.Sprintf("%s/%d", name, writers), func(t *testing.T) { testHub(t, mix, writers, 640/writers) })
		}
	}
}

// testHub has each writer add so many edges to one node, every second one away from it, while somebody changes the node.
func testHub(t *testing.T, mix []mvcc.Isolation, writers, edges int) {
	db := openTest(t)
	hub := addNodes(t, db, 1, "Hub")[0]
	loop := addEdge(t, db, hub, hub, "LINKS", Props{"n": Int(0)}) // names are known from here on
	leaves := addNodes(t, db, writers, "Leaf")
	var written atomic.Int64
	fns := []func(){func() {
		for written.Load() < int64(writers*edges) && !t.Failed() {
			update(t, db, func(tx *Txn) error { return tx.SetProperty(hub, "seen", Int(written.Load())) })
		}
	}}
	for w := range writers {
		fns = append(fns, func() {
			for i := range edges {
				if err := addSpoke(db, mix[w%len(mix)], hub, leaves[w], i); err != nil {
					t.Errorf("writer %d, edge %d: %v", w, i, err)
					return
				}
				written.Add(1)
			}
		})
	}
	before := db.Store().Metrics()
	race(fns...)
	m := db.Store().Metrics()
	if m.WriteConflicts+m.ReadConflicts+m.Deadlocks+m.LockTimeouts+m.Retries+m.HeldOff+m.Locks.Waits-before.Locks.Waits != 0 {
		t.Errorf("%d write conflicts, %d read conflicts, %d deadlocks, %d lock timeouts, %d retries, %d held off, %d waits for locks",
			m.WriteConflicts, m.ReadConflicts, m.Deadlocks, m.LockTimeouts, m.Retries, m.HeldOff, m.Locks.Waits-before.Locks.Waits)
	}
	view(t, db, func(tx *Txn) {
		for d, want := range map[Direction]int{Both: writers*edges + 1, Out: writers*edges/2 + 1, In: writers*edges/2 + 1} {
			if n, err := tx.Degree(hub, d); n != want || err != nil {
				t.Errorf("the hub has degree %d %v, want %d, error %v", n, d, want, err)
			}
		}
		at := map[NodeID]map[Value]bool{}
		for _, e := range collect(t, tx.Edges(hub, Both, "LINKS")) {
			leaf, n := e.Other(hub), e.Props["n"]
			if i, _ := n.AsInt(); e.ID != loop && (i%2 == 0) != (e.Src == hub) || at[leaf][n] {
				t.Errorf("edge %d leads from %d to %d, number %v, again %v", e.ID, e.Src, e.Dst, n, at[leaf][n])
			}
			if at[leaf] == nil {
				at[leaf] = map[Value]bool{}
			}
			at[leaf][n] = true
		}
		for _, leaf := range leaves {
			if n, err := tx.Degree(leaf, Both); len(at[leaf]) != edges || n != edges || err != nil {
				t.Errorf("leaf %d is met by %d edges, has %d, error %v", leaf, len(at[leaf]), n, err)
			}
		}
	})
}

// addSpoke adds one edge, and does not try again.
func addSpoke(db *DB, level mvcc.Isolation, hub, leaf NodeID, i int) error {
	tx, err := db.Begin(bg, &mvcc.TxnOptions{Isolation: level})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	src, dst := hub, leaf
	if i%2 == 1 {
		src, dst = dst, src
	}
	if _, err = tx.CreateEdge(src, dst, "LINKS", Props{"n": Int(int64(i))}); err != nil {
		return err
	}
	runtime.Gosched()
	return tx.Commit()
}

// G2 in a storm: many create edges between a few nodes, which others delete, with
// their edges or not. What was acknowledged, in the order of the commits, is what is there.
func TestEdgesRaceTheDeletionOfTheirEnds(t *testing.T) {
	for name, mix := range mixes {
		for _, noWait := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/no wait %v", name, noWait), func(t *testing.T) {
				s := &storm{t: t, db: openTest(t), mix: mix, noWait: noWait}
				for i := range s.slots {
					s.slots[i].Store(uint64(s.newNode()))
				}
				var fns []func()
				for i := range 8 {
					r := rand.New(rand.NewPCG(uint64(i), 0))
					work := []func(*rand.Rand, int){s.connect, s.connect, s.detach, s.delete}[i%4]
					fns = append(fns, func() {
						for range 60 {
							work(r, i)
						}
					})
				}
				race(fns...)
				s.verify()
			})
		}
	}
}

// storm remembers what was acknowledged.
type storm struct {
	t       *testing.T
	db      *DB
	mix     []mvcc.Isolation
	noWait  bool
	slots   [5]atomic.Uint64 // nodes that are there, or were a moment ago
	refused atomic.Int64
	mu      struct {
		sync.Mutex
		edges   []stormEdge
		deleted map[NodeID]stormDeletion
	}
}

type stormEdge struct {
	Edge
	at mvcc.Timestamp
}

type stormDeletion struct {
	at     mvcc.Timestamp
	detach bool
}

func (s *storm) newNode() NodeID { return addNodes(s.t, s.db, 1, "N")[0] }

// try runs one transaction once, and reports when it was committed, 0 if it lost or was refused.
func (s *storm) try(i int, fn func(*Txn) error) mvcc.Timestamp {
	tx, err := s.db.Begin(bg, &mvcc.TxnOptions{Isolation: s.mix[i/2%len(s.mix)], NoWait: s.noWait})
	if err != nil {
		s.t.Errorf("begin: %v", err)
		return 0
	}
	defer tx.Rollback()
	if err = fn(tx); err == nil {
		runtime.Gosched()
		err = tx.Commit()
	}
	if err != nil {
		s.refused.Add(1)
		if !IsRetryable(err) && !errors.Is(err, ErrNodeNotFound) && !errors.Is(err, ErrEdgeNotFound) && !errors.Is(err, ErrHasEdges) {
			s.t.Errorf("%v", err)
		}
		return 0
	}
	return tx.Store().CommitTimestamp()
}

func (s *storm) some(r *rand.Rand) NodeID { return NodeID(s.slots[r.IntN(len(s.slots))].Load()) }

// connect creates an edge between two nodes, now and then a loop.
func (s *storm) connect(r *rand.Rand, i int) {
	e := stormEdge{Edge: Edge{Src: s.some(r), Dst: s.some(r)}}
	e.at = s.try(i, func(tx *Txn) (err error) {
		e.ID, err = tx.CreateEdge(e.Src, e.Dst, "R", nil)
		return err
	})
	if e.at != 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.mu.edges = append(s.mu.edges, e)
	}
}

// detach deletes a node with its edges and puts another one in its place.
func (s *storm) detach(r *rand.Rand, i int) {
	slot := &s.slots[r.IntN(len(s.slots))]
	node := slot.Load()
	if s.remove(NodeID(node), true, i) {
		slot.CompareAndSwap(node, uint64(s.newNode()))
	}
}

// delete shows the others a new node and deletes it, if they have left it alone.
func (s *storm) delete(r *rand.Rand, i int) {
	node, slot := s.newNode(), &s.slots[r.IntN(len(s.slots))]
	slot.Store(uint64(node))
	runtime.Gosched()
	if s.remove(node, false, i) {
		slot.CompareAndSwap(uint64(node), uint64(s.newNode()))
	}
}

func (s *storm) remove(node NodeID, detach bool, i int) bool {
	at := s.try(i, func(tx *Txn) error {
		if detach {
			return tx.DetachDelete(node)
		}
		return tx.DeleteNode(node)
	})
	if at == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.deleted == nil {
		s.mu.deleted = map[NodeID]stormDeletion{}
	}
	if before, twice := s.mu.deleted[node]; twice {
		s.t.Errorf("node %d was deleted at %d and at %d", node, before.at, at)
	}
	s.mu.deleted[node] = stormDeletion{at, detach}
	return true
}

// verify compares the graph with what was acknowledged.
func (s *storm) verify() {
	check(s.t, s.db)
	there := map[EdgeID]bool{}
	view(s.t, s.db, func(tx *Txn) {
		for _, e := range collect(s.t, tx.AllEdges()) {
			there[e.ID] = true
		}
		for _, node := range collect(s.t, tx.Nodes()) {
			if d, gone := s.mu.deleted[node.ID]; gone {
				s.t.Errorf("node %d is there, and was deleted at %d", node.ID, d.at)
			}
			for _, e := range collect(s.t, tx.Edges(node.ID, Both)) {
				if found, err := tx.HasNode(e.Other(node.ID)); !found || err != nil || !there[e.ID] {
					s.t.Errorf("edge %d of node %d leads nowhere, error %v", e.ID, node.ID, err)
				}
			}
		}
	})
	plain := 0
	for _, d := range s.mu.deleted {
		if !d.detach {
			plain++
		}
	}
	for _, e := range s.mu.edges {
		if got, want := there[e.ID], s.survives(e); got != want {
			s.t.Errorf("edge %d, committed at %d: there %v, want %v", e.ID, e.at, got, want)
		}
		delete(there, e.ID)
	}
	if len(there) > 0 {
		s.t.Errorf("edges that nobody has committed: %v", there)
	}
	s.t.Logf("%d edges, %d deletions with edges, %d without, %d refused", len(s.mu.edges), len(s.mu.deleted)-plain, plain, s.refused.Load())
	if len(s.mu.edges) == 0 || plain == 0 || plain == len(s.mu.deleted) {
		s.t.Error("there was no storm")
	}
}

// survives reports whether an edge should be there. No end may have been deleted before it, and none with
// it there by somebody who deletes nodes without edges.
func (s *storm) survives(e stormEdge) bool {
	first := stormDeletion{}
	for _, end := range []NodeID{e.Src, e.Dst} {
		d, gone := s.mu.deleted[end]
		if gone && d.at <= e.at {
			s.t.Errorf("edge %d was committed at %d, its end %d deleted at %d", e.ID, e.at, end, d.at)
		}
		if gone && (first.at == 0 || d.at < first.at) {
			first = d
		}
	}
	if first.at != 0 && !first.detach {
		s.t.Errorf("edge %d, committed at %d, did not keep its end from being deleted at %d", e.ID, e.at, first.at)
	}
	return first.at == 0
}
