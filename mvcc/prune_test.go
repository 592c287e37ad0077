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
			wanted := "old"
			if iso == ReadCommitted {
				wanted = "new"
			}
			want(t, "x", string(value), wanted)
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
