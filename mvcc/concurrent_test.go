package mvcc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

const accounts = 64

func account(i int) []byte { return fmt.Appendf(nil, "account/%03d", i) }

func amount(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }

func encodeAmount(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func fillBank(t tb, db *DB) *Keyspace {
	t.Helper()
	ks := keyspace(t, db, "bank")
	err := db.Update(bg, func(tx *Txn) error {
		for i := range accounts {
			if err := tx.Put(ks, account(i), encodeAmount(1000)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("fill: %v", err)
	}
	return ks
}

// transfer moves money between two random accounts. At ReadCommitted it must lock what it reads.
func transfer(tx *Txn, ks *Keyspace) error {
	from, to := rand.N(accounts), rand.N(accounts)
	if from == to {
		return nil
	}
	read := tx.Get
	if tx.Isolation() == ReadCommitted {
		read = func(ks *Keyspace, key []byte) ([]byte, error) { return tx.GetForUpdate(ks, key) }
	}
	a, err := read(ks, account(from))
	if err != nil {
		return err
	}
	b, err := read(ks, account(to))
	if err != nil {
		return err
	}
	n := rand.Int64N(10)
	if err := tx.Put(ks, account(from), encodeAmount(amount(a)-n)); err != nil {
		return err
	}
	return tx.Put(ks, account(to), encodeAmount(amount(b)+n))
}

func total(tx *Txn, ks *Keyspace) (sum int64, n int, err error) {
	for item, err := range tx.Scan(ks, Prefix([]byte("account/"))) {
		if err != nil {
			return 0, 0, err
		}
		sum += amount(item.Value)
		n++
	}
	return sum, n, nil
}

// readTotal verifies that a snapshot sees all the money.
func readTotal(t *testing.T, db *DB, ks *Keyspace) {
	err := db.View(bg, func(tx *Txn) error {
		sum, n, err := total(tx, ks)
		if err == nil && (sum != accounts*1000 || n != accounts) {
			err = fmt.Errorf("%d accounts with %d", n, sum)
		}
		return err
	})
	if err != nil {
		t.Errorf("reader: %v", err)
	}
}

func readAtReadCommitted(t *testing.T, db *DB, ks *Keyspace) {
	err := db.UpdateWith(bg, &TxnOptions{Isolation: ReadCommitted, ReadOnly: true}, func(tx *Txn) error {
		_, err := tx.Get(ks, account(rand.N(accounts)))
		return err
	})
	if err != nil {
		t.Errorf("read committed reader: %v", err)
	}
}

// Money is neither made nor lost by transfers at mixed levels, as seen by every
// snapshot, while checkpoints come one after the other.
func TestConcurrentTransfersConserveTheTotal(t *testing.T) {
	db := openTest(t)
	ks := fillBank(t, db)
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	var writers, others sync.WaitGroup
	stop := make(chan struct{})
	for w := range 8 {
		iso := []Isolation{ReadCommitted, Snapshot, Serializable}[w%3]
		writers.Go(func() {
			for range rounds {
				err := db.UpdateWith(bg, &TxnOptions{Isolation: iso, Label: "transfer"}, func(tx *Txn) error { return transfer(tx, ks) })
				if err != nil {
					t.Errorf("transfer at %v: %v", iso, err)
				}
			}
		})
	}
	running := func() bool {
		select {
		case <-stop:
			return false
		default:
			return true
		}
	}
	for range 2 {
		others.Go(func() {
			for running() {
				readTotal(t, db, ks)
			}
		})
	}
	others.Go(func() { // S4: what is always there is always found
		for running() {
			readAtReadCommitted(t, db, ks)
		}
	})
	others.Go(func() {
		for running() {
			if err := db.Checkpoint(bg); err != nil {
				t.Errorf("checkpoint: %v", err)
				return
			}
		}
	})
	writers.Wait()
	close(stop)
	others.Wait()
	check(t, db)
	if m := db.Metrics(); m.Checkpoints == 0 || m.Committed < int64(8*rounds) {
		t.Errorf("the test did too little: %d checkpoints, %d commits", m.Checkpoints, m.Committed)
	}
}

// A snapshot taken before everything is overwritten many times, with
// checkpoints in between, still reads what it read first: by key and by scan.
func TestAnOldSnapshotReadsTheSameAcrossCheckpoints(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	for i := range 200 {
		set(t, db, ks, fmt.Sprintf("key%04d", i), strings.Repeat("old", i*20))
	}
	old := begin(t, db, Snapshot)
	defer old.Rollback()
	before := show(t, old, ks, Range{})
	for round := range 4 {
		for i := range 200 {
			key := fmt.Sprintf("key%04d", i)
			if (i+round)%3 == 0 {
				remove(t, db, ks, key)
			} else {
				set(t, db, ks, key, fmt.Sprint("new", round))
			}
		}
		checkpoint(t, db)
		want(t, "scan of the old snapshot", show(t, old, ks, Range{}), before)
		want(t, "a key of the old snapshot", get(t, old, ks, "key0007"), strings.Repeat("old", 140))
	}
	if db.Metrics().HistoryRecords == 0 {
		t.Errorf("nothing moved to history")
	}
	old.Rollback()
	set(t, db, ks, "again", "1")
	checkpoint(t, db)
	if n := db.Metrics().HistoryRecords; n != 0 {
		t.Errorf("%d history records are left without a snapshot", n)
	}
	check(t, db)
}

// Writers of different keys never wait for each other or conflict.
func TestWritersOfDifferentKeysDoNotMeet(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 50 {
				tx, err := db.Begin(bg, &TxnOptions{Isolation: Serializable, NoWait: true})
				if err != nil {
					t.Errorf("begin: %v", err)
					return
				}
				err = tx.Put(ks, fmt.Appendf(nil, "%d/%d", w, i), []byte("x"))
				if err == nil {
					err = tx.Commit()
				}
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					tx.Rollback()
				}
			}
		})
	}
	wg.Wait()
	if m := db.Metrics(); m.WriteConflicts+m.ReadConflicts+m.Locks.Waits != 0 {
		t.Errorf("conflicts or waits: %+v", m)
	}
}

// Of transactions that read what the others write, and validate at the same
// moment, at most one commits.
func TestSimultaneousValidatorsSeeEachOther(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	for round := range 200 {
		x, y := fmt.Appendf(nil, "x%d", round), fmt.Appendf(nil, "y%d", round)
		a, b := begin(t, db, Serializable), begin(t, db, Serializable)
		skew := func(tx *Txn, read, write []byte) {
			for range tx.Scan(ks, Prefix(read)) {
				t.Errorf("the range is not empty")
			}
			if err := tx.Put(ks, write, []byte("1")); err != nil {
				t.Errorf("put: %v", err)
			}
		}
		skew(a, x, y)
		skew(b, y, x)
		var wg sync.WaitGroup
		var committed atomic.Int32
		for _, tx := range []*Txn{a, b} {
			wg.Go(func() {
				switch err := tx.Commit(); {
				case err == nil:
					committed.Add(1)
				case !errors.Is(err, ErrConflict):
					t.Errorf("commit: %v", err)
				}
			})
		}
		wg.Wait()
		if n := committed.Load(); n != 1 {
			t.Fatalf("round %d: %d of two that read each other's writes committed", round, n)
		}
	}
}

// Two goroutines in one transaction are noticed; nothing is corrupted.
func TestConcurrentUseOfATransactionIsDetected(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	inside := make(chan struct{})
	go func() {
		defer close(inside)
		if err := tx.enter(); err != nil {
			t.Errorf("enter: %v", err)
		}
	}()
	<-inside
	wantErr(t, "use while an operation runs", tx.Put(ks, []byte("a"), nil), ErrConcurrentUse)
	tx.leave()
	put(t, tx, ks, "a", "1")
}
