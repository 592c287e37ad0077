package mvcc

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

func counter(t tb, tx *Txn, ks *Keyspace, key string) int64 {
	t.Helper()
	v, err := tx.Get(ks, []byte(key))
	if errors.Is(err, ErrNotFound) {
		return 0
	}
	n, derr := DecodeInt64(v)
	if err = errors.Join(err, derr); err != nil {
		t.Fatalf("counter %q: %v", key, err)
	}
	return n
}

// Additions of open transactions at every level neither wait nor conflict, and none is lost.
func TestAdditionsCommuteAtEveryLevel(t *testing.T) {
	atEachLevel(t, func(s schedule, iso Isolation) {
		var open []*Txn
		for i := range 10 {
			tx := s.begin(iso)
			if err := tx.Add(s.ks, []byte("n"), int64(i)); err != nil {
				s.t.Fatal(err)
			}
			if err := tx.Add(s.ks, []byte("n"), 1); err != nil {
				s.t.Fatal(err)
			}
			if got := counter(s.t, tx, s.ks, "n"); iso != Serializable && got != int64(i)+1 {
				s.t.Fatalf("transaction %d sees %d", i, got)
			}
			open = append(open, tx)
		}
		if iso == Serializable { // reading a counter that others add to is a conflict like any other
			commit(s.t, open[0])
			wantErr(s.t, "commit of a second reader", open[1].Commit(), ErrConflict)
			return
		}
		for _, tx := range open {
			commit(s.t, tx)
		}
		tx := s.begin(Snapshot)
		defer tx.Rollback()
		if got := counter(s.t, tx, s.ks, "n"); got != 45+10 {
			s.t.Fatalf("the sum is %d", got)
		}
	})
}

// Adders at all levels, putters, checkpoints and a crash: no addition is lost or done twice.
func TestConcurrentAdditionsAreExact(t *testing.T) {
	mem := newMem(t)
	db := openOn(t, mem)
	ks := keyspace(t, db, "k")
	rounds := 150
	var wg sync.WaitGroup
	for w := range 8 {
		iso := []Isolation{ReadCommitted, Snapshot, Serializable}[w%3]
		wg.Go(func() {
			for range rounds {
				err := db.UpdateWith(bg, &TxnOptions{Isolation: iso}, func(tx *Txn) error {
					if err := tx.Add(ks, fmt.Append(nil, rand.N(3)), 1); err != nil {
						return err
					}
					return tx.Add(ks, []byte("all"), 1)
				})
				if err != nil {
					t.Errorf("add: %v", err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			if err := db.Checkpoint(bg); err != nil {
				t.Errorf("checkpoint: %v", err)
			}
		}
	})
	wg.Wait()
	if m := db.Metrics(); m.WriteConflicts+m.ReadConflicts+m.Locks.Waits != 0 {
		t.Errorf("additions conflicted or waited: %d, %d, %d", m.WriteConflicts, m.ReadConflicts, m.Locks.Waits)
	}
	image := mem.Crash(vfs.CrashConfig{Mode: vfs.LoseAll})
	must(t, db.Close())
	db = openOn(t, image)
	defer db.Close()
	ks = keyspace(t, db, "k")
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	parts := counter(t, tx, ks, "0") + counter(t, tx, ks, "1") + counter(t, tx, ks, "2")
	if all := counter(t, tx, ks, "all"); all != int64(8*rounds) || parts != all {
		t.Errorf("all is %d, the parts are %d, want %d", all, parts, 8*rounds)
	}
	check(t, db)
}

func TestAdditionsMixWithOtherWrites(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	key := []byte("n")
	add := func(tx *Txn, n int64) {
		t.Helper()
		if err := tx.Add(ks, key, n); err != nil {
			t.Fatal(err)
		}
	}
	tx := begin(t, db, Snapshot)
	add(tx, 5)
	other := begin(t, db, Snapshot)
	wantErr(t, "put beside an addition", other.Put(ks, key, EncodeInt64(1)), ErrLockNotAvailable)
	wantErr(t, "delete beside an addition", other.Delete(ks, key), ErrLockNotAvailable)
	other.Rollback()
	sp, err := tx.Savepoint()
	must(t, err)
	add(tx, 100)
	must(t, tx.RollbackTo(sp))
	want(t, "scan of an own addition", fmt.Sprintf("%q", show(t, tx, ks, Range{})), fmt.Sprintf("%q", "n="+string(EncodeInt64(5))))
	put(t, tx, ks, "n", string(EncodeInt64(50)))
	add(tx, 1)
	commit(t, tx)
	tx = begin(t, db, Snapshot)
	if got := counter(t, tx, ks, "n"); got != 51 {
		t.Errorf("after put and add: %d", got)
	}
	must(t, tx.Delete(ks, key))
	add(tx, 7)
	commit(t, tx)
	checkpoint(t, db)
	tx = begin(t, db, Snapshot)
	add(tx, 1) // on a value in the trees
	commit(t, tx)
	tx = begin(t, db, Snapshot)
	defer tx.Rollback()
	if got := counter(t, tx, ks, "n"); got != 8 {
		t.Errorf("after delete, add, checkpoint, add: %d", got)
	}
	put(t, tx, ks, "text", "not a number")
	wantErr(t, "add to text", tx.Add(ks, []byte("text"), 1), ErrInvalid)
	put(t, tx, ks, "max", string(EncodeInt64(math.MaxInt64)))
	wantErr(t, "overflow", tx.Add(ks, []byte("max"), 1), ErrInvalid)
	wantErr(t, "underflow", tx.Add(ks, []byte("min"), math.MinInt64), nil)
	wantErr(t, "underflow", tx.Add(ks, []byte("min"), -1), ErrInvalid)
}

// The sum can overflow though each addition does not; then the commit says so and nothing is written.
func TestAnOverflowFoundByCommitWritesNothing(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	a, b := begin(t, db, Snapshot), begin(t, db, Snapshot)
	for _, tx := range []*Txn{a, b} {
		must(t, tx.Add(ks, []byte("n"), math.MaxInt64-1))
		put(t, tx, ks, fmt.Sprint(tx.ID()), "x")
	}
	commit(t, a)
	wantErr(t, "second commit", b.Commit(), ErrInvalid)
	r := begin(t, db, Snapshot)
	defer r.Rollback()
	if got := counter(t, r, ks, "n"); got != math.MaxInt64-1 {
		t.Errorf("the counter is %d", got)
	}
	want(t, "the rest of the failed commit", get(t, r, ks, fmt.Sprint(b.ID())), "-")
}

// A counter's value that was read of the trees is out of date when a checkpoint has put a newer one there.
func TestSumsAreNotFormedFromOldTrees(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	set(t, db, ks, "n", string(EncodeInt64(1)))
	checkpoint(t, db)
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	must(t, tx.Add(ks, []byte("n"), 10))
	writes := tx.writes.list()
	bases, err := db.counterBases(writes)
	must(t, err)
	must(t, db.Update(bg, func(other *Txn) error { return other.Add(ks, []byte("n"), 100) }))
	checkpoint(t, db)
	if _, ok, err := bases.resolve(db.state.Load(), writes); ok || err != nil {
		t.Fatalf("resolved from old trees: %v, %v", ok, err)
	}
	commit(t, tx)
	r := begin(t, db, Snapshot)
	defer r.Rollback()
	if got := counter(t, r, ks, "n"); got != 111 {
		t.Errorf("the counter is %d", got)
	}
}
