package mvcc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
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

// simultaneous are the ways to depend on a key, and to change it, of transactions that commit at the same instant.
var simultaneous = map[string]struct {
	setup bool // the key exists
	read  func(tx *Txn, ks *Keyspace, key []byte) error
	write func(tx *Txn, ks *Keyspace, key []byte) error
}{
	"insert into an empty range": {false, scanAll, putOne},
	"insert of an absent key":    {false, hasOne, putOne},
	"update of a key":            {true, hasOne, putOne},
	"update in a range":          {true, backAll, putOne},
	"delete of a key":            {true, hasOne, (*Txn).Delete},
	"delete in a range":          {true, scanAll, (*Txn).Delete},
	"delete of a required key":   {true, (*Txn).RequireExists, (*Txn).Delete},
	"insert into a range required unchanged": {false, func(tx *Txn, ks *Keyspace, key []byte) error {
		return tx.RequireUnchanged(ks, Prefix(key))
	}, putOne},
}

func putOne(tx *Txn, ks *Keyspace, key []byte) error { return tx.Put(ks, key, []byte("1")) }

func hasOne(tx *Txn, ks *Keyspace, key []byte) error {
	_, err := tx.Has(ks, key)
	return err
}

func scanAll(tx *Txn, ks *Keyspace, key []byte) error {
	for _, err := range tx.Scan(ks, Prefix(key)) {
		if err != nil {
			return err
		}
	}
	return nil
}

func backAll(tx *Txn, ks *Keyspace, key []byte) error {
	for _, err := range tx.Reverse(ks, Prefix(key)) {
		if err != nil {
			return err
		}
	}
	return nil
}

// S3: transactions in a ring, each of which reads what the next one writes, commit at the same instant. A transaction
// fails if, and only if, what it read was changed by one that comes before it in commit order. So
// never do all commit, and never does none.
func TestSimultaneousValidatorsSeeEachOther(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 30
	}
	for name, how := range simultaneous {
		for _, n := range []int{2, 3, 5} {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				db := openTest(t)
				for round := range rounds {
					ks := keyspace(t, db, fmt.Sprint(round))
					txns := make([]*Txn, n)
					for i := range txns {
						if how.setup {
							set(t, db, ks, ring(i, n), "0")
						}
					}
					for i := range txns {
						txns[i] = begin(t, db, Serializable)
						must(t, how.read(txns[i], ks, []byte(ring(i+1, n))))
						must(t, how.write(txns[i], ks, []byte(ring(i, n))))
					}
					judgeRing(t, txns, commitAtOnce(t, txns, round%2 == 1))
				}
			})
		}
	}
}

func ring(i, n int) string { return fmt.Sprintf("key%d", i%n) }

// commitAtOnce lets all commit as soon as all are ready to, perhaps beside a checkpoint.
func commitAtOnce(t *testing.T, txns []*Txn, besideCheckpoint bool) []error {
	errs := make([]error, len(txns))
	start := make(chan struct{})
	var ready, ended sync.WaitGroup
	for i, tx := range txns {
		ready.Add(1)
		ended.Go(func() {
			ready.Done()
			<-start
			errs[i] = tx.Commit()
		})
	}
	ready.Wait()
	close(start)
	if besideCheckpoint {
		checkpoint(t, txns[0].DB())
	}
	ended.Wait()
	return errs
}

// judgeRing compares what became of the ring with the commit order.
func judgeRing(t *testing.T, txns []*Txn, errs []error) {
	t.Helper()
	committed := 0
	for i, err := range errs {
		next := (i + 1) % len(txns) // has changed what this one read
		switch {
		case err == nil:
			committed++
			if errs[next] == nil && txns[next].CommitTimestamp() < txns[i].CommitTimestamp() {
				t.Fatalf("%d has committed after %d, which changed what it had read", i, next)
			}
		case !errors.Is(err, ErrConflict):
			t.Fatalf("commit of %d: %v", i, err)
		case errs[next] != nil:
			t.Fatalf("%d has failed, and so has %d, the only one that could have been in its way", i, next)
		}
	}
	if committed == 0 || committed == len(txns) {
		t.Fatalf("%d of %d in a ring committed", committed, len(txns))
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
