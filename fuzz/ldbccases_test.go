package fuzz

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/sombradb/sombra/graph"
)

// census is how many persons, emails and KNOWS edges there are.
type census struct{ persons, emails, edges int }

func (a *acid) census() (c census) {
	a.observe(func(tx *graph.Txn) {
		for node, err := range tx.NodesByLabel("Person") {
			a.must(err)
			c.persons++
			emails, _ := node.Props["emails"].AsString()
			c.emails += len(strings.Fields(emails))
		}
		for _, err := range tx.AllEdges() {
			a.must(err)
			c.edges++
		}
	})
	return c
}

// befriend gives the first person an email and a new friend, and calls between after each step.
func (a *acid) befriend(tx *graph.Txn, id int, between func()) error {
	ann := a.person(tx, 1)
	emails, _ := ann.Props["emails"].AsString()
	if err := tx.SetProperty(ann.ID, "emails", graph.String(fmt.Sprintf("%s new%d@x.org", emails, id))); err != nil {
		return err
	}
	between()
	for _, err := range tx.Find("Person", "id", graph.Int(int64(id))) {
		return errors.Join(err, errTaken)
	}
	friend, err := tx.CreateNode([]string{"Person"}, graph.Props{"id": graph.Int(int64(id))})
	if err != nil {
		return err
	}
	between()
	_, err = tx.CreateEdge(ann.ID, friend, "KNOWS", nil)
	between()
	return err
}

var errTaken = errors.New("the id is taken")

// atomicCommit: nothing of a transaction is there before its commit, and all of it afterwards.
func atomicCommit(a *acid) {
	a.persons(2, graph.Props{"emails": graph.String("one@x.org two@x.org")})
	for i := range 10 {
		before := a.census()
		a.update(func(tx *graph.Txn) error {
			return a.befriend(tx, 3+i, func() {
				c := a.census()
				a.expect(c == before, "%+v before the commit, was %+v", c, before)
			})
		})
		after, want := a.census(), census{before.persons + 1, before.emails + 1, before.edges + 1}
		a.expect(after == want, "%+v after the commit, want %+v", after, want)
	}
}

// atomicRollback: nothing of a transaction that failed on its way is ever there.
func atomicRollback(a *acid) {
	a.persons(2, graph.Props{"emails": graph.String("one@x.org two@x.org")})
	before := a.census()
	look := func() {
		c := a.census()
		a.expect(c == before, "%+v, was %+v", c, before)
	}
	for range 10 {
		tx := a.begin()
		if err := a.befriend(tx, 2, look); !errors.Is(err, errTaken) {
			a.must(fmt.Errorf("the second person is not in the way: %w", err))
		}
		tx.Rollback()
		look()
	}
}

// dirtyWrites: G0. Writers append themselves to a list at two nodes and the edge between them, and leave their number at all
// three. Those that are in all three lists stand in one order in all, and one writer was the last at all three.
func dirtyWrites(a *acid) {
	const pairs, rounds = 2, 25
	nodes := a.persons(2*pairs, nil)
	var edges []graph.EdgeID
	for i := range pairs {
		edges = append(edges, a.connect(nodes[2*i:2*i+2], false)...)
	}
	for round := range rounds {
		a.parallel(acidClients, func(i int) {
			pair, id := i%pairs, 1+round*acidClients+i
			a.update(func(tx *graph.Txn) error { return sign(tx, nodes[2*pair:2*pair+2], edges[pair], id) })
		})
		a.observe(func(tx *graph.Txn) {
			for i := range pairs {
				src, err1 := tx.Node(nodes[2*i])
				dst, err2 := tx.Node(nodes[2*i+1])
				edge, err3 := tx.Edge(edges[i])
				a.must(errors.Join(err1, err2, err3))
				lists := common(src.Props["history"], edge.Props["history"], dst.Props["history"])
				a.expect(slices.Equal(lists[0], lists[1]) && slices.Equal(lists[1], lists[2]), "lists %v", lists)
				last := src.Props["last"]
				a.expect(edge.Props["last"] == last && dst.Props["last"] == last, "last writers %v, %v, %v", last, edge.Props["last"], dst.Props["last"])
			}
		})
	}
}

// sign notes a writer at two nodes and, between them, at their edge.
func sign(tx *graph.Txn, nodes []graph.NodeID, edge graph.EdgeID, id int) error {
	signed := func(history graph.Value) graph.Props {
		runtime.Gosched()
		s, _ := history.AsString()
		return graph.Props{"history": graph.String(strings.TrimSpace(fmt.Sprintf("%s %d", s, id))), "last": graph.Int(int64(id))}
	}
	signNode := func(node graph.NodeID) error {
		history, err := tx.Property(node, "history")
		if err != nil {
			return err
		}
		return tx.SetProperties(node, signed(history))
	}
	if err := signNode(nodes[0]); err != nil {
		return err
	}
	e, err := tx.Edge(edge)
	if err != nil {
		return err
	}
	if err := tx.SetEdgeProperties(edge, signed(e.Props["history"])); err != nil {
		return err
	}
	return signNode(nodes[1])
}

// common returns the lists without what is not in all of them: lost updates are another anomaly.
func common(values ...graph.Value) [][]string {
	count := map[string]int{}
	var lists [][]string
	for _, v := range values {
		s, _ := v.AsString()
		lists = append(lists, strings.Fields(s))
		for _, word := range strings.Fields(s) {
			count[word]++
		}
	}
	for i := range lists {
		lists[i] = slices.DeleteFunc(lists[i], func(word string) bool { return count[word] < len(lists) })
	}
	return lists
}

// sees has readers look for a version that nobody committed, at the node and in the index.
func (a *acid) sees(readers int, node graph.NodeID, never func(version int64) bool) {
	for range readers {
		a.observe(func(tx *graph.Txn) {
			v := a.number(tx, node, "version")
			a.expect(!never(v), "version %d at the node", v)
			for _, indexed := range []int64{v, v + 1, v + 2} {
				for found, err := range tx.Find("Person", "version", graph.Int(indexed)) {
					a.must(err)
					a.expect(!never(indexed), "version %d of node %d in the index", indexed, found.ID)
				}
			}
		})
	}
}

// abortedReads: G1a.
func abortedReads(a *acid) {
	node := a.persons(1, graph.Props{"version": graph.Int(1)})[0]
	a.parallel(5, func(int) {
		tx := a.begin()
		defer tx.Rollback()
		a.must(tx.SetProperty(node, "version", graph.Int(2)))
		a.sees(5, node, func(v int64) bool { return v != 1 })
	})
	a.sees(5, node, func(v int64) bool { return v != 1 })
}

// intermediateReads: G1b. Each writer writes an even version before its odd one.
func intermediateReads(a *acid) {
	node := a.persons(1, graph.Props{"version": graph.Int(99)})[0]
	even := func(v int64) bool { return v%2 == 0 }
	a.parallel(10, func(i int) {
		a.update(func(tx *graph.Txn) error {
			if err := tx.SetProperty(node, "version", graph.Int(int64(2*i))); err != nil {
				return err
			}
			a.sees(10, node, even)
			return tx.SetProperty(node, "version", graph.Int(int64(2*i+1)))
		})
		a.sees(1, node, even)
	})
}

// circularInformation: G1c. Of two transactions that have written and then read what the other wrote, not both see it.
func circularInformation(a *acid) {
	nodes := a.persons(2, graph.Props{"version": graph.Int(0)})
	a.parallel(50, func(i int) {
		x, y := a.begin(), a.begin()
		idX, idY := int64(2*i+1), int64(2*i+2)
		a.must(x.SetProperty(nodes[0], "version", graph.Int(idX)))
		a.must(y.SetProperty(nodes[1], "version", graph.Int(idY)))
		seenX, seenY := a.number(x, nodes[1], "version"), a.number(y, nodes[0], "version")
		doneX, doneY := a.committed(x, nil), a.committed(y, nil)
		a.expect(!doneX || !doneY || seenX != idY || seenY != idX, "%d and %d saw each other", idX, idY)
	})
}

// ring reads the versions of the ring that begins with the first person, and calls between in the middle.
func (a *acid) ring(tx *graph.Txn, between func()) (versions []int64) {
	at := a.person(tx, 1).ID
	for i := range 4 {
		versions = append(versions, a.number(tx, at, "version"))
		if i == 1 {
			between()
		}
		for edge, err := range tx.Edges(at, graph.Out, "KNOWS") {
			a.must(err)
			at = edge.Dst
		}
	}
	return versions
}

// turn adds one to all versions of the ring.
func (a *acid) turn() {
	a.update(func(tx *graph.Txn) error {
		at := a.person(tx, 1).ID
		for range 4 {
			if err := a.add(tx, at, "version", 1); err != nil {
				return err
			}
			for edge, err := range tx.Edges(at, graph.Out, "KNOWS") {
				a.must(err)
				at = edge.Dst
			}
		}
		return nil
	})
}

// rings reads the ring twice in one transaction, with others that change it in the middle and between.
func (a *acid) rings(readers int, judge func(first, second []int64)) {
	a.connect(a.persons(4, graph.Props{"version": graph.Int(0)}), true)
	a.parallel(readers, func(int) {
		a.observe(func(tx *graph.Txn) {
			first := a.ring(tx, a.turn)
			a.turn()
			judge(first, a.ring(tx, func() {}))
		})
	})
}

// vanishingTransactions: OTV. Who has seen a transaction's write does not see what was before it later on.
func vanishingTransactions(a *acid) {
	a.rings(50, func(first, second []int64) {
		a.expect(slices.Max(first) <= slices.Min(second), "%v and then %v", first, second)
	})
}

// fracturedReads: FR. Of a transaction's writes a reader sees all or none.
func fracturedReads(a *acid) {
	a.rings(100, func(first, second []int64) {
		all := append(slices.Clone(first), second...)
		a.expect(slices.Min(all) == slices.Max(all), "%v and then %v", first, second)
	})
}

// itemManyPreceders: IMP. What is read twice is the same.
func itemManyPreceders(a *acid) {
	node := a.persons(1, graph.Props{"version": graph.Int(1)})[0]
	a.parallel(10, func(int) {
		a.observe(func(tx *graph.Txn) {
			first := a.number(tx, node, "version")
			a.update(func(tx *graph.Txn) error { return a.add(tx, node, "version", 1) })
			second := a.number(tx, node, "version")
			a.expect(first == second, "version %d and then %d", first, second)
		})
	})
}

// predicateManyPreceders: PMP. A pattern that is matched twice has the same matches.
func predicateManyPreceders(a *acid) {
	nodes := a.persons(11, nil)
	post := nodes[10]
	like := func(person graph.NodeID) {
		a.update(func(tx *graph.Txn) error {
			_, err := tx.CreateEdge(person, post, "LIKES", nil)
			return err
		})
	}
	like(nodes[0])
	a.parallel(10, func(i int) {
		a.observe(func(tx *graph.Txn) {
			first, err := tx.Degree(post, graph.In, "LIKES")
			a.must(err)
			like(nodes[i])
			second := 0
			for _, err := range tx.Edges(post, graph.In, "LIKES") {
				a.must(err)
				second++
			}
			a.expect(first == second, "%d likes and then %d", first, second)
		})
	})
}

// friends compares a person's count of friends with its edges, and both with the commits.
func (a *acid) friends(node graph.NodeID, commits int64) {
	a.observe(func(tx *graph.Txn) {
		degree, err := tx.Degree(node, graph.Out, "KNOWS")
		a.must(err)
		if int64(degree) != commits {
			a.t.Errorf("%d edges after %d commits", degree, commits)
		}
		n := a.number(tx, node, "numFriends")
		for i := range commits {
			a.expect(i < n, "%d of %d updates are lost", commits-n, commits)
		}
	})
}

// addFriend adds an edge to a new person, and counts it as n plus one.
func addFriend(tx *graph.Txn, node graph.NodeID, n int64) error {
	friend, err := tx.CreateNode([]string{"Person"}, nil)
	if err == nil {
		_, err = tx.CreateEdge(node, friend, "KNOWS", nil)
	}
	if err == nil {
		err = tx.SetProperty(node, "numFriends", graph.Int(n+1))
	}
	return err
}

// lostUpdates: LU. Of two transactions, both have read the count before one of them writes.
func lostUpdates(a *acid) {
	node := a.persons(1, graph.Props{"numFriends": graph.Int(0)})[0]
	commits := int64(0)
	for range 100 {
		x, y := a.begin(), a.begin()
		n, m := a.number(x, node, "numFriends"), a.number(y, node, "numFriends")
		if a.committed(x, addFriend(x, node, n)) {
			commits++
		}
		if a.committed(y, addFriend(y, node, m)) {
			commits++
		}
	}
	a.parallel(100, func(int) {
		a.update(func(tx *graph.Txn) error {
			n := a.number(tx, node, "numFriends")
			runtime.Gosched()
			return addFriend(tx, node, n)
		})
	})
	a.friends(node, commits+100)
}

// lostUpdatesLocked is the same with the count read under the node's lock.
func lostUpdatesLocked(a *acid) {
	node := a.persons(1, graph.Props{"numFriends": graph.Int(0)})[0]
	a.parallel(200, func(int) {
		a.update(func(tx *graph.Txn) error {
			locked, err := tx.LockNode(node)
			if err != nil {
				return err
			}
			n, _ := locked.Props["numFriends"].AsInt()
			runtime.Gosched()
			return addFriend(tx, node, n)
		})
	})
	a.friends(node, 200)
}

// withdraw takes 100 from one of a pair if they have 100 together.
func (a *acid) withdraw(tx *graph.Txn, from graph.NodeID, sum int64) error {
	if sum < 100 {
		return nil
	}
	return tx.SetProperty(from, "value", graph.Int(a.number(tx, from, "value")-100))
}

func (a *acid) sum(tx *graph.Txn, pair []graph.NodeID) int64 {
	return a.number(tx, pair[0], "value") + a.number(tx, pair[1], "value")
}

// accounts creates pairs with 70 and 80, runs fn on each, and looks for those that have nothing left.
func (a *acid) accounts(fn func(pair []graph.NodeID)) {
	const pairs = 10
	nodes := a.persons(2*pairs, graph.Props{"value": graph.Int(70)})
	for i := range pairs {
		a.update(func(tx *graph.Txn) error { return tx.SetProperty(nodes[2*i+1], "value", graph.Int(80)) })
	}
	a.parallel(pairs, func(i int) { fn(nodes[2*i : 2*i+2]) })
	a.observe(func(tx *graph.Txn) {
		for i := range pairs {
			sum := a.sum(tx, nodes[2*i:2*i+2])
			a.expect(sum > 0, "a pair has %d", sum)
			if sum == 150 {
				a.t.Error("nobody withdrew")
			}
		}
	})
}

// writeSkew: WS. Two transactions have both seen the sum before one of them writes.
func writeSkew(a *acid) {
	a.accounts(func(pair []graph.NodeID) {
		x, y := a.begin(), a.begin()
		seenX, seenY := a.sum(x, pair), a.sum(y, pair)
		errX, errY := a.withdraw(x, pair[0], seenX), a.withdraw(y, pair[1], seenY)
		a.committed(x, errX)
		a.committed(y, errY)
		for i := range 3 {
			a.update(func(tx *graph.Txn) error { return a.withdraw(tx, pair[i%2], a.sum(tx, pair)) })
		}
	})
}

// writeSkewLocked is the same with both nodes locked before they are read.
func writeSkewLocked(a *acid) {
	a.accounts(func(pair []graph.NodeID) {
		a.parallel(5, func(i int) {
			a.update(func(tx *graph.Txn) error {
				for _, node := range pair {
					if _, err := tx.LockNode(node); err != nil {
						return err
					}
				}
				sum := a.sum(tx, pair)
				runtime.Gosched()
				return a.withdraw(tx, pair[i%2], sum)
			})
		})
	})
}
