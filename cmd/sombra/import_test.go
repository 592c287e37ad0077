package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// childEnv makes the test binary behave as the command itself.
const childEnv = "SOMBRA_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		os.Exit(m.Run())
	}
	a := newApp(os.Stdout, os.Stderr)
	a.plainEvery = 0 // a line of progress after every batch
	os.Exit(a.run(context.Background(), os.Args[1:]))
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ringFiles writes people of whom each knows the next three.
func ringFiles(t *testing.T, people int) (nodes, edges string) {
	t.Helper()
	var n, e strings.Builder
	n.WriteString("~id,~label,name,age:int\n")
	e.WriteString("~id,~from,~to,~label\n")
	for i := range people {
		fmt.Fprintf(&n, "p%d,Person,person %d,%d\n", i, i, i%90)
		for d := 1; d <= 3; d++ {
			fmt.Fprintf(&e, "e%d-%d,p%d,p%d,KNOWS\n", i, d, i, (i+d)%people)
		}
	}
	dir := t.TempDir()
	return writeFile(t, dir, "nodes.csv", n.String()), writeFile(t, dir, "edges.csv", e.String())
}

// imported is the JSON of import that the tests look at.
type imported struct {
	Nodes, Edges struct {
		Created  int
		Existing int `json:"already_there"`
		Bad      int
	}
	Bad []struct {
		Row         int
		Column      string
		Value, Want string
	} `json:"bad_cells"`
}

func TestImportLoadsFilesAndARerunFindsEverything(t *testing.T) {
	nodes, edges := ringFiles(t, 500)
	db := filepath.Join(t.TempDir(), "ring.db")
	args := []string{"import", db, "--nodes", nodes, "--edges", edges, "--writers", "4", "--batch", "50"}
	wantLines(t, mustRun(t, args...), "created", "500", "1,500", "rows/s")
	var again imported
	mustJSON(t, &again, args...)
	if again.Nodes.Created != 0 || again.Nodes.Existing != 500 || again.Edges.Created != 0 || again.Edges.Existing != 1500 {
		t.Errorf("the rerun says %+v", again)
	}
	wantLines(t, mustRun(t, "get", db, "~p7"), `"person 7"`, "3 out, 3 in")
	wantLines(t, mustRun(t, "check", db), "500 nodes", "1,500 edges", "No problems.")
}

func TestImportStopsAtTheFirstBadCellAndNamesIt(t *testing.T) {
	nodes := writeFile(t, t.TempDir(), "bad.csv", "~id,~label,age:int\na,P,1\nb,P,old\nc,P,3\n")
	o := sombra(t, "import", filepath.Join(t.TempDir(), "x.db"), "--nodes", nodes)
	if o.code != exitFailed || o.stdout != "" {
		t.Errorf("exit code %d, output %q", o.code, o.stdout)
	}
	wantLines(t, o.stderr, "bad.csv", "row 3", "age", `"old"`, "Run it again")
}

func TestImportSkipsBadRowsAndReportsEachOfThem(t *testing.T) {
	dir := t.TempDir()
	nodes := writeFile(t, dir, "n.csv", "~id,~label,age:int\na,P,1\nb,P,old\nc,P,3\n")
	edges := writeFile(t, dir, "e.csv", "~id,~from,~to,~label\n1,a,c,K\n2,a,nobody,K\n")
	args := []string{"import", filepath.Join(dir, "x.db"), "--nodes", nodes, "--edges", edges, "--skip-bad"}
	var res imported
	mustJSON(t, &res, args...)
	if res.Nodes.Created != 2 || res.Nodes.Bad != 1 || res.Edges.Created != 1 || res.Edges.Bad != 1 || len(res.Bad) != 2 {
		t.Fatalf("got %+v", res)
	}
	if b := res.Bad[0]; b.Row != 3 || b.Value != "old" || !strings.HasPrefix(b.Column, "age") {
		t.Errorf("the first bad cell is %+v", b)
	}
	if b := res.Bad[1]; b.Row != 3 || b.Value != "nobody" || b.Column != "~to" {
		t.Errorf("the second bad cell is %+v", b)
	}
	wantLines(t, mustRun(t, args...), "left out: ", "row 3", "nobody")
}

func TestImportOfAMissingFileMakesNoDatabase(t *testing.T) {
	db := filepath.Join(t.TempDir(), "x.db")
	o := sombra(t, "import", db, "--nodes", "no-such-file.csv")
	if o.code != exitFailed {
		t.Errorf("exit code %d", o.code)
	}
	wantLines(t, o.stderr, "no-such-file.csv")
	if _, err := os.Stat(db); !os.IsNotExist(err) {
		t.Errorf("a database was made: %v", err)
	}
}

// graphAt makes a database with a graph of one node, so that imports into it are transactions.
func graphAt(t *testing.T, path string) {
	t.Helper()
	mustRun(t, "import", path, "--nodes", writeFile(t, t.TempDir(), "first.csv", "~id\nfirst\n"), "--key", "before")
}

// cancelOn cancels when a text is written to it.
type cancelOn struct {
	bytes.Buffer
	text   string
	cancel context.CancelFunc
}

func (c *cancelOn) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(c.text)) {
		c.cancel()
	}
	return c.Buffer.Write(p)
}

func TestAnInterruptedImportEndsCleanlyAndGoesOn(t *testing.T) {
	nodes, edges := ringFiles(t, 1000)
	db := filepath.Join(t.TempDir(), "ring.db")
	args := []string{"import", db, "--nodes", nodes, "--edges", edges, "--writers", "2", "--batch", "20"}
	graphAt(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stderr := &cancelOn{text: "importing: ", cancel: cancel}
	var stdout bytes.Buffer
	a := newApp(&stdout, stderr)
	a.plainEvery = 0
	if code := a.run(ctx, args); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	wantLines(t, stderr.String(), "The import ended early", "sombra: interrupted")
	var res imported
	mustJSON(t, &res, args...)
	if n, e := res.Nodes, res.Edges; n.Created+n.Existing != 1000 || n.Existing == 0 || e.Created+e.Existing != 3000 {
		t.Errorf("the second run says %+v", res)
	}
}

// TestAKilledImportKeepsWhatItReportedAndGoesOn kills the import while it works. What
// it had reported as stored must be there, nothing may be half there, and
// running it again must complete it without making anything twice.
func TestAKilledImportKeepsWhatItReportedAndGoesOn(t *testing.T) {
	const people = 2000
	nodes, edges := ringFiles(t, people)
	db := filepath.Join(t.TempDir(), "ring.db")
	args := []string{"import", db, "--nodes", nodes, "--edges", edges, "--writers", "4", "--batch", "40"}
	had := [2]int{1, 0}
	kills := 0
	graphAt(t, db)
	for _, batches := range []int{3, 15, 40, 30, 60} {
		stored, killed := killAfter(t, batches, args)
		if !killed {
			break // on a busy machine the kill may come too late
		}
		kills++
		has := countElements(t, db)
		for k, what := range []string{"nodes", "edges"} {
			if has[k] < had[k]+stored[k] {
				t.Fatalf("%d %s were stored and %d more reported, then killed: %d are there", had[k], what, stored[k], has[k])
			}
		}
		mustRun(t, "check", db)
		had = has
	}
	if kills < 2 {
		t.Fatalf("the import was killed %d times only: nothing is tested", kills)
	}
	had = countElements(t, db)
	var res imported
	mustJSON(t, &res, args...)
	if n, e := res.Nodes, res.Edges; n.Existing != had[0]-1 || n.Created != people-n.Existing || e.Existing != had[1] || e.Created != 3*people-had[1] {
		t.Errorf("after %v were there the last run says %+v", had, res)
	}
	if has := countElements(t, db); has != [2]int{people + 1, 3 * people} {
		t.Errorf("%v nodes and edges in the end", has)
	}
	mustRun(t, "check", db)
}

// TestABulkImportThatEndsEarlyLeavesNothing interrupts and kills an import into a new database at several moments.
func TestABulkImportThatEndsEarlyLeavesNothing(t *testing.T) {
	const people = 2000
	nodes, edges := ringFiles(t, people)
	db := filepath.Join(t.TempDir(), "ring.db")
	args := []string{"import", db, "--nodes", nodes, "--edges", edges, "--batch", "40"}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stderr := &cancelOn{text: "importing: ", cancel: cancel}
	a := newApp(io.Discard, stderr)
	a.plainEvery = 0
	if code := a.run(ctx, args); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	wantLines(t, stderr.String(), "nothing was stored. Run it again", "sombra: interrupted")
	absent, whole := 0, false
	for _, batches := range []int{1, 60, 150} {
		if whole {
			break // the kill came too late, as it may on a busy machine
		}
		killAfter(t, batches, args)
		o := sombra(t, "info", db)
		switch whole = o.code == exitOK; {
		case whole:
			if has := countElements(t, db); has != [2]int{people, 3 * people} {
				t.Fatalf("%v nodes and edges after a kill", has)
			}
		case o.code == exitFailed && strings.Contains(o.stderr, "no graph"):
			absent++
		default:
			t.Fatalf("after a kill: exit code %d, %s", o.code, o.stderr)
		}
	}
	if absent == 0 {
		t.Fatal("the import was never killed: nothing is tested")
	}
	var res imported
	mustJSON(t, &res, args...)
	if n, e := res.Nodes, res.Edges; (n.Existing+e.Existing != 0) != whole || n.Created+n.Existing != people || e.Created+e.Existing != 3*people {
		t.Errorf("the last run says %+v", res)
	}
	mustRun(t, "check", db)
}

// killAfter runs the command in a process of its own and kills it after it has
// reported so many batches. It returns the last report of nodes and edges stored.
func killAfter(t *testing.T, batches int, args []string) (stored [2]int, killed bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		stored = reported(t, lines.Text(), stored)
		if batches--; batches == 0 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = cmd.Wait()
	return stored, err != nil && batches <= 0
}

// reported reads "..., 1,234 nodes, 5 edges, ..." from a line of progress.
func reported(t *testing.T, line string, last [2]int) [2]int {
	t.Helper()
	_, detail, ok := strings.Cut(line, " of ")
	if !ok {
		return last
	}
	var nodes, edges int
	plain := strings.NewReplacer(",", "").Replace(detail)
	fields := strings.Fields(plain)
	for i, f := range fields[1:] {
		switch f {
		case "nodes":
			fmt.Sscan(fields[i], &nodes)
		case "edges":
			fmt.Sscan(fields[i], &edges)
		}
	}
	return [2]int{nodes, edges}
}

func countElements(t *testing.T, path string) (n [2]int) {
	t.Helper()
	var in struct{ Nodes, Edges int }
	mustJSON(t, &in, "info", path)
	return [2]int{in.Nodes, in.Edges}
}

func TestImportOfAirRoutesIsComplete(t *testing.T) {
	root := os.Getenv("SOMBRA_DATASETS")
	if root == "" {
		t.Skip("the data set is absent: set SOMBRA_DATASETS to the directory of air-routes")
	}
	dir := filepath.Join(root, "air-routes")
	db := filepath.Join(t.TempDir(), "routes.db")
	var res imported
	mustJSON(t, &res, "import", db, "--nodes", filepath.Join(dir, "nodes.csv"), "--edges", filepath.Join(dir, "edges.csv"), "--key", "air-routes")
	if res.Nodes.Created != 3749 || res.Edges.Created != 57645 {
		t.Errorf("got %+v, want 3749 nodes and 57645 edges", res)
	}
	wantLines(t, mustRun(t, "path", db, "airport.code=AUS", "airport.code=OSL", "--type", "route"), "2 edges")
	mustRun(t, "check", db)
}
