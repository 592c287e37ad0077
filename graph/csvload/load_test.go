package csvload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

var bg = context.Background()

func openTest(t testing.TB) *graph.DB {
	t.Helper()
	m := vfs.NewMem()
	if err := errors.Join(m.MkdirAll("db", 0o755), m.SyncDir(".")); err != nil {
		t.Fatal(err)
	}
	db, err := graph.Open("db/graph", &graph.Options{Options: mvcc.Options{FS: m}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		report, err := db.Check(bg)
		if err != nil || len(report.Problems) > 0 {
			t.Errorf("check: %v, %v", err, report.Problems)
		}
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

// file writes a CSV file and returns its path.
func file(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustRun(t testing.TB, db *graph.DB, cfg Config) Result {
	t.Helper()
	r, err := Run(bg, db, cfg)
	if err != nil {
		t.Fatalf("import: %v", err)
	}
	return r
}

func lookup(t testing.TB, db *graph.DB, key, id string) graph.Node {
	t.Helper()
	var n graph.Node
	err := db.View(bg, func(tx *graph.Txn) error {
		node, err := tx.LookupNode(key, id)
		if err == nil {
			n, err = tx.Node(node)
		}
		return err
	})
	if err != nil {
		t.Fatalf("node %q: %v", id, err)
	}
	return n
}

func TestCellsBecomePropertiesOfTheirType(t *testing.T) {
	db := openTest(t)
	nodes := file(t, "n.csv", "\ufeff~id,~label,name,s:string,b:byte,sh:Short,i:int,l:long,f:float,d:double,ok:bool,no:boolean,day:date,at:datetime,noon:date,took:Duration,raw:bytes,none:bytes,j:json,j:string,n:int[],t:string[],x:IGNORE,a\\:b:int\r\n"+
		"1, Person ;Admin;,Ann,,-128,32767,-2147483648,9223372036854775807,1.5,-2e10,TRUE,false,2024-02-29,2024-02-29T12:30:00+01:00,2024-02-29T12:00,1h30m,0x0aFF,0x,\"{\"\"a\"\": [1, 2.0, null, \"\"x\"\"]}\",,1; 2;-3,a;b\\;c;;,junk,7\r\n"+
		"2,,\"two\nlines, \"\"quoted\"\"\",,,,,,,,,,,,,,,,,text,,,,\r\n")
	r := mustRun(t, db, Config{Nodes: []string{nodes}, ImportKey: "k"})
	if r.Nodes != (Counts{Created: 2}) {
		t.Fatalf("counts %+v", r.Nodes)
	}
	n := lookup(t, db, "k", "1")
	want := graph.Props{
		"name": graph.String("Ann"), "b": graph.Int(-128), "sh": graph.Int(32767), "i": graph.Int(-2147483648),
		"l": graph.Int(9223372036854775807), "f": graph.Float(1.5), "d": graph.Float(-2e10),
		"ok": graph.Bool(true), "no": graph.Bool(false), "day": graph.Date(2024, 2, 29), "a:b": graph.Int(7),
		"at": graph.Time(time.Date(2024, 2, 29, 11, 30, 0, 0, time.UTC)), "noon": graph.Time(time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)),
		"took": graph.Duration(90 * time.Minute), "n": graph.List(graph.Int(1), graph.Int(2), graph.Int(-3)),
		"raw": graph.Bytes([]byte{10, 255}), "none": graph.Bytes(nil),
		"j": graph.Map(map[string]graph.Value{"a": graph.List(graph.Int(1), graph.Float(2), graph.Null(), graph.String("x"))}),
		"t": graph.List(graph.String("a"), graph.String("b;c"), graph.String(""), graph.String("")),
	}
	if fmt.Sprint(n.Props) != fmt.Sprint(want) || fmt.Sprint(n.Labels) != "[Person Admin]" {
		t.Errorf("node %v, want %v", n, want)
	}
	n = lookup(t, db, "k", "2")
	if len(n.Labels) != 0 || len(n.Props) != 2 || n.Props["j"] != graph.String("text") || n.Props["name"] != graph.String("two\nlines, \"quoted\"") {
		t.Errorf("node %v", n)
	}
}

func TestNeo4jHeadersAreUnderstood(t *testing.T) {
	db := openTest(t)
	nodes := file(t, "n.csv", "personId:ID,:LABEL,:IGNORE\np1,A;B,-\np2,,-\n")
	edges := file(t, "e.csv", ":START_ID,:END_ID,:TYPE,since:int\np1,p2,KNOWS,3\n")
	r := mustRun(t, db, Config{Nodes: []string{nodes}, Edges: []string{edges}, ImportKey: "k"})
	if r.Nodes.Created != 2 || r.Edges.Created != 1 {
		t.Fatalf("result %+v", r)
	}
	if n := lookup(t, db, "k", "p1"); n.Props["personId"] != graph.String("p1") || len(n.Labels) != 2 {
		t.Errorf("node %v", n)
	}
}

func TestBadRowsNameFileRowColumnValueAndWhatWasExpected(t *testing.T) {
	const head = "~id,~label,age:int\n"
	const edgeHead = "~id,~from,~to,~label,w:double\n"
	for name, c := range map[string]struct {
		nodes, edges string
		row          int
		column       string
		message      string
	}{
		"no integer":       {head + "1,A,x\n", "", 2, "age:int", `row 2, column age:int: "x", expected an integer from -2147483648 to 2147483647`},
		"out of range":     {head + "1,A,2147483648\n", "", 2, "age:int", `"2147483648"`},
		"no id":            {head + "1,A,1\n,A,1\n", "", 3, "~id", `"", expected an id`},
		"too few fields":   {head + "1,A\n", "", 2, "", `"2 fields", expected 3, as in the header`},
		"too many fields":  {head + "1,A,1,1\n", "", 2, "", `"4 fields"`},
		"a quote inside":   {head + "1,A\"x,1\n", "", 2, "", "bare"},
		"after multi-line": {head + "1,\"A\nB\",1\n2,A,x\n", "", 3, "age:int", "row 3 (line 4)"},
		"no float":         {head + "1,A,1\n", edgeHead + "e,1,1,R,heavy\n", 2, "w:double", `"heavy", expected a number`},
		"dangling source":  {head + "1,A,1\n", edgeHead + "e,9,1,R,1\n", 2, "~from", `"9", expected the id of a node that was imported under the key "k"`},
		"dangling target":  {head + "1,A,1\n", edgeHead + "e,1,1,R,1\nf,1,8,R,1\n", 3, "~to", `"8"`},
		"no type":          {head + "1,A,1\n", edgeHead + "e,1,1,,1\n", 2, "~label", "expected one edge type"},
		"two types":        {head + "1,A,1\n", edgeHead + "e,1,1,A;B,1\n", 2, "~label", "expected one edge type"},
		"no utf-8":         {"~id,s\n1,\xff\n", "", 2, "s", "UTF-8"},
		"no bool":          {"~id,s:bool\n1,yes\n", "", 2, "s:bool", "true or false"},
		"twice":            {"~id,x:int,x\n1,1,\n2,1,a\n", "", 3, "x", "another column has the property"},
		"no bytes":         {"~id,b:bytes\n1,ff\n", "", 2, "b:bytes", "hexadecimal"},
		"no JSON":          {"~id,j:json\n1,{} x\n", "", 2, "j:json", "expected JSON"},
		"no element":       {"~id,n:int[]\n1,1;x\n", "", 2, "n:int[]", "elements separated by ';', each an integer"},
		"no duration":      {"~id,d:duration\n1,soon\n", "", 2, "d:duration", "a duration like"},
		"no date":          {"~id,s:date\n1,2023-02-29\n", "", 2, "s:date", "a date like"},
	} {
		t.Run(name, func(t *testing.T) {
			db := openTest(t)
			cfg := Config{Nodes: []string{file(t, "n.csv", c.nodes)}, ImportKey: "k"}
			path := cfg.Nodes[0]
			if c.edges != "" {
				path = file(t, "e.csv", c.edges)
				cfg.Edges = []string{path}
			}
			_, err := Run(bg, db, cfg)
			var bad *CellError
			if !errors.As(err, &bad) || !errors.Is(err, ErrBadCell) {
				t.Fatalf("error %v", err)
			}
			if bad.File != path || bad.Row != c.row || bad.Column != c.column || !strings.Contains(err.Error(), c.message) {
				t.Errorf("error %v\nwant row %d, column %q, %s", err, c.row, c.column, c.message)
			}
			cfg.SkipBad = true
			r := mustRun(t, db, cfg)
			if r.Nodes.Bad+r.Edges.Bad != 1 || len(r.Bad) != 1 || r.Bad[0].Error() != err.Error() {
				t.Errorf("skipping: %+v", r)
			}
		})
	}
}

func TestBadHeadersStopBeforeAnythingIsWritten(t *testing.T) {
	const good = "~id\n1\n"
	for name, c := range map[string]struct{ nodes, edges, message string }{
		"empty":           {"", "", "the file is empty"},
		"no id":           {"name\nx\n", "", "there is no column ~id"},
		"no source":       {good, "~to,~label\n1,R\n", "~from"},
		"no type":         {good, "~from,~to\n1,1\n", "~label"},
		"unknown type":    {"~id,x:uuid\n", "", `column "x:uuid": unknown type "uuid"`},
		"list":            {"~id,x:node[]\n", "", `unknown type "node[]"`},
		"same property":   {"~id,x:int,y,x:int\n", "", "there is another column for the property \"x\""},
		"property and id": {"x:ID,x:int\n", "", "there is another column for the property \"x\""},
		"id and property": {"x:int,x:ID\n", "", "there is another column for the property \"x\""},
		"two ids":         {"~id,:ID\n", "", `means the same as column "~id"`},
		"unnamed":         {"~id,,x\n", "", "it has no name"},
		"unknown system":  {"~id,~lable\n", "", "unknown system column"},
		"misplaced":       {"~id,~from\n", "", "does not belong in a file of nodes"},
		"misplaced label": {good, "~from,~to,~label,:LABEL\n", "does not belong in a file of edges"},
		"group":           {"~id,:ID(Person)\n", "", "id groups are not supported"},
		"utf-16":          {"\xff\xfe~\x00i\x00d\x00", "", "UTF-16"},
		"open quote":      {"~id,\"x\n", "", "quote"},
	} {
		t.Run(name, func(t *testing.T) {
			db := openTest(t)
			cfg := Config{Nodes: []string{file(t, "good.csv", good), file(t, "n.csv", c.nodes)}, ImportKey: "k", SkipBad: true}
			if c.edges != "" {
				cfg.Edges = []string{file(t, "e.csv", c.edges)}
			}
			r, err := Run(bg, db, cfg)
			if !errors.Is(err, ErrHeader) && name != "open quote" || err == nil || !strings.Contains(err.Error(), c.message) {
				t.Errorf("error %v, want %s", err, c.message)
			}
			if r.Nodes.Created != 0 {
				t.Errorf("%d nodes were written", r.Nodes.Created)
			}
		})
	}
}

func TestConfigurationsAreValidated(t *testing.T) {
	db := openTest(t)
	_, err := Run(bg, db, Config{Writers: -1, Batch: MaxBatch + 1})
	for _, part := range []string{"no files", "Writers", "Batch", "ImportKey"} {
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not mention %s", err, part)
		}
	}
	_, err = Run(bg, db, Config{Nodes: []string{filepath.Join(t.TempDir(), "missing.csv")}, ImportKey: "k"})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	a, b := file(t, "e.csv", "~from,~to,~label\n"), file(t, "e.csv", "~from,~to,~label\n")
	if _, err = Run(bg, db, Config{Edges: []string{a, b}, ImportKey: "k"}); !errors.Is(err, ErrHeader) {
		t.Errorf("edges that cannot be told apart: %v", err)
	}
}

// A batch that is run again counts once (C2).
func TestABatchThatConflictsIsCountedOnce(t *testing.T) {
	const n = 40
	db := openTest(t)
	cfg := rows(t, n)
	cfg.Edges, cfg.Writers, cfg.SkipBad = nil, 1, true
	rival, err := db.Begin(bg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer rival.Rollback()
	if _, _, err := rival.CreateNodeAs(cfg.ImportKey, "30", nil, nil); err != nil {
		t.Fatal(err)
	}
	done := make(chan Result)
	go func() {
		r, err := Run(bg, db, cfg)
		if err != nil {
			t.Errorf("import: %v", err)
		}
		done <- r
	}()
	for len(db.Store().Locks(false)) == 0 {
		runtime.Gosched()
	}
	if err := rival.Commit(); err != nil {
		t.Fatal(err)
	}
	if r := <-done; r.Nodes != (Counts{Created: n - 1, Existing: 1}) {
		t.Errorf("counts %+v", r.Nodes)
	}
}

// rows makes files of n nodes, in a ring of n edges without ids.
func rows(t testing.TB, n int) Config {
	var nodes, edges strings.Builder
	nodes.WriteString("~id,~label,n:int\n")
	edges.WriteString("~from,~to,~label,n:int\n")
	for i := range n {
		fmt.Fprintf(&nodes, "%d,N,%d\n", i, i)
		fmt.Fprintf(&edges, "%d,%d,R,%d\n", i, (i+1)%n, i)
	}
	return Config{
		Nodes: []string{file(t, "nodes.csv", nodes.String())}, Edges: []string{file(t, "edges.csv", edges.String())},
		ImportKey: "ring", Batch: 50, Writers: 4,
	}
}

// C1: however an import ends, running it again completes it.
func TestARerunAfterAnInterruptionCreatesTheRestOnce(t *testing.T) {
	const n = 1000
	db := openTest(t)
	cfg := rows(t, n)
	for cut := 1; ; cut += 7 {
		ctx, cancel := context.WithCancel(bg)
		var batches atomic.Int32
		cfg.Progress = func(Progress) {
			if int(batches.Add(1)) >= cut {
				cancel()
			}
		}
		_, err := Run(ctx, db, cfg)
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("import: %v", err)
		}
	}
	cfg.Progress = nil
	r := mustRun(t, db, cfg)
	if r.Nodes != (Counts{Existing: n}) || r.Edges != (Counts{Existing: n}) {
		t.Errorf("result %+v", r)
	}
	report, err := db.Check(bg)
	if err != nil || report.Nodes != n || report.Edges != n || report.ExternalIDs != 2*n {
		t.Errorf("check: %+v, %v", report, err)
	}
}

func TestTwoImportsOfOneSourceAtOnceCreateItOnce(t *testing.T) {
	const n = 300
	db := openTest(t)
	cfg := rows(t, n)
	done := make(chan Result)
	for range 2 {
		go func() {
			r, err := Run(bg, db, cfg)
			if err != nil {
				t.Errorf("import: %v", err)
			}
			done <- r
		}()
	}
	a, b := <-done, <-done
	if a.Nodes.Created+b.Nodes.Created != n || a.Edges.Created+b.Edges.Created != n || a.Nodes.Created+a.Nodes.Existing != n {
		t.Errorf("created %+v and %+v", a, b)
	}
}

func TestTheFirstTwentyBadRowsAreReportedInOrder(t *testing.T) {
	var content strings.Builder
	content.WriteString("~id,n:int\n")
	for i := range 100 {
		fmt.Fprintf(&content, "%d,x\n%d,1\n", 2*i, 2*i+1)
	}
	db := openTest(t)
	r := mustRun(t, db, Config{Nodes: []string{file(t, "n.csv", content.String())}, ImportKey: "k", SkipBad: true, Batch: 7})
	if r.Nodes != (Counts{Created: 100, Bad: 100}) || len(r.Bad) != 20 {
		t.Fatalf("counts %+v, %d reported", r.Nodes, len(r.Bad))
	}
	for i, bad := range r.Bad {
		if bad.Row != 2+2*i {
			t.Errorf("bad row %d is row %d", i, bad.Row)
		}
	}
}

func TestBadRowsAreKeptInTheOrderOfTheFiles(t *testing.T) {
	var rows []badRow
	for i := range 60 {
		k := i * 37 % 60
		rows = insertBad(rows, badRow{k / 15, &CellError{Row: k % 15}})
	}
	for i, b := range rows {
		if b.file != i/15 || b.err.Row != i%15 || len(rows) != maxReported {
			t.Errorf("bad row %d of %d is row %d of file %d", i, len(rows), b.err.Row, b.file)
		}
	}
}

func TestConstraintsMakeBadCells(t *testing.T) {
	db := openTest(t)
	if err := db.CreateIndex(bg, "P", "email", true); err != nil {
		t.Fatal(err)
	}
	nodes := file(t, "n.csv", "~id,~label,email\n1,P,a@x\n2,P,a@x\n3,P,b@x\n")
	r := mustRun(t, db, Config{Nodes: []string{nodes}, ImportKey: "k", SkipBad: true})
	if r.Nodes != (Counts{Created: 2, Bad: 1}) || r.Bad[0].Row != 3 || r.Bad[0].Column != "email" || !errors.Is(r.Bad[0], graph.ErrConstraint) {
		t.Errorf("result %+v", r)
	}
}

// Rows that violate constraints are bad cells in transactions and in a load alike, and whatever they name.
func TestSchemaConstraintsMakeBadCells(t *testing.T) {
	nodes := file(t, "n.csv", "~id,~label,email,age:int\n1,P,a@x,3\n2,P,,\n3,Q,,\n4,Q,,7\n")
	edges := file(t, "e.csv", "~id,~from,~to,~label,w:double\ne1,1,1,R,1\ne2,3,1,R,1\ne3,1,3,R,1\ne4,1,1,R,\ne5,1,1,W,2\n")
	cfg := Config{Nodes: []string{nodes}, Edges: []string{edges}, ImportKey: "k", SkipBad: true}
	constraints := []graph.Constraint{
		graph.NodesRequire("P", "email"), graph.NodesHaveKind("Q", "age", graph.KindString), graph.EdgesRequire("R", "w"),
		graph.EdgesJoin("R", "P", "P"), graph.EdgesHaveKind("W", "w", graph.KindInt),
	}
	db := openTest(t)
	for _, c := range constraints {
		if err := db.CreateConstraint(bg, c); err != nil {
			t.Fatal(err)
		}
	}
	r := mustRun(t, db, cfg)
	var got []string
	for _, bad := range r.Bad {
		if !errors.Is(bad, graph.ErrConstraint) {
			t.Errorf("%v is no violation", bad)
		}
		got = append(got, fmt.Sprintf("%s %d %s %q %s", filepath.Base(bad.File), bad.Row, bad.Column, bad.Value, bad.Want))
	}
	want := []string{
		`n.csv 3 email "" a value: every node :P has email`, `n.csv 5 age:int "7" age of every node :Q is string`,
		`e.csv 3 ~from "3" a node with the label P: every edge :R goes from :P to :P`,
		`e.csv 4 ~to "3" a node with the label P: every edge :R goes from :P to :P`,
		`e.csv 5 w:double "" a value: every edge :R has w`, `e.csv 6 w:double "2" w of every edge :W is int`,
	}
	if !slices.Equal(got, want) || r.Nodes.Created != 2 || r.Edges.Created != 1 {
		t.Errorf("result %+v, bad\n%s\nwant\n%s", r, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Rows that a hook refuses are bad rows, and its error is in them.
func TestHooksMakeBadRows(t *testing.T) {
	own := errors.New("no bees")
	opts := &graph.Options{Options: mvcc.Options{FS: vfs.NewMem()}, Hooks: graph.Hooks{Node: func(_ *graph.Txn, _, after *graph.Node) error {
		if after.Props["name"] == graph.String("bee") {
			return own
		}
		return nil
	}}}
	nodes := file(t, "n.csv", "~id,~label,name\n1,P,ant\n2,P,bee\n3,P,cat\n")
	cfg := Config{Nodes: []string{nodes}, ImportKey: "k", SkipBad: true}
	for _, want := range []Counts{{Created: 2, Bad: 1}, {Existing: 2, Bad: 1}} { // a load, then transactions
		r, err := Import(bg, "g.db", opts, cfg)
		if err != nil || r.Nodes != want || len(r.Bad) != 1 || r.Bad[0].Row != 3 || !errors.Is(r.Bad[0], own) {
			t.Errorf("result %+v, error %v", r, err)
		}
	}
}

func TestARowThatNeverEndsIsRefused(t *testing.T) {
	db := openTest(t)
	nodes := file(t, "n.csv", "~id,s\n1,x\n2,\""+strings.Repeat("x\n", maxRowBytes))
	_, err := Run(bg, db, Config{Nodes: []string{nodes}, ImportKey: "k", SkipBad: true})
	var bad *CellError
	if !errors.As(err, &bad) || bad.Row != 3 || !strings.Contains(err.Error(), "quote") {
		t.Errorf("error %v", err)
	}
}

func TestLongRowsAreImported(t *testing.T) {
	db := openTest(t)
	long := strings.Repeat("long ", 1<<20)
	nodes := file(t, "n.csv", "~id,s\n1,"+long+"\n2,x\n")
	mustRun(t, db, Config{Nodes: []string{nodes}, ImportKey: "k"})
	if n := lookup(t, db, "k", "1"); n.Props["s"] != graph.String(long) {
		t.Error("a long cell is not what it was")
	}
}

func TestProgressEndsAtAllBytesAndCountsEverything(t *testing.T) {
	db := openTest(t)
	cfg := rows(t, 500)
	var last Progress
	cfg.Progress = func(p Progress) {
		if p.BytesRead < last.BytesRead || p.Nodes.Created < last.Nodes.Created || p.BytesRead > p.BytesAll {
			t.Errorf("progress goes back: %+v after %+v", p, last)
		}
		last = p
	}
	r := mustRun(t, db, cfg)
	if last.Nodes != r.Nodes || last.Edges != r.Edges || last.BytesRead != last.BytesAll {
		t.Errorf("last progress %+v, result %+v", last, r)
	}
}

// The air routes data set: 3,749 nodes, 57,645 edges, hubs among them.
func TestAirRoutes(t *testing.T) {
	dir := os.Getenv("SOMBRA_DATASETS")
	if dir == "" {
		t.Skip("SOMBRA_DATASETS does not name the directory of the data sets")
	}
	db := openTest(t)
	cfg := Config{
		Nodes: []string{filepath.Join(dir, "air-routes", "nodes.csv")}, Edges: []string{filepath.Join(dir, "air-routes", "edges.csv")},
		ImportKey: "air-routes", Writers: 8,
	}
	r := mustRun(t, db, cfg)
	t.Logf("%+v", r)
	if r.Nodes != (Counts{Created: 3749}) || r.Edges != (Counts{Created: 57645}) {
		t.Errorf("first import: %+v", r)
	}
	r = mustRun(t, db, cfg)
	t.Logf("%+v", r)
	if r.Nodes != (Counts{Existing: 3749}) || r.Edges != (Counts{Existing: 57645}) {
		t.Errorf("second import: %+v", r)
	}
	report, err := db.Check(bg)
	if err != nil || report.Nodes != 3749 || report.Edges != 57645 {
		t.Errorf("check: %+v, %v", report, err)
	}
}

func FuzzImport(f *testing.F) {
	f.Add("~id,~label,n:int\n1,A,2\n", "~from,~to,~label\n1,1,R\n")
	f.Add("x:ID,:LABEL,\"n\"\n1,A;B,\"2\"\"\"\n", "~id,:START_ID,:END_ID,:TYPE,d:date\ne,1,1,R,2020-01-01\n")
	f.Fuzz(func(t *testing.T, nodes, edges string) {
		for k, content := range []string{nodes, edges} {
			s := &source{path: "f.csv", kind: kind(k)}
			err := s.readHeader(strings.NewReader(content))
			if err != nil {
				continue
			}
			for range len(content) + 1 {
				if _, _, err = s.nextRow(); err != nil {
					break
				}
			}
			if err == nil {
				t.Error("there are more rows than bytes")
			}
		}
	})
}
