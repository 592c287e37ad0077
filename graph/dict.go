package graph

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/sombradb/sombra/mvcc"
)

// MaxNameSize is the longest name of a label, edge type or property, in bytes.
const MaxNameSize = 1024

// MaxNames is how many labels, edge types or property names there can be, of each.
const MaxNames = 1 << 24

// Dictionaries of the catalog.
const (
	dictLabels     = 'l'
	dictTypes      = 't'
	dictProperties = 'p'
)

// dict maps names to ids and back. Names get ids 1, 2, ... in small transactions of their own and keep
// them for ever (G6). Whoever uses an id has first brought it into memory; so
// whatever a transaction reads uses only names that are in memory.
//
// Lookups take no lock: names and ids are read through atomic pointers. A
// name's slot is filled once; ids is an immutable map, which takes in the recent ones when those have become many.
type dict struct {
	db    *DB
	kind  byte
	what  string                                  // for messages
	names atomic.Pointer[[]atomic.Pointer[named]] // slot i is for id i+1
	ids   atomic.Pointer[map[string]uint64]
	mu    struct {
		sync.Mutex // also held to fill slots
		recent     map[string]uint64
		free       []idSpan // the ids without a name, ascending (nameset.go)
	}
}

// named is a name in use, and the set of its id alone.
type named struct {
	text string
	only [1]idSpan
}

func newDict(db *DB, kind byte, what string) *dict {
	d := &dict{db: db, kind: kind, what: what}
	d.names.Store(new([]atomic.Pointer[named]))
	d.ids.Store(&map[string]uint64{})
	d.mu.recent = map[string]uint64{}
	d.mu.free = allIDs()
	return d
}

// lookup returns the id of a name that is in use.
func (d *dict) lookup(name string) (uint64, bool) {
	if id, ok := (*d.ids.Load())[name]; ok {
		return id, true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lookupLocked(name)
}

// lookupLocked is lookup with all names there are. REQUIRES: d.mu.
func (d *dict) lookupLocked(name string) (uint64, bool) {
	if id, ok := d.mu.recent[name]; ok {
		return id, true
	}
	id, ok := (*d.ids.Load())[name] // it may just have moved there
	return id, ok
}

// name returns the name with the id.
func (d *dict) name(id uint64) (string, bool) {
	if n := d.named(id); n != nil {
		return n.text, true
	}
	return "", false
}

// named returns what is known of an id, nil if it has no name.
func (d *dict) named(id uint64) *named {
	names := *d.names.Load()
	if id == 0 || id > uint64(len(names)) {
		return nil
	}
	return names[id-1].Load()
}

// describe is name for messages.
func (d *dict) describe(id uint64) string {
	if name, ok := d.name(id); ok {
		return name
	}
	return d.what + "#" + strconv.FormatUint(id, 10)
}

// all returns all names, sorted.
func (d *dict) all() []string {
	var all []string
	names := *d.names.Load()
	for i := range names {
		if name := names[i].Load(); name != nil {
			all = append(all, name.text)
		}
	}
	slices.Sort(all)
	return all
}

// intern returns the id of a name and gives it one if it has none.
func (d *dict) intern(ctx context.Context, name string) (uint64, error) {
	if id, ok := d.lookup(name); ok {
		return id, nil
	}
	if err := d.validate(name); err != nil {
		return 0, err
	}
	var id uint64
	err := d.db.small(ctx, "graph: name "+d.what, func(kv *mvcc.Txn) (err error) {
		id, err = d.claim(kv, name)
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := d.checkID(id); err != nil {
		return 0, err
	}
	d.add(name, id)
	return id, nil
}

func (d *dict) checkID(id uint64) error {
	if id > MaxNames {
		return invalid("there are more than %d names of the kind %s", MaxNames, d.what)
	}
	return nil
}

func (d *dict) validate(name string) error {
	switch {
	case name == "":
		return invalid("the name of a %s is empty", d.what)
	case len(name) > MaxNameSize:
		return invalid("the name of a %s has %d bytes, the limit is %d", d.what, len(name), MaxNameSize)
	case !utf8.ValidString(name):
		return invalid("the name %q of a %s is not valid UTF-8", name, d.what)
	}
	return nil
}

// claim returns the name's id, writing the next one if it has none.
func (d *dict) claim(kv *mvcc.Txn, name string) (uint64, error) {
	counter := counterKey(string(d.kind))
	// The counter comes first: all claims queue on one lock and cannot deadlock.
	if _, err := kv.GetForUpdate(d.db.ks, counter); err != nil && !errors.Is(err, mvcc.ErrNotFound) {
		return 0, err
	}
	key := appendNameKey(nil, d.kind, name)
	value, err := kv.GetForUpdate(d.db.ks, key)
	if err == nil {
		return d.db.uintValue(key, value)
	}
	if !errors.Is(err, mvcc.ErrNotFound) {
		return 0, err
	}
	id, err := d.db.advance(kv, counter, 1)
	if err != nil {
		return 0, err
	}
	return id, kv.Put(d.db.ks, key, appendUint(nil, id))
}

// load brings all committed names into memory and verifies G6. It returns their number.
func (d *dict) load(kv *mvcc.Txn) (int, error) {
	prefix := appendNameKey(nil, d.kind, "")
	ids := map[string]uint64{}
	for item, err := range kv.Scan(d.db.ks, mvcc.Prefix(prefix)) {
		if err != nil {
			return 0, err
		}
		id, err := d.db.uintValue(item.Key, item.Value)
		if err != nil {
			return 0, err
		}
		ids[string(item.Key[len(prefix):])] = id
	}
	used, names := make([]bool, len(ids)), make([]string, len(ids))
	for name, id := range ids {
		if id == 0 || id > uint64(len(used)) || used[id-1] {
			return 0, d.db.corrupt(appendNameKey(nil, d.kind, name), "its id is taken or out of range")
		}
		used[id-1], names[id-1] = true, name
	}
	for i, name := range names { // in the order of ids, so that the free ones stay one span
		d.add(name, uint64(i+1))
	}
	return len(ids), nil
}

// add brings a name into memory.
func (d *dict) add(name string, id uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := *d.names.Load()
	if id > uint64(len(names)) {
		grown := make([]atomic.Pointer[named], max(id, uint64(2*len(names)), 16))
		for i := range names {
			grown[i].Store(names[i].Load())
		}
		names = grown
		d.names.Store(&grown)
	}
	if names[id-1].Load() != nil {
		return
	}
	names[id-1].Store(&named{name, [1]idSpan{{lo: id, hi: id}}})
	d.mu.recent[name] = id
	d.mu.free = without(d.mu.free, id)
	if old := *d.ids.Load(); len(d.mu.recent) > len(old)/4 {
		merged := maps.Clone(old)
		maps.Copy(merged, d.mu.recent)
		d.ids.Store(&merged)
		clear(d.mu.recent)
	}
}
