package graph_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sombradb/sombra/graph"
)

// openExample opens a new database in a temporary directory.
func openExample() (db *graph.DB, done func()) {
	dir, err := os.MkdirTemp("", "graph-example")
	if err != nil {
		panic(err)
	}
	if db, err = graph.Open(filepath.Join(dir, "social.db"), nil); err != nil {
		panic(err)
	}
	return db, func() {
		_ = db.Close()
		_ = os.RemoveAll(dir)
	}
}

// chain creates people that know the next one, with the years of it as weight.
func chain(ctx context.Context, db *graph.DB, names ...string) (ids []graph.NodeID, err error) {
	err = db.Update(ctx, func(tx *graph.Txn) error {
		ids = ids[:0]
		for i, name := range names {
			id, err := tx.CreateNode([]string{"Person"}, graph.Props{"name": graph.String(name), "age": graph.Int(int64(30 + i))})
			if err != nil {
				return err
			}
			ids = append(ids, id)
			if i == 0 {
				continue
			}
			if _, err := tx.CreateEdge(ids[i-1], id, "KNOWS", graph.Props{"years": graph.Int(int64(i))}); err != nil {
				return err
			}
		}
		return nil
	})
	return ids, err
}

func ExampleDB_Update() {
	ctx := context.Background()
	db, done := openExample()
	defer done()
	ids, err := chain(ctx, db, "Ann", "Bob")
	if err != nil {
		fmt.Println(err)
		return
	}
	err = db.View(ctx, func(tx *graph.Txn) error {
		for e, err := range tx.Edges(ids[0], graph.Out) {
			if err != nil {
				return err
			}
			friend, err := tx.Node(e.Other(ids[0]))
			if err != nil {
				return err
			}
			fmt.Println(e.Type, friend.Props["name"], "for", e.Props["years"], "years")
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// KNOWS "Bob" for 1 years
	// <nil>
}

func ExampleDB_CreateIndex() {
	ctx := context.Background()
	db, done := openExample()
	defer done()
	if err := db.CreateIndex(ctx, "Person", "name", true); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := chain(ctx, db, "Ann", "Bob"); err != nil {
		fmt.Println(err)
		return
	}
	err := db.Update(ctx, func(tx *graph.Txn) error {
		_, err := tx.CreateNode([]string{"Person"}, graph.Props{"name": graph.String("Bob")})
		return err
	})
	var c *graph.ConstraintError
	fmt.Println(errors.As(err, &c), c.Label, c.Property, c.Value, c.Existing)
	// Output:
	// true Person name "Bob" 2
}

func ExampleDB_CreateConstraint() {
	ctx := context.Background()
	db, done := openExample()
	defer done()
	for _, c := range []graph.Constraint{
		graph.NodesRequire("Person", "name"),
		graph.EdgesHaveKind("KNOWS", "years", graph.KindInt),
		graph.EdgesJoin("KNOWS", "Person", "Person"),
	} {
		if err := db.CreateConstraint(ctx, c); err != nil {
			fmt.Println(err)
			return
		}
	}
	ids, err := chain(ctx, db, "Ann", "Bob")
	if err != nil {
		fmt.Println(err)
		return
	}
	err = db.Update(ctx, func(tx *graph.Txn) error { return tx.RemoveLabel(ids[1], "Person") })
	var c *graph.ConstraintError
	fmt.Println(errors.As(err, &c), c.Kind, c.Edge, c.Node, c.Needs)
	err = db.Update(ctx, func(tx *graph.Txn) error { return tx.SetProperty(ids[0], "name", graph.Null()) })
	fmt.Println(err)
	// Output:
	// true labels of ends 1 2 Person
	// graph: node 1 cannot be without name: every node :Person has name
}

func ExampleTxn_FindRange() {
	ctx := context.Background()
	db, done := openExample()
	defer done()
	if err := db.CreateIndex(ctx, "Person", "age", false); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := chain(ctx, db, "Ann", "Bob", "Cid", "Dee"); err != nil {
		fmt.Println(err)
		return
	}
	_ = db.View(ctx, func(tx *graph.Txn) error {
		for n, err := range tx.FindRange("Person", "age", graph.Range{Lo: graph.Int(31), Hi: graph.Float(32.5), Reverse: true}) {
			fmt.Println(n.Props["name"], n.Props["age"], err)
		}
		return nil
	})
	// Output:
	// "Cid" 32 <nil>
	// "Bob" 31 <nil>
}

func ExampleHooks() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "graph-example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	errClosed := errors.New("a closed order stays closed")
	db, err := graph.Open(filepath.Join(dir, "orders.db"), &graph.Options{Hooks: graph.Hooks{
		Node: func(_ *graph.Txn, before, after *graph.Node) error {
			if before != nil && before.Props["state"] == graph.String("closed") && after != nil && after.Props["state"] != before.Props["state"] {
				return errClosed
			}
			return nil
		},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = db.Close() }()
	var order graph.NodeID
	err = db.Update(ctx, func(tx *graph.Txn) (err error) {
		order, err = tx.CreateNode([]string{"Order"}, graph.Props{"state": graph.String("closed")})
		return err
	})
	fmt.Println(err)
	err = db.Update(ctx, func(tx *graph.Txn) error { return tx.SetProperty(order, "state", graph.String("open")) })
	fmt.Println(errors.Is(err, errClosed), err)
	// Output:
	// <nil>
	// true graph: the change of node 1 is refused: a closed order stays closed
}

func ExampleTxn_FindComposite() {
	ctx := context.Background()
	db, done := openExample()
	defer done()
	if err := db.CreateCompositeIndex(ctx, "Flight", []string{"from", "departs"}, false); err != nil {
		fmt.Println(err)
		return
	}
	err := db.Update(ctx, func(tx *graph.Txn) error {
		for i, from := range []string{"OSL", "BGO", "OSL", "OSL"} {
			props := graph.Props{"from": graph.String(from), "departs": graph.Int(int64(9 + i)), "number": graph.Int(int64(i))}
			if _, err := tx.CreateNode([]string{"Flight"}, props); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = db.View(ctx, func(tx *graph.Txn) error {
		fromOslo := []graph.Value{graph.String("OSL")}
		for flight, err := range tx.FindComposite("Flight", []string{"from", "departs"}, fromOslo, graph.Range{Lo: graph.Int(10)}) {
			if err != nil {
				return err
			}
			fmt.Println(flight.Props["number"], "at", flight.Props["departs"])
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// 2 at 11
	// 3 at 12
	// <nil>
}

func ExampleTxn_BFS() {
	ctx := context.Background()
	db, done := openExample()
	defer done()
	ids, err := chain(ctx, db, "Ann", "Bob", "Cid", "Dee")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = db.View(ctx, func(tx *graph.Txn) error {
		for v, err := range tx.BFS(ids[0], graph.Traversal{Types: []string{"KNOWS"}, MaxDepth: 2}) {
			fmt.Println(v.Depth, v.Node, err)
		}
		return nil
	})
	// Output:
	// 0 1 <nil>
	// 1 2 <nil>
	// 2 3 <nil>
}

func ExampleTxn_ShortestPath() {
	ctx := context.Background()
	db, done := openExample()
	defer done()
	ids, err := chain(ctx, db, "Ann", "Bob", "Cid", "Dee")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = db.View(ctx, func(tx *graph.Txn) error {
		p, err := tx.ShortestPath(ids[3], ids[0], graph.Traversal{Direction: graph.In})
		fmt.Println(p.Nodes, p.Cost, err)
		p, err = tx.WeightedShortestPath(ids[0], ids[3], "years", graph.Traversal{})
		fmt.Println(p.Nodes, p.Cost, err)
		_, err = tx.ShortestPath(ids[3], ids[0], graph.Traversal{})
		fmt.Println(err)
		return nil
	})
	// Output:
	// [4 3 2 1] 3 <nil>
	// [1 2 3 4] 6 <nil>
	// graph: no path from node 4 to node 1
}

func ExampleDB_Check() {
	ctx := context.Background()
	db, done := openExample()
	defer done()
	if _, err := chain(ctx, db, "Ann", "Bob", "Cid"); err != nil {
		fmt.Println(err)
		return
	}
	report, err := db.Check(ctx)
	fmt.Println(report.Nodes, report.Edges, len(report.Problems), err)
	// Output:
	// 3 2 0 <nil>
}

func ExampleValue() {
	v := graph.Int(3)
	fmt.Println(v, v.Kind(), v.Equal(graph.Float(3)), v.Compare(graph.String("3")))
	// Output:
	// 3 int true -1
}

func ExampleLoad() {
	dir, err := os.MkdirTemp("", "graph-example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := graph.Load(context.Background(), filepath.Join(dir, "social.db"), nil, func(l *graph.Loader) error {
		if err := l.CreateIndex("Person", "email", true); err != nil {
			return err
		}
		ann, err := l.CreateNode([]string{"Person"}, graph.Props{"email": graph.String("ann@x.org")})
		if err != nil {
			return err
		}
		_, err = l.CreateNode([]string{"Person"}, graph.Props{"email": graph.String("ann@x.org")})
		fmt.Println(err) // and goes on without her
		_, err = l.CreateEdge(ann, ann, "KNOWS", nil)
		return err
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = db.Close() }()
	report, err := db.Check(context.Background())
	fmt.Println(report.Nodes, "node,", report.Edges, "edge,", len(report.Problems), "problems", err)
	// Output:
	// graph: node 2 cannot have email = "ann@x.org": node 1 has it, and the index on :Person(email) is unique
	// 1 node, 1 edge, 0 problems <nil>
}
