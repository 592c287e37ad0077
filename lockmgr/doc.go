// Package lockmgr is the lock table of the engine: it gives transactions the
// right to read or write keys, makes them wait for each other in a fair order,
// and ends one of them when they wait in a circle.
//
// Locks live in memory only. Snapshot reads never look at them; a crash forgets
// them. The table knows keys as bytes and transactions as [Owner]s; what either
// means is the caller's business.
//
// # Modes
//
// S (shared) is for reading, X (exclusive) for writing. U (update) is for "read
// now, write later": two holders of S that both want X wait for each other for
// ever, two that ask for U first do not. A (add) is for changes that commute and
// do not look at the value, such as increments of a counter. What of two owners
// may stand together:
//
//	held \ asked   S    U    A    X
//	S             yes  yes   -    -
//	U             yes   -    -    -
//	A              -    -   yes   -
//	X              -    -    -    -
//
// The modes are a lattice, not a line: neither of U and A includes the other. An
// owner that asks for more of its own key gets the join, the weakest mode that
// includes what it holds and what it asks for. If that is what it holds, there is
// nothing to do.
//
//	   X      join   S    U    A    X
//	 /   \    none   S    U    A    X
//	U     A   S      S    U    X    X
//	|     |   U      U    U    X    X
//	S     |   A      X    X    A    X
//	 \   /    X      X    X    X    X
//	 none
//
// So who adds and then wants to see the sum must become the only one: it waits
// until the others that added have ended. Two that both do so wait for each other,
// as two holders of S that want X do; who knows beforehand that it will look asks
// for X, or for U, at once.
//
// # Queues
//
// Each key has a first-in first-out queue. A request is granted when neither a
// holder nor a request ahead of it conflicts; so an S request stands behind a
// waiting X even while other S locks are held, an A request even while other A
// locks are, and no stream of readers or adders starves a writer. An upgrade (a
// holder that asks for more) goes before ordinary requests that conflict with it:
// they would wait for its held lock anyway. Upgrades keep their order among
// themselves, except that one goes before another that waits for its held lock.
// Holders are never passed.
//
// # A wait
//
//	            join                  settle
//	(granted) <------ Acquire ------> waiting ------> granted   released by another
//	                                                  victim    chosen by the detector
//	                                                  timedOut  the caller's limit
//	                                                  cancelled the context ended
//	                                                  killed    Kill
//	                                                  closed    Close
//
// The waiting goroutine sleeps on its owner's channel, its context and one timer.
// Whoever ends the wait does all of it in one critical section of the shard: it
// decides, takes the request out of the queue, makes the owner a holder, grants
// what became possible behind it. The waiter itself, when time or context run
// out, does the same and may come too late; then the earlier outcome stands.
//
// # Deadlocks
//
// After Grace of waiting the waiter asks the detector, one goroutine per table. A
// waiter that holds locks first follows the waits from the owners in its way to those
// in their way, up to 16 owners, and asks at once if that leads back to itself
// (closesCycle): most deadlocks end as soon as they begin, not a Grace later,
// in which all that want a key of theirs queue up. What it has seen decides nothing.
// It copies who waits for whom shard by shard, without stopping the table, and
// asks package deadlock for cycles. The copy may show edges that never existed
// together, so for each cycle it locks the shards of all members, in order, and
// verifies every edge; a wait is known again by its sequence number. Only then it
// chooses a victim and ends its wait, before it lets go of the shards.
//
//	Why the sequence number: A waits for k. After the copy it is granted k,
//	commits, and waits again, for another key whose entry is the same memory, used
//	anew. All edges verify, and there is a deadlock, but the key in its report and
//	the work that was weighed are those of the wait before.
//
// A deadlock cannot be missed: its waits do not end by themselves, and the one
// that completed the circle asks for a search that begins afterwards. Between two
// searches the detector pauses for Grace, or as long as the search took if somebody
// sees a circle, so that many waiters on a hot key do not keep a processor busy. The sweep is a second net. An idle table has no timer.
//
// # Invariants
//
//	L1  The holders of a key are pairwise compatible (an owner counts once).
//	L2  No queued request could be granted: this holds whenever the shard is unlocked.
//	L3  A wait has exactly one outcome and one wake-up.
//	L4  A request is in a queue if and only if its state is waiting.
//	L5  A request is granted only if it conflicts with no request ahead of it.
//	L6  After an error the owner holds what it held before, in the same modes.
//	L7  A victim is ended only as part of a cycle verified at that moment.
//	L8  No user function runs under a mutex of the table.
//	L9  The mode of a lock is the join of all that its owner was granted of the key.
//
// Check verifies L1, L2, L4, all counts, and that each request is for more than held.
//
// # Lock order
//
//  1. shard mutexes; the detector alone holds several, taken by rising number
//  2. reports.mu, under which nothing else is taken
//
// An owner has no mutex: its list of held locks belongs to the goroutine that
// uses it, its current request to the shard in whose queue it stands. Waking a
// waiter under a shard mutex does not block, for its channel has room. Who looks
// at an owner from outside (Waiting, Owners, the detector) reads its request under
// the mutex of that shard, and counts its locks where they are: at the keys.
//
// # What it costs
//
// 128 shards by hash of the key; entries are found through links in themselves
// and are reused, so that the uncontended pair of Acquire and ReleaseAll does not
// allocate. An owner finds its own locks by a scan, or a hash table beyond 16.
//
// # What it does not do
//
// No range locks (serializability validates ranges at commit), no intent modes,
// no escalation, no limit on the number of locks: Metrics tells the memory, and
// the caller keeps the budget. Fairness is per key; there are no priorities in
// queues.
//
// # Example
//
//	locks := lockmgr.New(lockmgr.Options{})
//	defer locks.Close()
//	txn := locks.NewOwner(lockmgr.OwnerInfo{ID: 12, Label: "transfer"})
//	defer locks.ReleaseAll(txn)
//	err := locks.Acquire(ctx, txn, key, lockmgr.X, lockmgr.Wait, 5*time.Second)
package lockmgr
