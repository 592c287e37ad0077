// Package engine puts key-value engines behind one small interface, each used the way that its documentation advises
// and each as durable as the others: when Update or Add returns, the commit has been synced to the device.
//
//	engine   updates                                   conflicts
//	Sombra   db.UpdateWith at serializable             locks; those that lose are run again
//	bbolt    db.Batch (db.Update with one worker)      one writer at a time
//	Badger   NewTransaction, Commit with SyncWrites    found at commit; run again after ErrConflict
//	Pebble   a batch committed with pebble.Sync        not noticed: Pebble has no isolation between writers
//	SQLite   BEGIN IMMEDIATE on one connection         one writer at a time
//
// Invariants that the workloads rely on:
//
//	E1  Update and Add are durable and atomic when they return without error.
//	E2  Where Isolated is set, updates have the effect of some serial order.
//	E3  Load is durable when it returns.
//	E4  Close waits for the engine's background work, so that one engine does not disturb the measurement of the next.
package engine
