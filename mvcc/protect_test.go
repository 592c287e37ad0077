package mvcc

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// A long transaction reads all accounts and writes one, while a storm of short
// ones changes accounts all the time. It commits after a few attempts, at both
// levels that can lose, and what it has read is consistent.
func TestALongTransactionDoesNotStarve(t *testing.T) {
	for _, iso := range []Isolation{Snapshot, Serializable} {
		t.Run(iso.String(), func(t *testing.T) {
			db := openTest(t)
			ks := fillBank(t, db)
			stop := make(chan struct{})
			var storm sync.WaitGroup
			for range 4 {
				storm.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						if err := db.UpdateWith(bg, &TxnOptions{Isolation: Serializable}, func(tx *Txn) error { return transfer(tx, ks) }); err != nil {
							t.Errorf("transfer: %v", err)
							return
						}
					}
				})
			}
			for range 10 {
				attempts := 0
				err := db.UpdateWith(bg, &TxnOptions{Isolation: iso, Label: "audit"}, func(tx *Txn) error {
					attempts++
					sum, n, err := total(tx, ks)
					if err != nil {
						return err
					}
					if sum != accounts*1000 || n != accounts {
						return fmt.Errorf("%d accounts with %d", n, sum)
					}
					before := db.Metrics().Committed
					for i := 0; i < 100000 && db.Metrics().Committed < before+20 && attempts <= protectAfter; i++ {
						runtime.Gosched()
					}
					v, err := tx.Get(ks, account(0))
					if err != nil {
						return err
					}
					if err := tx.Put(ks, account(0), v); err != nil {
						return err
					}
					return tx.Put(ks, []byte("audited"), nil)
				})
				if err != nil {
					t.Errorf("audit: %v", err)
				}
				if attempts > protectAfter+1+2 { // a deadlock or two may cost an attempt
					t.Errorf("the audit needed %d attempts", attempts)
				}
			}
			close(stop)
			storm.Wait()
			if db.Metrics().Protected == 0 {
				t.Errorf("no transaction was ever protected")
			}
		})
	}
}
