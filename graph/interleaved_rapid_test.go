package graph

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/sombradb/sombra/mvcc"
	"pgregory.net/rapid"
)

// interleaved runs several transactions at once, one step of one of them after the other, beside the model. Which
// conflicts there are is the engine's affair. What a transaction sees must be the model at its snapshot with its own
// changes; what commits together must be the changes of all on the model.
type interleaved struct {
	db      *DB
	commits []mvcc.Timestamp // of each of the models but the first
	models  []*model         // after each commit
	txns    []*openChange
	lost    int // transactions that ended with a conflict or a lock that was not free
}

type openChange struct {
	tx    *Txn
	level mvcc.Isolation
	made  []func(*model) // its changes
}

// base returns the model that the transaction reads, without its own changes.
func (m *interleaved) base(t *rapid.T, x *openChange) *model {
	if x.level == mvcc.ReadCommitted {
		return m.models[len(m.models)-1]
	}
	at, err := x.tx.Store().Snapshot()
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	return m.models[sort.Search(len(m.commits), func(i int) bool { return m.commits[i] > at })]
}

// view returns what the transaction sees.
func (m *interleaved) view(t *rapid.T, x *openChange) *model {
	v := m.base(t, x).clone()
	for _, change := range x.made {
		change(v)
	}
	return v
}

// pick draws a transaction, a new one if none is open.
func (m *interleaved) pick(t *rapid.T) *openChange {
	if len(m.txns) == 0 {
		m.Begin(t)
	}
	return rapid.SampledFrom(m.txns).Draw(t, "txn")
}

func (m *interleaved) Begin(t *rapid.T) {
	if len(m.txns) >= 4 { // enough
		m.Commit(t)
	}
	x := &openChange{level: rapid.SampledFrom(levels).Draw(t, "level")}
	var err error
	if x.tx, err = m.db.Begin(bg, &mvcc.TxnOptions{Isolation: x.level, NoWait: true}); err != nil {
		t.Fatalf("begin: %v", err)
	}
	m.txns = append(m.txns, x)
}

func (m *interleaved) end(x *openChange) {
	m.txns = slices.DeleteFunc(m.txns, func(o *openChange) bool { return o == x })
	x.tx.Rollback()
}

// Step makes one change. It must end as the model says that it ends, before it or, if the snapshot has moved, after it.
func (m *interleaved) Step(t *rapid.T) {
	x := m.pick(t)
	before := m.view(t, x)
	do, want, change := drawChange(t, before)
	err := do(x.tx)
	if mvcc.IsRetryable(err) || errors.Is(err, mvcc.ErrLockNotAvailable) {
		m.lost++
		m.end(x)
		return
	}
	if after := m.view(t, x); !errors.Is(err, want(before)) && !errors.Is(err, want(after)) {
		t.Fatalf("at %v: error %v, want %v or, where the snapshot is now, %v", x.level, err, want(before), want(after))
	}
	if err == nil {
		x.made = append(x.made, change(m.view(t, x)))
	}
}

// drawChange draws a change: how it is made, which error the model wants, and, given what the transaction saw when it was
// made, what it does to a model.
func drawChange(t *rapid.T, v *model) (do func(*Txn) error, want func(*model) error, change func(*model) func(*model)) {
	switch rapid.SampledFrom([]string{"create", "connect", "connect", "props", "label", "label", "cut", "delete", "detach"}).Draw(t, "change") {
	case "create":
		return drawCreate(t, v)
	case "connect":
		return drawConnect(t, v)
	case "props":
		id, props := drawFrom(t, v.nodes, "node"), drawProps(t)
		changed := func(m *model) Node {
			n := m.nodes[id]
			n.Props = new(model).merged(n.Props, props)
			return n
		}
		return func(tx *Txn) error { return tx.SetProperties(id, props) },
			func(m *model) error { return m.refuses(changed(m)) },
			always(func(m *model) { m.nodes[id] = changed(m) })
	case "label":
		return drawLabel(t, v)
	case "cut":
		id := drawFrom(t, v.edges, "edge")
		return func(tx *Txn) error { return tx.DeleteEdge(id) },
			func(m *model) error { return missing(m.edges[id].ID == 0, ErrEdgeNotFound) },
			always(func(m *model) { delete(m.edges, id) })
	case "detach":
		id := drawFrom(t, v.nodes, "node")
		return func(tx *Txn) error { return tx.DetachDelete(id) },
			func(m *model) error { return missing(m.nodes[id].ID == 0, ErrNodeNotFound) },
			func(seen *model) func(*model) { // edges that come later are not gone: then one of the two does not commit
				return func(m *model) {
					delete(m.nodes, id)
					maps.DeleteFunc(m.edges, func(edge EdgeID, e Edge) bool {
						return (e.Src == id || e.Dst == id) && seen.edges[edge].ID != 0
					})
				}
			}
	}
	id := drawFrom(t, v.nodes, "node")
	return func(tx *Txn) error { return tx.DeleteNode(id) },
		func(m *model) error {
			return cmp.Or(missing(m.nodes[id].ID == 0, ErrNodeNotFound), missing(m.hasEdges(id), ErrHasEdges))
		},
		always(func(m *model) { delete(m.nodes, id) })
}

// always is a change that does not depend on what was seen.
func always(change func(*model)) func(*model) func(*model) {
	return func(*model) func(*model) { return change }
}

func missing(is bool, err error) error {
	if is {
		return err
	}
	return nil
}

// refuses returns why a changed node cannot be.
func (m *model) refuses(n Node) error {
	if n.ID == 0 {
		return ErrNodeNotFound
	}
	return missing(m.violates(n), ErrConstraint)
}

func drawCreate(t *rapid.T, _ *model) (do func(*Txn) error, want func(*model) error, change func(*model) func(*model)) {
	n := Node{Labels: []string{rapid.SampledFrom(modelLabels).Draw(t, "label")}}
	props := drawProps(t)
	n.Props = new(model).merged(nil, props)
	return func(tx *Txn) (err error) { n.ID, err = tx.CreateNode(n.Labels, props); return err },
		func(m *model) error { return missing(m.violates(n), ErrConstraint) },
		always(func(m *model) { m.nodes[n.ID] = n })
}

func drawLabel(t *rapid.T, v *model) (do func(*Txn) error, want func(*model) error, change func(*model) func(*model)) {
	id, label, remove := drawFrom(t, v.nodes, "node"), rapid.SampledFrom(modelLabels).Draw(t, "label"), rapid.Bool().Draw(t, "remove")
	changed := func(m *model) Node {
		n := m.nodes[id]
		n.Labels = slices.DeleteFunc(slices.Clone(n.Labels), func(l string) bool { return l == label })
		if !remove {
			n.Labels = slices.Sorted(slices.Values(append(n.Labels, label)))
		}
		return n
	}
	do = func(tx *Txn) error { return tx.AddLabel(id, label) }
	if remove {
		do = func(tx *Txn) error { return tx.RemoveLabel(id, label) }
	}
	return do, func(m *model) error { return m.refuses(changed(m)) }, always(func(m *model) { m.nodes[id] = changed(m) })
}

func drawConnect(t *rapid.T, v *model) (do func(*Txn) error, want func(*model) error, change func(*model) func(*model)) {
	e := Edge{
		Src: drawFrom(t, v.nodes, "src"), Dst: drawFrom(t, v.nodes, "dst"),
		Type: rapid.SampledFrom(modelTypes).Draw(t, "type"),
	}
	return func(tx *Txn) (err error) { e.ID, err = tx.CreateEdge(e.Src, e.Dst, e.Type, nil); return err },
		func(m *model) error {
			return cmp.Or(missing(m.nodes[e.Src].ID == 0 || m.nodes[e.Dst].ID == 0, ErrNodeNotFound), missing(m.forbids(e), ErrConstraint))
		},
		always(func(m *model) { m.edges[e.ID] = e })
}

// Look compares everything that a transaction sees.
func (m *interleaved) Look(t *rapid.T) {
	x := m.pick(t)
	if x.level != mvcc.ReadCommitted {
		if _, err := x.tx.HasNode(1); err != nil { // takes the snapshot
			t.Fatalf("has: %v", err)
		}
	}
	m.view(t, x).compare(t, x.tx)
}

func (m *interleaved) Commit(t *rapid.T) {
	x := m.pick(t)
	newest := m.models[len(m.models)-1]
	after := newest.clone()
	for _, change := range x.made {
		change(after)
	}
	err := x.tx.Commit()
	m.end(x)
	switch {
	case mvcc.IsRetryable(err):
		m.lost++
		return
	case err != nil:
		t.Fatalf("commit: %v", err)
	case len(x.made) == 0:
		return
	}
	for id, e := range after.edges {
		if after.nodes[e.Src].ID == 0 || after.nodes[e.Dst].ID == 0 {
			t.Fatalf("edge %d has lost an end: an edge and the deletion of its end have both committed", id)
		}
		if after.forbids(e) {
			t.Fatalf("edge %d has lost a label that it needs: it and the label's removal have both committed", id)
		}
	}
	m.models = append(m.models, after)
	m.commits = append(m.commits, x.tx.Store().CommitTimestamp())
}

func (m *interleaved) Rollback(t *rapid.T) { m.end(m.pick(t)) }

func (m *interleaved) Checkpoint(t *rapid.T) {
	if err := m.db.Store().Checkpoint(bg); err != nil {
		t.Fatalf("checkpoint: %v", err)
	}
}

// verify compares the newest state.
func (m *interleaved) verify(t *rapid.T) {
	err := m.db.View(bg, func(tx *Txn) error { m.models[len(m.models)-1].compare(t, tx); return nil })
	if err != nil {
		t.Fatalf("view: %v", err)
	}
}

// start makes an index that is unique, one that is not, and constraints, and uses all names once, so that they have their ids.
func (m *interleaved) start(t *rapid.T) {
	first := &model{nodes: map[NodeID]Node{}, edges: map[EdgeID]Edge{}, indexes: map[[2]string]bool{{"A", "p"}: true, {"B", "q"}: false, {"C", "q,r"}: true}}
	for ix, unique := range first.indexes {
		if err := m.db.CreateCompositeIndex(bg, ix[0], strings.Split(ix[1], ","), unique); err != nil {
			t.Fatalf("index: %v", err)
		}
	}
	first.rules = []Constraint{EdgesJoin("R", "A", ""), EdgesJoin("S", "B", "C"), NodesHaveKind("C", "r", KindInt, KindFloat)}
	constrain(t, m.db, first.rules...)
	err := m.db.Update(bg, func(tx *Txn) error {
		n := Node{Labels: modelLabels, Props: Props{"p": Int(77), "q": Int(1), "r": Int(1)}}
		var err error
		if n.ID, err = tx.CreateNode(n.Labels, n.Props); err != nil {
			return err
		}
		first.nodes[n.ID] = n
		for _, typ := range modelTypes {
			e := Edge{Src: n.ID, Dst: n.ID, Type: typ}
			if e.ID, err = tx.CreateEdge(n.ID, n.ID, typ, nil); err != nil {
				return err
			}
			first.edges[e.ID] = e
		}
		return nil
	})
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	m.models = []*model{first}
}

// Transactions of all levels, interleaved in any way, each see the model of their snapshot and their own changes; what
// commits is what the model has. No edge and the deletion of its end, or of a label that it needs there, both commit.
func TestInterleavedGraphTransactionsMatchTheModel(t *testing.T) {
	rapidDefault(t, "rapid.checks", "120")
	rapidDefault(t, "rapid.steps", "100")
	lost, committed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		m := &interleaved{db: openOn(t, newMem(t))}
		defer func() { _ = m.db.Close() }()
		defer func() {
			for len(m.txns) > 0 {
				m.end(m.txns[0])
			}
		}()
		m.start(t)
		steps := []func(*rapid.T){
			m.Begin, m.Begin, m.Step, m.Step, m.Step, m.Step, m.Look, m.Commit, m.Commit, m.Rollback, m.Checkpoint,
		}
		t.Repeat(map[string]func(*rapid.T){"": m.verify, "step": func(t *rapid.T) { evenly(t, steps)(t) }})
		check(t, m.db)
		lost, committed = lost+m.lost, committed+len(m.commits)
	})
	if !t.Failed() && (lost == 0 || committed == 0) {
		t.Errorf("%d transactions committed and %d lost: the interleavings say nothing", committed, lost)
	}
}

// evenly draws one of a list. Rapid itself prefers what comes first, also among the actions of Repeat.
func evenly[T any](t *rapid.T, list []T) T {
	n := 0
	for _, bit := range rapid.SliceOfN(rapid.Bool(), 8, 8).Draw(t, "choice") {
		if n *= 2; bit {
			n++
		}
	}
	return list[n%len(list)]
}
