package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// damagePages flips a bit in each page of a file from one on.
func damagePages(t *testing.T, path string, pageSize, from int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	for at := from * pageSize; at < info.Size(); at += pageSize {
		if _, err := f.ReadAt(b, at+100); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 4
		if _, err := f.WriteAt(b, at+100); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRepairOfAGraph(t *testing.T) {
	path := smallWorld(t)
	dst := filepath.Join(t.TempDir(), "saved.db")
	wantLines(t, mustRun(t, "repair", path, dst), "commits from the log", "Nothing was damaged.")
	wantLines(t, mustRun(t, "check", dst), "4 nodes", "3 edges", "No problems.")
	if o := sombra(t, "repair", path, dst); o.code != exitFailed || !strings.Contains(o.stderr, "name a new database") {
		t.Errorf("onto an existing database: %+v", o)
	}

	// One superblock: the other one is enough.
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 4096), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if o := sombra(t, "check", path); o.code != exitCorrupt || !strings.Contains(o.stdout, "page 0") {
		t.Errorf("check of a database with one superblock: %+v", o)
	}
	other := filepath.Join(t.TempDir(), "other.db")
	wantLines(t, mustRun(t, "repair", path, other), "DAMAGE: ", "superblock", "Nothing is lost.")
	wantLines(t, mustRun(t, "check", other), "4 nodes", "No problems.")

	// All pages: what is left is said, and nothing is made up.
	damagePages(t, path, 8192, 2)
	last := filepath.Join(t.TempDir(), "last.db")
	if o := sombra(t, "repair", path, last, "--json"); o.code != exitCorrupt || !strings.Contains(o.stdout, `"records": 0`) {
		t.Errorf("repair of a database without an intact page: %+v", o)
	}
	if o := sombra(t, "repair", filepath.Join(t.TempDir(), "none"), last); o.code != exitFailed {
		t.Errorf("repair of nothing: %+v", o)
	}
}

// meshedWorld makes a graph of several pages of 4 KiB, all of it in them, and returns its path and its numbers of nodes and edges.
func meshedWorld(t *testing.T) (path string, nodes, edges int) {
	t.Helper()
	path, nodes, edges = filepath.Join(t.TempDir(), "mesh.db"), 100, 120
	db, err := graph.Open(path, &graph.Options{Options: mvcc.Options{PageSize: 4096, SegmentSize: 64 << 10}})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.CreateIndex(t.Context(), "City", "name", true); err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx *graph.Txn) error {
		ids := make([]graph.NodeID, nodes)
		for i := range ids {
			props := graph.Props{"name": graph.String(fmt.Sprintf("city %d", i)), "people": graph.Int(int64(i))}
			if ids[i], err = tx.CreateNode([]string{"City"}, props); err != nil {
				return err
			}
		}
		for i := range edges {
			if _, err := tx.CreateEdge(ids[i%nodes], ids[(7*i+1)%nodes], "ROAD", graph.Props{"km": graph.Int(int64(i))}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Store().Checkpoint(t.Context()), db.Store().Checkpoint(t.Context()), db.Close()); err != nil {
		t.Fatal(err)
	}
	return path, nodes, edges
}

// Whichever page is damaged, what is saved of a graph is a graph, and hardly anything is gone: what one page has lost others tell.
func TestRepairOfAGraphWithAnyPageDamaged(t *testing.T) {
	path, nodes, edges := meshedWorld(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	anew := 0
	for page := 0; page < len(whole)/4096; page++ {
		if bytes.Equal(whole[page*4096:(page+1)*4096], make([]byte, 4096)) {
			continue // never used
		}
		damaged := bytes.Clone(whole)
		damaged[page*4096+100] ^= 4
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		dst := filepath.Join(t.TempDir(), "saved.db")
		o := sombra(t, "repair", path, dst, "--json")
		var result repairResult
		if err := json.Unmarshal([]byte(o.stdout), &result); err != nil {
			t.Fatalf("page %d: %v in %+v", page, err, o)
		}
		if result.Graph == nil || len(result.Problems) > 0 {
			t.Fatalf("page %d: %+v", page, result)
		}
		lost := len(result.Graph.Nodes) + len(result.Graph.Edges)
		if lost > 0 && o.code != exitCorrupt {
			t.Errorf("page %d: exit code %d and %d made anew", page, o.code, lost)
		}
		anew += lost
		db, err := graph.Open(dst, &graph.Options{Options: mvcc.Options{ReadOnly: true}})
		if err != nil {
			t.Fatalf("page %d: %v", page, err)
		}
		report, err := db.Check(t.Context())
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		if report.Nodes != int64(nodes) || report.Edges != int64(edges) || len(report.Problems) > 0 {
			t.Errorf("page %d: %d nodes, %d edges, problems %v", page, report.Nodes, report.Edges, report.Problems)
		}
	}
	if anew == 0 {
		t.Error("no page had a record that had to be made anew")
	}
}
