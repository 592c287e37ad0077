package graph

import (
	"context"
	"errors"
	"strings"

	"github.com/sombradb/sombra/mvcc"
)

// A load makes a graph with its whole content, without locks, log and version store. It makes the entries that
// transactions would make, and mvcc.DB.Load sorts them straight into pages.
//
//	open     the store, which must have no keyspace "graph"
//	collect  fn adds elements; entries go to the sort, and what must be unique to claims, too
//	finish   the catalog: names, counters, indexes, format version
//	merge    mvcc.DB.Load writes and syncs the pages, and names the keyspace
//	start    as Open does
//
// Nobody sees the graph before that name is durable; so a load that fails or is killed leaves no graph.

// Load makes the graph of the database at path from what fn adds to the Loader, and returns the open database. The
// database is created when it is missing; if it is there it must not have a graph, else the error is ErrNotEmpty. Other
// keyspaces in it are left alone.
//
// The graph is there as a whole, and durable, when Load returns without error, and not at all if fn or Load fails or
// the process dies: then a database without a graph is left, into which Load can be run again. fn runs once. Memory is
// bounded by the budget (Loader has what that means for ids), temporary files need about as much disk as the graph.
//
// Errors: ErrNotEmpty, the error of fn, those of Open, of ctx and of the store. If the loader has failed, fn's
// error does not matter: the load fails.
func Load(ctx context.Context, path string, opts *Options, fn func(*Loader) error) (*DB, error) {
	db, err := openStore(path, opts)
	if err != nil {
		return nil, err
	}
	if err = db.load(ctx, fn); err == nil {
		err = db.start(ctx, false)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (db *DB) load(ctx context.Context, fn func(*Loader) error) error {
	_, err := db.store.Load(ctx, keyspaceName, func(kv *mvcc.Loader) error {
		l := newLoader(ctx, db, kv)
		defer l.end()
		if err := fn(l); err != nil {
			return err
		}
		return l.finish()
	})
	var exists *mvcc.KeyspaceExistsError
	if errors.As(err, &exists) && exists.Name == keyspaceName {
		return &NotEmptyError{Path: db.Path()}
	}
	return db.explain(err)
}

// Loader takes the elements of a graph that is being loaded. Its methods are those of Txn with the same names, and what
// they refuse they refuse alike, at once and without effect; so a loader can go on after ErrConstraint, ErrRefused,
// ErrInvalid or ErrNodeNotFound. It is not safe for concurrent use.
//
// Ids ascend from 1, without gaps. Values of unique indexes and external ids must be found again while the load goes
// on: a sixth of the memory budget is for them (64 bytes and the key for each), what is more goes to temporary files and
// takes longer to find. External ids of nodes, which edges need, are best loaded first. Constraints on ends of edges take a bit for
// each node and each label that they need.
type Loader struct {
	db  *DB
	ctx context.Context
	kv  *mvcc.Loader

	labels, types, properties loadNames
	nodes, edges              uint64 // newest ids
	schema                    *schema
	claims                    claims
	// labelled has the nodes with the labels that ends of edges need.
	labelled map[uint64]*idSet

	key, rec []byte
	failed   error // of the store, or the end; nothing goes on after it
}

func newLoader(ctx context.Context, db *DB, kv *mvcc.Loader) *Loader {
	return &Loader{
		db: db, ctx: ctx, kv: kv, schema: newSchema(0), claims: newClaims(ctx, db.store), labelled: map[uint64]*idSet{},
		labels: loadNames{dict: db.labels}, types: loadNames{dict: db.types}, properties: loadNames{dict: db.properties},
	}
}

// end makes the loader unusable and gives up what it keeps.
func (l *Loader) end() {
	l.claims.release()
	l.failed = mvcc.ErrTxnDone
}

// ready returns why the load cannot go on.
func (l *Loader) ready() error {
	if l.failed == nil && l.ctx.Err() != nil {
		l.failed = context.Cause(l.ctx)
	}
	return l.failed
}

// put adds the entry l.key. Only what is too large leaves the load as it was.
func (l *Loader) put(value []byte) error {
	err := l.kv.Put(l.key, value)
	if err != nil && !errors.Is(err, mvcc.ErrInvalid) {
		l.failed = err
	}
	return err
}

// claim puts the entry l.key, which leads to an element, and remembers it.
func (l *Loader) claim(element uint64) error {
	l.rec = appendUint(l.rec[:0], element)
	if err := l.put(l.rec); err != nil {
		return err
	}
	l.failed = l.claims.put(l.key, element)
	return l.failed
}

// claimed returns the element of the entry l.key, 0 when there is none.
func (l *Loader) claimed() (uint64, error) {
	element, err := l.claims.get(l.key)
	l.failed = err
	return element, err
}

// CreateIndex makes an index on a property of the nodes with a label, which have to come after it. Errors:
// ErrIndexExists, ErrInvalid, also when there are nodes already.
func (l *Loader) CreateIndex(label, property string, unique bool) error {
	return l.CreateCompositeIndex(label, []string{property}, unique)
}

// CreateCompositeIndex is CreateIndex for an index on several properties together.
func (l *Loader) CreateCompositeIndex(label string, properties []string, unique bool) error {
	if err := l.ready(); err != nil {
		return err
	}
	if l.nodes > 0 {
		return invalid("the index on :%s(%s) comes after nodes; make the indexes of a load before its nodes", label, strings.Join(properties, ", "))
	}
	ix := &index{id: uint64(len(l.schema.byID)) + 1, unique: unique, state: IndexReady}
	if err := ix.name(label, properties, l.db, l.intern); err != nil {
		return err
	}
	if other := l.schema.find(ix.label, ix.properties...); other != nil {
		return l.db.indexError(other, true)
	}
	l.schema.add(ix)
	return nil
}

// CreateConstraint puts a constraint in force for the elements, which have to come after it. Errors: ErrConstraintExists,
// ErrInvalid, also when there are nodes already.
func (l *Loader) CreateConstraint(c Constraint) error {
	if err := l.ready(); err != nil {
		return err
	}
	if err := c.validate(); err != nil {
		return err
	}
	if l.nodes > 0 {
		return invalid("the constraint that %v comes after nodes; make the constraints of a load before its nodes", c)
	}
	r, err := c.rule(l.intern, l.db)
	if err != nil {
		return err
	}
	if other := l.schema.ruleOn[r.key()]; other != nil {
		return &ConstraintDefinitionError{Constraint: l.db.publicRule(other), Exists: true}
	}
	r.id, r.state = uint64(len(l.schema.rules))+1, ConstraintReady
	l.schema.addRule(r)
	for _, label := range r.ends {
		if label != 0 && l.labelled[label] == nil {
			l.labelled[label] = new(idSet)
		}
	}
	return nil
}

// intern returns the id of a name in one of the dictionaries.
func (l *Loader) intern(d *dict, name string) (uint64, error) {
	for _, n := range []*loadNames{&l.labels, &l.types} {
		if n.dict == d {
			return n.intern(name)
		}
	}
	return l.properties.intern(name)
}

// Nodes returns how many nodes were loaded: ids up to it are in use.
func (l *Loader) Nodes() NodeID { return NodeID(l.nodes) }

// Edges returns how many edges were loaded: ids up to it are in use.
func (l *Loader) Edges() EdgeID { return EdgeID(l.edges) }
