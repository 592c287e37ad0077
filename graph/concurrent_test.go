package graph

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sombradb/sombra/mvcc"
)

// race runs the functions at once and waits for all.
func race(fns ...func()) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, fn := range fns {
		wg.Go(func() { <-start; fn() })
	}
	close(start)
	wg.Wait()
}

// G2, as a story: both transactions have done their work before either commits.
func TestAnEdgeAndTheDeletionOfItsEndNeverBothCommit(t *testing.T) {
	type remove func(*Txn, NodeID) error
	for name, del := range map[string]remove{"delete": (*Txn).DeleteNode, "detach": (*Txn).DetachDelete} {
		for _, connector := range levels {
			for _, deleter := range levels {
				for _, deleteFirst := range []bool{true, false} {
					for _, end := range []string{"source", "destination"} {
						t.Run(fmt.Sprintf("%s/%v/%v/first=%v/%s", name, connector, deleter, deleteFirst, end), func(t *testing.T) {
							db := openTest(t)
							ids := addNodes(t, db, 2, "N")
							if end == "destination" {
								ids[0], ids[1] = ids[1], ids[0]
							}
							a, b := begin(t, db, connector), begin(t, db, deleter)
							src, dst := ids[0], ids[1]
							if end == "destination" {
								src, dst = dst, src
							}
							if _, err := a.CreateEdge(src, dst, "R", nil); err != nil {
								t.Fatal(err)
							}
							if err := del(b, ids[0]); err != nil {
								t.Fatal(err)
							}
							first, second := a, b
							if deleteFirst {
								first, second = b, a
							}
							if err := first.Commit(); err != nil {
								t.Fatalf("the first commit failed: %v", err)
							}
							if err := second.Commit(); !errors.Is(err, mvcc.ErrConflict) {
								t.Fatalf("the second commit: %v, want a conflict", err)
							}
						})
					}
				}
			}
		}
	}
}

func TestOneOfManyWritersGetsAUniqueValue(t *testing.T) {
	for _, level := range levels {
		t.Run(level.String(), func(t *testing.T) {
			db := openTest(t)
			if err := db.CreateIndex(bg, "Person", "email", true); err != nil {
				t.Fatal(err)
			}
			for round := range 10 {
				v := String(fmt.Sprintf("p%d@x.org", round))
				var won, lost atomic.Int32
				var fns []func()
				for range 8 {
					fns = append(fns, func() {
						err := db.UpdateWith(bg, &mvcc.TxnOptions{Isolation: level}, func(tx *Txn) error {
							_, err := tx.CreateNode([]string{"Person"}, Props{"email": v})
							return err
						})
						var c *ConstraintError
						switch {
						case err == nil:
							won.Add(1)
						case errors.As(err, &c) && c.Value == v && c.Existing != 0:
							lost.Add(1)
						default:
							t.Errorf("create: %v", err)
						}
					})
				}
				race(fns...)
				if won.Load() != 1 || lost.Load() != 7 {
					t.Fatalf("%d won, %d lost", won.Load(), lost.Load())
				}
			}
		})
	}
}

// G5 while writers of all levels change what is being indexed.
func TestIndexesAreBuiltAndDroppedBesideWriters(t *testing.T) {
	db := openTest(t)
	ids := addNodes(t, db, 700, "N") // more than one batch of the builder
	update(t, db, func(tx *Txn) error {
		for i, id := range ids {
			if err := tx.SetProperty(id, "p", Int(int64(i%50))); err != nil {
				return err
			}
		}
		return nil
	})
	var stop atomic.Bool
	writer := func(w int) func() {
		return func() {
			opts := &mvcc.TxnOptions{Isolation: levels[w%len(levels)]}
			for i := w; !stop.Load(); i += 7 {
				id := ids[i%len(ids)]
				err := db.UpdateWith(bg, opts, func(tx *Txn) error {
					switch i % 5 {
					case 0:
						return tx.RemoveLabel(id, "N")
					case 1:
						return tx.AddLabel(id, "N")
					case 2:
						n, err := tx.CreateNode([]string{"N"}, Props{"p": Int(int64(i))})
						if err != nil {
							return err
						}
						return tx.SetProperty(n, "p", Int(7))
					}
					return tx.SetProperty(id, "p", Int(int64(i%60)))
				})
				if err != nil {
					t.Errorf("write: %v", err)
					return
				}
			}
		}
	}
	builder := func() {
		defer stop.Store(true)
		for range 4 {
			if err := db.CreateIndex(bg, "N", "p", false); err != nil {
				t.Errorf("create: %v", err)
				return
			}
			check(t, db)
			if err := db.DropIndex(bg, "N", "p"); err != nil {
				t.Errorf("drop: %v", err)
				return
			}
		}
		if err := db.CreateIndex(bg, "N", "p", false); err != nil {
			t.Errorf("create: %v", err)
		}
	}
	race(builder, writer(0), writer(1), writer(2))
	if r := check(t, db); r.Indexes != 1 || r.IndexEntries == 0 {
		t.Errorf("%d indexes with %d entries", r.Indexes, r.IndexEntries)
	}
}

// A writer that began before an index was defined must not commit without maintaining it.
func TestAWriterOlderThanAnIndexIsRetried(t *testing.T) {
	for _, level := range levels {
		t.Run(level.String(), func(t *testing.T) {
			db := openTest(t)
			tx := begin(t, db, level)
			if _, err := tx.CreateNode([]string{"N"}, Props{"p": Int(1)}); err != nil {
				t.Fatal(err)
			}
			if err := db.CreateIndex(bg, "N", "p", false); err != nil {
				t.Fatal(err)
			}
			if err := tx.Commit(); !errors.Is(err, mvcc.ErrConflict) {
				t.Fatalf("commit: %v, want a conflict", err)
			}
		})
	}
}

func TestNamesAndIdsAreGivenOutOnce(t *testing.T) {
	db := openTest(t)
	var fns []func()
	for w := range 8 {
		fns = append(fns, func() {
			for i := range 20 {
				update(t, db, func(tx *Txn) error {
					_, err := tx.CreateNode([]string{fmt.Sprintf("L%d", i)}, Props{fmt.Sprintf("p%d", (i+w)%20): Int(1)})
					return err
				})
			}
		})
	}
	race(fns...)
	if len(db.Labels()) != 20 || len(db.PropertyNames()) != 20 {
		t.Errorf("labels %v, properties %v", db.Labels(), db.PropertyNames())
	}
	view(t, db, func(tx *Txn) {
		for _, n := range collect(t, tx.Nodes()) {
			if n.ID > idBlock {
				t.Errorf("node %d is of another block of ids", n.ID)
			}
		}
	})
	if r := check(t, db); r.Nodes != 160 || r.Names != 40 {
		t.Errorf("%d nodes, %d names", r.Nodes, r.Names)
	}
}

// Whoever waits for the entry of a unique value or of an external id sees what its holder made of it.
func TestAWaiterForAUniqueEntrySeesItsOwner(t *testing.T) {
	byValue := func(tx *Txn) (bool, error) {
		_, err := tx.CreateNode([]string{"P"}, Props{"email": String("a@x")})
		return err == nil, err
	}
	byExternalID := func(tx *Txn) (bool, error) {
		_, created, err := tx.CreateNodeAs("src", "a", nil, nil)
		return created, err
	}
	for _, level := range levels {
		constraint := mvcc.ErrConflict
		external := mvcc.ErrConflict
		if level == mvcc.ReadCommitted {
			constraint, external = ErrConstraint, nil // an external id that is taken is no error
		}
		t.Run(level.String()+"/value", func(t *testing.T) { testWaiter(t, level, byValue, constraint) })
		t.Run(level.String()+"/external id", func(t *testing.T) { testWaiter(t, level, byExternalID, external) })
	}
}

// testWaiter has one transaction wait for what another has written, and expects it to create nothing.
func testWaiter(t *testing.T, level mvcc.Isolation, create func(*Txn) (bool, error), want error) {
	db := openTest(t)
	if err := db.CreateIndex(bg, "P", "email", true); err != nil {
		t.Fatal(err)
	}
	a, b := begin(t, db, level), begin(t, db, level)
	for range b.Nodes() { // takes b's snapshot
	}
	if created, err := create(a); err != nil || !created {
		t.Fatal(created, err)
	}
	waited := make(chan error)
	go func() {
		created, err := create(b)
		if created {
			t.Error("it was created twice")
		}
		waited <- err
	}()
	for len(db.Store().Locks(false)) == 0 {
		runtime.Gosched()
	}
	if err := a.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}
