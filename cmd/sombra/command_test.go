package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// outcome is what one command line did.
type outcome struct {
	code           int
	stdout, stderr string
}

func sombra(t *testing.T, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := newApp(&stdout, &stderr).run(t.Context(), args)
	return outcome{code, stdout.String(), stderr.String()}
}

// mustRun runs a command line that has to succeed and returns its output.
func mustRun(t *testing.T, args ...string) string {
	t.Helper()
	o := sombra(t, args...)
	if o.code != exitOK {
		t.Fatalf("sombra %s: exit code %d\n%s%s", strings.Join(args, " "), o.code, o.stdout, o.stderr)
	}
	return o.stdout
}

// mustJSON runs a command line with --json and decodes its output.
func mustJSON(t *testing.T, into any, args ...string) {
	t.Helper()
	out := mustRun(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("sombra %s --json: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// wantLines checks that the text contains all fragments.
func wantLines(t *testing.T, text string, fragments ...string) {
	t.Helper()
	for _, f := range fragments {
		if !strings.Contains(text, f) {
			t.Errorf("%q is missing in:\n%s", f, text)
		}
	}
}

// smallWorld makes a database of three cities in a row and an island:
//
//	(1 Oslo) -[1 ROAD 5]-> (2 Bergen) -[2 ROAD 7]-> (3 Voss), (1)-[3 RAIL 20]->(3), (4 Island)
//
// Cities are indexed by name, not by zip.
func smallWorld(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "world.db")
	// Opening searches the whole last log file for what may follow its end: a small one is quick.
	db, err := graph.Open(path, &graph.Options{Options: mvcc.Options{SegmentSize: 64 << 10}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}()
	if err := db.CreateIndex(t.Context(), "City", "name", true); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(t.Context(), fillWorld); err != nil {
		t.Fatal(err)
	}
	return path
}

func fillWorld(tx *graph.Txn) error {
	var ids []graph.NodeID
	for i, name := range []string{"Oslo", "Bergen", "Voss", "Island"} {
		props := graph.Props{"name": graph.String(name), "zip": graph.Int(int64(100 + i/3)), "coast": graph.Bool(i != 2)}
		id, _, err := tx.CreateNodeAs(defaultImportKey, "c"+name[:1], []string{"City"}, props)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	for _, e := range []struct {
		from, to int
		typ      string
		km       int64
	}{{0, 1, "ROAD", 5}, {1, 2, "ROAD", 7}, {0, 2, "RAIL", 20}} {
		if _, err := tx.CreateEdge(ids[e.from], ids[e.to], e.typ, graph.Props{"km": graph.Int(e.km)}); err != nil {
			return err
		}
	}
	return nil
}

func TestGetShowsANodeHoweverItIsNamed(t *testing.T) {
	db := smallWorld(t)
	for _, args := range [][]string{
		{"get", db, "1"},
		{"get", db, "City.name=Oslo"},   // by the index
		{"get", db, `City.name="Oslo"`}, // as a string only
		{"get", db, "~cO"},
		{"get", db, "--id", "cO"},
	} {
		wantLines(t, mustRun(t, args...), "node           1", "City", "2 out, 0 in", `"Oslo"`)
	}
	var node struct {
		ID         int
		Labels     []string
		Properties map[string]any
		Out, In    int
	}
	mustJSON(t, &node, "get", db, "City.zip=101") // by a scan
	if node.ID != 4 || node.Properties["name"] != "Island" || node.Properties["coast"] != true || node.Out+node.In != 0 {
		t.Errorf("got %+v, want the island", node)
	}
}

func TestGetShowsAnEdge(t *testing.T) {
	db := smallWorld(t)
	wantLines(t, mustRun(t, "get", db, "--edge", "2"), "ROAD", "(2:City", "(3:City", "km", "7")
	var edge struct {
		ID, From, To int
		Type         string
		Properties   map[string]float64
	}
	mustJSON(t, &edge, "get", db, "--edge", "3")
	if edge.From != 1 || edge.To != 3 || edge.Type != "RAIL" || edge.Properties["km"] != 20 {
		t.Errorf("got %+v", edge)
	}
}

func TestNeighborsFollowDirectionTypeAndLimit(t *testing.T) {
	db := smallWorld(t)
	tests := map[string]struct {
		args []string
		want []int
		more bool
	}{
		"both":         {[]string{"3"}, []int{1, 2}, false},
		"out":          {[]string{"1", "--direction", "out"}, []int{2, 3}, false},
		"none go out":  {[]string{"3", "--direction", "out"}, nil, false},
		"in by type":   {[]string{"3", "--direction", "in", "--type", "ROAD"}, []int{2}, false},
		"limited":      {[]string{"1", "--limit", "1"}, nil, true},
		"unknown type": {[]string{"1", "--type", "FERRY"}, nil, false},
	}
	for name, test := range tests {
		var got struct {
			Neighbors []struct{ Node struct{ ID int } }
			More      bool
		}
		mustJSON(t, &got, append([]string{"neighbors", db}, test.args...)...)
		if got.More != test.more {
			t.Errorf("%s: more is %v", name, got.More)
		}
		ids := map[int]bool{}
		for _, n := range got.Neighbors {
			ids[n.Node.ID] = true
		}
		for _, id := range test.want {
			if !ids[id] {
				t.Errorf("%s: node %d is missing in %v", name, id, ids)
			}
		}
		if !test.more && len(ids) != len(test.want) {
			t.Errorf("%s: nodes %v, want %v", name, ids, test.want)
		}
	}
	wantLines(t, mustRun(t, "neighbors", db, "2"), "-[2:ROAD {km: 7}]-> (3:City", "<-[1:ROAD {km: 5}]- (1:City", "2 edges")
}

func TestPathCountsEdgesOrSumsAWeight(t *testing.T) {
	db := smallWorld(t)
	wantLines(t, mustRun(t, "path", db, "1", "3"), "RAIL", "1 edge")
	wantLines(t, mustRun(t, "path", db, "~cO", "City.name=Voss", "--weight", "km"), "(2:City", "2 edges, km 12")
	wantLines(t, mustRun(t, "path", db, "1", "3", "--type", "ROAD"), "2 edges")
	var p struct {
		Nodes []struct{ ID int }
		Cost  float64
	}
	mustJSON(t, &p, "path", db, "3", "1", "--direction", "in")
	if len(p.Nodes) != 2 || p.Cost != 1 {
		t.Errorf("got %+v", p)
	}
}

func TestWhatDoesNotExistFailsAndSaysSo(t *testing.T) {
	db := smallWorld(t)
	missing := filepath.Join(t.TempDir(), "none.db")
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"get", db, "99"}, "node 99"},
		{[]string{"get", db, "~nobody"}, `"nobody"`},
		{[]string{"get", db, "City.name=Atlantis"}, `City has name = "Atlantis"`},
		{[]string{"get", db, "City.zip=100"}, "several nodes: 1, 2, 3"},
		{[]string{"get", db, "Town.name=Oslo"}, "Town"},
		{[]string{"get", db, "--edge", "99"}, "edge 99"},
		{[]string{"neighbors", db, "99"}, "node 99"},
		{[]string{"path", db, "1", "4"}, "no path"},
		{[]string{"path", db, "1", "3", "--type", "ROAD", "--max-depth", "1"}, "no path"},
		{[]string{"path", db, "1", "3", "--weight", "price"}, "price"},
		{[]string{"get", missing, "1"}, "does not exist"},
		{[]string{"info", missing}, "does not exist"},
		{[]string{"check", missing}, "does not exist"},
	}
	for _, test := range tests {
		o := sombra(t, test.args...)
		if o.code != exitFailed || o.stdout != "" {
			t.Errorf("%v: exit code %d, output %q; want %d and none", test.args, o.code, o.stdout, exitFailed)
		}
		wantLines(t, o.stderr, test.want)
	}
	if _, err := os.Stat(missing); !os.IsNotExist(err) {
		t.Errorf("a reading command created something: %v", err)
	}
}

func TestWrongUseIsExplained(t *testing.T) {
	db := smallWorld(t)
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"frobnicate"}, `unknown command "frobnicate"`},
		{[]string{"chek"}, "did you mean check?"},
		{[]string{"get"}, "DB is missing"},
		{[]string{"get", db}, "NODE is missing"},
		{[]string{"get", db, "1", "2"}, `unexpected argument "2"`},
		{[]string{"get", db, "1", "--edge", "2"}, `unexpected argument "1"`},
		{[]string{"get", db, "Oslo"}, "does not name a node"},
		{[]string{"get", db, "1", "--verbose"}, "unknown flag"},
		{[]string{"get", db, "--edge", "x"}, "invalid argument"},
		{[]string{"get", db, "--edge", "1", "--id", "x"}, "edge"},
		{[]string{"neighbors", db, "1", "--direction", "up"}, "want out, in or both"},
		{[]string{"neighbors", db, "1", "--limit", "-1"}, "want 0 or more"},
		{[]string{"path", db, "1"}, "TO is missing"},
		{[]string{"path", db, "1", "2", "--weight", "km", "--max-depth", "3"}, "--weight"},
		{[]string{"path", db, "1", "2", "--max-depth", "-1"}, "--max-depth"},
		{[]string{"info", db, "--memory", "lots"}, "is not a size"},
		{[]string{"info", db, "--memory", "1KiB"}, "the least is"},
		{[]string{"info", db, "--page-size", "5000"}, "power of two"},
		{[]string{"info", db, "--profile", "gpu"}, "want one of block, cpu, mem"},
		{[]string{"bench"}, "WORKLOAD is missing"},
		{[]string{"bench", "nothing"}, `unknown command "nothing"`},
		{[]string{"bench", "commit", "--writers", "0"}, "at least 1"},
		{[]string{"bench", "all", "--scale", "0"}, "--scale"},
		{[]string{"demo", "a", "b"}, `unexpected argument "b"`},
		{[]string{"demo", t.TempDir(), "--people", "3"}, "at least 100"},
		{[]string{"import", db}, "--nodes"},
		{[]string{"import"}, "DB is missing"},
	}
	for _, test := range tests {
		o := sombra(t, test.args...)
		if o.code != exitUsage || o.stdout != "" {
			t.Errorf("%v: exit code %d, output %q; want %d and none", test.args, o.code, o.stdout, exitUsage)
		}
		wantLines(t, o.stderr, "sombra: ", test.want, "--help")
	}
}

func TestHelpIsThereForEveryCommand(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"help"}, {"help", "get"}} {
		wantLines(t, mustRun(t, args...), "Usage:", "sombra")
	}
	root := (&app{}).rootCommand()
	for _, cmd := range root.Commands() {
		wantLines(t, mustRun(t, cmd.Name(), "--help"), "Usage:", "sombra "+cmd.Name(), "--json")
	}
	wantLines(t, mustRun(t, "get", "--help"), "Label.property=value", "~ID", "uses the index")
}

func TestInfoTellsConstraints(t *testing.T) {
	path := smallWorld(t)
	wantLines(t, mustRun(t, "info", path), "constraints    none")
	db, err := graph.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(db.CreateConstraint(t.Context(), graph.NodesRequire("City", "zip")),
		db.CreateConstraint(t.Context(), graph.EdgesJoin("ROAD", "City", "City")), db.Close())
	if err != nil {
		t.Fatal(err)
	}
	roads, zip := "every edge :ROAD goes from :City to :City, in force", "every node :City has zip, in force"
	wantLines(t, mustRun(t, "info", path), "constraints    "+roads+"; "+zip)
	wantLines(t, mustRun(t, "check", path), "2 constraints, which all nodes and edges obey", "No problems.")
	var in struct{ Constraints []string }
	mustJSON(t, &in, "info", path)
	if !slices.Equal(in.Constraints, []string{roads, zip}) {
		t.Errorf("got %q", in.Constraints)
	}
}

func TestInfoTellsWhatADatabaseIs(t *testing.T) {
	db := smallWorld(t)
	wantLines(t, mustRun(t, "info", db), "page size      8.0 KiB", "nodes          4", "edges          3", "City 4",
		"ROAD", ":City(name) unique", "graph", "health         ok", "durability     full")
	var in struct {
		Nodes, Edges *int64
		Labels       map[string]int64
	}
	mustJSON(t, &in, "info", db)
	if in.Nodes == nil || *in.Nodes != 4 || *in.Edges != 3 || in.Labels["City"] != 4 {
		t.Errorf("got %+v", in)
	}
	if text := mustRun(t, "info", db, "--count=false"); strings.Contains(text, "nodes ") {
		t.Errorf("--count=false counts:\n%s", text)
	}
}

func TestCheckVerifiesASoundDatabase(t *testing.T) {
	db := smallWorld(t)
	wantLines(t, mustRun(t, "check", db), "4 nodes", "3 edges", "No problems.")
	var c struct {
		Nodes, Edges, Pages int64
		Problems            []string
	}
	mustJSON(t, &c, "check", db)
	if c.Nodes != 4 || c.Edges != 3 || c.Pages == 0 || len(c.Problems) != 0 {
		t.Errorf("got %+v", c)
	}
}

func TestCheckOfADamagedDatabaseExitsWithThree(t *testing.T) {
	db := smallWorld(t)
	data, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	// Every page but the superblocks gets a flipped bit, then everything does.
	for _, from := range []int{4 * 8192, 0} {
		bad := bytes.Clone(data)
		for at := from + 100; at < len(bad); at += 4096 {
			bad[at] ^= 4
		}
		if err := os.WriteFile(db, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		o := sombra(t, "check", db)
		if o.code != exitCorrupt {
			t.Errorf("damage from %d: exit code %d\n%s%s", from, o.code, o.stdout, o.stderr)
		}
		wantLines(t, o.stdout, "PROBLEM: ")
		wantLines(t, o.stderr, "corruption found")
		if strings.Contains(o.stdout+o.stderr, ".go:") {
			t.Errorf("a stack trace was printed:\n%s%s", o.stdout, o.stderr)
		}
	}
	// Other commands meet the damage when they open it.
	if o := sombra(t, "get", db, "1"); o.code != exitCorrupt || o.stdout != "" {
		t.Errorf("get exits with %d and prints %q", o.code, o.stdout)
	}
}

func TestAFileThatIsNotADatabaseIsNamedAsSuch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(path, bytes.Repeat([]byte("milk, bread\n"), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"info", path}, {"get", path, "1"}, {"check", path}} {
		o := sombra(t, args...)
		if o.code != exitFailed {
			t.Errorf("%v: exit code %d", args, o.code)
		}
		wantLines(t, o.stderr, "not a Sombra database")
	}
}

func TestReadingCommandsSayWhoHasTheDatabaseOpen(t *testing.T) {
	path := smallWorld(t)
	db, err := graph.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	o := sombra(t, "info", path)
	if o.code != exitFailed {
		t.Errorf("exit code %d", o.code)
	}
	wantLines(t, o.stderr, "is open in process")
}

func TestAnInterruptEndsCleanly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	if code := newApp(&stdout, &stderr).run(ctx, []string{"bench", "commit", "--dir", t.TempDir()}); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	wantLines(t, stderr.String(), "sombra: interrupted")
}
