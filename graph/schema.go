package graph

import (
	"errors"
	"slices"
	"strconv"

	"github.com/sombradb/sombra/mvcc"
)

// IndexState is the stage of an index's life:
//
//	(none) --define--> building --publish--> ready --retire--> dropping --forget--> (none)
//	                       \------------- retire ----------------^
//
//	building  writers maintain it; it may lack entries; nobody reads it
//	ready     it has exactly the entries of G5
//	dropping  nobody maintains or reads it
type IndexState uint8

// States of indexes.
const (
	IndexBuilding IndexState = iota + 1
	IndexReady
	IndexDropping
)

// String returns the state in words.
func (s IndexState) String() string {
	switch s {
	case IndexBuilding:
		return "being built"
	case IndexReady:
		return "ready"
	case IndexDropping:
		return "being dropped"
	}
	return "state(" + strconv.Itoa(int(s)) + ")"
}

// MaxIndexProperties is how many properties an index can be on.
const MaxIndexProperties = 8

// Index describes an index on one or more properties of the nodes with a label.
type Index struct {
	Label      string
	Properties []string
	Unique     bool
	State      IndexState
}

// index is a definition. Immutable.
type index struct {
	id         uint64
	unique     bool
	state      IndexState
	label      uint64
	properties []uint64
}

// appendIndexDef appends a definition: unique, state, label, number of properties, properties.
func appendIndexDef(dst []byte, ix *index) []byte {
	unique := uint64(0)
	if ix.unique {
		unique = 1
	}
	for _, u := range append([]uint64{unique, uint64(ix.state), ix.label, uint64(len(ix.properties))}, ix.properties...) {
		dst = appendUint(dst, u)
	}
	return dst
}

func parseIndexDef(id uint64, b []byte) (*index, error) {
	head, rest, err := cutHead(b)
	if err != nil {
		return nil, err
	}
	if head[0] > 1 || head[1] < uint64(IndexBuilding) || head[1] > uint64(IndexDropping) || head[3] == 0 || head[3] > MaxIndexProperties {
		return nil, errMalformed
	}
	ix := &index{id: id, unique: head[0] == 1, state: IndexState(head[1]), label: head[2], properties: make([]uint64, head[3])}
	for i := range ix.properties {
		if ix.properties[i], rest, err = cutUint(rest); err != nil {
			return nil, err
		}
	}
	if len(rest) != 0 {
		return nil, errMalformed
	}
	return ix, nil
}

func cutHead(b []byte) (head [4]uint64, rest []byte, err error) {
	for i := range head {
		if head[i], b, err = cutUint(b); err != nil {
			return head, nil, err
		}
	}
	return head, b, nil
}

// valueIn returns the value under which a node stands in the index, null when
// it does not. A nil record is no node. In an index on several properties that is the list of their values, if all are there.
func (ix *index) valueIn(n *nodeRec) Value {
	if !n.hasLabel(ix.label) {
		return Value{}
	}
	if len(ix.properties) == 1 {
		return n.props.get(ix.properties[0])
	}
	values := make([]Value, len(ix.properties))
	for i, p := range ix.properties {
		if values[i] = n.props.get(p); values[i].IsNull() {
			return Value{}
		}
	}
	return List(values...)
}

// fill gives a node the label, and the properties that it does not have, of an entry with the value; false if it has others.
func (ix *index) fill(n *nodeRec, v Value) bool {
	values := []Value{v}
	if len(ix.properties) > 1 {
		values, _ = v.AsList()
	}
	if len(values) != len(ix.properties) {
		return false
	}
	for i, p := range ix.properties {
		if known := n.props.get(p); !known.IsNull() && !known.Equal(values[i]) {
			return false
		}
	}
	n.addLabel(ix.label)
	for i, p := range ix.properties {
		if n.props.get(p).IsNull() {
			n.props.set(p, values[i])
		}
	}
	return true
}

// schema is the catalog's indexes and constraints at one epoch. Immutable.
type schema struct {
	epoch uint64
	byID  map[uint64]*index
	on    map[[2]uint64]*index // those on one property, by label and property
	wide  []*index             // those on several
	// maintained has the indexes that writers keep up, by label.
	maintained map[uint64][]*index

	rules  map[uint64]*rule
	ruleOn map[ruleKey]*rule
	// What writers obey, which is every rule:
	onNodes  map[uint64][]*rule // about properties of nodes, by label
	onEdges  map[uint64][]*rule // about properties of edges, by type
	ends     map[uint64]*rule   // about ends of edges, by type
	endsWith map[uint64][]*rule // the same, by the labels that they need
}

func newSchema(epoch uint64) *schema {
	return &schema{
		epoch: epoch, byID: map[uint64]*index{}, on: map[[2]uint64]*index{}, maintained: map[uint64][]*index{},
		rules: map[uint64]*rule{}, ruleOn: map[ruleKey]*rule{}, onNodes: map[uint64][]*rule{}, onEdges: map[uint64][]*rule{},
		ends: map[uint64]*rule{}, endsWith: map[uint64][]*rule{},
	}
}

// addRule takes a constraint in. REQUIRES: the schema is not in use yet.
func (s *schema) addRule(r *rule) {
	s.rules[r.id] = r
	s.ruleOn[r.key()] = r
	switch {
	case r.kind == EndpointLabels:
		s.ends[r.on] = r
		for side, label := range r.ends {
			if label != 0 && (side == 0 || label != r.ends[0]) {
				s.endsWith[label] = append(s.endsWith[label], r)
			}
		}
	case r.edges:
		s.onEdges[r.on] = append(s.onEdges[r.on], r)
	default:
		s.onNodes[r.on] = append(s.onNodes[r.on], r)
	}
}

// add takes an index in. REQUIRES: the schema is not in use yet.
func (s *schema) add(ix *index) {
	s.byID[ix.id] = ix
	if len(ix.properties) == 1 {
		s.on[[2]uint64{ix.label, ix.properties[0]}] = ix
	} else {
		s.wide = append(s.wide, ix)
	}
	if ix.state != IndexDropping {
		s.maintained[ix.label] = append(s.maintained[ix.label], ix)
	}
}

// find returns the index on a label's properties, in that order, nil when there is none.
func (s *schema) find(label uint64, properties ...uint64) *index {
	if len(properties) == 1 {
		return s.on[[2]uint64{label, properties[0]}]
	}
	for _, ix := range s.wide {
		if ix.label == label && slices.Equal(ix.properties, properties) {
			return ix
		}
	}
	return nil
}

// format returns the first format that can say the schema.
func (s *schema) format() uint64 {
	if len(s.rules)+len(s.wide) > 0 {
		return formatSchema
	}
	return formatPlain
}

// readEpoch returns the schema epoch that kv sees; it is 0 before the first change.
func (db *DB) readEpoch(kv *mvcc.Txn) (uint64, error) {
	var buf [9]byte
	value, err := kv.Append(db.ks, buf[:0], epochKey)
	if errors.Is(err, mvcc.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return db.uintValue(epochKey, value)
}

// loadSchema returns the schema that kv sees, from memory if it is there.
// Where every read is of another moment the epoch must be the same after reading.
func (db *DB) loadSchema(kv *mvcc.Txn) (*schema, error) {
	epoch, err := db.readEpoch(kv)
	for err == nil {
		if s := db.schema.Load(); s != nil && s.epoch == epoch {
			return s, nil
		}
		var s *schema
		var again uint64
		if s, err = db.scanSchema(kv, epoch); err != nil {
			return nil, err
		}
		if again, err = db.readEpoch(kv); err == nil && again == epoch {
			db.cacheSchema(s)
			return s, nil
		}
		epoch = again
	}
	return nil, err
}

func (db *DB) scanSchema(kv *mvcc.Txn, epoch uint64) (*schema, error) {
	s := newSchema(epoch)
	err := db.scanDefinitions(kv, []byte{keyCatalog, catIndex}, func(id uint64, value []byte) error {
		ix, err := parseIndexDef(id, value)
		if err == nil {
			s.add(ix)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, db.scanDefinitions(kv, []byte{keyRule}, func(id uint64, value []byte) error {
		r, err := parseRule(id, value)
		if err == nil {
			s.addRule(r)
		}
		return err
	})
}

// scanDefinitions calls add with what stands under the prefix, by id.
func (db *DB) scanDefinitions(kv *mvcc.Txn, prefix []byte, add func(id uint64, value []byte) error) error {
	for item, err := range kv.Scan(db.ks, mvcc.Prefix(prefix)) {
		if err != nil {
			return err
		}
		id, err := cutUints(item.Key[len(prefix):], 1)
		if err != nil {
			return db.corrupt(item.Key, "its key is malformed")
		}
		if err := add(id[0], item.Value); err != nil {
			return db.corrupt(item.Key, "its value is malformed")
		}
	}
	return nil
}

// cacheSchema keeps s unless a newer one is in memory.
func (db *DB) cacheSchema(s *schema) {
	for {
		old := db.schema.Load()
		if old != nil && old.epoch >= s.epoch || db.schema.CompareAndSwap(old, s) {
			return
		}
	}
}

// readSchema returns the schema at the transaction's snapshot.
func (tx *Txn) readSchema() (*schema, error) {
	if tx.schema != nil && (tx.guarded || tx.kv.Isolation() != mvcc.ReadCommitted) {
		return tx.schema, nil
	}
	s, err := tx.db.loadSchema(tx.kv)
	if err == nil {
		tx.schema = s
	}
	return s, err
}

// writeSchema is readSchema for writers: the commit fails when the schema has
// changed by then. The requirement comes before the reading, for levels without a snapshot.
func (tx *Txn) writeSchema() (*schema, error) {
	if tx.guarded {
		return tx.schema, nil
	}
	if err := tx.kv.RequireUnchanged(tx.db.ks, epochRange); err != nil {
		return nil, err
	}
	s, err := tx.db.loadSchema(tx.kv)
	if err != nil {
		return nil, err
	}
	tx.schema, tx.guarded = s, true
	return s, nil
}

// Indexes returns all indexes, sorted by label and properties.
func (tx *Txn) Indexes() ([]Index, error) {
	s, err := tx.readSchema()
	if err != nil {
		return nil, err
	}
	return tx.db.publicIndexes(s), nil
}
