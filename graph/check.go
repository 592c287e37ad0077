package graph

import (
	"context"
	"errors"

	"github.com/sombradb/sombra/mvcc"
)

// maxProblems is how many problems a CheckReport lists at most.
const maxProblems = 100

// CheckReport says what Check verified. Problems is empty when all is well;
// it ends after 100.
type CheckReport struct {
	Store mvcc.CheckReport // of the database below

	Nodes, Edges               int64
	LabelEntries, IndexEntries int64
	Indexes, Constraints       int64
	Names                      int64
	ExternalIDs                int64
	FreeExternalIDs            int64 // external ids whose element was deleted
	Problems                   []error
}

// Check verifies the database below and then, in one snapshot, the graph's invariants G1 to G7 and G9. The error
// is about not being able to check; what was found is in the report.
func (db *DB) Check(ctx context.Context) (CheckReport, error) {
	var report CheckReport
	var err error
	if report.Store, err = db.store.Check(ctx, nil); err != nil {
		return report, err
	}
	report.Problems = append(report.Problems, report.Store.Problems...)
	err = db.View(ctx, func(tx *Txn) error {
		c := checker{tx: tx, report: &report}
		return c.run()
	})
	return report, err
}

// checker walks all keys of the graph in one snapshot.
type checker struct {
	tx       *Txn
	report   *CheckReport
	schema   *schema
	lastNode NodeID
	lastEdge EdgeID
}

func (c *checker) run() (err error) {
	if c.schema, err = c.tx.readSchema(); err != nil {
		return c.found(err)
	}
	c.report.Indexes, c.report.Constraints = int64(len(c.schema.byID)), int64(len(c.schema.rules))
	for _, pass := range []struct {
		tag   byte
		check func(mvcc.Item) error
	}{
		{keyNode, c.node}, {keyLabel, c.label}, {keyIndex, c.index}, {keyUnique, c.index},
		{keyOut, c.out}, {keyIn, c.in}, {keyEdge, c.place}, {keyExternal, c.external},
	} {
		for item, err := range c.tx.kv.Scan(c.tx.db.ks, mvcc.Prefix([]byte{pass.tag})) {
			if err == nil {
				err = pass.check(item)
			}
			if err := c.found(err); err != nil {
				return err
			}
		}
	}
	return c.catalog()
}

// found notes corruption and passes other errors on.
func (c *checker) found(err error) error {
	if err == nil || !errors.Is(err, mvcc.ErrCorrupt) {
		return err
	}
	if len(c.report.Problems) < maxProblems {
		c.report.Problems = append(c.report.Problems, err)
	}
	return nil
}

// problem returns what is wrong with the entry under key.
func (c *checker) problem(key []byte, what string) error { return c.tx.db.corrupt(key, what) }

// expect reports a problem with key unless the other key exists.
func (c *checker) expect(key, other []byte, what string) error {
	found, err := c.tx.kv.Has(c.tx.db.ks, other)
	if err == nil && !found {
		err = c.problem(key, what)
	}
	return err
}

func (c *checker) node(item mvcc.Item) error {
	c.report.Nodes++
	node, err := c.tx.nodeOf(item)
	if err != nil {
		return err
	}
	c.lastNode = node.ID
	n, err := decodeNode(string(item.Value))
	if err != nil {
		return c.problem(item.Key, "its record is malformed")
	}
	if err := c.nodeObeys(item.Key, n); err != nil {
		return err
	}
	for _, label := range n.labels {
		if err := c.expect(item.Key, appendLabelKey(nil, label, node.ID), "it has no entry for a label that it has"); err != nil {
			return err
		}
		for _, ix := range c.schema.maintained[label] {
			if v := ix.valueIn(n); !v.IsNull() && ix.state == IndexReady {
				if err := c.expect(item.Key, appendIndexKey(nil, ix, v, node.ID), "it has no entry in an index"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (c *checker) label(item mvcc.Item) error {
	c.report.LabelEntries++
	label, id, err := parseLabelKey(item.Key)
	if err != nil || len(item.Value) != 0 {
		return c.problem(item.Key, "it is malformed")
	}
	n, err := c.owner(item.Key, id)
	if err == nil && !n.hasLabel(label) {
		err = c.problem(item.Key, "the node does not have the label")
	}
	return err
}

// owner returns the node that the entry under key is about.
func (c *checker) owner(key []byte, id NodeID) (*nodeRec, error) {
	n, err := c.tx.readNode(id)
	if errors.Is(err, ErrNodeNotFound) {
		err = c.problem(key, "the node does not exist")
	}
	return n, err
}

func (c *checker) index(item mvcc.Item) error {
	c.report.IndexEntries++
	number, v, _, err := parseIndexKey(item.Key)
	if err != nil {
		return c.problem(item.Key, "its key is malformed")
	}
	ix := c.schema.byID[number]
	if ix == nil || ix.unique != (item.Key[0] == keyUnique) {
		return c.problem(item.Key, "there is no such index")
	}
	if ix.state == IndexDropping {
		return nil
	}
	id, err := c.tx.entryNode(item)
	if err != nil {
		return err
	}
	n, err := c.owner(item.Key, id)
	if err == nil && !ix.valueIn(n).Equal(v) {
		err = c.problem(item.Key, "the node has another value, or not the label")
	}
	return err
}

func (c *checker) out(item mvcc.Item) error {
	c.report.Edges++
	p, err := parseAdjacency(item.Key)
	if err != nil {
		return c.problem(item.Key, "its key is malformed")
	}
	if _, err := c.tx.publicEdge(p, string(item.Value)); err != nil {
		return err
	}
	if err := c.edgeObeys(item.Key, p, string(item.Value)); err != nil {
		return err
	}
	c.lastEdge = max(c.lastEdge, p.edge)
	if err := c.expect(item.Key, appendInKey(nil, p), "it has no entry at its destination"); err != nil {
		return err
	}
	if at, err := c.tx.findEdge(p.edge); errors.Is(err, ErrEdgeNotFound) || (err == nil && at != p) {
		return c.problem(item.Key, "its id leads elsewhere")
	} else if err != nil {
		return err
	}
	if err := c.expect(item.Key, appendNodeKey(nil, p.src), "its source does not exist"); err != nil {
		return err
	}
	return c.expect(item.Key, appendNodeKey(nil, p.dst), "its destination does not exist")
}

func (c *checker) in(item mvcc.Item) error {
	p, err := parseAdjacency(item.Key)
	if err != nil || len(item.Value) != 0 {
		return c.problem(item.Key, "it is malformed")
	}
	return c.expect(item.Key, appendOutKey(nil, p), "it has no record at its source")
}

func (c *checker) place(item mvcc.Item) error {
	f, err := cutUints(item.Key[1:], 1)
	if err != nil {
		return c.problem(item.Key, "its key is malformed")
	}
	p, err := parsePlace(EdgeID(f[0]), item.Value)
	if err != nil {
		return c.problem(item.Key, "its place is malformed")
	}
	return c.expect(item.Key, appendOutKey(nil, p), "there is no record at its place")
}

func (c *checker) external(item mvcc.Item) error {
	c.report.ExternalIDs++
	kind, _, _, err := parseExternalKey(item.Key)
	if err != nil {
		return c.problem(item.Key, "its key is malformed")
	}
	id, err := c.tx.db.uintValue(item.Key, item.Value)
	if err != nil {
		return err
	}
	found, err := c.tx.hasElement(kind, id)
	if err == nil && !found {
		c.report.FreeExternalIDs++
	}
	return err
}

// catalog verifies G6 and G7.
func (c *checker) catalog() error {
	db := c.tx.db
	for _, d := range []*dict{db.labels, db.types, db.properties} {
		n, err := d.load(c.tx.kv)
		c.report.Names += int64(n)
		if err := c.found(err); err != nil {
			return err
		}
	}
	var lastIndex, lastRule uint64
	for id := range c.schema.byID {
		lastIndex = max(lastIndex, id)
	}
	for id, r := range c.schema.rules {
		lastRule = max(lastRule, id)
		if err := c.found(c.ruleNamed(r)); err != nil {
			return err
		}
	}
	for _, last := range []struct {
		name string
		id   uint64
	}{{counterNodes, uint64(c.lastNode)}, {counterEdges, uint64(c.lastEdge)}, {counterIndexes, lastIndex}, {counterRules, lastRule}} {
		if err := c.found(c.counter(counterKey(last.name), last.id)); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) counter(key []byte, last uint64) error {
	value, err := c.tx.kv.Get(c.tx.db.ks, key)
	if errors.Is(err, mvcc.ErrNotFound) && last == 0 {
		return nil
	}
	if errors.Is(err, mvcc.ErrNotFound) {
		return c.problem(key, "it is missing and ids are in use")
	}
	if err != nil {
		return err
	}
	next, err := c.tx.db.uintValue(key, value)
	if err == nil && next <= last {
		err = c.problem(key, "an id in use is not below it")
	}
	return err
}
