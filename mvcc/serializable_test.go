package mvcc

import (
	"errors"
	"strings"
	"testing"
)

func TestSerializableValidatesAtRangeBorders(t *testing.T) {
	cases := []struct {
		name, key string
		r         Range
		stopAfter int // keys; 0: to the end
		conflict  bool
	}{
		{"insert at the lower border", "b", Range{[]byte("b"), []byte("d")}, 0, true},
		{"insert below the lower border", "azz", Range{[]byte("b"), []byte("d")}, 0, false},
		{"insert at the upper border", "d", Range{[]byte("b"), []byte("d")}, 0, false},
		{"insert just below the upper border", "czz", Range{[]byte("b"), []byte("d")}, 0, true},
		{"insert behind the key where the scan stopped", "x\x00", Range{[]byte("b"), nil}, 1, false},
		{"insert before the key where the scan stopped", "w", Range{[]byte("b"), nil}, 1, true},
		{"update of the key where the scan stopped", "x", Range{[]byte("b"), nil}, 1, true},
		{"insert behind the last key of a whole scan", "zz", Range{[]byte("b"), nil}, 0, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			db := openTest(t)
			ks := keyspace(t, db, "k")
			set(t, db, ks, "x", "0")
			set(t, db, ks, "y", "0")
			tx := begin(t, db, Serializable)
			n := 0
			for _, err := range tx.Scan(ks, c.r) {
				if err != nil {
					t.Fatalf("scan: %v", err)
				}
				if n++; n == c.stopAfter {
					break
				}
			}
			put(t, tx, ks, "own", "1")
			set(t, db, ks, c.key, "1")
			if err := tx.Commit(); errors.Is(err, ErrConflict) != c.conflict || err != nil && !c.conflict {
				t.Fatalf("commit: %v, want a conflict: %v", err, c.conflict)
			}
		})
	}
}

// What was read before a savepoint was rolled back still counts.
func TestReadsBeforeARolledBackSavepointAreValidated(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	set(t, db, ks, "x", "0")
	tx := begin(t, db, Serializable)
	sp, err := tx.Savepoint()
	if err != nil {
		t.Fatal(err)
	}
	get(t, tx, ks, "x")
	put(t, tx, ks, "a", "1")
	if err := tx.RollbackTo(sp); err != nil {
		t.Fatal(err)
	}
	put(t, tx, ks, "b", "1")
	set(t, db, ks, "x", "1")
	wantErr(t, "commit", tx.Commit(), ErrConflict)
}

// Serializable keeps its promise when the version that conflicts has moved to the trees, or was
// a delete that left nothing there, or an insert and a delete.
func TestValidationFindsConflictsBehindACheckpoint(t *testing.T) {
	steps := map[string]func(t *testing.T, db *DB, ks *Keyspace){
		"update": func(t *testing.T, db *DB, ks *Keyspace) { set(t, db, ks, "x", "1") },
		"insert": func(t *testing.T, db *DB, ks *Keyspace) { set(t, db, ks, "w", "1") },
		"delete": func(t *testing.T, db *DB, ks *Keyspace) { remove(t, db, ks, "x") },
		"insert and delete": func(t *testing.T, db *DB, ks *Keyspace) {
			set(t, db, ks, "w", "1")
			remove(t, db, ks, "w")
		},
	}
	for name, step := range steps {
		for _, read := range []string{"points", "range", "write"} {
			t.Run(name+"/"+read, func(t *testing.T) {
				db := openTest(t)
				ks := keyspace(t, db, "k")
				set(t, db, ks, "x", "0")
				checkpoint(t, db)
				tx := begin(t, db, Serializable)
				defer tx.Rollback()
				tx.Snapshot()
				if read != "range" {
					get(t, tx, ks, "x")
					get(t, tx, ks, "w")
				}
				if read == "range" {
					show(t, tx, ks, Range{Lo: []byte("w")})
				}
				step(t, db, ks)
				checkpoint(t, db)
				checkpoint(t, db)
				var err error
				if read == "write" {
					_, err = tx.GetForUpdate(ks, []byte("x"))
					_, err2 := tx.GetForUpdate(ks, []byte("w"))
					if !errors.Is(err, ErrConflict) {
						err = err2
					}
				} else {
					put(t, tx, ks, "own", "1")
					err = tx.Commit()
				}
				wantErr(t, "conflict behind a checkpoint", err, ErrConflict)
			})
		}
	}
}

// A cursor that turns round has read both ways.
func TestACursorThatTurnsRoundIsValidatedBothWays(t *testing.T) {
	for _, changed := range []string{"b", "c", "d", "e"} {
		t.Run(changed, func(t *testing.T) {
			db := openTest(t)
			ks := keyspace(t, db, "k")
			for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
				set(t, db, ks, key, "0")
			}
			tx := begin(t, db, Serializable)
			defer tx.Rollback()
			c, err := tx.Cursor(ks, Range{})
			if err != nil {
				t.Fatal(err)
			}
			path := []string{string(c.Key())}
			for _, move := range []func() bool{
				func() bool { return c.Seek([]byte("d")) }, c.Next, c.Prev, c.Prev, c.Prev, c.Next,
			} {
				if !move() {
					t.Fatalf("cursor stopped at %q: %v", path, c.Err())
				}
				path = append(path, string(c.Key()))
			}
			want(t, "path", strings.Join(path, ""), "dedcbc")
			put(t, tx, ks, "own", "1")
			set(t, db, ks, changed, "1")
			wantErr(t, "commit", tx.Commit(), ErrConflict)
		})
	}
}
