package graph

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sombradb/sombra/mvcc"
	"pgregory.net/rapid"
)

// placesOf collects what a node's edges are, by copies where possible.
func placesOf(t tb, tx *Txn, node NodeID, d Direction, types nameSet) []place {
	t.Helper()
	return collect(t, tx.adjacent(node, d, types))
}

// readPlaces reads the same in the store.
func readPlaces(t tb, tx *Txn, node NodeID, d Direction, types nameSet) (list []place) {
	t.Helper()
	first, last := d.sides()
	for side := first; side <= last; side++ {
		v := sideView{tx: tx, node: node, side: side, skipLoops: side == 1 && d == Both}
		v.stream(types, func(p place, err error) bool {
			if err != nil {
				t.Fatalf("read: %v", err)
			}
			list = append(list, p)
			return true
		})
	}
	return list
}

// verify checks the cache's own counts.
func (c *adjCache) verify(t tb) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var bytes, lists int64
	chunks := 0
	for side := range c.roots {
		root := *c.roots[side].Load()
		bytes += int64(len(root)) * 8
		for i := range root {
			b := root[i].Load()
			if b == nil {
				continue
			}
			bytes += branchBytes
			live := 0
			for k := range b.chunks {
				chunk := b.chunks[k].Load()
				if chunk == nil {
					continue
				}
				live++
				chunks++
				bytes += chunkBytes
				inChunk := 0
				for n := range chunk.lists {
					if l := chunk.lists[n].Load(); l != nil {
						inChunk++
						bytes += l.bytes()
					}
				}
				lists += int64(inChunk)
				if inChunk != chunk.live || chunk.number != uint64(i)<<branchBits|uint64(k) || chunk.side != side {
					t.Errorf("chunk %d of side %d has %d lists and says %d", chunk.number, side, inChunk, chunk.live)
				}
			}
			if live != b.live {
				t.Errorf("a branch has %d chunks and says %d", live, b.live)
			}
		}
	}
	if bytes != c.bytes.Load() || lists != c.count.lists.Load() || chunks != len(c.mu.ring) {
		t.Errorf("there are %d bytes, %d lists, %d chunks; the cache says %d, %d, %d", bytes, lists, chunks, c.bytes.Load(), c.count.lists.Load(), len(c.mu.ring))
	}
	if bytes > c.limit {
		t.Errorf("%d bytes are more than the limit of %d", bytes, c.limit)
	}
}

// Writers add and delete edges at a few nodes, each with an opposite one in the same transaction, while readers at
// many snapshots compare what they have by copies with what they read.
func TestCopiesAreExactBesideWriters(t *testing.T) {
	fs := newMem(t)
	db, err := Open(testPath, &Options{Options: mvcc.Options{FS: fs, MemoryBudget: mvcc.MinMemoryBudget, SegmentSize: 1 << 20, Retain: mvcc.Retention{Duration: time.Hour}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		db.adjacency.verify(t)
		check(t, db)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	nodes := addNodes(t, db, 6, "N")
	var writers, readers sync.WaitGroup
	var stop atomic.Bool
	for w := range 2 {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(7, uint64(w)))
			var mine []EdgeID
			for !stop.Load() {
				a, b := nodes[r.IntN(len(nodes))], nodes[r.IntN(len(nodes))]
				var made []EdgeID
				drop := len(mine) >= 20
				err := db.Update(bg, func(tx *Txn) error {
					made = made[:0]
					if drop {
						return errors.Join(tx.DeleteEdge(mine[0]), tx.DeleteEdge(mine[1]))
					}
					for _, ends := range [][2]NodeID{{a, b}, {b, a}} {
						id, err := tx.CreateEdge(ends[0], ends[1], modelTypes[r.IntN(2)], nil)
						if err != nil {
							return err
						}
						made = append(made, id)
					}
					return nil
				})
				if err != nil {
					t.Errorf("update: %v", err)
					return
				}
				if mine = append(mine, made...); drop {
					mine = mine[2:]
				}
			}
		})
	}
	for n := range 3 {
		readers.Go(func() { compareInAStorm(t, db, nodes, rand.New(rand.NewPCG(8, uint64(n)))) })
	}
	readers.Wait()
	stop.Store(true)
	writers.Wait()
	if m := db.Adjacency(); m.Hits == 0 || m.Misses == 0 {
		t.Errorf("%d hits and %d misses", m.Hits, m.Misses)
	}
}

func compareInAStorm(t *testing.T, db *DB, nodes []NodeID, r *rand.Rand) {
	for round := range 300 {
		o := &mvcc.TxnOptions{Isolation: levels[1+r.IntN(2)], ReadOnly: r.IntN(3) > 0}
		if r.IntN(4) == 0 {
			o.AsOf = db.Store().Metrics().Watermark - mvcc.Timestamp(r.IntN(1<<20))
		}
		tx, err := db.Begin(bg, o)
		if err != nil {
			t.Errorf("begin: %v", err)
			return
		}
		degrees := 0
		for _, node := range nodes {
			d := Direction(r.IntN(3))
			got, read := placesOf(t, tx, node, d, allTypes), readPlaces(t, tx, node, d, allTypes)
			if !slices.Equal(got, read) {
				t.Errorf("round %d: copies give %v, the store %v", round, got, read)
			}
			out, err := tx.Degree(node, Out)
			in, err2 := tx.Degree(node, In)
			if err != nil || err2 != nil {
				t.Errorf("degree: %v, %v", err, err2)
			}
			degrees += out - in
		}
		if degrees != 0 { // each edge begins and ends once
			t.Errorf("round %d: there are %d more edges going out than coming in", round, degrees)
		}
		tx.Rollback()
	}
}

// Two transactions find by copies that there is no edge, and each makes one.
func TestPhantomsAreFoundThroughCopies(t *testing.T) {
	db := openTest(t)
	nodes := addNodes(t, db, 2, "N")
	addEdge(t, db, nodes[1], nodes[0], "FIRST", nil)
	for _, warm := range []bool{false, true} {
		if warm {
			view(t, db, func(tx *Txn) { collect(t, tx.Neighbors(nodes[0], Out)) })
		}
		var txs []*Txn
		for range 2 {
			tx := begin(t, db, mvcc.Serializable)
			if n, err := tx.Degree(nodes[0], Out, "FIRST"); n != 0 || err != nil {
				t.Fatal(n, err)
			}
			txs = append(txs, tx)
		}
		var ids []EdgeID
		for _, tx := range txs {
			id, err := tx.CreateEdge(nodes[0], nodes[1], "FIRST", nil)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		if err := txs[0].Commit(); err != nil {
			t.Fatal(err)
		}
		wantErr(t, "the second to make an edge", txs[1].Commit(), mvcc.ErrConflict, "")
		update(t, db, func(tx *Txn) error { return tx.DeleteEdge(ids[0]) })
	}
}

// Edges of other types are not held against who has asked for one type, though the copy has them all.
func TestAskingForOneTypeConflictsWithThatTypeOnly(t *testing.T) {
	db := openTest(t)
	nodes := addNodes(t, db, 2, "N")
	addEdge(t, db, nodes[1], nodes[0], "R", nil)
	addEdge(t, db, nodes[1], nodes[0], "S", nil)
	for _, typ := range []string{"S", "R"} {
		tx := begin(t, db, mvcc.Serializable)
		if n, err := tx.Degree(nodes[0], Out, "R"); n > 1 || err != nil {
			t.Fatal(n, err)
		}
		addEdge(t, db, nodes[0], nodes[1], typ, nil)
		if err := tx.SetProperty(nodes[1], "p", String(typ)); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); errors.Is(err, mvcc.ErrConflict) != (typ == "R") {
			t.Errorf("beside an edge of type %s: %v", typ, err)
		}
	}
}

func TestTheCacheStaysWithinItsMemory(t *testing.T) {
	db := openTest(t)
	const n = 3000
	nodes := addNodes(t, db, n, "N")
	for i := 0; i < n; i += 500 {
		update(t, db, func(tx *Txn) error {
			for k := i; k < i+500; k++ {
				for step := range 12 {
					if _, err := tx.CreateEdge(nodes[k], nodes[(k+step*7)%n], "R", nil); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	view(t, db, func(tx *Txn) { collect(t, tx.Neighbors(nodes[0], Out)) })
	inUse := db.adjacency.get(nodes[0], 0)
	for range 2 {
		view(t, db, func(tx *Txn) {
			for i, node := range nodes {
				if got := len(collect(t, tx.Neighbors(node, Direction(i%2)))); got != 12 {
					t.Fatalf("node %d has %d neighbours", node, got)
				}
				if got := len(collect(t, tx.Neighbors(nodes[0], Out))); got != 12 { // is in use all the time
					t.Fatalf("node %d has %d neighbours", nodes[0], got)
				}
			}
		})
		db.adjacency.verify(t)
	}
	m := db.Adjacency()
	if m.Evicted == 0 || m.Bytes < m.Limit/2 {
		t.Errorf("too little was kept: %+v", m)
	}
	if db.adjacency.get(nodes[0], 0) != inUse {
		t.Error("what is in use all the time was evicted")
	}
}

// A long list is copied when it is asked for twice, unless it changes meanwhile; one that is too long for the cache never.
func TestHubsAreCopiedWhenTheyAreAskedForAgain(t *testing.T) {
	db := openTest(t)
	hub, leaves := starOf(t, db, 2*shortList)
	ask := func() (hit bool) {
		before := db.Adjacency().Hits
		view(t, db, func(tx *Txn) {
			if got := len(collect(t, tx.Neighbors(hub, Out))); got != len(leaves) {
				t.Fatalf("%d neighbours, want %d", got, len(leaves))
			}
		})
		return db.Adjacency().Hits > before
	}
	for i, want := range []bool{false, false, true} {
		if got := ask(); got != want {
			t.Errorf("question %d was answered by a copy: %v", i, got)
		}
	}
	for range 2 {
		leaves = append(leaves, leaves[0])
		addEdge(t, db, hub, leaves[0], "R", nil)
		ask()
		if l := db.adjacency.get(hub, 0); l.kind != longList {
			t.Errorf("a hub that has changed is a list of kind %d with %d edges", l.kind, l.edges)
		}
	}
	more := db.adjacency.longest - len(leaves) + 1
	update(t, db, func(tx *Txn) error {
		for i := range more {
			leaves = append(leaves, leaves[i])
			if _, err := tx.CreateEdge(hub, leaves[i], "R", nil); err != nil {
				return err
			}
		}
		return nil
	})
	var noted *adjList
	for i := range 4 {
		if ask() {
			t.Errorf("question %d about a hub that is too large was answered by a copy", i)
		}
		l := db.adjacency.get(hub, 0)
		if noted != nil && l != noted {
			t.Error("a copy of a hub that is too large was tried again")
		}
		if l.kind == hugeList {
			noted = l
		}
	}
	if noted == nil {
		t.Error("it is not noted that a hub is too large")
	}
	db.adjacency.verify(t)
}

// A search reads whole lists, so it copies long ones at once.
func TestASearchCopiesHubsAtOnce(t *testing.T) {
	db := openTest(t)
	hub, leaves := starOf(t, db, 3*shortList)
	for i := range 2 {
		for _, asked := range []bool{false, true} {
			if i == 1 && !asked {
				addEdge(t, db, hub, leaves[0], "R", nil)
				view(t, db, func(tx *Txn) { collect(t, tx.Neighbors(hub, Out)) }) // leaves a note
			}
			before := db.Adjacency().Hits
			view(t, db, func(tx *Txn) {
				if n := len(collect(t, tx.BFS(hub, Traversal{MaxDepth: 1}))); n != len(leaves)+1 {
					t.Errorf("%d nodes were visited", n)
				}
			})
			if hit := db.Adjacency().Hits > before; hit != asked {
				t.Errorf("round %d: found in the cache: %v", i, hit)
			}
		}
	}
}

func starOf(t tb, db *DB, n int) (hub NodeID, leaves []NodeID) {
	hub, leaves = addNodes(t, db, 1, "Hub")[0], addNodes(t, db, n, "Leaf")
	update(t, db, func(tx *Txn) error {
		for _, leaf := range leaves {
			if _, err := tx.CreateEdge(hub, leaf, "R", nil); err != nil {
				return err
			}
		}
		return nil
	})
	return hub, leaves
}

// A copy of a hub does not outlive its transaction's right to read.
func TestACopyEndsWithItsTransaction(t *testing.T) {
	db := openTest(t)
	hub, _ := starOf(t, db, 3*aliveCheck)
	ask := func(seq func(tx *Txn) func(func(error) bool)) {
		tx, err := db.Begin(bg, &mvcc.TxnOptions{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		n, last := 0, error(nil)
		for err := range seq(tx) {
			if n++; n == 10 {
				tx.Rollback()
			}
			last = err
		}
		if n > aliveCheck+1 {
			t.Errorf("%d edges after the end", n)
		}
		wantErr(t, "an iteration after the end", last, mvcc.ErrTxnDone, "")
	}
	for range 2 {
		view(t, db, func(tx *Txn) { collect(t, tx.Neighbors(hub, Out)) })
	}
	ask(func(tx *Txn) func(func(error) bool) {
		return func(yield func(error) bool) {
			tx.Neighbors(hub, Out)(func(_ NodeID, err error) bool { return yield(err) })
		}
	})
	ask(func(tx *Txn) func(func(error) bool) {
		return func(yield func(error) bool) {
			tx.adjacent(hub, Out, allTypes)(func(_ place, err error) bool { return yield(err) })
		}
	})
}

func TestCopiesOfAGraphThatIsOpenedOrLoaded(t *testing.T) {
	fs := newMem(t)
	options := &Options{Options: mvcc.Options{FS: fs, MemoryBudget: mvcc.MinMemoryBudget, SegmentSize: 1 << 20, Retain: mvcc.Retention{Duration: time.Hour}}}
	db, err := Load(bg, testPath, options, func(l *Loader) error {
		for range 3 {
			if _, err := l.CreateNode(nil, nil); err != nil {
				return err
			}
		}
		_, err := l.CreateEdge(1, 2, "R", nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var times []mvcc.Timestamp
	verify := func() {
		times = append(times, db.Store().Metrics().Watermark)
		for i := len(times) - 1; i >= 0; i-- {
			if err := db.ViewAsOf(bg, times[i], func(tx *Txn) error {
				if n, err := tx.Degree(1, Out); err != nil || n != i+1 {
					t.Errorf("at moment %d of %d there are %d edges, %v", i, len(times), n, err)
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
	}
	verify()
	for range 2 {
		addEdge(t, db, 1, 3, "R", nil)
		verify()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if db, err = Open(testPath, options); err != nil {
			t.Fatal(err)
		}
		addEdge(t, db, 1, 2, "S", nil)
		verify()
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// A transaction that does not fit memory changes lists of which there are copies.
func TestCopiesBesideALargeTransaction(t *testing.T) {
	db := openTest(t)
	hub, leaves := starOf(t, db, 50)
	ask := func(node NodeID, d Direction, want int) {
		t.Helper()
		view(t, db, func(tx *Txn) {
			if n, err := tx.Degree(node, d); err != nil || n != want {
				t.Fatalf("degree %d, %v, want %d", n, err, want)
			}
		})
	}
	for range 2 {
		ask(hub, Out, 50)
		ask(leaves[0], In, 1)
	}
	spills := db.Store().Metrics().Spills
	update(t, db, func(tx *Txn) error {
		for i := range 4000 {
			if _, err := tx.CreateEdge(hub, leaves[i%50], "R", Props{"text": String(fmt.Sprintf("%0200d", i))}); err != nil {
				return err
			}
		}
		if n, err := tx.Degree(hub, Out); err != nil || n != 4050 {
			t.Errorf("the transaction sees %d edges, %v", n, err)
		}
		return nil
	})
	if db.Store().Metrics().Spills == spills {
		t.Error("the transaction did not spill")
	}
	ask(hub, Out, 4050)
	ask(leaves[0], In, 81)
}

func TestDeletedNodesHaveNoCopies(t *testing.T) {
	db := openTest(t)
	nodes := addNodes(t, db, 3, "N")
	addEdge(t, db, nodes[0], nodes[1], "R", nil)
	addEdge(t, db, nodes[1], nodes[1], "R", nil)
	addEdge(t, db, nodes[2], nodes[1], "R", nil)
	degrees := func(want ...int) {
		t.Helper()
		for range 2 {
			view(t, db, func(tx *Txn) {
				for i, node := range nodes {
					if n, err := tx.Degree(node, Both); err != nil || n != want[i] {
						t.Errorf("node %d has degree %d, %v, want %d", node, n, err, want[i])
					}
				}
			})
		}
	}
	degrees(1, 3, 1)
	update(t, db, func(tx *Txn) error {
		wantErr(t, "delete", tx.DeleteNode(nodes[1]), ErrHasEdges, "")
		return tx.DetachDelete(nodes[1])
	})
	degrees(0, 0, 0)
}

func TestListsOfAnyIds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.OneOf(rapid.Uint64Range(1, 300), rapid.Uint64Range(math.MaxUint32-2, math.MaxUint32+2), rapid.Uint64())
		var want []place
		b := new(listBuilder)
		in := rapid.Bool().Draw(t, "in")
		typ := uint64(0)
		for range rapid.IntRange(0, 20).Draw(t, "edges") {
			if len(want) == 0 || rapid.IntRange(0, 3).Draw(t, "sameType") == 0 {
				typ += rapid.Uint64Range(1, 1000).Draw(t, "type")
			}
			p := place{src: 7, dst: NodeID(ids.Draw(t, "other")), typ: typ, edge: EdgeID(ids.Draw(t, "edge"))}
			key := appendOutKey(nil, p)
			if in {
				p.src, p.dst = p.dst, p.src
				key = appendInKey(nil, p)
			}
			want = append(want, p)
			if !b.add(key) {
				t.Fatalf("%v was refused", p)
			}
		}
		l := b.list(1)
		var got []place
		for k := range int(l.types) {
			typ, lo, hi := l.stretch(k)
			for i := lo; i < hi; i++ {
				got = append(got, l.place(i, 7, in, typ))
			}
		}
		same(t, "list", got, want)
	})
	if b := new(listBuilder); b.add(appendOutKey(nil, place{typ: math.MaxUint32 + 1})) || b.add([]byte{keyOut, 1}) {
		t.Error("keys that make no sense were taken")
	}
}

// Ids that nobody gave out cost no memory.
func TestAskingForAnyIdIsCheap(t *testing.T) {
	db := openTest(t)
	view(t, db, func(tx *Txn) {
		for _, node := range []NodeID{0, 1 << 20, 1 << 40, math.MaxUint64} {
			for range 2 {
				if got := collect(t, tx.Neighbors(node, Both)); len(got) != 0 {
					t.Errorf("node %d has neighbours %v", node, got)
				}
			}
		}
	})
	db.adjacency.verify(t)
}

func TestAStepByACopyAllocatesNothing(t *testing.T) {
	db := openTest(t)
	hub, leaves := starOf(t, db, 100)
	view(t, db, func(tx *Txn) {
		step := func() {
			n := 0
			for _, err := range tx.Neighbors(hub, Out, "R") {
				if err != nil {
					t.Error(err)
				}
				n++
			}
			if n != len(leaves) {
				t.Errorf("%d neighbours", n)
			}
		}
		step()
		if n := testing.AllocsPerRun(100, step); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
