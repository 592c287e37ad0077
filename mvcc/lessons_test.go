package mvcc

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sombradb/sombra/lockmgr"
)

// incrementPlain is a read-modify-write of one key without a lock.
func incrementPlain(tx *Txn, ks *Keyspace, key string) error {
	v, err := tx.Get(ks, []byte(key))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return tx.Put(ks, []byte(key), append(v, 'x'))
}

// Writers that read a hot key plainly see only what is durable, so while a sync is under way each of them
// loses its first attempt. The second one locks the key first, and gets through before the disk answers.
func TestTheSecondAttemptQueuesForWhatTheFirstLost(t *testing.T) {
	for _, iso := range []Isolation{Snapshot, Serializable} {
		t.Run(iso.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db, arm := hangingSync(t)
				defer db.Close()
				ks := keyspace(t, db, "k")
				release := arm()
				done := make(chan error, 10)
				attempts := make([]int, cap(done))
				for i := range attempts {
					go func() {
						done <- db.UpdateWith(bg, &TxnOptions{Isolation: iso}, func(tx *Txn) error {
							attempts[i]++
							return incrementPlain(tx, ks, "hot")
						})
					}()
				}
				synctest.Wait()
				for { // pauses between attempts are time, too
					v := db.state.Load().active.Newest(append(ks.prefix[:], "hot"...))
					if v != nil && len(v.Value) == cap(done) {
						break
					}
					if err := pause(bg, 0); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				release()
				for range cap(done) {
					if err := <-done; err != nil {
						t.Errorf("increment: %v", err)
					}
				}
				for i, n := range attempts {
					if n > 2 {
						t.Errorf("writer %d needed %d attempts", i, n)
					}
				}
				if n := db.Metrics().Protected; n != 0 {
					t.Errorf("%d transactions had to be protected", n)
				}
			})
		})
	}
}

// What was only read and has changed is locked in shared mode by the next attempt; nothing else is.
func TestALostReadIsLockedSharedByTheNextAttempt(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	set(t, db, ks, "rate", "1")
	set(t, db, ks, "calm", "1")
	attempts := 0
	err := db.UpdateWith(bg, &TxnOptions{Isolation: Serializable}, func(tx *Txn) error {
		attempts++
		held := ""
		for _, k := range db.Locks(true) {
			for _, h := range k.Holders {
				held += fmt.Sprintf("%s %s;", h.Mode, k.Key)
			}
		}
		if attempts == 2 {
			want(t, "locks at the start of the second attempt", held, `S k/"rate";`)
		}
		get(t, tx, ks, "calm")
		v := get(t, tx, ks, "rate")
		if attempts == 1 {
			set(t, db, ks, "rate", "2")
		}
		return tx.Put(ks, []byte("price"), []byte(v))
	})
	if err != nil || attempts != 2 {
		t.Fatalf("%d attempts: %v", attempts, err)
	}
	reader := begin(t, db, Snapshot)
	defer reader.Rollback()
	want(t, "price", get(t, reader, ks, "price"), "2")
}

// Two that have learned the same keys lock them in one order, whatever order they use them in.
func TestLessonsAreLockedInKeyOrder(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	const writers, rounds = 8, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range rounds {
				l := &lessons{}
				keys := []string{"a", "b", "c"}
				for i := range keys {
					l.learn(append(ks.prefix[:], keys[(i+w)%3]...), lockmgr.X)
				}
				_, err := db.attempt(bg, nil, 0, l, func(tx *Txn) error {
					for i := range keys {
						if err := incrementPlain(tx, ks, keys[(i+w)%3]); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Errorf("increment of three learned keys: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if m := db.Metrics(); m.Deadlocks != 0 || m.WriteConflicts != 0 {
		t.Errorf("%d deadlocks, %d conflicts", m.Deadlocks, m.WriteConflicts)
	}
}

// The victim of a deadlock begins its next attempt with the lock that it waited for, and those of what it had written.
func TestADeadlockIsALesson(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	other, err := db.Begin(bg, &TxnOptions{Priority: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Rollback()
	put(t, other, ks, "b", "other")
	attempts := 0
	done := make(chan error, 1)
	go func() {
		done <- db.Update(bg, func(tx *Txn) error {
			if attempts++; attempts == 2 {
				learned := ""
				for _, l := range tx.lessons.all {
					learned += fmt.Sprintf("%s %v;", l.key[prefixSize:], l.mode)
				}
				want(t, "lessons", learned, "a X;b X;")
			}
			return errors.Join(tx.Put(ks, []byte("a"), nil), tx.Put(ks, []byte("b"), nil))
		})
	}()
	for len(db.Locks(false)) == 0 {
		if err := pause(bg, 0); err != nil {
			t.Fatal(err)
		}
	}
	put(t, other, ks, "a", "other") // closes the circle; the other one is the victim
	commit(t, other)
	if err := <-done; err != nil || attempts != 2 {
		t.Fatalf("%d attempts: %v", attempts, err)
	}
}

// Only the latest keys are remembered, each in the stronger of the modes that it was lost in.
func TestLessonsAreBounded(t *testing.T) {
	var l lessons
	for i := range 2 * maxLessons {
		l.learn([]byte{byte(i)}, lockmgr.S)
	}
	l.learn([]byte{2*maxLessons - 1}, lockmgr.X)
	l.learn([]byte{2*maxLessons - 1}, lockmgr.S)
	if len(l.all) != maxLessons || l.all[0].key[0] != maxLessons || l.all[maxLessons-1].mode != lockmgr.X {
		t.Errorf("lessons are %v", l.all)
	}
	(*lessons)(nil).learn([]byte("k"), lockmgr.X) // outside of Update
}
