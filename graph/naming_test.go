package graph

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sombradb/sombra/mvcc"
)

// people is a graph of Ann, Bob and a nameless node, with virtual time for reports.
type people struct {
	db            *DB
	ann, bob, odd NodeID
	knows         EdgeID
}

// meet runs a test in a bubble of virtual time.
func meet(t *testing.T, test func(t *testing.T, p people)) {
	synctest.Test(t, func(t *testing.T) {
		db := openOn(t, newMem(t))
		defer db.Close()
		if err := db.CreateIndex(bg, "Person", "email", true); err != nil {
			t.Fatal(err)
		}
		p := people{db: db}
		update(t, db, func(tx *Txn) error {
			var errs [4]error
			p.ann, errs[0] = tx.CreateNode([]string{"Person"}, Props{"email": String("ann@x.org")})
			p.bob, errs[1] = tx.CreateNode([]string{"Person"}, Props{"email": String("bob@x.org")})
			p.odd, errs[2] = tx.CreateNode(nil, nil)
			p.knows, errs[3] = tx.CreateEdge(p.ann, p.bob, "KNOWS", nil)
			return errors.Join(errs[:]...)
		})
		test(t, p)
	})
}

// begin starts a transaction with a label.
func (p people) begin(t *testing.T, label string, level mvcc.Isolation, priority int) *Txn {
	t.Helper()
	tx, err := p.db.Begin(bg, &mvcc.TxnOptions{Isolation: level, Label: label, Priority: priority})
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

type step func(*Txn) error

func setNode(id NodeID) step {
	return func(tx *Txn) error { return tx.SetProperty(id, "seen", Bool(true)) }
}

func setEdge(id EdgeID) step {
	return func(tx *Txn) error { return tx.SetEdgeProperty(id, "since", Int(2020)) }
}

func newPerson(email string) step {
	return func(tx *Txn) error {
		_, err := tx.CreateNode([]string{"Person"}, Props{"email": String(email)})
		return err
	}
}

// deadlock has two transactions take the same two steps in opposite order, and returns the error of
// the second one, which is the victim.
func (p people) deadlock(t *testing.T, first, second step) error {
	t.Helper()
	a, b := p.begin(t, "transfer", mvcc.Serializable, 1), p.begin(t, "audit", mvcc.ReadCommitted, 0)
	defer a.Rollback()
	defer b.Rollback()
	if err := errors.Join(first(a), second(b)); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- second(a) }()
	synctest.Wait()
	err := first(b)
	b.Rollback()
	if other := <-waited; other != nil {
		t.Errorf("the one that was spared: %v", other)
	}
	synctest.Wait() // the victim is woken before its report is in the list
	return err
}

func TestDeadlockReportsSpeakOfTheGraph(t *testing.T) {
	const summary = `graph: deadlock: txn %[2]d "audit" ended to break a cycle of 2 transactions (lowest priority); roll it back and retry`
	for name, c := range map[string]struct {
		steps func(p people) (first, second step)
		want  string
	}{
		"two nodes": {func(p people) (step, step) { return setNode(p.ann), setNode(p.bob) }, summary + `
  txn %[2]d "audit" (read committed, 0s old, waited 0s) holds X on (:Person {email: "bob@x.org"}), wants X on (:Person {email: "ann@x.org"})  <- victim: lowest priority
  txn %[1]d "transfer" (serializable, 0s old, waited 0s) holds X on (:Person {email: "ann@x.org"}), wants X on (:Person {email: "bob@x.org"})`},
		"a node and an edge": {func(p people) (step, step) { return setNode(p.odd), setEdge(p.knows) }, summary + `
  txn %[2]d "audit" (read committed, 0s old, waited 0s) holds X on edge 1 (:Person {email: "ann@x.org"})-[:KNOWS]->(:Person {email: "bob@x.org"}), wants X on node 3  <- victim: lowest priority
  txn %[1]d "transfer" (serializable, 0s old, waited 0s) holds X on node 3, wants X on edge 1 (:Person {email: "ann@x.org"})-[:KNOWS]->(:Person {email: "bob@x.org"})`},
		"entries of a unique index": {func(people) (step, step) { return newPerson("cem@x.org"), newPerson("eve@x.org") }, summary + `
  txn %[2]d "audit" (read committed, 0s old, waited 0s) holds X on Person(email = "eve@x.org"), wants X on Person(email = "cem@x.org")  <- victim: lowest priority
  txn %[1]d "transfer" (serializable, 0s old, waited 0s) holds X on Person(email = "cem@x.org"), wants X on Person(email = "eve@x.org")`},
	} {
		t.Run(name, func(t *testing.T) {
			meet(t, func(t *testing.T, p people) {
				one, two := c.steps(p)
				err := p.deadlock(t, one, two)
				before := p.db.store.Deadlocks()[0].Error()
				var report *mvcc.DeadlockError
				if !errors.Is(err, mvcc.ErrDeadlock) || !IsRetryable(err) || !errors.As(err, &report) {
					t.Fatalf("error %v", err)
				}
				cycle := report.Report.Cycle
				if want := fmt.Sprintf(c.want, cycle[1].ID, cycle[0].ID); err.Error() != want {
					t.Errorf("the report is\n%s\nwant\n%s", err, want)
				}
				list := p.db.Deadlocks()
				if len(list) != 1 || list[0].Error() != report.Error() || "graph"+report.Error()[len("mvcc"):] != err.Error() {
					t.Errorf("the store's error is %v, the list %v", report, list)
				}
				if after := p.db.store.Deadlocks()[0].Error(); after != before {
					t.Errorf("the store's own report was changed to %s", after)
				}
			})
		})
	}
}

// What Update gave up for is in the graph's terms, whether an operation failed or the commit.
func TestWhatUpdateGaveUpForSpeaksOfTheGraph(t *testing.T) {
	meet(t, func(t *testing.T, p people) {
		holder := p.begin(t, "", mvcc.Snapshot, 0)
		defer holder.Rollback()
		if err := setNode(p.ann)(holder); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(bg, time.Second+time.Microsecond) // ends in the pause
		defer cancel()
		err := p.db.UpdateWith(ctx, &mvcc.TxnOptions{LockTimeout: time.Second}, setNode(p.ann))
		wantError(t, err, mvcc.ErrLockTimeout, `mvcc: gave up after 1 attempts: context deadline exceeded `+
			`(the last one: graph: lock on (:Person {email: "ann@x.org"}) not granted within 1s (held by transactions [%d]))`, holder.ID())

		ctx, cancel = context.WithTimeout(bg, time.Microsecond)
		defer cancel()
		var id uint64
		err = p.db.UpdateWith(ctx, &mvcc.TxnOptions{Isolation: mvcc.Serializable}, func(tx *Txn) error {
			id = tx.ID()
			_, err := tx.Node(p.bob)
			update(t, p.db, setNode(p.bob))
			return errors.Join(err, setNode(p.odd)(tx))
		})
		wantError(t, err, mvcc.ErrConflict, `mvcc: gave up after 1 attempts: context deadline exceeded `+
			`(the last one: graph: transaction %d conflicts on (:Person {email: "bob@x.org"}): it was changed after it was read)`, id)
	})
}

func wantError(t *testing.T, err, kind error, format string, args ...any) {
	t.Helper()
	if want := fmt.Sprintf(format, args...); err == nil || err.Error() != want || !errors.Is(err, kind) || !IsRetryable(err) {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}

func TestConflictsAndTimeoutsSpeakOfTheGraph(t *testing.T) {
	meet(t, func(t *testing.T, p people) {
		holder := p.begin(t, "", mvcc.Snapshot, 0)
		defer holder.Rollback()
		late := p.begin(t, "", mvcc.Snapshot, 0)
		defer late.Rollback()
		if err := setEdge(p.knows)(holder); err != nil {
			t.Fatal(err)
		}
		wantError(t, late.DeleteEdge(p.knows), mvcc.ErrLockTimeout,
			`graph: lock on edge 1 (:Person {email: "ann@x.org"})-[:KNOWS]->(:Person {email: "bob@x.org"}) not granted within 5s (held by transactions [%d])`, holder.ID())
		holder.Rollback()
		late.Rollback()

		deletion, edge := p.begin(t, "tidy", mvcc.Snapshot, 0), p.begin(t, "", mvcc.Snapshot, 0)
		defer deletion.Rollback()
		defer edge.Rollback()
		_, err := edge.CreateEdge(p.odd, p.odd, "LIKES", nil)
		if err = errors.Join(err, deletion.DetachDelete(p.bob)); err != nil {
			t.Fatal(err)
		}
		addEdge(t, p.db, p.ann, p.bob, "LIKES", nil)
		wantError(t, deletion.Commit(), mvcc.ErrConflict,
			`graph: transaction %d "tidy" conflicts on edge 3 (:Person {email: "ann@x.org"})-[:LIKES]->(:Person {email: "bob@x.org"}): it changed inside a range that was read`, deletion.ID())
		update(t, p.db, func(tx *Txn) error { return tx.DeleteNode(p.odd) })
		wantError(t, edge.Commit(), mvcc.ErrConflict,
			`graph: transaction %d conflicts on node 3: it was required to exist and does not`, edge.ID())
	})
}

// Each form of describeKey in terms of what the nodes are.
func TestNamesOfTheStoreAreRenderedByWhatTheNodesAre(t *testing.T) {
	meet(t, func(t *testing.T, p people) {
		if err := p.db.CreateIndex(bg, "Admin", "name", true); err != nil {
			t.Fatal(err)
		}
		var plain, both, deleted NodeID
		update(t, p.db, func(tx *Txn) error {
			var errs [6]error
			plain, errs[0] = tx.CreateNode([]string{"Person"}, Props{"name": String("no email")})
			both, errs[1] = tx.CreateNode([]string{"odd label", "Admin"}, Props{"name": String("root\n"), "email": String("r@x.org")})
			deleted, errs[2] = tx.CreateNode([]string{"Person"}, nil)
			_, errs[3] = tx.CreateEdge(both, both, "odd type]->(1)", nil)
			_, errs[4] = tx.CreateEdge(p.ann, p.odd, "KNOWS", nil)
			return errors.Join(errs[:]...)
		})
		update(t, p.db, func(tx *Txn) error { return tx.DeleteNode(deleted) })
		if err := p.db.CreateIndex(bg, "Person", "name", false); err != nil {
			t.Fatal(err)
		}
		label, _ := p.db.labels.lookup("Person")
		typ, _ := p.db.types.lookup("odd type]->(1)")
		unique := p.db.schema.Load().byID[1]
		forms := map[string][]byte{
			`(:Person {email: "ann@x.org"})`:   appendNodeKey(nil, p.ann),
			fmt.Sprintf(`(:Person %d)`, plain): appendNodeKey(nil, plain),
			`(:Admin {name: "root\n"})`:        appendNodeKey(nil, both),
			fmt.Sprintf("node %d", p.odd):      appendNodeKey(nil, p.odd),
			fmt.Sprintf("node %d", deleted):    appendNodeKey(nil, deleted),
			`edge 1 (:Person {email: "ann@x.org"})-[:KNOWS]->(:Person {email: "bob@x.org"})`:  appendEdgeKey(nil, p.knows),
			`edge 2 (:Admin {name: "root\n"})-[:"odd type]->(1)"]->(:Admin {name: "root\n"})`: appendOutKey(nil, place{both, both, typ, 2}),
			fmt.Sprintf(`edge 3 (:Person {email: "ann@x.org"})-[:KNOWS]->(%d)`, p.odd):        appendEdgeKey(nil, 3),
			"edge 99": appendEdgeKey(nil, 99),
			`label :Person of (:Person {email: "bob@x.org"})`:       appendLabelKey(nil, label, p.bob),
			`Person(email = "ann@x.org")`:                           appendIndexKey(nil, unique, String("ann@x.org"), 0),
			`entry 3 of index 77 of (:Person {email: "ann@x.org"})`: appendIndexKey(nil, &index{id: 77}, Int(3), p.ann),
			`external node "a of node 1" of import "k"`:             appendExternalKey(nil, externalNode, "k", "a of node 1"),
			"the graph's schema":                                    epochKey,
		}
		p.db.withNames(func(name func(string) string) {
			for want, key := range forms {
				if got := name(p.db.describeKey(keyspaceName, key)); got != want {
					t.Errorf("%q is named %s, want %s", key, got, want)
				}
			}
		})
	})
}

// An error may be printed late: when the node is another one, and when the database is closed.
func TestErrorsAreNamedWhenTheyAreLookedAt(t *testing.T) {
	db := openOn(t, newMem(t))
	ids := addNodes(t, db, 1, "N")
	var errs []error
	for range 2 {
		tx := begin(t, db, mvcc.Snapshot)
		if _, err := tx.Node(ids[0]); err != nil {
			t.Fatal(err)
		}
		update(t, db, setNode(ids[0]))
		errs = append(errs, setNode(ids[0])(tx))
		tx.Rollback()
	}
	update(t, db, func(tx *Txn) error { return errors.Join(tx.RemoveLabel(ids[0], "N"), tx.AddLabel(ids[0], "M")) })
	if got, want := errs[0].Error(), "conflicts on (:M 1): it was changed after the snapshot"; !strings.HasSuffix(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"conflicts on (:M 1): it was changed after the snapshot", "conflicts on node 1: it was changed after the snapshot"} {
		if got := errs[i].Error(); !strings.HasSuffix(got, want) {
			t.Errorf("after closing: %s, want %s", got, want)
		}
	}
	if list := db.Deadlocks(); len(list) != 0 {
		t.Errorf("deadlocks %v", list)
	}
}

// Who waits for what, and the way out for whoever is in the way.
func TestStatusSpeaksOfTheGraph(t *testing.T) {
	meet(t, func(t *testing.T, p people) {
		holder, waiter := p.begin(t, "holder", mvcc.Snapshot, 0), p.begin(t, "waiter", mvcc.Snapshot, 0)
		defer waiter.Rollback()
		if err := errors.Join(setNode(p.ann)(holder), setNode(p.odd)(holder)); err != nil {
			t.Fatal(err)
		}
		waited := make(chan error, 1)
		go func() { waited <- setNode(p.ann)(waiter) }()
		synctest.Wait()
		want := LockInfo{
			Key: `(:Person {email: "ann@x.org"})`, Holders: []LockHolder{{holder.ID(), "holder", "X"}},
			Queue: []LockWaiter{{waiter.ID(), "waiter", "X", time.Now(), []uint64{holder.ID()}}},
		}
		if got := p.db.Locks(false); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("locks %+v, want %+v", got, want)
		}
		if got := p.db.Locks(true); len(got) != 2 || !reflect.DeepEqual(got[0], want) || got[1].Key != "node 3" {
			t.Errorf("all locks %+v", got)
		}
		list := p.db.Transactions()
		if len(list) != 2 || list[0].ID != holder.ID() || list[0].Waiting != nil || list[1].Waiting == nil || list[1].Waiting.Key != want.Key {
			t.Errorf("transactions %v", list)
		}
		if !p.db.Kill(holder.ID()) || p.db.Kill(holder.ID()) {
			t.Error("the holder was not killed once")
		}
		if err := <-waited; err != nil {
			t.Errorf("the waiter: %v", err)
		}
		if err := setNode(p.bob)(holder); !errors.Is(err, mvcc.ErrKilled) {
			t.Errorf("the holder: %v", err)
		}
	})
}
