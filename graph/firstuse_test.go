package graph

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"

	"github.com/sombradb/sombra/mvcc"
)

// hamlet is a graph that has no edge type FIRST, no label First and no property first: a KNOWS b.
type hamlet struct {
	db      *DB
	a, b, c NodeID
	knows   EdgeID
}

func newHamlet(t testing.TB, db *DB) *hamlet {
	ids := addNodes(t, db, 3, "Person")
	return &hamlet{db, ids[0], ids[1], ids[2], addEdge(t, db, ids[0], ids[1], "KNOWS", Props{"since": Int(2019)})}
}

// firstUse is a read of a name that nobody has used yet, and a use of the name that changes what is read.
type firstUse struct {
	name   string
	read   func(tx *Txn, h *hamlet) (string, error)
	use    func(tx *Txn, h *hamlet) error
	define bool // an index on :First(first) is created as well
}

// list renders what an iteration yields.
func list[T any](seq iter.Seq2[T, error], render func(T) any) (string, error) {
	var b strings.Builder
	for v, err := range seq {
		if err != nil {
			return "", err
		}
		fmt.Fprint(&b, render(v), " ")
	}
	return b.String(), nil
}

// outcome renders a value, or one of the errors that are answers.
func outcome(v any, err error) (string, error) {
	for _, answer := range []error{ErrNoPath, ErrNoIndex, ErrWeight} {
		if errors.Is(err, answer) {
			return answer.Error(), nil
		}
	}
	return fmt.Sprint(v), err
}

func edgeOf(e Edge) any       { return e.ID }
func nodeOf(n Node) any       { return n.ID }
func idOf(id NodeID) any      { return id }
func textOf(label string) any { return label }

func useType(tx *Txn, h *hamlet) error {
	_, err := tx.CreateEdge(h.a, h.b, "FIRST", nil)
	return err
}

func useLabel(tx *Txn, _ *hamlet) error {
	_, err := tx.CreateNode([]string{"First"}, nil)
	return err
}

func useProperty(tx *Txn, h *hamlet) error {
	if err := tx.SetEdgeProperty(h.knows, "first", Int(7)); err != nil {
		return err
	}
	return tx.SetProperty(h.a, "first", Int(1))
}

func useIndex(tx *Txn, h *hamlet) error {
	_, err := tx.CreateNode([]string{"First"}, Props{"first": Int(1)})
	return err
}

// firstUses has all methods that take names, and those that read what is there of them.
func firstUses() []firstUse {
	edges := func(node func(*hamlet) NodeID, d Direction, types ...string) func(*Txn, *hamlet) (string, error) {
		return func(tx *Txn, h *hamlet) (string, error) { return list(tx.Edges(node(h), d, types...), edgeOf) }
	}
	first := Traversal{Types: []string{"FIRST"}}
	atA := func(h *hamlet) NodeID { return h.a }
	atB := func(h *hamlet) NodeID { return h.b }
	return []firstUse{
		{"edges out", edges(atA, Out, "FIRST"), useType, false},
		{"edges in", edges(atB, In, "FIRST"), useType, false},
		{"edges of a new and an old type", edges(atA, Both, "FIRST", "KNOWS", "NEVER"), useType, false},
		{"neighbors", func(tx *Txn, h *hamlet) (string, error) {
			return list(tx.Neighbors(h.b, Both, "FIRST"), idOf)
		}, useType, false},
		{"degree", func(tx *Txn, h *hamlet) (string, error) {
			return outcome(tx.Degree(h.a, Out, "FIRST"))
		}, useType, false},
		{"bfs", func(tx *Txn, h *hamlet) (string, error) {
			return list(tx.BFS(h.a, first), func(v Visit) any { return v })
		}, useType, false},
		{"bfs of one hop", func(tx *Txn, h *hamlet) (string, error) {
			one := Traversal{Types: []string{"FIRST", "NEVER"}, MaxDepth: 1, Direction: In}
			return list(tx.BFS(h.b, one), func(v Visit) any { return v })
		}, useType, false},
		{"shortest path", func(tx *Txn, h *hamlet) (string, error) {
			return outcome(tx.ShortestPath(h.a, h.b, first))
		}, useType, false},
		{"weighted path of a new type", func(tx *Txn, h *hamlet) (string, error) {
			return outcome(tx.WeightedShortestPath(h.a, h.b, "since", first))
		}, func(tx *Txn, h *hamlet) error {
			_, err := tx.CreateEdge(h.a, h.b, "FIRST", Props{"since": Int(1)})
			return err
		}, false},
		{"weighted path by a new property", func(tx *Txn, h *hamlet) (string, error) {
			return outcome(tx.WeightedShortestPath(h.a, h.b, "first", Traversal{Types: []string{"KNOWS"}}))
		}, useProperty, false},
		{"property", func(tx *Txn, h *hamlet) (string, error) {
			return outcome(tx.Property(h.a, "first"))
		}, useProperty, false},
		{"nodes by label", func(tx *Txn, _ *hamlet) (string, error) {
			return list(tx.NodesByLabel("First"), nodeOf)
		}, useLabel, false},
		{"count by label", func(tx *Txn, _ *hamlet) (string, error) {
			return outcome(tx.CountByLabel("First"))
		}, useLabel, false},
		{"labels", func(tx *Txn, _ *hamlet) (string, error) {
			return list(tx.Labels(), textOf)
		}, useLabel, false},
		{"find", func(tx *Txn, _ *hamlet) (string, error) {
			return outcome(list(tx.Find("First", "first", Int(1)), nodeOf))
		}, useIndex, true},
		{"find range", func(tx *Txn, _ *hamlet) (string, error) {
			return outcome(list(tx.FindRange("First", "first", Range{}), nodeOf))
		}, useIndex, true},
		{"indexes", func(tx *Txn, _ *hamlet) (string, error) {
			return outcome(tx.Indexes())
		}, useIndex, true},
	}
}

// mustRead reads what must be readable.
func (u firstUse) mustRead(t *testing.T, tx *Txn, h *hamlet) string {
	t.Helper()
	got, err := u.read(tx, h)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// commit uses the name in a transaction of its own, and defines the index if one belongs to it.
func (u firstUse) commit(t *testing.T, h *hamlet) {
	t.Helper()
	update(t, h.db, func(tx *Txn) error { return u.use(tx, h) })
	if u.define {
		if err := h.db.CreateIndex(bg, "First", "first", false); err != nil {
			t.Fatal(err)
		}
	}
}

// eachFirstUse runs a test for each use, at the levels that have a snapshot.
func eachFirstUse(t *testing.T, test func(t *testing.T, u firstUse, h *hamlet, level mvcc.Isolation)) {
	for _, u := range firstUses() {
		for _, level := range []mvcc.Isolation{mvcc.Snapshot, mvcc.Serializable} {
			t.Run(fmt.Sprintf("%s/%v", u.name, level), func(t *testing.T) {
				test(t, u, newHamlet(t, openTest(t)), level)
			})
		}
	}
}

// PMP: a snapshot that has none of a name keeps having none, though somebody uses it for the first time.
func TestASnapshotHasNoNameThatIsUsedLater(t *testing.T) {
	eachFirstUse(t, func(t *testing.T, u firstUse, h *hamlet, level mvcc.Isolation) {
		reader, err := h.db.Begin(bg, &mvcc.TxnOptions{Isolation: level, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Rollback()
		writer := begin(t, h.db, level)
		before := u.mustRead(t, reader, h)
		if got := u.mustRead(t, writer, h); got != before {
			t.Fatalf("one transaction reads %q, another one %q", before, got)
		}
		u.commit(t, h)
		for _, tx := range []*Txn{reader, writer} {
			if got := u.mustRead(t, tx, h); got != before {
				t.Errorf("read %q and then %q", before, got)
			}
		}
		view(t, h.db, func(tx *Txn) {
			if got := u.mustRead(t, tx, h); got == before {
				t.Errorf("nothing has changed: %q", got)
			}
		})
	})
}

// A snapshot moves forward only when nothing that was read has changed; that a name had no elements was read, too.
func TestASnapshotDoesNotMovePastAFirstUse(t *testing.T) {
	eachFirstUse(t, func(t *testing.T, u firstUse, h *hamlet, level mvcc.Isolation) {
		tx := begin(t, h.db, level)
		u.mustRead(t, tx, h)
		u.commit(t, h)
		update(t, h.db, setNode(h.c))
		if err := setNode(h.c)(tx); !errors.Is(err, mvcc.ErrConflict) {
			t.Errorf("a write that needs a newer snapshot: %v, want a conflict", err)
		}
	})
}

// Write skew over a name: both see that it has no elements, and each makes the first.
func TestTwoThatSeeNoUseOfANameDoNotBothUseIt(t *testing.T) {
	for _, u := range firstUses() {
		t.Run(u.name, func(t *testing.T) {
			h := newHamlet(t, openTest(t))
			other := &hamlet{h.db, h.b, h.c, h.a, addEdge(t, h.db, h.b, h.c, "KNOWS", nil)} // nobody else writes there
			one, two := begin(t, h.db, mvcc.Serializable), begin(t, h.db, mvcc.Serializable)
			if got, want := u.mustRead(t, two, h), u.mustRead(t, one, h); got != want {
				t.Fatalf("read %q and %q", got, want)
			}
			if u.define {
				u.commit(t, h)
			} else {
				if err := u.use(one, h); err != nil {
					t.Fatal(err)
				}
				if err := one.Commit(); err != nil {
					t.Fatalf("the first commit: %v", err)
				}
			}
			if err := u.use(two, other); err != nil {
				t.Fatal(err)
			}
			if err := two.Commit(); !errors.Is(err, mvcc.ErrConflict) {
				t.Errorf("the second commit: %v, want a conflict", err)
			}
		})
	}
}

// A transaction may use the name that it has read: it sees what it made, and does not conflict with the small transaction
// that gives the name its id.
func TestATransactionIsNotInItsOwnWay(t *testing.T) {
	for _, u := range firstUses() {
		if u.define {
			continue // indexes are not made in transactions
		}
		for _, level := range levels {
			t.Run(fmt.Sprintf("%s/%v", u.name, level), func(t *testing.T) {
				h := newHamlet(t, openTest(t))
				tx := begin(t, h.db, level)
				before := u.mustRead(t, tx, h)
				if err := u.use(tx, h); err != nil {
					t.Fatal(err)
				}
				if after := u.mustRead(t, tx, h); after == before {
					t.Errorf("it does not see its own writes: %q", after)
				}
				if err := tx.Commit(); err != nil {
					t.Errorf("commit: %v", err)
				}
			})
		}
	}
}

// Who has read that a name has no elements at one place conflicts with elements there, and with nothing else: not with a
// name that was given for nothing, not with elements of names that had ids, not with a new type at other nodes.
func TestUsesElsewhereAreNoConflict(t *testing.T) {
	for _, u := range firstUses() {
		if u.define || u.name == "labels" {
			continue
		}
		t.Run(u.name, func(t *testing.T) {
			h := newHamlet(t, openTest(t))
			tx := begin(t, h.db, mvcc.Serializable)
			u.mustRead(t, tx, h)
			idle := begin(t, h.db, mvcc.Snapshot)
			if err := u.use(idle, h); err != nil {
				t.Fatal(err)
			}
			idle.Rollback()
			update(t, h.db, func(tx *Txn) error {
				other, err := tx.CreateNode([]string{"Person"}, Props{"first": Int(5)})
				if err != nil {
					return err
				}
				_, err = tx.CreateEdge(h.c, other, "FIRST", Props{"first": Int(5)})
				return errors.Join(err, setNode(h.c)(tx))
			})
			if err := setNode(h.c)(tx); err != nil { // its snapshot can move forward
				t.Errorf("write: %v", err)
			}
			if err := tx.Commit(); err != nil {
				t.Errorf("commit: %v", err)
			}
		})
	}
}

// Names and indexes that came later are not in the past.
func TestThePastHasNoNameThatIsUsedLater(t *testing.T) {
	for _, u := range firstUses() {
		t.Run(u.name, func(t *testing.T) {
			fs := newMem(t)
			a := &album{t: t, fs: fs}
			a.open()
			h := newHamlet(t, a.db)
			moment := func() (at mvcc.Timestamp) {
				view(t, h.db, func(tx *Txn) {
					var err error
					at, err = tx.Store().Snapshot()
					a.must(err)
				})
				return at
			}
			var before, after string
			view(t, h.db, func(tx *Txn) { before = u.mustRead(t, tx, h) })
			early := moment()
			look := func(at mvcc.Timestamp, want string) {
				t.Helper()
				a.must(h.db.ViewAsOf(bg, at, func(tx *Txn) error {
					if got := u.mustRead(t, tx, h); got != want {
						t.Errorf("as of %d: %q, want %q", at, got, want)
					}
					return nil
				}))
			}
			past, err := h.db.Begin(bg, &mvcc.TxnOptions{AsOf: early, Isolation: mvcc.Serializable})
			a.must(err)
			if got := u.mustRead(t, past, h); got != before {
				t.Errorf("the past is %q, the present %q", got, before)
			}
			look(early, before)
			u.commit(t, h)
			view(t, h.db, func(tx *Txn) { after = u.mustRead(t, tx, h) })
			late := moment()
			if got := u.mustRead(t, past, h); got != before {
				t.Errorf("read %q and then %q", before, got)
			}
			past.Rollback()
			look(early, before)
			look(late, after)
			a.must(h.db.Store().Checkpoint(bg))
			a.must(h.db.Close())
			a.open()
			h.db = a.db
			look(early, before)
			look(late, after)
			check(t, h.db)
			a.must(h.db.Close())
		})
	}
}

// Each of many makes the first element of a name unless there is one.
func TestTheFirstElementOfANameIsMadeOnce(t *testing.T) {
	db := openTest(t)
	hub := addNodes(t, db, 1, "Hub")[0]
	const names, writers = 10, 4
	var looked [names]sync.WaitGroup // nobody makes an element before all have seen that there is none
	for i := range looked {
		looked[i].Add(writers)
	}
	var fns []func()
	for range writers {
		fns = append(fns, func() {
			for i := range names {
				look := sync.OnceFunc(func() { looked[i].Done(); looked[i].Wait() })
				err := db.UpdateWith(bg, &mvcc.TxnOptions{Isolation: mvcc.Serializable}, func(tx *Txn) error {
					typ, label := fmt.Sprint("T", i), fmt.Sprint("L", i)
					edges, err := tx.Degree(hub, Both, typ)
					if err != nil {
						return err
					}
					nodes, err := tx.CountByLabel(label)
					look()
					if err != nil || nodes+edges > 0 {
						return err
					}
					id, err := tx.CreateNode([]string{label}, nil)
					if err != nil {
						return err
					}
					_, err = tx.CreateEdge(id, hub, typ, nil)
					return err
				})
				if err != nil {
					t.Errorf("update: %v", err)
				}
			}
		})
	}
	race(fns...)
	if r := check(t, db); r.Nodes != names+1 || r.Edges != names {
		t.Errorf("%d nodes and %d edges of %d names", r.Nodes, r.Edges, names)
	}
}
