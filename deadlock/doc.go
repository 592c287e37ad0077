// Package deadlock finds cycles in a wait-for graph, chooses the transaction
// that must end, and describes what happened in words that a person can act on.
//
// It is pure: no clock, no goroutine, no lock, no I/O. The caller (package
// lockmgr) takes a picture of who waits for whom, asks for the cycles in it,
// verifies each against the living lock table, and only then asks for a victim.
// Keeping the decision apart from the waiting makes it testable on plain data.
//
// # The graph
//
// A node is a waiting transaction. There is an edge to each transaction that
// must act before the wait can end: holders of the lock in a conflicting mode,
// and conflicting requests ahead in the same queue. A blocker that is itself not
// waiting can act, so it cannot be part of a deadlock; it is not a node, and
// edges to it are ignored. One edge per waiter would not do: with S locks a
// request has several blockers, and a cycle may run through any of them.
//
//	txn 1 --wants a--> txn 2 --wants b--> txn 3      1 and 2 and 4 wait for each
//	  ^                  |                           other; 3 runs, and is no node
//	  +-----wants d--- txn 4 <---wants c--+
//
// # Finding cycles
//
// Tarjan's algorithm (SIAM J. Comput. 1(2), 1972) splits the graph into strongly
// connected components in time linear in nodes and edges. Without a deadlock,
// the usual case, that is all the work. Inside each component that has a cycle a
// breadth-first search from each node finds a shortest one, since a report over
// three transactions is better to read than one over thirty. The remaining nodes
// of the component are then searched for further cycles that share no node with
// those found: each of these needs a victim of its own.
//
// The search inside one component may cost nodes times edges. It stops early
// after searchBudget edges; then a cycle is still found in each component, but
// maybe not a shortest one, and the others are left to the next call.
//
// # What it promises
//
//	D1  Each returned cycle is elementary and each of its edges is in the input.
//	D2  Returned cycles share no node.
//	D3  Every strongly connected component with a cycle yields at least one.
//	D4  The first cycle of a component is a shortest of that component (within
//	    the budget).
//	D5  Without those nodes the graph has no cycle left (within the budget).
//	D6  Equal input gives equal output: the order of the input decides ties.
//
// It does not promise that ending one victim per cycle leaves no deadlock: cycles
// may overlap. Who resolves must look again after the victims have gone.
//
// # The victim
//
// The rule, each step deciding only among the equals of the step before:
//
//  1. lowest priority   the user's word comes first
//  2. fewest retries    who lost often must win some day: no starvation
//  3. least work        what is lost and must be done again is small
//  4. youngest          the others have waited longer
//
// Equal birth numbers are decided by the higher id, so that the rule is total.
//
// # The report
//
// [Error] is what the victim receives and what observers keep. Its text is one
// line for the whole and one line for each party:
//
//	deadlock: txn 12 "transfer" ended to break a cycle of 2 transactions (fewest retries); roll it back and retry
//	  txn 12 "transfer" (serializable, 15ms old, waited 3ms) holds X on accounts/7, wants X on accounts/9  <- victim: fewest retries
//	  txn 15 "audit" (snapshot, 1.2s old, waited 2ms) holds X on accounts/9, wants X on accounts/7
//
// Parties stand in waiting order: each waits for the next, the last for the
// first. A party that blocks only by its place in a queue says so.
//
// Everything in this package is safe for concurrent use, because nothing in it
// changes after it was built.
package deadlock
