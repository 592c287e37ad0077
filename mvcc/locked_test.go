package mvcc

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"strings"
	"sync"
	"testing"
)

func lockedKeys(t tb, tx *Txn, ks *Keyspace, r Range, wait ...LockWait) (keys string, err error) {
	t.Helper()
	var all []string
	for item, err := range tx.ScanForUpdate(ks, r, wait...) {
		if err != nil {
			return strings.Join(all, " "), err
		}
		all = append(all, string(item.Key))
	}
	return strings.Join(all, " "), nil
}

func TestScanForUpdateWaitsFailsOrSkips(t *testing.T) {
	for _, iso := range []Isolation{ReadCommitted, Snapshot} {
		t.Run(iso.String(), func(t *testing.T) {
			db := openTest(t)
			ks := keyspace(t, db, "jobs")
			for _, key := range []string{"a", "b", "c", "d"} {
				set(t, db, ks, key, "1")
			}
			first, second := begin(t, db, iso), begin(t, db, iso)
			for _, err := range first.ScanForUpdate(ks, Range{Lo: []byte("b")}) {
				must(t, err)
				break // takes b only
			}
			keys, err := lockedKeys(t, second, ks, Range{}, NoWait)
			wantErr(t, "no wait", err, ErrLockNotAvailable)
			want(t, "keys before the locked one", keys, "a")
			keys, err = lockedKeys(t, second, ks, Range{}, SkipLocked)
			must(t, err)
			want(t, "skipping", keys, "a c d")
			_, err = first.GetForShare(ks, []byte("a"), NoWait)
			wantErr(t, "share of a key that is locked for update", err, ErrLockNotAvailable)
			second.Rollback()
			_, err = first.GetForShare(ks, []byte("a"))
			must(t, err)
			third := begin(t, db, iso)
			_, err = third.GetForShare(ks, []byte("a"))
			must(t, err)
			wantErr(t, "put beside two sharers", third.Put(ks, []byte("a"), nil), ErrLockNotAvailable)
			first.Rollback()
			put(t, third, ks, "a", "upgraded")
			commit(t, third)
		})
	}
}

// Workers take jobs with SkipLocked until none is left: each job is done once, and nobody waits.
func TestAJobQueueWithSkipLocked(t *testing.T) {
	for _, iso := range []Isolation{ReadCommitted, Snapshot} {
		t.Run(iso.String(), func(t *testing.T) {
			db := openTest(t)
			ks := keyspace(t, db, "jobs")
			const jobs = 60
			for i := range jobs {
				set(t, db, ks, fmt.Sprintf("job%02d", i), "x")
			}
			var mu sync.Mutex
			var finished []string
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for {
						job, err := takeJob(bg, db, ks, iso)
						if err != nil {
							t.Errorf("worker: %v", err)
						}
						if job == "" {
							return
						}
						mu.Lock()
						finished = append(finished, job)
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			for job := ""; ; { // what was skipped because others had changed it
				var err error
				if job, err = takeJob(bg, db, ks, iso); err != nil || job == "" {
					must(t, err)
					break
				}
				finished = append(finished, job)
			}
			slices.Sort(finished)
			if n := len(slices.Compact(slices.Clone(finished))); n != jobs || len(finished) != jobs {
				t.Errorf("%d jobs were done %d times", n, len(finished))
			}
			if waits := db.Metrics().Locks.Waits; waits != 0 {
				t.Errorf("%d waits", waits)
			}
		})
	}
}

// takeJob does one free job and returns its name, "" when there is none.
func takeJob(ctx context.Context, db *DB, ks *Keyspace, iso Isolation) (job string, err error) {
	err = db.UpdateWith(ctx, &TxnOptions{Isolation: iso}, func(tx *Txn) error {
		job = ""
		for item, err := range tx.ScanForUpdate(ks, Range{}, SkipLocked) {
			if err != nil {
				return err
			}
			job = string(item.Key)
			return tx.Delete(ks, item.Key)
		}
		return nil
	})
	return job, err
}

func ExampleTxn_ScanForUpdate() {
	db, err := Open("jobs.sombra", &Options{FS: exampleFS()})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()
	queue, err := db.Keyspace(ctx, "queue")
	if err != nil {
		log.Fatal(err)
	}
	err = db.Update(ctx, func(tx *Txn) error {
		return errors.Join(tx.Put(queue, []byte("job 1"), nil), tx.Put(queue, []byte("job 2"), nil))
	})
	if err != nil {
		log.Fatal(err)
	}
	// Each worker takes the first job that no other worker has.
	work := func(tx *Txn, who string) error {
		for job, err := range tx.ScanForUpdate(queue, Range{}, SkipLocked) {
			if err != nil {
				return err
			}
			fmt.Printf("%s does %s\n", who, job.Key)
			return tx.Delete(queue, job.Key)
		}
		return nil
	}
	err = db.Update(ctx, func(ada *Txn) error {
		if err := work(ada, "Ada"); err != nil {
			return err
		}
		return db.Update(ctx, func(grace *Txn) error { return work(grace, "Grace") })
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// Ada does job 1
	// Grace does job 2
}
