package csvdump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/graph/csvload"
	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
	"pgregory.net/rapid"
)

var bg = context.Background()

// tb is what tests and rapid have in common.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

func open(t tb) *graph.DB {
	t.Helper()
	mem := vfs.NewMem()
	if err := errors.Join(mem.MkdirAll("db", 0o755), mem.SyncDir(".")); err != nil {
		t.Fatalf("%v", err)
	}
	db, err := graph.Open("db/g", &graph.Options{Options: mvcc.Options{FS: mem, MemoryBudget: mvcc.MinMemoryBudget, SegmentSize: 1 << 20}})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return db
}

func closeDB(t tb, db *graph.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func update(t tb, db *graph.DB, fn func(*graph.Txn) error) {
	t.Helper()
	if err := db.Update(bg, fn); err != nil {
		t.Fatalf("update: %v", err)
	}
}

// content is the graph under its external ids, with values as text that tells their kinds.
func content(t tb, db *graph.DB, name func(graph.NodeID) string) (nodes, edges []string) {
	t.Helper()
	err := db.View(bg, func(tx *graph.Txn) error {
		for n, err := range tx.Nodes() {
			if err != nil {
				return err
			}
			slices.Sort(n.Labels)
			nodes = append(nodes, fmt.Sprintf("%s %q %s", name(n.ID), n.Labels, text(n.Props)))
		}
		for e, err := range tx.AllEdges() {
			if err != nil {
				return err
			}
			edges = append(edges, fmt.Sprintf("%s-%q-%s %s", name(e.Src), e.Type, name(e.Dst), text(e.Props)))
		}
		return nil
	})
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	slices.Sort(nodes)
	slices.Sort(edges)
	return nodes, edges
}

func text(props graph.Props) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(props)) {
		fmt.Fprintf(&b, "%q:%s ", name, kinds(props[name]))
	}
	return b.String()
}

// kinds renders a value with the kinds in it.
func kinds(v graph.Value) string {
	s := v.Kind().String() + " " + v.String()
	elements, _ := v.AsList()
	for _, e := range elements {
		s += "|" + kinds(e)
	}
	entries, _ := v.AsMap()
	return s + text(entries)
}

// roundTrip dumps a graph and loads it into a new one. It returns what ids are called there.
func roundTrip(t tb, dir string, db *graph.DB) (result Result, loaded *graph.DB, name func(graph.NodeID) string) {
	t.Helper()
	var nodes, edges bytes.Buffer
	result, err := Run(bg, db, Config{Nodes: &nodes, Edges: &edges})
	if err != nil {
		t.Fatalf("dump: %v", err)
	}
	paths := [2]string{filepath.Join(dir, "nodes.csv"), filepath.Join(dir, "edges.csv")}
	if err := errors.Join(os.WriteFile(paths[0], nodes.Bytes(), 0o600), os.WriteFile(paths[1], edges.Bytes(), 0o600)); err != nil {
		t.Fatalf("%v", err)
	}
	loaded = open(t)
	got, err := csvload.Run(bg, loaded, csvload.Config{Nodes: paths[:1], Edges: paths[1:], ImportKey: "k"})
	if err != nil {
		t.Fatalf("load: %v\n%s\n%s", err, nodes.String(), edges.String())
	}
	if got.Nodes.Created != result.Nodes || got.Edges.Created != result.Edges {
		t.Errorf("dumped %+v, loaded %+v", result, got)
	}
	ids := map[graph.NodeID]string{}
	err = loaded.View(bg, func(tx *graph.Txn) error {
		for old := range result.Nodes * 2 {
			id, err := tx.LookupNode("k", strconv.FormatInt(old+1, 10))
			if err == nil {
				ids[id] = strconv.FormatInt(old+1, 10)
			} else if !errors.Is(err, graph.ErrNodeNotFound) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("lookup: %v", err)
	}
	return result, loaded, func(id graph.NodeID) string { return ids[id] }
}

func ownName(id graph.NodeID) string { return strconv.FormatUint(uint64(id), 10) }

var texts = []string{"", "a", "a;b", `back\slash`, "line\nend", "carriage\r\nreturn", `"quoted", with comma`, " space ", "é", "a:b", "{}"}

// drawValue draws a value that comes back as it is.
func drawValue(t *rapid.T, deep int) graph.Value {
	kind := rapid.IntRange(0, 9).Draw(t, "kind")
	inJSON := deep > 1 // where dates have no form of their own
	switch {
	case kind == 0:
		return graph.Bool(rapid.Bool().Draw(t, "bool"))
	case kind == 1:
		return graph.Int(rapid.Int64().Draw(t, "int"))
	case kind == 2 && inJSON:
		return graph.Float(rapid.Float64().Draw(t, "float"))
	case kind == 2:
		return graph.Float(rapid.SampledFrom([]float64{1, 0.5, math.Inf(1), math.NaN(), 1e300, -3}).Draw(t, "float"))
	case kind == 3 && !inJSON:
		return graph.Bytes([]byte(rapid.SampledFrom(texts).Draw(t, "bytes")))
	case kind == 4 && !inJSON:
		return graph.Date(rapid.IntRange(1, 9999).Draw(t, "year"), 3, 4)
	case kind == 5 && !inJSON:
		return graph.Time(time.UnixMicro(rapid.Int64Range(0, 1e15).Draw(t, "moment")))
	case kind == 6 && !inJSON:
		return graph.Duration(time.Duration(rapid.Int64().Draw(t, "duration")))
	case kind == 7 && deep < 3:
		elements := make([]graph.Value, rapid.IntRange(0, 3).Draw(t, "elements"))
		first := drawValue(t, deep+1)
		for i := range elements {
			if elements[i] = first; inJSON || first.Kind() == graph.KindString {
				elements[i] = graph.String(rapid.SampledFrom(texts).Draw(t, "element"))
			}
		}
		if _, nested := first.AsList(); nested || len(elements) > 0 && listType(elements) == "json" && changes(graph.List(elements...), "json") {
			return graph.List()
		}
		return graph.List(elements...)
	case kind == 8 && deep < 3:
		return graph.Map(map[string]graph.Value{rapid.SampledFrom(texts).Draw(t, "name"): drawValue(t, 2), "null": graph.Null()})
	}
	return graph.String(rapid.SampledFrom(texts).Draw(t, "string"))
}

func TestWhatIsDumpedIsLoadedAsItWas(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		db := open(rt)
		defer closeDB(rt, db)
		props := func() graph.Props {
			p := graph.Props{}
			for range rapid.IntRange(0, 3).Draw(rt, "properties") {
				p[rapid.SampledFrom([]string{"p", "q:r", "with, comma", "s\nt", "é"}).Draw(rt, "name")] = drawValue(rt, 0)
			}
			return p
		}
		update(rt, db, func(tx *graph.Txn) error {
			var ids []graph.NodeID
			for range rapid.IntRange(1, 6).Draw(rt, "nodes") {
				labels := rapid.SliceOfN(rapid.SampledFrom([]string{"A", "B;C", `D\E`, "F G"}), 0, 3).Draw(rt, "labels")
				id, err := tx.CreateNode(labels, props())
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			end := rapid.SampledFrom(ids)
			for range rapid.IntRange(0, 6).Draw(rt, "edges") {
				typ := rapid.SampledFrom([]string{"R", "S;T", `U\V`}).Draw(rt, "type")
				if _, err := tx.CreateEdge(end.Draw(rt, "src"), end.Draw(rt, "dst"), typ, props()); err != nil {
					return err
				}
			}
			return nil
		})
		wantNodes, wantEdges := content(rt, db, ownName)
		result, loaded, name := roundTrip(rt, dir, db)
		defer closeDB(rt, loaded)
		nodes, edges := content(rt, loaded, name)
		if !slices.Equal(nodes, wantNodes) || !slices.Equal(edges, wantEdges) {
			rt.Errorf("loaded\n%s\n%s\nwant\n%s\n%s", strings.Join(nodes, "\n"), strings.Join(edges, "\n"), strings.Join(wantNodes, "\n"), strings.Join(wantEdges, "\n"))
		}
		if result.Changed != 0 {
			rt.Errorf("%d values are said to change", result.Changed)
		}
	})
}

func TestValuesThatChangeAreCounted(t *testing.T) {
	db := open(t)
	defer closeDB(t, db)
	day := graph.Date(2026, 11, 27)
	props := graph.Props{
		"x": graph.Map(map[string]graph.Value{"whole": graph.Float(2), "int": graph.Int(2)}),
		"a": graph.String("\xff"), "b": graph.Map(map[string]graph.Value{"day": day}), "c": graph.List(graph.Int(1), day),
		"d": graph.List(graph.Float(math.NaN()), graph.Int(1)), "e": day,
	}
	update(t, db, func(tx *graph.Txn) error {
		_, err := tx.CreateNode([]string{"A"}, props)
		return err
	})
	result, loaded, name := roundTrip(t, t.TempDir(), db)
	defer closeDB(t, loaded)
	nodes, _ := content(t, loaded, name)
	want := graph.Props{
		"x": props["x"], // not counted
		"a": graph.Bytes([]byte{0xff}), "b": graph.Map(map[string]graph.Value{"day": graph.String("2026-11-27")}),
		"c": graph.List(graph.Int(1), graph.String("2026-11-27")), "d": graph.List(graph.String("NaN"), graph.Int(1)), "e": day,
	}
	if result.Changed != 4 || len(nodes) != 1 || nodes[0] != `1 ["A"] `+text(want) {
		t.Errorf("%+v, %q", result, nodes)
	}
}

func TestNamesThatAHeaderCannotHoldAreRefused(t *testing.T) {
	for _, c := range []struct{ label, property, typ string }{
		{"A", "~id", "R"}, {"A", " p", "R"}, {"A", `p\`, "R"}, {"A", "p\r", "R"}, {" A", "p", "R"}, {"A", "p", "R "},
	} {
		db := open(t)
		update(t, db, func(tx *graph.Txn) error {
			n, err := tx.CreateNode([]string{c.label}, graph.Props{c.property: graph.Int(1)})
			if err == nil {
				_, err = tx.CreateEdge(n, n, c.typ, nil)
			}
			return err
		})
		var nodes, edges bytes.Buffer
		_, err := Run(bg, db, Config{Nodes: &nodes, Edges: &edges})
		var name *NameError
		if !errors.Is(err, ErrName) || !errors.As(err, &name) || edges.Len() > 0 {
			t.Errorf("%q: %v", c, err)
		}
		closeDB(t, db)
	}
}

func TestADumpThatFailsSaysWhy(t *testing.T) {
	db := open(t)
	update(t, db, func(tx *graph.Txn) error {
		_, err := tx.CreateNode(nil, graph.Props{"p": graph.String(strings.Repeat("x", 1<<20))})
		return err
	})
	if _, err := Run(bg, db, Config{}); !errors.Is(err, ErrConfig) {
		t.Errorf("no writer: %v", err)
	}
	full := errors.New("disk is full")
	if _, err := Run(bg, db, Config{Nodes: failing{full}}); !errors.Is(err, full) {
		t.Errorf("full disk: %v", err)
	}
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if _, err := Run(ctx, db, Config{Nodes: &bytes.Buffer{}}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	closeDB(t, db)
	if _, err := Run(bg, db, Config{Nodes: &bytes.Buffer{}}); !errors.Is(err, mvcc.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
