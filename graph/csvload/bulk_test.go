package csvload

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

func newMem(t testing.TB) *graph.Options {
	t.Helper()
	m := vfs.NewMem()
	if err := errors.Join(m.MkdirAll("db", 0o755), m.SyncDir(".")); err != nil {
		t.Fatal(err)
	}
	return &graph.Options{Options: mvcc.Options{FS: m}}
}

// reopen opens a database that an import has closed, verifies it, and closes it with the test.
func reopen(t testing.TB, opts *graph.Options) *graph.DB {
	t.Helper()
	db, err := graph.Open("db/graph", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	report, err := db.Check(bg)
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("check: %v, %v", err, report.Problems)
	}
	return db
}

// content describes all elements by their external ids, labels and properties.
func content(t testing.TB, db *graph.DB) (list []string) {
	t.Helper()
	err := db.View(bg, func(tx *graph.Txn) error {
		ks, err := db.Store().Keyspace(bg, "graph")
		if err != nil {
			return err
		}
		for key, err := range tx.Store().Keys(ks, mvcc.Prefix([]byte("K"))) {
			if err != nil {
				return err
			}
			list = append(list, fmt.Sprintf("%q", key))
		}
		for i := range graph.NodeID(5000) {
			n, err := tx.Node(i)
			if errors.Is(err, graph.ErrNodeNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			list = append(list, fmt.Sprint(n.Labels, n.Props))
			for e, err := range tx.Edges(i, graph.Out) {
				if err != nil {
					return err
				}
				end, err := tx.Node(e.Dst)
				if err != nil {
					return err
				}
				list = append(list, fmt.Sprint(n.Props, e.Type, e.Props, end.Props))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// An import into a new database gives the same counts, bad rows, progress and content as one by transactions, and a rerun
// finds everything.
func TestABulkImportIsLikeOneByTransactions(t *testing.T) {
	cfg := rows(t, 700)
	cfg.Nodes = append(cfg.Nodes, file(t, "more.csv", "~id,~label,n:int\n1,N,1\nx,N;M,77\ny,N,bad\nz\n"))
	cfg.Edges = append(cfg.Edges, file(t, "named.csv", "~id,~from,~to,~label,w:double\na,1,x,R,1.5\na,2,3,R,\nb,x,nobody,R,\n"))
	cfg.SkipBad = true
	byTxn := openTest(t)
	want := mustRun(t, byTxn, cfg)

	opts := newMem(t)
	var last Progress
	cfg.Progress = func(p Progress) {
		if p.BytesRead < last.BytesRead || p.Nodes.Created < last.Nodes.Created || p.BytesRead > p.BytesAll {
			t.Errorf("progress goes back: %+v after %+v", p, last)
		}
		last = p
	}
	got, err := Import(bg, "db/graph", opts, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got.Nodes != want.Nodes || got.Edges != want.Edges || fmt.Sprint(got.Bad) != fmt.Sprint(want.Bad) {
		t.Errorf("result %+v, want %+v", got, want)
	}
	if last.Nodes != got.Nodes || last.Edges != got.Edges || last.BytesRead != last.BytesAll {
		t.Errorf("last progress %+v, result %+v", last, got)
	}
	if !slices.Equal(content(t, reopen(t, opts)), content(t, byTxn)) {
		t.Error("the content differs")
	}
	cfg.Progress = nil
	for what, run := range map[string]func() (Result, error){
		"after transactions": func() (Result, error) { return Run(bg, byTxn, cfg) },
		"after a load":       func() (Result, error) { return Import(bg, "db/graph2", copyOf(t, cfg), cfg) },
	} {
		r, err := run()
		if err != nil || r.Nodes != (Counts{Existing: 702, Bad: 2}) || r.Edges != (Counts{Existing: 702, Bad: 1}) {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
	}
}

// copyOf imports once more, and returns where.
func copyOf(t testing.TB, cfg Config) *graph.Options {
	t.Helper()
	opts := newMem(t)
	if _, err := Import(bg, "db/graph2", opts, cfg); err != nil {
		t.Fatal(err)
	}
	return opts
}

// C6: whatever ends a bulk import, nothing is stored, and a rerun begins anew.
func TestABulkImportThatEndsEarlyStoresNothing(t *testing.T) {
	cfg := rows(t, 500)
	bad := file(t, "bad.csv", "~from,~to,~label\n1,2,R\n1,nobody,R\n")
	opts := newMem(t)
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	interrupted := cfg
	interrupted.Progress = func(p Progress) {
		if p.Edges.Created > 0 {
			cancel()
		}
	}
	r, err := Import(ctx, "db/graph", opts, interrupted)
	if !errors.Is(err, context.Canceled) || r.Nodes.Created+r.Edges.Created != 0 {
		t.Errorf("interrupted: %+v, %v", r, err)
	}
	withBad := cfg
	withBad.Edges = append(slices.Clone(cfg.Edges), bad)
	r, err = Import(bg, "db/graph", opts, withBad)
	var cell *CellError
	if !errors.As(err, &cell) || cell.File != bad || cell.Row != 3 || cell.Column != "~to" || r.Nodes.Created+r.Edges.Created != 0 {
		t.Errorf("with a bad cell: %+v, %v", r, err)
	}
	readOnly := *opts
	readOnly.ReadOnly = true
	if _, err := graph.Open("db/graph", &readOnly); !errors.Is(err, graph.ErrNotGraph) {
		t.Errorf("what was left: %v", err)
	}
	r, err = Import(bg, "db/graph", opts, cfg)
	if err != nil || r.Nodes != (Counts{Created: 500}) || r.Edges != (Counts{Created: 500}) {
		t.Errorf("rerun: %+v, %v", r, err)
	}
	reopen(t, opts)
}

// Faults that need no database are found before one is made.
func TestABulkImportOfNothingMakesNoDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	for what, cfg := range map[string]Config{
		"no files":     {ImportKey: "k"},
		"no such file": {ImportKey: "k", Nodes: []string{path + ".csv"}},
		"a bad header": {ImportKey: "k", Nodes: []string{file(t, "n.csv", "name\n")}},
	} {
		if _, err := Import(bg, path, nil, cfg); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if found, err := filepath.Glob(path + "*"); len(found) > 0 || err != nil {
		t.Errorf("there are %q, %v", found, err)
	}
}
