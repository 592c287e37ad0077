package mvcc

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// firstByte groups keys by their first byte; keys that begin with '-' have no group.
func firstByte(key []byte) (uint64, bool) {
	if len(key) == 0 || key[0] == '-' {
		return 0, false
	}
	return uint64(key[0]), true
}

// copied is a copy of a group.
type copied struct {
	at   Timestamp
	keys string
}

func groupRange(group byte) Range { return Prefix([]byte{group}) }

// copyGroup makes a copy; at is 0 if there is no point in one.
func copyGroup(t tb, s *Stamps, tx *Txn, group byte) (c copied) {
	t.Helper()
	var keys []string
	at, err := s.Copy(tx, uint64(group), groupRange(group), func(key []byte) bool {
		keys = append(keys, string(key))
		return true
	})
	if err != nil {
		t.Fatalf("copy: %v", err)
	}
	return copied{at, strings.Join(keys, " ")}
}

// holds asks about a copy; if it holds it must be what the transaction reads.
func holds(t tb, s *Stamps, tx *Txn, group byte, c copied) bool {
	t.Helper()
	ok, err := s.Holds(tx, uint64(group), c.at, groupRange(group))
	if err != nil {
		t.Fatalf("holds: %v", err)
	}
	return ok
}

func wantHolds(t tb, what string, s *Stamps, tx *Txn, group byte, c copied, want bool) {
	t.Helper()
	if c.at == 0 {
		t.Fatalf("%s: there is no copy", what)
	}
	if got := holds(t, s, tx, group, c); got != want {
		t.Fatalf("%s: the copy holds is %v, want %v", what, got, want)
	}
}

func readOnly(o *TxnOptions) { o.ReadOnly = true }

func TestACopyHoldsUntilItsGroupChanges(t *testing.T) {
	for _, iso := range []Isolation{ReadCommitted, Snapshot, Serializable} {
		for _, change := range [][]func(*TxnOptions){nil, {readOnly}} {
			t.Run(fmt.Sprint(iso, len(change)), func(t *testing.T) {
				db := openTest(t)
				ks, other := keyspace(t, db, "k"), keyspace(t, db, "other")
				set(t, db, ks, "a1", "")
				s := ks.Stamps(256, firstByte)
				tx := begin(t, db, iso, change...)
				defer tx.Rollback()
				c := copyGroup(t, s, tx, 'a')
				want(t, "copy", c.keys, "a1")
				set(t, db, other, "a2", "")
				set(t, db, ks, "b1", "")
				set(t, db, ks, "-1", "")
				wantHolds(t, "after other groups have changed", s, tx, 'a', c, true)
				set(t, db, ks, "a2", "")
				later := begin(t, db, iso, change...)
				defer later.Rollback()
				wantHolds(t, "a snapshot after the change", s, later, 'a', c, false)
				c = copyGroup(t, s, later, 'a')
				want(t, "second copy", c.keys, "a1 a2")
				wantHolds(t, "at the timestamp of the change itself", s, later, 'a', c, true)
				wantHolds(t, "before the change", s, tx, 'a', c, iso == ReadCommitted)
				if again := copyGroup(t, s, tx, 'a'); (again.at != 0) != (iso == ReadCommitted) {
					t.Errorf("a snapshot before the change has a copy of %v", again.at)
				}
				remove(t, db, ks, "a1")
				if ok := holds(t, s, later, 'a', c); ok && iso == ReadCommitted {
					t.Error("the copy holds after a deletion")
				}
			})
		}
	}
}

// What has changed before the stamps began is not known, neither is what was replayed: it counts as changed then.
func TestStampsBeginWithTheirKeyspacesPast(t *testing.T) {
	fs := newMem(t)
	retain := func(o *Options) { o.Retain.Duration = time.Hour }
	db := openOn(t, fs, retain)
	ks := keyspace(t, db, "k")
	set(t, db, ks, "a1", "")
	before := Timestamp(db.watermark.Load())
	set(t, db, ks, "a2", "")
	for _, reopen := range []bool{false, true} {
		if reopen {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = openOn(t, fs, retain)
			ks = keyspace(t, db, "k")
		}
		s := ks.Stamps(16, firstByte)
		tx := begin(t, db, Snapshot)
		c := copyGroup(t, s, tx, 'a')
		want(t, "copy", c.keys, "a1 a2")
		wantHolds(t, "now", s, tx, 'a', c, true)
		past := begin(t, db, Snapshot, func(o *TxnOptions) { o.AsOf = before })
		wantHolds(t, "the past", s, past, 'a', c, false)
		want(t, "the past", show(t, past, ks, Range{}), "a1=")
		tx.Rollback()
		past.Rollback()
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// S11: while a commit stamps its groups nobody sees it, not even who may see commits before they are durable.
func TestACommitIsStampedBeforeItIsSeen(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	set(t, db, ks, "a1", "")
	var armed atomic.Bool
	stamping, goOn := make(chan struct{}), make(chan struct{})
	s := ks.Stamps(16, func(key []byte) (uint64, bool) {
		if armed.CompareAndSwap(true, false) {
			stamping <- struct{}{}
			<-goOn
		}
		return firstByte(key)
	})
	before := begin(t, db, Snapshot)
	defer before.Rollback()
	c := copyGroup(t, s, before, 'a')
	armed.Store(true)
	done := make(chan error, 1)
	release := sync.OnceFunc(func() { close(goOn) })
	defer release()
	go func() {
		done <- db.Update(bg, func(tx *Txn) error { return tx.Put(ks, []byte("a2"), nil) })
	}()
	<-stamping
	if last := db.commits.tail.Load(); db.commits.applied.Load().ts >= last.ts || Timestamp(db.watermark.Load()) >= last.ts {
		t.Error("the commit can be seen before it has stamped its groups")
	}
	tx := begin(t, db, Snapshot)
	wantHolds(t, "before the commit", s, tx, 'a', c, true)
	want(t, "before the commit", show(t, tx, ks, Range{}), "a1=")
	release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantHolds(t, "the same snapshot", s, tx, 'a', c, false) // needlessly, but never wrongly
	tx.Rollback()
	tx = begin(t, db, Snapshot)
	wantHolds(t, "after the commit", s, tx, 'a', c, false)
	tx.Rollback()
}

func TestOwnWritesMakeACopyUseless(t *testing.T) {
	for _, iso := range []Isolation{ReadCommitted, Snapshot, Serializable} {
		for _, spilled := range []bool{false, true} {
			t.Run(fmt.Sprint(iso, spilled), func(t *testing.T) {
				db := openTest(t)
				db.larges.always = spilled
				ks := keyspace(t, db, "k")
				set(t, db, ks, "a1", "")
				s := ks.Stamps(16, firstByte)
				tx := begin(t, db, iso)
				defer tx.Rollback()
				c := copyGroup(t, s, tx, 'a')
				sp, err := tx.Savepoint()
				if err != nil {
					t.Fatal(err)
				}
				put(t, tx, ks, "b1", "")
				wantHolds(t, "with a write elsewhere", s, tx, 'a', c, !spilled)
				put(t, tx, ks, "a2", "")
				wantHolds(t, "with a write", s, tx, 'a', c, false)
				if again := copyGroup(t, s, tx, 'a'); again.at != 0 {
					t.Errorf("a copy of own writes: %v", again)
				}
				if err := tx.RollbackTo(sp); err != nil {
					t.Fatal(err)
				}
				wantHolds(t, "after the write was undone", s, tx, 'a', c, true)
			})
		}
	}
}

func TestALargeCommitIsAChangeOfEveryGroup(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	set(t, db, ks, "a1", "")
	s := ks.Stamps(16, firstByte)
	var c copied
	update := func(key string) {
		err := db.Update(bg, func(tx *Txn) error { return tx.Put(ks, []byte(key), nil) })
		if err != nil {
			t.Fatal(err)
		}
	}
	view := func(f func(tx *Txn)) {
		tx := begin(t, db, Snapshot, readOnly)
		defer tx.Rollback()
		f(tx)
	}
	view(func(tx *Txn) { c = copyGroup(t, s, tx, 'a') })
	db.larges.always = true
	update("a2")
	view(func(tx *Txn) {
		wantHolds(t, "after a large commit", s, tx, 'a', c, false)
		c = copyGroup(t, s, tx, 'a')
		want(t, "copy", c.keys, "a1 a2")
		wantHolds(t, "after a large commit", s, tx, 'a', c, true)
	})
	update("b1")
	view(func(tx *Txn) { wantHolds(t, "after a large commit to another group", s, tx, 'a', c, false) })
}

// Two transactions find by a copy that a group is empty, and each adds to it. Both cannot have been first.
func TestWhatIsReadByACopyIsValidated(t *testing.T) {
	for _, iso := range []Isolation{Snapshot, Serializable} {
		t.Run(iso.String(), func(t *testing.T) {
			db := openTest(t)
			ks := keyspace(t, db, "k")
			s := ks.Stamps(16, firstByte)
			var c copied
			for i := range 2 {
				tx := begin(t, db, Snapshot, readOnly)
				c = copyGroup(t, s, tx, 'a')
				tx.Rollback()
				one, two := begin(t, db, iso), begin(t, db, iso)
				wantHolds(t, "one", s, one, 'a', c, true)
				wantHolds(t, "two", s, two, 'a', c, true)
				put(t, one, ks, fmt.Sprint("a one ", i), "")
				put(t, two, ks, fmt.Sprint("a two ", i), "")
				commit(t, one)
				err := two.Commit()
				if iso == Snapshot && err != nil {
					t.Errorf("commit: %v", err)
				}
				if iso == Serializable {
					wantErr(t, "two", err, ErrConflict)
				}
			}
		})
	}
}

// A copy that was made and not used is not held against anybody.
func TestACopyAloneIsNotRead(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	s := ks.Stamps(16, firstByte)
	tx := begin(t, db, Serializable)
	copyGroup(t, s, tx, 'a')
	set(t, db, ks, "a1", "")
	put(t, tx, ks, "b1", "")
	commit(t, tx)
}

// The snapshot of a transaction moves forward when what it has read has not changed. A copy counts as read.
func TestASnapshotDoesNotMoveOverACopy(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	s := ks.Stamps(16, firstByte)
	for _, changed := range []string{"b", "a"} {
		tx := begin(t, db, Snapshot)
		c := copyGroup(t, s, tx, 'a')
		wantHolds(t, "copy", s, tx, 'a', c, true)
		set(t, db, ks, changed+"1", "")
		set(t, db, ks, "c", changed)
		err := tx.Put(ks, []byte("c"), nil)
		if changed == "a" {
			wantErr(t, "a write after the copy has changed", err, ErrConflict)
		} else if err != nil {
			t.Errorf("a write after another group has changed: %v", err)
		}
		tx.Rollback()
	}
}

func TestACopyIsProtectedLikeARead(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	s := ks.Stamps(16, firstByte)
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	c := copyGroup(t, s, tx, 'a')
	if err := tx.protect(); err != nil {
		t.Fatal(err)
	}
	wantHolds(t, "copy", s, tx, 'a', c, true)
	if !tx.shield.touchedBy([]versions.Write{{Key: append(ks.prefix[:], "a1"...)}}) {
		t.Error("others may change what is protected")
	}
}

func TestWrongUseOfStampsIsAnError(t *testing.T) {
	db, foreign := openTest(t), openTest(t)
	s := keyspace(t, db, "k").Stamps(0, firstByte)
	tx := begin(t, foreign, Snapshot)
	_, err := s.Holds(tx, 'a', 1, Range{})
	wantErr(t, "holds", err, ErrInvalid)
	_, err = s.Copy(tx, 'a', Range{}, func([]byte) bool { return true })
	wantErr(t, "copy", err, ErrInvalid)
	tx.Rollback()
	for _, change := range [][]func(*TxnOptions){nil, {readOnly}} {
		tx = begin(t, db, Snapshot, change...)
		tx.Rollback()
		_, err = s.Holds(tx, 'a', 1, groupRange('a'))
		wantErr(t, "holds", err, ErrTxnDone)
		_, err = s.Copy(tx, 'a', groupRange('a'), func([]byte) bool { return true })
		wantErr(t, "copy", err, ErrTxnDone)
	}
}

// Writers change groups while readers at all kinds of snapshots use copies that they share, the newest and old ones, and
// compare each that holds with what they read.
func TestCopiesAreExactInAStorm(t *testing.T) {
	db := openTest(t, func(o *Options) { o.Retain.Duration = time.Hour })
	ks := keyspace(t, db, "k")
	st := &copyStorm{db: db, ks: ks, s: ks.Stamps(stormGroups, firstByte)}
	var writers, readers sync.WaitGroup
	var stop atomic.Bool
	for w := range 2 {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for !stop.Load() {
				err := db.Update(bg, func(tx *Txn) error {
					for range 1 + r.IntN(2) {
						key := []byte{byte('a' + r.IntN(stormGroups)), byte('0' + r.IntN(10))}
						if r.IntN(2) == 0 {
							if err := tx.Delete(ks, key); err != nil {
								return err
							}
						} else if err := tx.Put(ks, key, nil); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Errorf("update: %v", err)
				}
			}
		})
	}
	for n := range 4 {
		readers.Go(func() {
			st.read(t, rand.New(rand.NewPCG(2, uint64(n))), []Isolation{Snapshot, Serializable}[n%2])
		})
	}
	readers.Wait()
	stop.Store(true)
	writers.Wait()
	if st.held.Load() == 0 {
		t.Error("no copy was used")
	}
}

const stormGroups = 4

// copyStorm has the copies that readers share.
type copyStorm struct {
	db     *DB
	ks     *Keyspace
	s      *Stamps
	shared [stormGroups][8]atomic.Pointer[copied]
	held   atomic.Int64
}

func (st *copyStorm) read(t *testing.T, r *rand.Rand, iso Isolation) {
	for range 400 {
		o := &TxnOptions{Isolation: iso, ReadOnly: r.IntN(2) == 0}
		if r.IntN(4) == 0 {
			o.AsOf = Timestamp(st.db.watermark.Load()) - Timestamp(r.IntN(1<<20))
		}
		tx, err := st.db.Begin(bg, o)
		if err != nil {
			t.Errorf("begin: %v", err)
			return
		}
		for range 8 {
			g := r.IntN(stormGroups)
			group, slot := byte('a'+g), &st.shared[g][r.IntN(8)]
			if c := slot.Load(); c != nil && holds(t, st.s, tx, group, *c) {
				st.held.Add(1)
				var keys []string
				for key := range tx.Keys(st.ks, groupRange(group)) {
					keys = append(keys, string(key))
				}
				if got := strings.Join(keys, " "); got != c.keys {
					t.Errorf("a copy of %v holds with %q, the transaction reads %q", c.at, c.keys, got)
				}
			}
			if r.IntN(4) == 0 {
				if c := copyGroup(t, st.s, tx, group); c.at != 0 {
					slot.Store(&c)
				}
			}
		}
		tx.Rollback()
	}
}
