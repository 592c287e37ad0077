package graph

import (
	"cmp"
	"errors"
	"flag"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
	"pgregory.net/rapid"
)

var (
	modelLabels = []string{"A", "B", "C"}
	modelTypes  = []string{"R", "S"}
	modelNames  = []string{"p", "q", "r"}
	modelValues = []Value{
		Null(), Int(1), Float(1), Int(2), Float(2.5), String("x"), String("x\x00"), Bytes([]byte{0}), Bool(true),
		Date(2026, 11, 27), Duration(5), List(Int(1), Float(2)), Map(map[string]Value{"x": Null()}),
	}
)

// model is the graph as plain maps.
type model struct {
	nodes   map[NodeID]Node
	edges   map[EdgeID]Edge
	indexes map[[2]string]bool // unique; several properties are joined with commas
	rules   []Constraint
}

func (m *model) clone() *model {
	c := &model{nodes: map[NodeID]Node{}, edges: map[EdgeID]Edge{}, indexes: maps.Clone(m.indexes), rules: slices.Clone(m.rules)}
	for id, n := range m.nodes {
		n.Labels, n.Props = slices.Clone(n.Labels), maps.Clone(n.Props)
		c.nodes[id] = n
	}
	for id, e := range m.edges {
		e.Props = maps.Clone(e.Props)
		c.edges[id] = e
	}
	return c
}

// tuple returns what a node has of an index's properties, null when one is missing.
func (n Node) tuple(properties string) Value {
	var values []Value
	for _, name := range strings.Split(properties, ",") {
		v := n.Props[name]
		if values = append(values, v); v.IsNull() {
			return v
		}
	}
	if len(values) == 1 {
		return values[0]
	}
	return List(values...)
}

// violates reports whether the node would break a unique index or a constraint.
func (m *model) violates(n Node) bool {
	for _, c := range m.rules {
		if c.Label != "" && n.HasLabel(c.Label) && c.violatedBy(n.Props) {
			return true
		}
	}
	for _, e := range m.edges {
		if m.loses(e, n) {
			return true
		}
	}
	for ix, unique := range m.indexes {
		v := n.tuple(ix[1])
		if !unique || v.IsNull() || !n.HasLabel(ix[0]) {
			continue
		}
		for _, other := range m.nodes {
			if w := other.tuple(ix[1]); other.ID != n.ID && other.HasLabel(ix[0]) && !w.IsNull() && v.Equal(w) {
				return true
			}
		}
	}
	return false
}

// violatedBy reports whether a constraint on a property forbids the properties.
func (c Constraint) violatedBy(props Props) bool {
	v := props[c.Property]
	return c.Kind == RequiredProperty && v.IsNull() || c.Kind == PropertyKind && !v.IsNull() && !c.Kinds.Has(v.Kind())
}

// joinsBadly reports whether the ends of an edge lack a label.
func (m *model) joinsBadly(e Edge, src, dst Node) bool {
	return slices.ContainsFunc(m.rules, func(c Constraint) bool {
		return c.Kind == EndpointLabels && c.EdgeType == e.Type &&
			(c.Source != "" && !src.HasLabel(c.Source) || c.Destination != "" && !dst.HasLabel(c.Destination))
	})
}

// loses reports whether an edge needs a label that the node has and is to have no longer. Without a snapshot an edge of the
// transaction's own may lack others, which somebody has taken: then it will not commit.
func (m *model) loses(e Edge, n Node) bool {
	lost := func(label string) bool { return label != "" && m.nodes[n.ID].HasLabel(label) && !n.HasLabel(label) }
	return slices.ContainsFunc(m.rules, func(c Constraint) bool {
		return c.Kind == EndpointLabels && c.EdgeType == e.Type && (e.Src == n.ID && lost(c.Source) || e.Dst == n.ID && lost(c.Destination))
	})
}

// forbids reports whether the edge would break a constraint.
func (m *model) forbids(e Edge) bool {
	return m.joinsBadly(e, m.nodes[e.Src], m.nodes[e.Dst]) || slices.ContainsFunc(m.rules, func(c Constraint) bool {
		return c.EdgeType == e.Type && c.violatedBy(e.Props)
	})
}

func (m *model) hasEdges(id NodeID) bool {
	for _, e := range m.edges {
		if e.Src == id || e.Dst == id {
			return true
		}
	}
	return false
}

// incident lists a node's edges in the order of Edges.
func (m *model) incident(db *DB, id NodeID, d Direction, types ...string) []Edge {
	var out, in []Edge
	for _, e := range m.edges {
		if len(types) > 0 && !slices.Contains(types, e.Type) {
			continue
		}
		if e.Src == id && d != In {
			out = append(out, e)
		}
		if e.Dst == id && d != Out && (d == In || e.Src != e.Dst) {
			in = append(in, e)
		}
	}
	order := func(a, b Edge) int {
		s, _ := db.types.lookup(a.Type)
		t, _ := db.types.lookup(b.Type)
		return cmp.Or(cmp.Compare(s, t), cmp.Compare(a.Other(id), b.Other(id)), cmp.Compare(a.ID, b.ID))
	}
	slices.SortFunc(out, order)
	slices.SortFunc(in, order)
	return append(out, in...)
}

// machine drives a database and the model with the same operations.
type machine struct {
	fs    *vfs.Mem
	db    *DB
	model *model
}

func drawFrom[K cmp.Ordered, V any](t *rapid.T, m map[K]V, what string) K {
	keys := slices.Sorted(maps.Keys(m))
	if len(keys) == 0 || rapid.IntRange(0, 20).Draw(t, what+"Absent") == 0 {
		var absent K
		return absent
	}
	return rapid.SampledFrom(keys).Draw(t, what)
}

func drawProps(t *rapid.T) Props {
	props := Props{}
	for range rapid.IntRange(0, 3).Draw(t, "props") {
		props[rapid.SampledFrom(modelNames).Draw(t, "name")] = rapid.SampledFrom(modelValues).Draw(t, "value")
	}
	return props
}

func (m *model) merged(old, change Props) Props {
	props := maps.Clone(old)
	if props == nil {
		props = Props{}
	}
	maps.Copy(props, change)
	maps.DeleteFunc(props, func(_ string, v Value) bool { return v.IsNull() })
	if len(props) == 0 {
		return nil
	}
	return props
}

// want fails unless err is the expected one; it reports whether the operation succeeded.
func want(t *rapid.T, err, expected error) bool {
	t.Helper()
	if !errors.Is(err, expected) {
		t.Fatalf("error %v, want %v", err, expected)
	}
	return err == nil
}

// step does one operation on both sides.
func (m *model) step(t *rapid.T, tx *Txn) {
	switch rapid.SampledFrom([]string{"create", "create", "connect", "connect", "connect", "props", "label", "edgeProps", "cut", "delete", "detach"}).Draw(t, "op") {
	case "create":
		m.createNode(t, tx)
	case "connect":
		m.createEdge(t, tx)
	case "props":
		m.changeNode(t, tx)
	case "label":
		m.changeLabel(t, tx)
	case "edgeProps":
		m.changeEdge(t, tx)
	case "cut":
		m.deleteEdge(t, tx)
	case "delete":
		m.deleteNode(t, tx, false)
	case "detach":
		m.deleteNode(t, tx, true)
	}
}

func (m *model) createNode(t *rapid.T, tx *Txn) {
	labels := rapid.SliceOfN(rapid.SampledFrom(modelLabels), 0, 3).Draw(t, "labels")
	props := drawProps(t)
	n := Node{Labels: slices.Compact(slices.Sorted(slices.Values(labels))), Props: m.merged(nil, props)}
	var expected error
	if m.violates(n) {
		expected = ErrConstraint
	}
	id, err := tx.CreateNode(labels, props)
	if want(t, err, expected) {
		n.ID = id
		m.nodes[id] = n
	}
}

func (m *model) createEdge(t *rapid.T, tx *Txn) {
	e := Edge{
		Src: drawFrom(t, m.nodes, "src"), Dst: drawFrom(t, m.nodes, "dst"),
		Type: rapid.SampledFrom(modelTypes).Draw(t, "type"),
	}
	props := drawProps(t)
	e.Props = m.merged(nil, props)
	var expected error
	switch {
	case m.nodes[e.Src].ID == 0 || m.nodes[e.Dst].ID == 0:
		expected = ErrNodeNotFound
	case m.forbids(e):
		expected = ErrConstraint
	}
	id, err := tx.CreateEdge(e.Src, e.Dst, e.Type, props)
	if want(t, err, expected) {
		e.ID = id
		m.edges[id] = e
	}
}

func (m *model) changeNode(t *rapid.T, tx *Txn) {
	id := drawFrom(t, m.nodes, "node")
	n, found := m.nodes[id]
	props := drawProps(t)
	n.Props = m.merged(n.Props, props)
	m.store(t, n, found, tx.SetProperties(id, props))
}

func (m *model) changeLabel(t *rapid.T, tx *Txn) {
	id := drawFrom(t, m.nodes, "node")
	n, found := m.nodes[id]
	label := rapid.SampledFrom(modelLabels).Draw(t, "label")
	if rapid.Bool().Draw(t, "remove") {
		n.Labels = slices.DeleteFunc(slices.Clone(n.Labels), func(l string) bool { return l == label })
		m.store(t, n, found, tx.RemoveLabel(id, label))
		return
	}
	n.Labels = slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(n.Labels), label))))
	m.store(t, n, found, tx.AddLabel(id, label))
}

// store takes over a changed node if it was to be possible.
func (m *model) store(t *rapid.T, n Node, found bool, err error) {
	var expected error
	switch {
	case !found:
		expected = ErrNodeNotFound
	case m.violates(n):
		expected = ErrConstraint
	}
	if want(t, err, expected) {
		m.nodes[n.ID] = n
	}
}

func (m *model) changeEdge(t *rapid.T, tx *Txn) {
	id := drawFrom(t, m.edges, "edge")
	e, found := m.edges[id]
	props := drawProps(t)
	e.Props = m.merged(e.Props, props)
	var expected error
	switch {
	case !found:
		expected = ErrEdgeNotFound
	case m.forbids(e):
		expected = ErrConstraint
	}
	if want(t, tx.SetEdgeProperties(id, props), expected) {
		m.edges[id] = e
	}
}

func (m *model) deleteEdge(t *rapid.T, tx *Txn) {
	id := drawFrom(t, m.edges, "edge")
	var expected error
	if m.edges[id].ID == 0 {
		expected = ErrEdgeNotFound
	}
	if want(t, tx.DeleteEdge(id), expected) {
		delete(m.edges, id)
	}
}

func (m *model) deleteNode(t *rapid.T, tx *Txn, detach bool) {
	id := drawFrom(t, m.nodes, "node")
	var expected error
	remove := tx.DeleteNode
	switch {
	case m.nodes[id].ID == 0:
		expected = ErrNodeNotFound
	case m.hasEdges(id) && !detach:
		expected = ErrHasEdges
	}
	if detach {
		remove = tx.DetachDelete
	}
	if want(t, remove(id), expected) {
		delete(m.nodes, id)
		maps.DeleteFunc(m.edges, func(_ EdgeID, e Edge) bool { return e.Src == id || e.Dst == id })
	}
}

// collect fails on the first error.
func collect[T any](t tb, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var list []T
	for x, err := range seq {
		if err != nil {
			t.Fatalf("iteration: %v", err)
		}
		list = append(list, x)
	}
	return list
}

func same[T any](t tb, what string, got, want []T) {
	t.Helper()
	if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n got %v\nwant %v", what, got, want)
	}
}

// compare reads everything through tx.
func (m *model) compare(t tb, tx *Txn) {
	t.Helper()
	for id, n := range m.nodes {
		got, err := tx.Node(id)
		slices.Sort(got.Labels)
		if len(got.Labels) == 0 {
			got.Labels = n.Labels
		}
		if err != nil || !reflect.DeepEqual(got, n) {
			t.Fatalf("node %d is %v, error %v, want %v", id, got, err, n)
		}
		for _, name := range modelNames {
			if v, err := tx.Property(id, name); err != nil || v != n.Props[name] {
				t.Fatalf("node %d has %s = %v, error %v, want %v", id, name, v, err, n.Props[name])
			}
		}
		m.compareEdges(t, tx, id)
	}
	ids := func(nodes []Node) (list []NodeID) {
		for _, n := range nodes {
			list = append(list, n.ID)
		}
		return list
	}
	same(t, "nodes", ids(collect(t, tx.Nodes())), slices.Sorted(maps.Keys(m.nodes)))
	if got := collect(t, tx.AllEdges()); len(got) != len(m.edges) {
		t.Fatalf("there are %d edges, want %d", len(got), len(m.edges))
	}
	for _, label := range modelLabels {
		want := m.where(func(n Node) bool { return n.HasLabel(label) })
		same(t, "nodes with label "+label, ids(collect(t, tx.NodesByLabel(label))), want)
	}
	m.compareIndexes(t, tx, ids)
}

func (m *model) where(cond func(Node) bool) (list []NodeID) {
	for _, id := range slices.Sorted(maps.Keys(m.nodes)) {
		if cond(m.nodes[id]) {
			list = append(list, id)
		}
	}
	return list
}

func (m *model) compareEdges(t tb, tx *Txn, id NodeID) {
	t.Helper()
	for _, d := range []Direction{Out, In, Both} {
		for _, types := range [][]string{nil, {"R"}, {"S", "R", "R"}, {"never"}} {
			want := m.incident(tx.db, id, d, types...)
			if len(types) == 1 && types[0] == "never" {
				want = nil
			}
			same(t, "edges", collect(t, tx.Edges(id, d, types...)), want)
			if n, err := tx.Degree(id, d, types...); err != nil || n != len(want) {
				t.Fatalf("node %d has degree %d %v %v, error %v, want %d", id, n, d, types, err, len(want))
			}
			for i, other := range collect(t, tx.Neighbors(id, d, types...)) {
				if other != want[i].Other(id) {
					t.Fatalf("neighbour %d of %d is %d, want %d", i, id, other, want[i].Other(id))
				}
			}
		}
	}
}

func (m *model) compareIndexes(t tb, tx *Txn, ids func([]Node) []NodeID) {
	t.Helper()
	for ix := range m.indexes {
		if strings.Contains(ix[1], ",") {
			m.compareComposite(t, tx, ids, ix)
			continue
		}
		value := func(id NodeID) Value { return m.nodes[id].Props[ix[1]] }
		in := m.where(func(n Node) bool { return n.HasLabel(ix[0]) && !n.Props[ix[1]].IsNull() })
		slices.SortStableFunc(in, func(a, b NodeID) int { return value(a).Compare(value(b)) })
		same(t, "index", ids(collect(t, tx.FindRange(ix[0], ix[1], Range{}))), in)
		for _, v := range modelValues {
			equal := slices.DeleteFunc(slices.Clone(in), func(id NodeID) bool { return !value(id).Equal(v) })
			same(t, "find "+v.String(), ids(collect(t, tx.Find(ix[0], ix[1], v))), equal)
			above := above(in, v, value)
			if !v.IsNull() {
				r := Range{Lo: v, ExcludeLo: true, Reverse: true}
				same(t, "above "+v.String(), ids(collect(t, tx.FindRange(ix[0], ix[1], r))), above)
			}
		}
	}
}

// above returns the nodes whose value is of the kind of v and greater, from the greatest on.
func above(in []NodeID, v Value, value func(NodeID) Value) []NodeID {
	list := slices.DeleteFunc(slices.Clone(in), func(id NodeID) bool {
		return v.IsNull() || value(id).rank() != v.rank() || value(id).Compare(v) <= 0
	})
	slices.Reverse(list)
	return list
}

// compareComposite looks for every number of first values, and ranges of the value behind them.
func (m *model) compareComposite(t tb, tx *Txn, ids func([]Node) []NodeID, ix [2]string) {
	t.Helper()
	names := strings.Split(ix[1], ",")
	value := func(id NodeID) Value { return m.nodes[id].tuple(ix[1]) }
	in := m.where(func(n Node) bool { return n.HasLabel(ix[0]) && !n.tuple(ix[1]).IsNull() })
	slices.SortStableFunc(in, func(a, b NodeID) int { return value(a).Compare(value(b)) })
	find := func(equal []Value, r Range) []NodeID {
		return ids(collect(t, tx.FindComposite(ix[0], names, equal, r)))
	}
	same(t, "composite", find(nil, Range{}), in)
	for _, v := range modelValues[:6] { // all of them took most of the time of the test
		first := func(id NodeID) Value { return m.nodes[id].Props[names[0]] }
		equal := slices.DeleteFunc(slices.Clone(in), func(id NodeID) bool { return !first(id).Equal(v) })
		same(t, "composite with "+v.String(), find([]Value{v}, Range{}), equal)
		if !v.IsNull() {
			same(t, "composite above "+v.String(), find(nil, Range{Lo: v, ExcludeLo: true, Reverse: true}), above(in, v, first))
		}
		for _, w := range modelValues[:6] {
			second := func(id NodeID) Value { return m.nodes[id].Props[names[1]] }
			both := slices.DeleteFunc(slices.Clone(equal), func(id NodeID) bool { return !second(id).Equal(w) })
			same(t, "composite with both", find([]Value{v, w}, Range{}), both)
			if !w.IsNull() {
				same(t, "composite with a range", find([]Value{v}, Range{Lo: w, ExcludeLo: true, Reverse: true}), above(equal, w, second))
			}
		}
	}
}

func (m *machine) transact(t *rapid.T) {
	level := rapid.SampledFrom(levels).Draw(t, "level")
	tx, err := m.db.Begin(bg, &mvcc.TxnOptions{Isolation: level})
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	defer tx.Rollback()
	next := m.model.clone()
	for range rapid.IntRange(1, 5).Draw(t, "steps") {
		next.step(t, tx)
	}
	next.compare(t, tx) // a transaction sees its own writes
	if rapid.IntRange(0, 4).Draw(t, "rollback") == 0 {
		return
	}
	if err := tx.Commit(); err != nil {
		t.Fatalf("commit: %v", err)
	}
	m.model = next
}

// drawIndex draws a label and one or two properties.
func drawIndex(t *rapid.T) [2]string {
	names := rapid.SliceOfNDistinct(rapid.SampledFrom(modelNames), 1, 2, rapid.ID).Draw(t, "names")
	return [2]string{rapid.SampledFrom(modelLabels).Draw(t, "label"), strings.Join(names, ",")}
}

func (m *machine) createIndex(t *rapid.T) {
	ix := drawIndex(t)
	unique := rapid.Bool().Draw(t, "unique")
	next := m.model.clone()
	var expected error
	if _, exists := next.indexes[ix]; exists {
		expected = ErrIndexExists
	} else {
		next.indexes[ix] = unique
		for _, n := range next.nodes {
			if unique && next.violates(n) {
				expected = ErrConstraint
			}
		}
	}
	if want(t, m.db.CreateCompositeIndex(bg, ix[0], strings.Split(ix[1], ","), unique), expected) {
		m.model = next
	}
}

func (m *machine) dropIndex(t *rapid.T) {
	ix := drawIndex(t)
	var expected error
	if _, exists := m.model.indexes[ix]; !exists {
		expected = ErrNoIndex
	}
	if want(t, m.db.DropIndex(bg, ix[0], strings.Split(ix[1], ",")...), expected) {
		delete(m.model.indexes, ix)
	}
}

func drawConstraint(t *rapid.T) Constraint {
	label, typ := rapid.SampledFrom(modelLabels).Draw(t, "label"), rapid.SampledFrom(modelTypes).Draw(t, "type")
	name := rapid.SampledFrom(modelNames).Draw(t, "name")
	kinds := []Kind{KindInt, KindFloat, KindString, KindList}[:rapid.IntRange(1, 4).Draw(t, "kinds")]
	switch rapid.IntRange(0, 6).Draw(t, "constraint") {
	case 0:
		return NodesRequire(label, name)
	case 1:
		return EdgesRequire(typ, name)
	case 2:
		return NodesHaveKind(label, name, kinds...)
	case 3:
		return EdgesHaveKind(typ, name, kinds...)
	case 4:
		return EdgesJoin(typ, label, rapid.SampledFrom(modelLabels).Draw(t, "destination"))
	case 5:
		return EdgesJoin(typ, label, "")
	}
	return EdgesJoin(typ, "", label)
}

// same reports whether there can be only one of two constraints.
func (c Constraint) same(d Constraint) bool {
	return c.Kind == d.Kind && c.Label == d.Label && c.EdgeType == d.EdgeType && c.Property == d.Property
}

func (m *machine) createConstraint(t *rapid.T) {
	c := drawConstraint(t)
	next := m.model.clone()
	next.rules = append(next.rules, c)
	alone := next.clone() // only what the new one says; the others hold
	alone.rules, alone.indexes = []Constraint{c}, nil
	var expected error
	for _, n := range alone.nodes {
		if alone.violates(n) {
			expected = ErrConstraint
		}
	}
	for _, e := range alone.edges {
		if alone.forbids(e) {
			expected = ErrConstraint
		}
	}
	if slices.ContainsFunc(m.model.rules, c.same) {
		expected = ErrConstraintExists
	}
	if want(t, m.db.CreateConstraint(bg, c), expected) {
		m.model = next
	}
}

func (m *machine) dropConstraint(t *rapid.T) {
	c := drawConstraint(t)
	if len(m.model.rules) > 0 && rapid.Bool().Draw(t, "one that is there") {
		c = rapid.SampledFrom(m.model.rules).Draw(t, "which")
	}
	var expected error
	if !slices.ContainsFunc(m.model.rules, c.same) {
		expected = ErrNoConstraint
	}
	if want(t, m.db.DropConstraint(bg, c), expected) {
		m.model.rules = slices.DeleteFunc(slices.Clone(m.model.rules), c.same)
	}
}

func (m *machine) reopen(t *rapid.T) {
	if err := m.db.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	m.db = openOn(t, m.fs)
}

func (m *machine) verify(t *rapid.T) {
	if err := m.db.View(bg, func(tx *Txn) error { m.model.compare(t, tx); return nil }); err != nil {
		t.Fatalf("view: %v", err)
	}
	report := check(t, m.db)
	if int(report.Constraints) != len(m.model.rules) {
		t.Fatalf("check counted %d constraints, want %v", report.Constraints, m.model.rules)
	}
	if report.Nodes != int64(len(m.model.nodes)) || report.Edges != int64(len(m.model.edges)) {
		t.Fatalf("check counted %d nodes and %d edges", report.Nodes, report.Edges)
	}
}

// rapidDefault changes the default of one of rapid's flags for a test; what the command line says stays.
func rapidDefault(t *testing.T, name, value string) {
	f := flag.Lookup(name)
	if f.Value.String() != f.DefValue {
		return
	}
	t.Cleanup(func() { _ = f.Value.Set(f.DefValue) }) // its own default cannot be refused
	if err := f.Value.Set(value); err != nil {
		t.Fatal(err)
	}
}

// The graph does what maps of nodes and edges do, through any sequence of
// transactions, rollbacks, changes of indexes and constraints, and reopenings; G1 to G7 and G9 hold after each.
func TestGraphIsLikeTheModel(t *testing.T) {
	rapidDefault(t, "rapid.checks", "25")
	rapid.Check(t, func(t *rapid.T) {
		fs := newMem(t)
		m := &machine{fs: fs, db: openOn(t, fs), model: &model{
			nodes: map[NodeID]Node{}, edges: map[EdgeID]Edge{}, indexes: map[[2]string]bool{},
		}}
		defer func() { _ = m.db.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"transact":    m.transact,
			"transact2":   m.transact,
			"transact3":   m.transact,
			"createIndex": m.createIndex,
			"dropIndex":   m.dropIndex,
			"constrain":   m.createConstraint,
			"constrain2":  m.createConstraint,
			"free":        m.dropConstraint,
			"reopen":      m.reopen,
			"":            m.verify,
		})
	})
}
