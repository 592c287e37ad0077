package deadlock_test

import (
	"fmt"

	"github.com/sombradb/sombra/deadlock"
)

func ExampleCycles() {
	waiters := []deadlock.Waiter{
		{ID: 1, Blockers: []deadlock.TxnID{2}, Retries: 3},
		{ID: 2, Blockers: []deadlock.TxnID{3, 4}},
		{ID: 4, Blockers: []deadlock.TxnID{1}, Retries: 1},
	}
	for _, cycle := range deadlock.Cycles(waiters) {
		at, reason := deadlock.Victim(waiters, cycle)
		for _, i := range cycle {
			fmt.Print(waiters[i].ID, " waits for ")
		}
		fmt.Println(waiters[cycle[0]].ID)
		fmt.Printf("victim: %d, %s\n", waiters[cycle[at]].ID, reason)
	}
	// Output:
	// 1 waits for 2 waits for 4 waits for 1
	// victim: 2, fewest retries
}

func ExampleError() {
	err := &deadlock.Error{
		Reason: "fewest retries",
		Cycle: []deadlock.Party{
			{
				ID: 12, Label: "transfer", Isolation: "serializable", Age: 15e6, Waited: 3e6, Victim: true,
				Holds: []deadlock.Lock{{Key: "accounts/7", Mode: "X"}}, Wants: deadlock.Lock{Key: "accounts/9", Mode: "X"},
			},
			{
				ID: 15, Label: "audit", Isolation: "snapshot", Age: 12e8, Waited: 2e6, Retries: 1,
				Holds: []deadlock.Lock{{Key: "accounts/9", Mode: "X"}}, Wants: deadlock.Lock{Key: "accounts/7", Mode: "X"},
			},
		},
	}
	fmt.Println(err)
	// Output:
	// deadlock: txn 12 "transfer" ended to break a cycle of 2 transactions (fewest retries); roll it back and retry
	//   txn 12 "transfer" (serializable, 15ms old, waited 3ms) holds X on accounts/7, wants X on accounts/9  <- victim: fewest retries
	//   txn 15 "audit" (snapshot, 1.2s old, waited 2ms) holds X on accounts/9, wants X on accounts/7
}
