package graph

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

// portrait renders what a transaction sees: every node with its edges, what is around the first one, and finds.
func portrait(tx *Txn) (string, error) {
	var b strings.Builder
	var first NodeID
	for n, err := range tx.Nodes() {
		if err != nil {
			return "", err
		}
		if first == 0 {
			first = n.ID
		}
		fmt.Fprintf(&b, "%v %v %v:", n.ID, n.Labels, n.Props)
		for e, err := range tx.Edges(n.ID, Both) {
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, " %d->%d %s %v", e.Src, e.Dst, e.Type, e.Props)
		}
		degree, err := tx.Degree(n.ID, Out)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, " (%d)\n", degree)
	}
	for v, err := range tx.BFS(first, Traversal{Direction: Out}) {
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "reached %v\n", v)
	}
	for n, err := range tx.Find("Person", "name", String("n3")) {
		if errors.Is(err, ErrNoIndex) {
			break // there was none then
		}
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "n3 is %v\n", n.ID)
	}
	return b.String(), nil
}

// album is a graph and its portraits after each commit.
type album struct {
	t       *testing.T
	fs      vfs.FS
	db      *DB
	nodes   []NodeID
	moments []mvcc.Timestamp
	seen    []string
}

func (a *album) open() {
	db, err := Open(testPath, &Options{Options: mvcc.Options{
		FS: a.fs, MemoryBudget: mvcc.MinMemoryBudget, SegmentSize: 1 << 20, Retain: mvcc.Retention{Duration: time.Hour},
	}})
	a.must(err)
	a.db = db
}

func (a *album) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// step commits a change and keeps a portrait.
func (a *album) step(fn func(*Txn) error) {
	tx, err := a.db.Begin(bg, nil)
	a.must(err)
	defer tx.Rollback()
	a.must(fn(tx))
	a.must(tx.Commit())
	a.moments = append(a.moments, tx.Store().CommitTimestamp())
	view(a.t, a.db, func(tx *Txn) {
		p, err := portrait(tx)
		a.must(err)
		a.seen = append(a.seen, p)
	})
}

// compare looks at each moment again.
func (a *album) compare() {
	for i, at := range a.moments {
		err := a.db.ViewAsOf(bg, at, func(tx *Txn) error {
			p, err := portrait(tx)
			if p != a.seen[i] {
				a.t.Errorf("as of commit %d:\n%swas\n%s", i, p, a.seen[i])
			}
			return err
		})
		if err != nil {
			a.t.Errorf("as of commit %d: %v", i, err)
		}
	}
}

// chain makes six people, each of whom knows the next.
func (a *album) chain(tx *Txn) error {
	for i := range 6 {
		id, err := tx.CreateNode([]string{"Person"}, Props{"name": String(fmt.Sprint("n", i))})
		if err != nil {
			return err
		}
		if a.nodes = append(a.nodes, id); i > 0 {
			if _, err := tx.CreateEdge(a.nodes[i-1], id, "KNOWS", Props{"since": Int(int64(i))}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Traversals, finds and degrees as of a moment are those of that moment, whatever was created, changed, indexed and
// deleted since, after checkpoints and a restart.
func TestTraversalsAsOfAMoment(t *testing.T) {
	a := &album{t: t, fs: newMem(t)}
	a.open()
	a.step(a.chain)
	steps := []func(tx *Txn) error{
		func(tx *Txn) error { return tx.SetProperty(a.nodes[1], "name", String("n3")) },
		func(tx *Txn) error { _, err := tx.CreateEdge(a.nodes[0], a.nodes[3], "KNOWS", nil); return err },
		func(tx *Txn) error { return tx.DetachDelete(a.nodes[2]) },
		func(tx *Txn) error { return tx.AddLabel(a.nodes[4], "Admin") },
		func(tx *Txn) error { return tx.DetachDelete(a.nodes[0]) },
	}
	for i, fn := range steps {
		a.step(fn)
		if i == 1 {
			a.must(a.db.CreateIndex(bg, "Person", "name", false))
		}
		if i%2 == 0 {
			a.must(a.db.Store().Checkpoint(bg))
		}
	}
	a.compare()
	a.must(a.db.Close())
	a.open()
	a.compare()
	check(t, a.db)
	a.must(a.db.Close())
}
