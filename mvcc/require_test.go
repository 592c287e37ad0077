package mvcc

import "testing"

type schedule struct {
	t  *testing.T
	db *DB
	ks *Keyspace
}

// atEachLevel runs a test of transactions that do not wait for locks, on a database with x=0 y=0.
func atEachLevel(t *testing.T, run func(s schedule, iso Isolation)) {
	for _, iso := range levels {
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
