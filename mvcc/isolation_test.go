package mvcc

import (
	"errors"
	"strings"
	"testing"
)

// Each test is one anomaly of the literature as a schedule of steps, run at
// every level: what the level promises to prevent must not happen.
// T1, T2 do not wait for locks, so that a schedule never blocks.

type schedule struct {
	t  *testing.T
	db *DB
	ks *Keyspace
}

func atEachLevel(t *testing.T, run func(s schedule, iso Isolation)) {
	for _, iso := range []Isolation{ReadCommitted, Snapshot, Serializable} {
		t.Run(iso.String(), func(t *testing.T) {
			db := openTest(t)
			s := schedule{t, db, keyspace(t, db, "k")}
			set(t, db, s.ks, "x", "0")
			set(t, db, s.ks, "y", "0")
			run(s, iso)
		})
	}
}

func (s schedule) begin(iso Isolation) *Txn { return begin(s.t, s.db, iso) }
func (s schedule) get(tx *Txn, key string) string {
	return get(s.t, tx, s.ks, key)
}
func (s schedule) put(tx *Txn, key, value string) error {
	return tx.Put(s.ks, []byte(key), []byte(value))
}
func (s schedule) final() string {
	tx := s.begin(Snapshot)
	defer tx.Rollback()
	return show(s.t, tx, s.ks, Range{})
}

// retryable fails the test unless err is nil or a conflict of some kind, and reports success.
func (s schedule) retryable(err error) bool {
	s.t.Helper()
	if err != nil && !IsRetryable(err) {
		s.t.Fatalf("unexpected error: %v", err)
	}
	return err == nil
}

func TestG0DirtyWrite(t *testing.T) {
	atEachLevel(t, func(s schedule, iso Isolation) {
		t1, t2 := s.begin(iso), s.begin(iso)
		defer t2.Rollback()
		s.retryable(s.put(t1, "x", "1"))
		if s.retryable(s.put(t2, "x", "2")) {
			s.t.Fatalf("T2 wrote over T1's uncommitted write")
		}
		s.retryable(s.put(t1, "y", "1"))
		commit(s.t, t1)
		want(s.t, "final", s.final(), "x=1 y=1")
	})
}

func TestG1aAbortedRead(t *testing.T) {
	atEachLevel(t, func(s schedule, iso Isolation) {
		t1, t2 := s.begin(iso), s.begin(iso)
		defer t2.Rollback()
		s.retryable(s.put(t1, "x", "1"))
		want(s.t, "read beside an open write", s.get(t2, "x"), "0")
		t1.Rollback()
		want(s.t, "read after the rollback", s.get(t2, "x"), "0")
	})
}

func TestG1bIntermediateRead(t *testing.T) {
	atEachLevel(t, func(s schedule, iso Isolation) {
		t1, t2 := s.begin(iso), s.begin(iso)
		defer t2.Rollback()
		s.retryable(s.put(t1, "x", "intermediate"))
		want(s.t, "read", s.get(t2, "x"), "0")
		s.retryable(s.put(t1, "x", "final"))
		commit(s.t, t1)
		if got := s.get(t2, "x"); got == "intermediate" || got == "final" && iso != ReadCommitted {
			s.t.Fatalf("T2 read %q", got)
		}
	})
}

func TestG1cCircularInformationFlow(t *testing.T) {
	atEachLevel(t, func(s schedule, iso Isolation) {
		t1, t2 := s.begin(iso), s.begin(iso)
		defer t2.Rollback()
		s.retryable(s.put(t1, "x", "1"))
		s.retryable(s.put(t2, "y", "2"))
		want(s.t, "T1 reads y", s.get(t1, "y"), "0")
		want(s.t, "T2 reads x", s.get(t2, "x"), "0")
		c1, c2 := s.retryable(t1.Commit()), s.retryable(t2.Commit())
		if iso == Serializable && c1 && c2 {
			s.t.Fatalf("both committed though each read before the other's write")
		}
	})
}

func TestOTVObservedTransactionVanishes(t *testing.T) {
	atEachLevel(t, func(s schedule, iso Isolation) {
		t1, t3 := s.begin(iso), s.begin(iso)
		defer t3.Rollback()
		s.retryable(s.put(t1, "x", "1"))
		s.retryable(s.put(t1, "y", "1"))
		commit(s.t, t1)
		if s.get(t3, "x") != "1" {
			s.t.Fatalf("T3 began reading after T1 and does not see it")
		}
		t2 := s.begin(iso)
		s.retryable(s.put(t2, "x", "2"))
		s.retryable(s.put(t2, "y", "2"))
		commit(s.t, t2)
		y := s.get(t3, "y")
		if y == "0" || iso != ReadCommitted && y != "1" {
			s.t.Fatalf("T1 vanished: y is %q", y)
		}
	})
}

func TestPMPPredicateManyPreceders(t *testing.T) {
	atEachLevel(t, func(s schedule, iso Isolation) {
		t1 := s.begin(iso)
		defer t1.Rollback()
		first := show(s.t, t1, s.ks, Prefix([]byte("z")))
		set(s.t, s.db, s.ks, "z1", "1")
		second := show(s.t, t1, s.ks, Prefix([]byte("z")))
		if iso != ReadCommitted && first != second {
			s.t.Fatalf("the predicate was %q, then %q", first, second)
		}
		if iso == ReadCommitted && second != "z1=1" {
			s.t.Fatalf("read committed does not see the commit: %q", second)
		}
	})
}

func TestP4LostUpdate(t *testing.T) {
	atEachLevel(t, func(s schedule, iso Isolation) {
		t1, t2 := s.begin(iso), s.begin(iso)
		defer t2.Rollback()
		s.get(t1, "x")
		s.get(t2, "x")
		s.retryable(s.put(t1, "x", "1"))
		commit(s.t, t1)
		ok := s.retryable(s.put(t2, "x", "2"))
		if ok != (iso == ReadCommitted) {
			s.t.Fatalf("write after a newer commit: success is %v", ok)
		}
	})
}

// R5: writing the value that is there already conflicts like any other write.
func TestP4LostUpdateOfAnEqualValue(t *testing.T) {
	atEachLevel(t, func(s schedule, iso Isolation) {
		if iso == ReadCommitted {
			return
		}
		t1, t2 := s.begin(iso), s.begin(iso)
		defer t2.Rollback()
		s.get(t1, "x")
		s.get(t2, "x")
		s.retryable(s.put(t1, "x", "0"))
		commit(s.t, t1)
		wantErr(s.t, "write of the same value after a newer commit", s.put(t2, "x", "0"), ErrConflict)
	})
}

func TestGSingleReadSkew(t *testing.T) {
	atEachLevel(t, func(s schedule, iso Isolation) {
		t1 := s.begin(iso)
		defer t1.Rollback()
		x := s.get(t1, "x")
		t2 := s.begin(iso)
		s.retryable(s.put(t2, "x", "1"))
		s.retryable(s.put(t2, "y", "1"))
		commit(s.t, t2)
		if y := s.get(t1, "y"); iso != ReadCommitted && x != y {
			s.t.Fatalf("T1 read x=%s, y=%s", x, y)
		}
	})
}

func TestG2ItemWriteSkew(t *testing.T) {
	atEachLevel(t, func(s schedule, iso Isolation) {
		t1, t2 := s.begin(iso), s.begin(iso)
		defer t2.Rollback()
		for _, tx := range []*Txn{t1, t2} {
			s.get(tx, "x")
			s.get(tx, "y")
		}
		s.retryable(s.put(t1, "x", "1"))
		s.retryable(s.put(t2, "y", "1"))
		commit(s.t, t1)
		ok := s.retryable(t2.Commit())
		if ok == (iso == Serializable) {
			s.t.Fatalf("the second of a write skew: success is %v", ok)
		}
	})
}

func TestG2PhantomIntoAnEmptyRange(t *testing.T) {
	atEachLevel(t, func(s schedule, iso Isolation) {
		t1, t2 := s.begin(iso), s.begin(iso)
		defer t2.Rollback()
		for _, tx := range []*Txn{t1, t2} {
			want(s.t, "empty range", show(s.t, tx, s.ks, Prefix([]byte("z"))), "")
		}
		s.retryable(s.put(t1, "z1", "1"))
		s.retryable(s.put(t2, "z2", "1"))
		commit(s.t, t1)
		ok := s.retryable(t2.Commit())
		if ok == (iso == Serializable) {
			s.t.Fatalf("the second insert into a range that both saw empty: success is %v", ok)
		}
	})
}

// Fekete, O'Neil, O'Neil: A read-only transaction anomaly under snapshot isolation (2004).
func TestReadOnlyTransactionAnomaly(t *testing.T) {
	atEachLevel(t, func(s schedule, iso Isolation) {
		t2 := s.begin(iso) // withdraws, looking at both balances
		s.get(t2, "x")
		s.get(t2, "y")
		t1 := s.begin(iso) // deposits
		s.get(t1, "y")
		s.retryable(s.put(t1, "y", "20"))
		commit(s.t, t1)
		t3 := begin(s.t, s.db, iso, func(o *TxnOptions) { o.ReadOnly = true })
		defer t3.Rollback()
		if s.get(t3, "x") != "0" || s.get(t3, "y") != "20" {
			s.t.Fatalf("T3 does not see the deposit")
		}
		s.retryable(s.put(t2, "x", "-11"))
		ok := s.retryable(t2.Commit())
		if iso == Serializable && ok {
			s.t.Fatalf("T2 committed before a deposit that T3 has seen without it")
		}
	})
}

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

// The requirement is met or not at the commit's place in the order, at every level.
func TestRequireExistsConflictsWithDeletionOnly(t *testing.T) {
	atEachLevel(t, func(s schedule, iso Isolation) {
		tx := s.begin(iso)
		if err := tx.RequireExists(s.ks, []byte("x")); err != nil {
			s.t.Fatal(err)
		}
		wantErr(s.t, "requirement of an absent key", tx.RequireExists(s.ks, []byte("absent")), ErrNotFound)
		s.retryable(s.put(tx, "edge1", "1"))
		set(s.t, s.db, s.ks, "x", "updated")
		commit(s.t, tx)

		tx = s.begin(iso)
		if err := tx.RequireExists(s.ks, []byte("x")); err != nil {
			s.t.Fatal(err)
		}
		s.retryable(s.put(tx, "edge2", "1"))
		remove(s.t, s.db, s.ks, "x")
		wantErr(s.t, "commit after the deletion", tx.Commit(), ErrConflict)
		want(s.t, "final", s.final(), "edge1=1 y=0")
	})
}

func TestRequireUnchangedHoldsAtEveryLevel(t *testing.T) {
	atEachLevel(t, func(s schedule, iso Isolation) {
		tx := s.begin(iso)
		if err := tx.RequireUnchanged(s.ks, Prefix([]byte("adj/"))); err != nil {
			s.t.Fatal(err)
		}
		s.retryable(s.put(tx, "own", "1"))
		set(s.t, s.db, s.ks, "adj/1", "1")
		wantErr(s.t, "commit after a change in the range", tx.Commit(), ErrConflict)
	})
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
