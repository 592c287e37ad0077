package mvcc

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// What a transaction read must not have changed when it commits, and nothing else matters: each way to read is
// tried against each change. The keys are b, d and f; a read covers ranges exactly, and a change that touches a key in
// one of them is a conflict at Serializable, and only there and then.

type reading struct {
	name       string
	do         func(r reader)
	covers     []Range
	everyLevel bool // it is a requirement, not a read
}

// reader are the steps of which readings are made.
type reader struct {
	t  tb
	tx *Txn
	ks *Keyspace

	other *Keyspace // for writes that have nothing to do with it
}

func (r reader) get(key string) { get(r.t, r.tx, r.ks, key) }

func (r reader) has(key string) {
	_, err := r.tx.Has(r.ks, []byte(key))
	r.ok(err)
}

func (r reader) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatalf("read: %v", err)
	}
}

// scan reads stop keys of the range, 0: all.
func (r reader) scan(in Range, stop int) {
	for _, err := range r.tx.Scan(r.ks, in) {
		r.ok(err)
		if stop--; stop == 0 {
			return
		}
	}
}

func (r reader) back(in Range, stop int) {
	for _, err := range r.tx.Reverse(r.ks, in) {
		r.ok(err)
		if stop--; stop == 0 {
			return
		}
	}
}

// path moves a cursor over the range, which stays open, and fails unless it stands on these keys one after the other;
// "" is nowhere.
func (r reader) path(in Range, want []string, moves ...func(*Cursor) bool) {
	r.t.Helper()
	c, err := r.tx.Cursor(r.ks, in)
	r.ok(err)
	for i, move := range moves {
		move(c)
		r.ok(c.Err())
		if string(c.Key()) != want[i] {
			r.t.Fatalf("move %d goes to %q, want %q", i, c.Key(), want[i])
		}
	}
}

func seek(key string) func(*Cursor) bool {
	return func(c *Cursor) bool { return c.Seek([]byte(key)) }
}

func seekBefore(key string) func(*Cursor) bool {
	return func(c *Cursor) bool { return c.SeekBefore([]byte(key)) }
}

// bounds is [lo, hi), without a bound where one is empty.
func bounds(lo, hi string) (r Range) {
	if lo != "" {
		r.Lo = []byte(lo)
	}
	if hi != "" {
		r.Hi = []byte(hi)
	}
	return r
}

// upTo is the end of a range that includes the key.
func upTo(key string) string { return key + "\x00" }

func covers(list ...Range) []Range { return list }

func only(key string) Range { return bounds(key, upTo(key)) }

var readings = []reading{
	{"nothing", func(r reader) {}, nil, false},
	{"a key", func(r reader) { r.get("d") }, covers(only("d")), false},
	{"an absent key", func(r reader) { r.get("c") }, covers(only("c")), false},
	{"whether a key exists", func(r reader) { r.has("d") }, covers(only("d")), false},
	{"whether an absent key exists", func(r reader) { r.has("c") }, covers(only("c")), false},
	{"two keys, one twice", func(r reader) { r.get("b"); r.get("f"); r.get("b") }, covers(only("b"), only("f")), false},

	{"everything", func(r reader) { r.scan(Range{}, 0) }, covers(Range{}), false},
	{"everything, downwards", func(r reader) { r.back(Range{}, 0) }, covers(Range{}), false},
	{"keys only", func(r reader) {
		for _, err := range r.tx.Keys(r.ks, bounds("b", "d")) {
			r.ok(err)
		}
	}, covers(bounds("b", "d")), false},
	{"a range between keys of the data", func(r reader) { r.scan(bounds("b", "f"), 0) }, covers(bounds("b", "f")), false},
	{"a range between other keys", func(r reader) { r.scan(bounds("c", "e"), 0) }, covers(bounds("c", "e")), false},
	{"a range, downwards", func(r reader) { r.back(bounds("b", "f"), 0) }, covers(bounds("b", "f")), false},
	{"a prefix", func(r reader) { r.scan(Prefix([]byte("d")), 0) }, covers(bounds("d", "e")), false},
	{"a range without keys", func(r reader) { r.scan(bounds("b\x01", "d"), 0) }, covers(bounds("b\x01", "d")), false},
	{"a range without keys, downwards", func(r reader) { r.back(bounds("g", ""), 0) }, covers(bounds("g", "")), false},
	{"a range that is none", func(r reader) { r.scan(bounds("d", "d"), 0) }, nil, false},

	{"the first", func(r reader) { r.scan(Range{}, 1) }, covers(bounds("", upTo("b"))), false},
	{"the first two", func(r reader) { r.scan(Range{}, 2) }, covers(bounds("", upTo("d"))), false},
	{"the first of a range", func(r reader) { r.scan(bounds("c", ""), 1) }, covers(bounds("c", upTo("d"))), false},
	{"the last", func(r reader) { r.back(Range{}, 1) }, covers(bounds("f", "")), false},
	{"the last two", func(r reader) { r.back(Range{}, 2) }, covers(bounds("d", "")), false},
	{"the last of a range", func(r reader) { r.back(bounds("", "e"), 1) }, covers(bounds("d", "e")), false},

	{"a cursor that was not moved", func(r reader) { r.path(Range{}, nil) }, nil, false},
	{"a seek", func(r reader) { r.path(Range{}, []string{"d"}, seek("c")) }, covers(bounds("c", upTo("d"))), false},
	{"a seek to a key", func(r reader) { r.path(Range{}, []string{"d"}, seek("d")) }, covers(only("d")), false},
	{"a seek below the range", func(r reader) { r.path(bounds("c", ""), []string{"d"}, seek("a")) }, covers(bounds("c", upTo("d"))), false},
	{"a seek to the end", func(r reader) { r.path(Range{}, []string{""}, seek("g")) }, covers(bounds("g", "")), false},
	{"a seek before", func(r reader) { r.path(Range{}, []string{"b"}, seekBefore("d")) }, covers(bounds("b", "d")), false},
	{"a seek before the first", func(r reader) { r.path(Range{}, []string{""}, seekBefore("b")) }, covers(bounds("", "b")), false},
	{"two seeks", func(r reader) { r.path(Range{}, []string{"b", "f"}, seek("b"), seek("f")) }, covers(only("b"), only("f")), false},
	{"a step forward", func(r reader) { r.path(Range{}, []string{"b", "d"}, seek("b"), (*Cursor).Next) }, covers(bounds("b", upTo("d"))), false},
	{"turning back", func(r reader) {
		r.path(Range{}, []string{"d", "b"}, seek("d"), (*Cursor).Prev)
	}, covers(bounds("b", upTo("d"))), false},
	{"turning back and forth", func(r reader) {
		r.path(Range{}, []string{"d", "f", "d", "b", "d"}, seek("d"), (*Cursor).Next, (*Cursor).Prev, (*Cursor).Prev, (*Cursor).Next)
	}, covers(bounds("b", upTo("f"))), false},
	{"turning back at the end", func(r reader) {
		r.path(Range{}, []string{"d", "f", ""}, seekBefore("e"), (*Cursor).Next, (*Cursor).Next)
	}, covers(bounds("d", "")), false},
	{"stepping over the first", func(r reader) {
		r.path(Range{}, []string{"b", ""}, seek("b"), (*Cursor).Prev)
	}, covers(bounds("", upTo("b"))), false},

	{"a range required unchanged", func(r reader) {
		r.ok(r.tx.RequireUnchanged(r.ks, bounds("b\x01", "d")))
	}, covers(bounds("b\x01", "d")), true},
	{"an empty range required unchanged", func(r reader) {
		r.ok(r.tx.RequireUnchanged(r.ks, bounds("d", "d")))
	}, nil, true},
}

type change struct {
	name    string
	do      func(tx *Txn, ks *Keyspace) error
	touches string // "": nothing
}

// changes are made each by one committed transaction of another.
func changes() (list []change) {
	for _, key := range []string{"a", "b", "b\x00", "b\x01", "c", "c\xff", "d", "d\x00", "e", "f", "f\x00", "g", "z"} {
		list = append(list, change{fmt.Sprintf("put %q", key), func(tx *Txn, ks *Keyspace) error {
			return tx.Put(ks, []byte(key), []byte("1"))
		}, key})
	}
	for _, key := range []string{"b", "c", "d", "f"} {
		list = append(list, change{"delete " + key, func(tx *Txn, ks *Keyspace) error { return tx.Delete(ks, []byte(key)) }, key})
	}
	return append(list,
		change{"put the same value", func(tx *Txn, ks *Keyspace) error { return tx.Put(ks, []byte("d"), []byte("0")) }, "d"},
		change{"put and delete", func(tx *Txn, ks *Keyspace) error {
			return errors.Join(tx.Put(ks, []byte("c"), nil), tx.Delete(ks, []byte("c")))
		}, "c"},
		change{"add", func(tx *Txn, ks *Keyspace) error { return tx.Add(ks, []byte("c"), 1) }, "c"},
		change{"lock", func(tx *Txn, ks *Keyspace) error {
			_, err := tx.GetForUpdate(ks, []byte("d"))
			return err
		}, ""},
		change{"roll back to a savepoint", func(tx *Txn, ks *Keyspace) error {
			sp, err := tx.Savepoint()
			return errors.Join(err, tx.Put(ks, []byte("d"), []byte("1")), tx.RollbackTo(sp))
		}, ""},
	)
}

const noSavepoint = "no savepoint"

// around says where savepoints are when something is read.
var around = map[string]func(r reader, read func(reader)){
	noSavepoint: func(r reader, read func(reader)) { read(r) },
	"read before a savepoint that is rolled back to": func(r reader, read func(reader)) {
		read(r)
		sp, err := r.tx.Savepoint()
		r.ok(errors.Join(err, r.tx.Put(r.other, []byte(r.ks.Name()), nil), r.tx.RollbackTo(sp)))
	},
	"read after a savepoint that is rolled back to": func(r reader, read func(reader)) {
		sp, err := r.tx.Savepoint()
		r.ok(errors.Join(err, r.tx.Put(r.other, []byte(r.ks.Name()), nil)))
		read(r)
		r.ok(r.tx.RollbackTo(sp))
	},
}

// generations are the numbers of checkpoints that come after the keys were made, and again after the change: none
// leaves both in memory.
func generations() []int {
	if testing.Short() {
		return []int{0, 1}
	}
	return []int{0, 1, 2}
}

func checkpoints(t *testing.T, db *DB, n int) {
	t.Helper()
	for range n {
		checkpoint(t, db)
	}
}

func TestSerializableValidatesAtRangeBorders(t *testing.T) {
	for where, wrap := range around {
		for _, n := range generations() {
			t.Run(fmt.Sprintf("%s/%d checkpoints", where, n), func(t *testing.T) {
				db := openTest(t)
				for _, read := range readings {
					for _, iso := range levels {
						if iso != Serializable && where != noSavepoint && !read.everyLevel {
							continue // nothing is remembered that a savepoint could undo
						}
						readAgainstChanges(t, db, read, iso, wrap, n)
					}
				}
			})
		}
	}
}

// readAgainstChanges makes a transaction for each change, reads in all, makes the changes, and commits.
func readAgainstChanges(t *testing.T, db *DB, read reading, iso Isolation, wrap func(reader, func(reader)), generation int) {
	t.Helper()
	own := keyspace(t, db, "own")
	list := changes()
	txns, spaces := make([]*Txn, len(list)), make([]*Keyspace, len(list))
	for i := range list {
		spaces[i] = keyspace(t, db, fmt.Sprint(read.name, iso, i))
		must(t, db.Update(bg, func(tx *Txn) error {
			return errors.Join(tx.Put(spaces[i], []byte("b"), []byte("0")), tx.Put(spaces[i], []byte("d"), []byte("0")), tx.Put(spaces[i], []byte("f"), []byte("0")))
		}))
	}
	checkpoints(t, db, generation)
	for i, ch := range list {
		txns[i] = begin(t, db, iso)
		wrap(reader{t, txns[i], spaces[i], own}, read.do)
		put(t, txns[i], own, spaces[i].Name(), "1")
		must(t, db.Update(bg, func(tx *Txn) error { return ch.do(tx, spaces[i]) }))
	}
	checkpoints(t, db, generation)
	for i, ch := range list {
		inside := func(r Range) bool { return ch.touches != "" && r.contains([]byte(ch.touches)) }
		want := (iso == Serializable || read.everyLevel) && slices.ContainsFunc(read.covers, inside)
		err := txns[i].Commit()
		var conflict *ConflictError
		switch {
		case !want && err != nil:
			t.Errorf("%v, read %s, then %s: %v", iso, read.name, ch.name, err)
		case want && (!errors.As(err, &conflict) || string(conflict.Key) != ch.touches):
			t.Errorf("%v, read %s, then %s: %v, want a conflict on %q", iso, read.name, ch.name, err, ch.touches)
		}
	}
}

// contains reports whether the key is in the range.
func (r Range) contains(key []byte) bool { return span{r.Lo, r.Hi}.contains(key) }

// claims are the ways to find that somebody else was first.
var claims = map[string]func(tx *Txn, ks *Keyspace, key []byte) error{
	"put":    func(tx *Txn, ks *Keyspace, key []byte) error { return tx.Put(ks, key, []byte("0")) },
	"delete": func(tx *Txn, ks *Keyspace, key []byte) error { return tx.Delete(ks, key) },
	"lock": func(tx *Txn, ks *Keyspace, key []byte) error {
		_, err := tx.GetForUpdate(ks, key)
		return err
	},
	"share": func(tx *Txn, ks *Keyspace, key []byte) error {
		_, err := tx.GetForShare(ks, key)
		return err
	},
}

// First updater wins, in memory and in the trees, whatever the first one did to the key: at Snapshot and
// Serializable a transaction that has read the key cannot write or lock it after that.
func TestTheFirstUpdaterWinsAlsoBehindACheckpoint(t *testing.T) {
	for name, claim := range claims {
		for _, n := range generations() {
			t.Run(fmt.Sprintf("%s/%d checkpoints", name, n), func(t *testing.T) {
				db := openTest(t)
				for _, iso := range levels {
					for i, ch := range changes() {
						claimAfterChange(t, db, keyspace(t, db, fmt.Sprint(iso, i)), iso, ch, claim, n)
					}
				}
			})
		}
	}
}

func claimAfterChange(t *testing.T, db *DB, ks *Keyspace, iso Isolation, ch change, claim func(*Txn, *Keyspace, []byte) error, generation int) {
	t.Helper()
	for _, key := range []string{"b", "d", "f"} {
		set(t, db, ks, key, "0")
	}
	checkpoints(t, db, generation)
	tx := begin(t, db, iso)
	defer tx.Rollback()
	key := ch.touches
	if key == "" {
		key = "d"
	}
	get(t, tx, ks, key)
	must(t, db.Update(bg, func(other *Txn) error { return ch.do(other, ks) }))
	checkpoints(t, db, generation)
	err := claim(tx, ks, []byte(key))
	if errors.Is(err, ErrNotFound) { // locked all the same
		err = nil
	}
	if want := iso != ReadCommitted && ch.touches != ""; errors.Is(err, ErrConflict) != want || err != nil && !want {
		t.Errorf("%v, %s, then %q is claimed: %v, want a conflict: %v", iso, ch.name, key, err, want)
	}
}
