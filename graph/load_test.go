package graph

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

// creator is what transactions and loads have in common.
type creator interface {
	CreateNode(labels []string, props Props) (NodeID, error)
	CreateEdge(src, dst NodeID, typ string, props Props) (EdgeID, error)
	CreateNodeAs(importKey, id string, labels []string, props Props) (NodeID, bool, error)
	CreateEdgeAs(importKey, id string, src, dst NodeID, typ string, props Props) (EdgeID, bool, error)
	LookupNode(importKey, id string) (NodeID, error)
}

func loadOptions(fs vfs.FS) *Options {
	return &Options{Options: mvcc.Options{FS: fs, MemoryBudget: mvcc.MinMemoryBudget, SegmentSize: 64 << 10}}
}

func mustLoad(t tb, fs vfs.FS, fn func(*Loader) error) *DB {
	t.Helper()
	db, err := Load(bg, testPath, loadOptions(fs), fn)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return db
}

// steps makes a random graph, one call for each step.
func steps(seed uint64, n int) []func(creator) error {
	r := rand.New(rand.NewPCG(seed, 1))
	var list []func(creator) error
	add := func(fn func(creator) error) { list = append(list, fn) }
	for _, name := range modelNames { // one at a time, so that names have the same ids every time
		add(func(c creator) error { _, err := c.CreateNode(nil, Props{name: Int(1)}); return err })
	}
	nodes := len(list)
	props := func() Props {
		p := Props{}
		for _, name := range modelNames {
			p[name] = modelValues[r.IntN(len(modelValues))]
		}
		return p
	}
	for i := range n {
		p, id := props(), fmt.Sprint("x", r.IntN(n))
		src, dst, typ := NodeID(1+r.IntN(nodes)), NodeID(1+r.IntN(nodes)), modelTypes[r.IntN(len(modelTypes))]
		labels := []string{modelLabels[r.IntN(3)], modelLabels[r.IntN(3)]}[:r.IntN(3)]
		switch r.IntN(4) {
		case 0:
			p["u"] = Int(int64(i)) // unique
			add(func(c creator) error { _, err := c.CreateNode(labels, p); return err })
			nodes++
		case 1:
			add(func(c creator) error { _, _, err := c.CreateNodeAs("k", id, labels, p); return err })
		case 2:
			add(func(c creator) error { _, err := c.CreateEdge(src, dst, typ, p); return err })
		default:
			add(func(c creator) error { _, _, err := c.CreateEdgeAs("k", id, src, dst, typ, nil); return err })
		}
	}
	return list
}

type indexMaker func(label string, properties []string, unique bool) error

func makeIndexes(create indexMaker) error {
	one := func(label, property string, unique bool) error { return create(label, []string{property}, unique) }
	return errors.Join(one("A", "u", true), one("A", "p", false), one("B", "p", false), one("Z", "z", true),
		create("A", []string{"p", "q"}, false), create("B", []string{"u", "p", "r"}, true))
}

// dump lists the entries of the graph's keyspace.
func dump(t tb, db *DB) (list []string) {
	t.Helper()
	view(t, db, func(tx *Txn) {
		for item, err := range tx.kv.Scan(db.ks, mvcc.Range{}) {
			if err != nil {
				t.Fatalf("scan: %v", err)
			}
			list = append(list, fmt.Sprintf("%q = %x", item.Key, item.Value))
		}
	})
	return list
}

// elements lists the entries but those of the catalog.
func elements(t tb, db *DB) []string {
	t.Helper()
	return slices.DeleteFunc(dump(t, db), func(entry string) bool { return entry[:2] == `"C` })
}

func wantSame(t tb, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Fatalf("entry %d is missing: %s", i, want[i])
		case i >= len(want) || got[i] != want[i]:
			t.Fatalf("entry %d is %s, want %s", i, got[i], want[min(i, len(want)-1)])
		}
	}
}

// A load makes key by key what transactions make, and what comes later works alike.
func TestALoadMakesWhatTransactionsMake(t *testing.T) {
	for _, n := range []int{0, 1, 300, 9000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			list := steps(uint64(n), n)
			byTxn := openTest(t)
			if err := makeIndexes(func(l string, p []string, u bool) error { return byTxn.CreateCompositeIndex(bg, l, p, u) }); err != nil {
				t.Fatal(err)
			}
			if err := someRules(func(c Constraint) error { return byTxn.CreateConstraint(bg, c) }); err != nil {
				t.Fatal(err)
			}
			for part := range slices.Chunk(list, 500) {
				update(t, byTxn, func(tx *Txn) error { return run(tx, part) })
			}
			fs := newMem(t)
			loaded := mustLoad(t, fs, func(l *Loader) error {
				return errors.Join(makeIndexes(l.CreateCompositeIndex), someRules(l.CreateConstraint), run(l, list))
			})
			wantSame(t, dump(t, loaded), dump(t, byTxn))
			check(t, loaded)
			durable := openOn(t, fs.Crash(vfs.CrashConfig{Mode: vfs.LoseAll}))
			wantSame(t, dump(t, durable), dump(t, byTxn))
			for _, db := range []*DB{loaded, durable} {
				goesOn(t, db)
				if err := db.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}
		})
	}
}

func run(c creator, list []func(creator) error) error {
	for i, step := range list {
		if err := step(c); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

// goesOn uses a loaded graph as any other.
func goesOn(t *testing.T, db *DB) {
	t.Helper()
	before := check(t, db)
	nodes := addNodes(t, db, 3, "A")
	addEdge(t, db, nodes[0], 1, "R", Props{"p": Int(3)})
	addEdge(t, db, 2, nodes[1], "NEW", nil)
	update(t, db, func(tx *Txn) error {
		return errors.Join(tx.SetProperty(1, "p", String("changed")), tx.AddLabel(2, "B"), tx.DetachDelete(3), tx.SetProperty(nodes[2], "u", Int(-1)))
	})
	err := db.Update(bg, func(tx *Txn) error { return tx.SetProperty(nodes[0], "u", Int(-1)) })
	if !errors.Is(err, ErrConstraint) {
		t.Errorf("a value that is taken: %v", err)
	}
	after := check(t, db)
	if after.Nodes != before.Nodes+2 || after.Indexes != 6 {
		t.Errorf("%d nodes before, %d and %d indexes after", before.Nodes, after.Nodes, after.Indexes)
	}
}

// What a load refuses has no effect: it goes on, and ids have no gaps.
func TestALoadRefusesWhatTransactionsRefuse(t *testing.T) {
	db := mustLoad(t, newMem(t), func(l *Loader) error {
		if err := l.CreateIndex("P", "email", true); err != nil {
			return err
		}
		wantErr(t, "the index again", l.CreateIndex("P", "email", false), ErrIndexExists, "index on :P(email)")
		wantErr(t, "an index without name", l.CreateIndex("", "email", false), ErrInvalid, "empty")
		ann, err := l.CreateNode([]string{"P", "P"}, Props{"email": Int(7), "none": Null()})
		if err != nil {
			return err
		}
		_, err = l.CreateNode([]string{"Q", "P"}, Props{"email": Float(7)})
		var constraint *ConstraintError
		if !errors.As(err, &constraint) || *constraint != (ConstraintError{Constraint: Constraint{Kind: UniqueValue, Label: "P", Property: "email"}, Value: Float(7), Node: 2, Existing: ann}) {
			t.Errorf("a value that is taken: %v", err)
		}
		_, _, err = l.CreateNodeAs("k", "b", []string{"P"}, Props{"email": Int(7)})
		wantErr(t, "a value that is taken", err, ErrConstraint, "node 2 cannot have email = 7: node 1 has it")
		_, err = l.LookupNode("k", "b")
		wantErr(t, "what was refused", err, ErrNodeNotFound, `"b"`)
		_, err = l.CreateNode([]string{"P"}, Props{"email": String(strings.Repeat("x", MaxIndexedSize+1))})
		wantErr(t, "a long value", err, ErrInvalid, "8193 bytes")
		_, err = l.CreateNode([]string{""}, nil)
		wantErr(t, "a label without name", err, ErrInvalid, "empty")
		_, err = l.CreateNode(nil, Props{"\xff": Int(1)})
		wantErr(t, "a name that is not text", err, ErrInvalid, "UTF-8")
		_, _, err = l.CreateNodeAs("", "b", nil, nil)
		wantErr(t, "an empty import key", err, ErrInvalid, "import key")
		bob, created, err := l.CreateNodeAs("k", "b", []string{"Q"}, Props{"email": Int(7)})
		if bob != 2 || !created || err != nil {
			t.Errorf("node %d, created %v, %v", bob, created, err)
		}
		wantErr(t, "an index after nodes", l.CreateIndex("P", "x", false), ErrInvalid, ":P(x)")
		for _, ends := range [][3]NodeID{{1, 3, 3}, {9, 2, 9}, {0, 1, 0}} {
			_, err = l.CreateEdge(ends[0], ends[1], "R", nil)
			var missing *MissingEndError
			if !errors.As(err, &missing) || *missing != (MissingEndError{ends[0], ends[1], ends[2]}) {
				t.Errorf("an edge between %v: %v", ends, err)
			}
			wantErr(t, "an end that is missing", err, ErrNodeNotFound, fmt.Sprintf("from node %d to node %d", ends[0], ends[1]))
		}
		_, err = l.CreateEdge(1, 2, "", nil)
		wantErr(t, "a type without name", err, ErrInvalid, "empty")
		edge, err := l.CreateEdge(ann, bob, "R", nil)
		if edge != 1 || l.Nodes() != 2 || l.Edges() != 1 {
			t.Errorf("edge %d of %d, %d nodes", edge, l.Edges(), l.Nodes())
		}
		return err
	})
	report := check(t, db)
	if report.Nodes != 2 || report.Edges != 1 || report.IndexEntries != 1 || report.ExternalIDs != 1 {
		t.Errorf("report %+v", report)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func wantErr(t *testing.T, what string, err, want error, text string) {
	t.Helper()
	if !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v, want %v with %q", what, err, want, text)
	}
}

// A load makes a new graph only, but leaves other keyspaces alone.
func TestALoadNeedsADatabaseWithoutAGraph(t *testing.T) {
	fs := newMem(t)
	db := openOn(t, fs)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Load(bg, testPath, loadOptions(fs), func(*Loader) error { t.Error("fn was run"); return nil })
	var full *NotEmptyError
	if !errors.As(err, &full) || full.Path != testPath || !errors.Is(err, ErrNotEmpty) {
		t.Errorf("a load into a graph: %v", err)
	}
	openOn(t, fs).Close()

	fs = newMem(t)
	store, err := mvcc.Open(testPath, &loadOptions(fs).Options)
	if err != nil {
		t.Fatal(err)
	}
	ks, err := store.Keyspace(bg, "other")
	if err != nil {
		t.Fatal(err)
	}
	err = store.Update(bg, func(tx *mvcc.Txn) error { return tx.Put(ks, []byte("a"), []byte("1")) })
	if err = errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	loaded := mustLoad(t, fs, func(l *Loader) error { return run(l, steps(5, 10)) })
	defer loaded.Close()
	check(t, loaded)
	if ks, err = loaded.Store().Keyspace(bg, "other"); err != nil {
		t.Fatal(err)
	}
	view(t, loaded, func(tx *Txn) {
		if v, err := tx.Store().Get(ks, []byte("a")); string(v) != "1" || err != nil {
			t.Errorf("the other keyspace has %q, %v", v, err)
		}
	})
}

// wantNoGraph verifies that a load can be run again: nothing is left of the one before.
func wantNoGraph(t *testing.T, fs vfs.FS) {
	t.Helper()
	store, err := mvcc.Open(testPath, &loadOptions(fs).Options)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	names, err := store.Keyspaces(bg)
	if err != nil || slices.Contains(names, keyspaceName) {
		t.Errorf("keyspaces %q, %v", names, err)
	}
	if err := store.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	db := mustLoad(t, fs, func(l *Loader) error { return run(l, steps(3, 50)) })
	check(t, db)
	if err := db.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestALoadThatFailsLeavesNoGraph(t *testing.T) {
	boom := errors.New("boom")
	many := steps(8, 5000)
	var kept *Loader
	for name, c := range map[string]struct {
		fn   func(*Loader, context.CancelFunc) error
		want error
	}{
		"at once":   {func(*Loader, context.CancelFunc) error { return boom }, boom},
		"at an end": {func(l *Loader, _ context.CancelFunc) error { return errors.Join(run(l, many), boom) }, boom},
		"cancelled": {func(l *Loader, cancel context.CancelFunc) error {
			cancel()
			return run(l, many)
		}, context.Canceled},
		"cancelled, and does not look": {func(l *Loader, cancel context.CancelFunc) error {
			cancel()
			_ = run(l, many)
			return nil
		}, context.Canceled},
		"by a constraint": {func(l *Loader, _ context.CancelFunc) error {
			kept = l
			err := l.CreateIndex("A", "p", true)
			return errors.Join(err, run(l, many))
		}, ErrConstraint},
	} {
		t.Run(name, func(t *testing.T) {
			fs := newMem(t)
			ctx, cancel := context.WithCancel(bg)
			defer cancel()
			_, err := Load(ctx, testPath, loadOptions(fs), func(l *Loader) error { return c.fn(l, cancel) })
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			wantNoGraph(t, fs)
		})
	}
	_, err := kept.CreateNode(nil, nil)
	wantErr(t, "a loader after its end", err, mvcc.ErrTxnDone, "")
	wantErr(t, "a loader after its end", kept.CreateIndex("X", "x", false), mvcc.ErrTxnDone, "")
}

// If the disk is full, be it for one call only, there is no graph, even if fn ignores it.
func TestALoadWhoseDiskFailsLeavesNoGraph(t *testing.T) {
	for i, at := range []int{1, 1, 2, 2, 5, 5, 20, 20} {
		once := i%2 == 0
		mem := newMem(t)
		var mu sync.Mutex
		armed, n := false, 0
		fs := vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
			mu.Lock()
			defer mu.Unlock()
			if armed && op.Changes && strings.HasPrefix(op.Name, testPath+".tmp") {
				if n++; n == at || n > at && !once {
					return vfs.Fault{Err: syscall.ENOSPC}
				}
			}
			return vfs.Fault{}
		})
		_, err := Load(bg, testPath, loadOptions(fs), func(l *Loader) error {
			mu.Lock()
			armed = true
			mu.Unlock()
			for _, step := range steps(9, 20_000) {
				_ = step(l)
			}
			return nil
		})
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("call %d, once %v: %v", at, once, err)
		}
		mu.Lock()
		armed = false
		mu.Unlock()
		wantNoGraph(t, mem)
	}
}

// Claims that do not fit into memory are found all the same.
func TestClaimsBeyondMemory(t *testing.T) {
	const n = 24_000 // there is room for about half of the claims
	fs := newMem(t)
	db := mustLoad(t, fs, func(l *Loader) error {
		if err := l.CreateIndex("N", "u", true); err != nil {
			return err
		}
		for i := range n {
			if _, _, err := l.CreateNodeAs("key", fmt.Sprint("node ", i), []string{"N"}, Props{"u": Int(int64(i))}); err != nil {
				return err
			}
		}
		if l.claims.txn == nil || len(l.claims.memory) < 1000 {
			t.Errorf("%d claims in memory, transaction %v", len(l.claims.memory), l.claims.txn)
		}
		for i := 0; i < n; i += 7 {
			want := NodeID(i + 1)
			if node, err := l.LookupNode("key", fmt.Sprint("node ", i)); node != want || err != nil {
				t.Fatalf("node %d is %d, %v", want, node, err)
			}
			node, created, err := l.CreateNodeAs("key", fmt.Sprint("node ", i), nil, nil)
			if node != want || created || err != nil {
				t.Fatalf("node %d is %d, created %v, %v", want, node, created, err)
			}
			_, err = l.CreateNode([]string{"N"}, Props{"u": Int(int64(i))})
			var taken *ConstraintError
			if !errors.As(err, &taken) || taken.Existing != want {
				t.Fatalf("value %d: %v", i, err)
			}
			if _, err := l.LookupNode("key", fmt.Sprint("node ", n+i)); !errors.Is(err, ErrNodeNotFound) {
				t.Fatalf("a node that is not there: %v", err)
			}
		}
		return nil
	})
	defer db.Close()
	if report := check(t, db); report.Nodes != n || report.IndexEntries != n || report.ExternalIDs != n {
		t.Errorf("report %+v", report)
	}
	ks, err := db.Store().Keyspace(bg, claimsKeyspace)
	if err != nil {
		t.Fatal(err)
	}
	view(t, db, func(tx *Txn) {
		for key := range tx.Store().Keys(ks, mvcc.Range{}) {
			t.Fatalf("the claim %q is left", key)
		}
	})
}

// A power cut at any moment of a load leaves the graph as a whole, or none.
func TestPowerCutsDuringAGraphLoad(t *testing.T) {
	mem := newMem(t)
	var mu sync.Mutex
	var images []*vfs.Mem
	armed, n := true, 0
	fs := vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
		mu.Lock()
		defer mu.Unlock()
		if armed && op.Changes {
			if n++; n%3 == 0 {
				images = append(images, mem.Crash(vfs.CrashConfig{Mode: vfs.Random, Seed: uint64(n)}))
			}
		}
		return vfs.Fault{}
	})
	db := mustLoad(t, fs, func(l *Loader) error {
		return errors.Join(makeIndexes(l.CreateCompositeIndex), run(l, steps(2, 12_000)))
	})
	want := dump(t, db)
	mu.Lock()
	armed = false
	images = append(images, mem.Crash(vfs.CrashConfig{Mode: vfs.LoseAll}))
	mu.Unlock()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	whole, absent := 0, 0
	var empty vfs.FS
	for _, image := range images {
		store, err := mvcc.Open(testPath, &loadOptions(image).Options)
		if err != nil {
			t.Fatal(err)
		}
		names, err := store.Keyspaces(bg)
		if err = errors.Join(err, store.Close()); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(names, keyspaceName) {
			absent, empty = absent+1, image
			continue
		}
		whole++
		db := openOn(t, image)
		check(t, db)
		wantSame(t, dump(t, db), want)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d images: %d have the graph", len(images), whole)
	if whole == 0 || absent < 10 {
		t.Errorf("%d images have the graph, %d have not", whole, absent)
	}
	wantNoGraph(t, empty)
}
