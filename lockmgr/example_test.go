package lockmgr_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/sombradb/sombra/deadlock"
	"github.com/sombradb/sombra/lockmgr"
)

func Example() {
	locks := lockmgr.New(lockmgr.Options{})
	defer locks.Close()
	ctx := context.Background()

	writer := locks.NewOwner(lockmgr.OwnerInfo{ID: 1, Label: "transfer"})
	if err := locks.Acquire(ctx, writer, []byte("accounts/7"), lockmgr.X, lockmgr.Wait, time.Second); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("writer holds", locks.Held(writer, []byte("accounts/7")))

	reader := locks.NewOwner(lockmgr.OwnerInfo{ID: 2, Label: "audit"})
	err := locks.Acquire(ctx, reader, []byte("accounts/7"), lockmgr.S, lockmgr.NoWait, 0)
	fmt.Println(err)

	locks.ReleaseAll(writer)
	err = locks.Acquire(ctx, reader, []byte("accounts/7"), lockmgr.S, lockmgr.NoWait, 0)
	fmt.Println("after the release:", err)
	// Output:
	// writer holds X
	// lockmgr: lock not available without waiting
	// after the release: <nil>
}

// Two transactions wait for each other. The one with fewer retries is ended,
// releases its locks, and the other goes on.
func ExampleTable_Acquire_deadlock() {
	locks := lockmgr.New(lockmgr.Options{})
	defer locks.Close()
	ctx := context.Background()
	seven, nine := []byte("accounts/7"), []byte("accounts/9")

	a := locks.NewOwner(lockmgr.OwnerInfo{ID: 1, Retries: 1})
	b := locks.NewOwner(lockmgr.OwnerInfo{ID: 2})
	fmt.Println(locks.Acquire(ctx, a, seven, lockmgr.X, lockmgr.Wait, 0))
	fmt.Println(locks.Acquire(ctx, b, nine, lockmgr.X, lockmgr.Wait, 0))

	done := make(chan error)
	go func() { done <- locks.Acquire(ctx, a, nine, lockmgr.X, lockmgr.Wait, 0) }()
	err := locks.Acquire(ctx, b, seven, lockmgr.X, lockmgr.Wait, 0)
	if report, ok := errors.AsType[*deadlock.Error](err); ok {
		loser, _ := report.Victim()
		fmt.Printf("txn %d of %d: %s\n", loser.ID, len(report.Cycle), report.Reason)
		locks.ReleaseAll(b)
	}
	fmt.Println(<-done)
	// Output:
	// <nil>
	// <nil>
	// txn 2 of 2: fewest retries
	// <nil>
}

func ExampleTable_Locks() {
	locks := lockmgr.New(lockmgr.Options{Describe: func(key []byte) string { return string(key) }})
	defer locks.Close()
	for id := range uint64(2) {
		o := locks.NewOwner(lockmgr.OwnerInfo{ID: id + 1})
		if err := locks.Acquire(context.Background(), o, []byte("accounts/7"), lockmgr.S, lockmgr.Wait, 0); err != nil {
			fmt.Println(err)
		}
	}
	for _, key := range locks.Locks(true) {
		for _, h := range key.Holders {
			fmt.Printf("%s: txn %d holds %v\n", key.Key, h.Owner, h.Mode)
		}
	}
	// Output:
	// accounts/7: txn 1 holds S
	// accounts/7: txn 2 holds S
}

// Two transactions add to a counter side by side. The one that then wants to see
// the sum has to be alone with it.
func ExampleTable_Acquire_add() {
	locks := lockmgr.New(lockmgr.Options{})
	defer locks.Close()
	ctx := context.Background()
	counter := []byte("visits")

	a := locks.NewOwner(lockmgr.OwnerInfo{ID: 1})
	b := locks.NewOwner(lockmgr.OwnerInfo{ID: 2})
	fmt.Println(locks.Acquire(ctx, a, counter, lockmgr.A, lockmgr.Wait, 0))
	fmt.Println(locks.Acquire(ctx, b, counter, lockmgr.A, lockmgr.Wait, 0))

	fmt.Println(locks.Acquire(ctx, a, counter, lockmgr.S, lockmgr.NoWait, 0))
	locks.ReleaseAll(b)
	fmt.Println(locks.Acquire(ctx, a, counter, lockmgr.S, lockmgr.NoWait, 0))
	fmt.Println("holds", locks.Held(a, counter))
	// Output:
	// <nil>
	// <nil>
	// lockmgr: lock not available without waiting
	// <nil>
	// holds X
}

func ExampleTable_Owners() {
	locks := lockmgr.New(lockmgr.Options{Describe: func(key []byte) string { return string(key) }})
	defer locks.Close()
	ctx := context.Background()
	writer := locks.NewOwner(lockmgr.OwnerInfo{ID: 1, Label: "transfer"})
	reader := locks.NewOwner(lockmgr.OwnerInfo{ID: 2, Label: "audit"})
	fmt.Println(locks.Acquire(ctx, writer, []byte("accounts/7"), lockmgr.X, lockmgr.Wait, 0))

	done := make(chan error)
	go func() { done <- locks.Acquire(ctx, reader, []byte("accounts/7"), lockmgr.S, lockmgr.Wait, 0) }()
	for waits := false; !waits; _, waits = locks.Waiting(reader) {
		runtime.Gosched()
	}
	for _, o := range locks.Owners() {
		fmt.Printf("txn %d %q holds %d\n", o.Owner, o.Label, o.Locks)
		if w := o.Waits; w != nil {
			fmt.Printf("  waits for %v on %s, held by %v\n", w.Mode, w.Key, w.WaitsFor)
		}
	}
	locks.ReleaseAll(writer)
	fmt.Println(<-done)
	// Output:
	// <nil>
	// txn 1 "transfer" holds 1
	// txn 2 "audit" holds 0
	//   waits for S on accounts/7, held by [1]
	// <nil>
}
