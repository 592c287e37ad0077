// Package kit tests code that keeps its data in a transactional store: this engine, or a service on top of it. It has
//
//   - a checker: were the answers that concurrent clients got possible at the isolation levels that they asked for?
//   - models: what must a map, or a property graph, look like after these transactions?
//   - generators: keys, values, and transactions that interleave, for pgregory.net/rapid, which makes failures small.
//
// But for Graph nothing here knows this engine, so that all of it can be pointed at a service's own methods.
//
// # Which of them
//
// When the code runs transactions at the same time, and the question is whether it relies on more than its isolation level
// gives, record a history and check it (see the example Accounts). It works with any number of goroutines, through any
// number of layers, and across crashes.
//
// When the question is whether the code does what it should, run it beside a model: RunSteps for a map of strings (see
// the example of RunSteps), Graph for a graph (see the example of Graph), a Map of its own for anything else.
//
// # Histories
//
// Each client tells a Recorder what it did and saw, and Check judges the History:
//
//	recorder := kit.NewRecorder()
//	p := recorder.Process()          // one for each client
//	p.Begin(kit.Serializable)        // before the store is asked for anything
//	p.Append(1, 17)                  // before the store may commit it
//	p.Read(2, list)                  // when the store has answered
//	p.End(kit.Committed)             // when the outcome is known: Committed, Aborted, or Unknown after a crash
//	history, err := recorder.History()
//	report := kit.Check(history, kit.Options{RealTime: true, Sessions: true})
//	fmt.Println(report)              // which transactions contradict each other, and how
//
// What is recorded are lists: a key holds one, and transactions append values that nobody else appends. Most services
// have lists, or can keep one for the test: the bookings of an account, the messages of a room, the members of a group.
// A Workload makes random transactions on such lists as data.
//
// # Method of the checker
//
// A read of a list tells which appends came before it and in which order,
// and dependencies follow from what was observed (Kingsbury and Alvaro, Elle, VLDB 2020): ww between successive appends of a key, wr
// from an append to a read that ends in it, rw from a read to the append that it did not see, and the orders of sessions and
// real time where they are asked for. A range read is a read of every key in the range, absent ones included, so
// phantoms are rw edges like others. A cycle is an anomaly; its Class depends on the edges in it, after Adya (1999). Reads of
// aborted or intermediate states, values twice, and orders that contradict each other are found without a cycle.
//
// # Levels
//
// Each Class has the weakest Level that forbids it. Levels may be mixed in one history: a cycle counts
// against a level if the edges in it matter to transactions of that level, after Adya's mixing theorem: ww always, wr
// for the reader's level from ReadCommitted on, rw of a key for the reader's level from Snapshot or Serializable on.
// A transaction whose outcome is Unknown counts as committed if and only if one of its values was read.
//
// # Models
//
// A Map keeps every version of every key and has transactions of its own, with the rules of this engine when nobody waits
// for a lock. RunSteps runs steps, best those of Interleavings, against a Store, which is an adapter to the code under
// test, and against a Map, and says where they differ:
//
//	rapid.Check(t, func(t *rapid.T) {
//		store := open(t) // a new one each time
//		if err := kit.RunSteps(store, kit.Interleavings(3, 60).Draw(t, "steps")); err != nil {
//			t.Fatal(err)
//		}
//	})
//
// # Limits
//
// Histories: blind writes other than appends, and deletes, are not modelled, and a history without reads says nothing about
// order. Models: RunSteps runs in one goroutine; races inside the store are for histories and the race detector.
package kit
