package mvcc

import "testing"

// pruning makes a database where base has x=base and memory x=old.
func pruning(t *testing.T) (*DB, *Keyspace) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	set(t, db, ks, "a", "1")
	set(t, db, ks, "x", "base")
	checkpoint(t, db)
	set(t, db, ks, "a", "2")
	set(t, db, ks, "x", "old")
	return db, ks
}

// Pruning between two moves of a cursor never brings back an overwritten value.
func TestPruningUnderACursor(t *testing.T) {
	for _, iso := range []Isolation{ReadCommitted, Snapshot, Serializable} {
		t.Run(iso.String(), func(t *testing.T) {
			db, ks := pruning(t)
			tx := begin(t, db, iso)
			defer tx.Rollback()
			c, err := tx.Cursor(ks, Range{})
			if err != nil {
				t.Fatal(err)
			}
			c.First()
			set(t, db, ks, "x", "new")
			db.prune(db.state.Load())
			if !c.Next() {
				t.Fatalf("no x: %v", c.Err())
			}
			value, err := c.Value()
			if err != nil {
				t.Fatal(err)
			}
			want(t, "x", string(value), "old")
		})
	}
}

// The same for a point read, with the pruning between timestamp and read.
func TestPruningUnderAPointRead(t *testing.T) {
	db, ks := pruning(t)
	tx := begin(t, db, ReadCommitted)
	defer tx.Rollback()
	key, err := tx.encode(ks, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	first := true
	err = tx.readAt(func(st *state, ts Timestamp) (err error) {
		if first {
			first = false
			set(t, db, ks, "x", "new")
			db.prune(db.state.Load())
		}
		got, _, err = st.get(nil, key, ts)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "x", string(got), "new")
}

// A scan at read committed shows one state, also when a checkpoint comes in between.
func TestAScanAtReadCommittedShowsOneState(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	for _, key := range []string{"a", "b", "c"} {
		set(t, db, ks, key, "old")
	}
	tx := begin(t, db, ReadCommitted)
	defer tx.Rollback()
	seen := ""
	for item, err := range tx.Scan(ks, Range{}) {
		must(t, err)
		if seen == "" {
			must(t, db.Update(bg, func(other *Txn) error {
				for _, key := range []string{"a", "b", "c"} {
					if err := other.Put(ks, []byte(key), []byte("new")); err != nil {
						return err
					}
				}
				return nil
			}))
			checkpoint(t, db)
			checkpoint(t, db)
		}
		seen += string(item.Key) + string(item.Value) + " "
	}
	want(t, "one scan", seen, "aold bold cold ")
	want(t, "the next one", show(t, tx, ks, Range{}), "a=new b=new c=new")
	tx.Rollback()
	if pins := db.snapshots.list(); len(pins) != 0 {
		t.Errorf("pins are left: %v", pins)
	}
}
