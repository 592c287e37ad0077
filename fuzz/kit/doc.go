// Package kit checks histories: whether what the clients of a transactional store saw is something that the isolation
// levels of their transactions allow. It knows nothing of any store, so a service can run it against its own code.
//
// # Use
//
// A Workload makes random transactions as data, a driver runs them and tells a Recorder what each client saw, and Check
// judges the History:
//
//	recorder := kit.NewRecorder()
//	p := recorder.Process()          // one for each client
//	p.Begin(kit.Serializable)        // before the store is asked for anything
//	p.Append(1, 17)                  // before the store may commit it
//	p.Read(2, list)                  // when the store has answered
//	p.End(kit.Committed)             // when the outcome is known
//	history, err := recorder.History()
//	report := kit.Check(history, kit.Options{RealTime: true, Sessions: true})
//
// # Method
//
// Keys hold lists, and transactions append values that nobody else appends. So a read tells which appends came before it and in which order,
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
// # Limits
//
// Blind writes other than appends, and deletes, are not modelled. A history without reads says nothing about order.
package kit
