package graph

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sombradb/sombra/mvcc"
)

// A repair of the store (mvcc.Repair) saves records one by one. A node and an edge are several records each, and some of them may be
// lost. Mend makes G1 to G7 and G9 hold again, in one transaction, out of what tells that something exists:
//
//	edges    an edge exists if one of its entries 'O', 'E' and 'I' does           mendelement.go
//	nodes    a node exists if its record does, or an edge at it, or an entry of a label or an index
//	entries  what G4 and G5 call for is added, what they do not call for is removed
//	rules    a constraint that what is there now violates is dropped               mendrule.go
//	catalog  names, counters, format version                                       mendcatalog.go
//
// What a record knew alone is lost with it: the properties of an edge, and of a node those without an index.

// MendReport says what Mend has changed. See Changed.
type MendReport struct {
	// Nodes had lost their records, ascending. They have the labels and properties now that entries of labels and indexes told.
	Nodes []NodeID
	// Edges had lost their records, ascending. They have no properties now.
	Edges []EdgeID
	// Added and Removed are entries that lead to elements: of labels, of indexes, of edges.
	Added, Removed int64
	// Names were made up for ids that had lost theirs, such as "label recovered-7".
	Names []string
	// Dropped are unique indexes that were dropped, as two nodes have the same value.
	Dropped []*ConstraintError
	// Broken are constraints that were dropped, each with an element that violates it: as a rule one that has lost its record.
	Broken []*ConstraintError
	// Counters were raised above the ids in use, or made anew.
	Counters []string
	// Keyspace is what the graph's keyspace was called, when that had lost its name.
	Keyspace string
	// Version is true when the format version was missing.
	Version bool
}

// Changed reports whether there was anything to mend.
func (r *MendReport) Changed() bool {
	return len(r.Nodes)+len(r.Edges)+len(r.Names)+len(r.Dropped)+len(r.Broken)+len(r.Counters)+len(r.Keyspace) > 0 || r.Added+r.Removed > 0 || r.Version
}

// Mend makes a consistent graph of the database at path, which nobody has open, when a repair of its store (mvcc.Repair)
// has lost records. It changes nothing in a graph that Check finds no fault with, and all or nothing in any other. Memory is
// needed for the nodes and edges that have lost their records. Where the graph's keyspace has lost its name, it is the one whose
// keys are all keys of a graph. A constraint whose definition is lost is gone; one whose names are lost goes on under made up names, until it is
// dropped.
//
// Anything that leads to a node or an edge counts as proof that it exists. When a repair has left out commits of the log or kept
// outdated records, that can also be what should have been deleted; the report lists what was made anew.
//
// Errors: ErrNotGraph when the database holds no graph, ErrVersion, and those of mvcc.Open and of ctx. A read-only database
// is mvcc.ErrReadOnly.
func Mend(ctx context.Context, path string, opts *Options) (report *MendReport, err error) {
	o := Options{}
	if opts != nil {
		o = *opts
	}
	o.MustExist = true
	db, err := openStore(path, &o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if o.ReadOnly {
		return nil, mvcc.ErrReadOnly
	}
	lostName, err := db.claimKeyspace(ctx)
	if err != nil {
		return nil, err
	}
	txn := &mvcc.TxnOptions{Isolation: mvcc.Snapshot, Label: "graph: mend"}
	err = db.store.UpdateWith(ctx, txn, func(kv *mvcc.Txn) error {
		m := newMender(db.wrap(kv))
		m.report.Keyspace = lostName
		report = m.report
		return m.run()
	})
	if err != nil {
		return nil, db.explain(err)
	}
	return report, nil
}

// claimKeyspace finds the graph's keyspace, and gives it its name back when a repair could only call it recovered-ID, which
// it returns then.
func (db *DB) claimKeyspace(ctx context.Context) (lostName string, err error) {
	names, err := db.store.Keyspaces(ctx)
	if err != nil {
		return "", err
	}
	if !slices.Contains(names, keyspaceName) {
		if lostName, err = db.nameless(ctx, names); err != nil {
			return "", err
		}
		if lostName == "" {
			return "", ErrNotGraph
		}
		if err := db.store.RenameKeyspace(ctx, lostName, keyspaceName); err != nil {
			return "", err
		}
	}
	db.ks, err = db.store.Keyspace(ctx, keyspaceName)
	return lostName, err
}

// nameless returns the first keyspace without its name that holds a node, and keys of the graph only.
func (db *DB) nameless(ctx context.Context, names []string) (string, error) {
	for _, name := range names {
		if !strings.HasPrefix(name, "recovered-") {
			continue
		}
		ks, err := db.store.Keyspace(ctx, name)
		if err != nil {
			return "", err
		}
		nodes := false
		err = db.store.View(ctx, func(kv *mvcc.Txn) error {
			for key, err := range kv.Keys(ks, mvcc.Range{}) {
				if err != nil {
					return err
				}
				if !isGraphKey(key) {
					nodes = false
					return nil
				}
				nodes = nodes || key[0] == keyNode
			}
			return nil
		})
		if err != nil || nodes {
			return name, err
		}
	}
	return "", nil
}

// mender walks all keys of the graph in one transaction.
type mender struct {
	tx     *Txn
	schema *schema
	report *MendReport

	lost   map[NodeID]*nodeRec   // nodes without a record, and what is known of them
	broken map[uint64]violation  // unique indexes that cannot be kept
	faults map[uint64]*ruleFault // constraints that cannot be kept
	last   lastIDs
	buf    []byte
}

// violation is a value of a unique index that two nodes have.
type violation struct {
	ix             *index
	value          Value
	node, existing NodeID
}

// lastIDs are the greatest ids in use.
type lastIDs struct {
	node, edge, index, rule uint64
	names                   map[byte]uint64 // by dictionary
}

func newMender(tx *Txn) *mender {
	return &mender{
		tx: tx, report: &MendReport{}, lost: map[NodeID]*nodeRec{}, broken: map[uint64]violation{}, faults: map[uint64]*ruleFault{},
		last: lastIDs{names: map[byte]uint64{}},
	}
}

func (m *mender) run() error {
	if _, err := m.tx.db.readFormat(m.tx.kv); err != nil && !errors.Is(err, mvcc.ErrNotFound) {
		return err // before anything of an unknown format is read
	}
	epoch, err := m.tx.db.readEpoch(m.tx.kv)
	if err != nil {
		return err
	}
	if m.schema, err = m.tx.db.scanSchema(m.tx.kv, epoch); err != nil {
		return err
	}
	if err := m.version(); err != nil {
		return err
	}
	for _, pass := range []struct {
		tag  byte
		mend func(mvcc.Item) error
	}{
		{keyOut, m.out}, {keyEdge, m.place}, {keyIn, m.in}, // first what is from what is not
		{keyExternal, m.external}, {keyLabel, m.label}, {keyIndex, m.index}, {keyUnique, m.index},
	} {
		if err := m.walk([]byte{pass.tag}, pass.mend); err != nil {
			return err
		}
	}
	if err := m.putLost(); err != nil {
		return err
	}
	if err := m.walk([]byte{keyNode}, m.node); err != nil {
		return err
	}
	if err := m.obey(); err != nil {
		return err
	}
	return m.catalog()
}

// walk calls mend with every item whose key begins with prefix. What is malformed is left to Check.
func (m *mender) walk(prefix []byte, mend func(mvcc.Item) error) error {
	for item, err := range m.tx.kv.Scan(m.tx.db.ks, mvcc.Prefix(prefix)) {
		if err == nil {
			err = mend(item)
		}
		if err != nil && !errors.Is(err, errMalformed) {
			return err
		}
	}
	return nil
}

func (m *mender) has(key []byte) (bool, error) { return m.tx.kv.Has(m.tx.db.ks, key) }

func (m *mender) put(key, value []byte) error { return m.tx.kv.Put(m.tx.db.ks, key, value) }

// remove deletes an entry that leads to what is not so.
func (m *mender) remove(key []byte) error {
	m.report.Removed++
	return m.tx.kv.Delete(m.tx.db.ks, key)
}

// add puts an entry unless it is there.
func (m *mender) add(key, value []byte) error {
	found, err := m.has(key)
	if err != nil || found {
		return err
	}
	m.report.Added++
	return m.put(key, value)
}

// named notes that a name's id is in use.
func (m *mender) named(dictionary byte, id uint64) error {
	if id > MaxNames {
		return errMalformed
	}
	m.last.names[dictionary] = max(m.last.names[dictionary], id)
	return nil
}

func (m *mender) propsNamed(ps propList) error {
	for _, p := range ps {
		if err := m.named(dictProperties, p.name); err != nil {
			return err
		}
	}
	return nil
}

// version verifies the format version, or puts it where it is lost.
func (m *mender) version() error {
	_, err := m.tx.db.readFormat(m.tx.kv)
	if errors.Is(err, mvcc.ErrNotFound) {
		m.report.Version = true
		return m.put(versionKey, appendUint(nil, m.schema.format()))
	}
	return err
}

// String describes the change in a few words, such as "3 nodes and 2 edges made anew, 7 entries added".
func (r *MendReport) String() string {
	if !r.Changed() {
		return "nothing to mend"
	}
	return fmt.Sprintf("%d nodes and %d edges made anew, %d entries added and %d removed, %d names made up, %d unique indexes and %d constraints dropped",
		len(r.Nodes), len(r.Edges), r.Added, r.Removed, len(r.Names), len(r.Dropped), len(r.Broken))
}
