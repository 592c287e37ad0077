// Package bench measures the engine. Each workload is a Config and a function
// that runs it and returns a result with JSON tags and a table; the command
// line tool only binds flags to them, and the package's tests run each one
// with tiny sizes, so that none of them can rot.
//
//	workload     question                                               function
//	device       how many syncs per second does the disk allow?         [Device]
//	log          what of that does the log reach, with how many writers? [Log]
//	commit       how many durable, serializable commits per second?     [Commit]
//	arrival      how long does a commit take that arrives now and then? [Arrival]
//	get          what does a point read cost, transaction included?     [Get]
//	scan         what does a key of a scan, or of a short range, cost?  [Scan]
//	load         how fast is a bulk load, sorted and in random order?   [Load]
//	ycsb         what do the core workloads A to F of YCSB reach?       [YCSB]
//	mixed        what do readers and writers cost each other?           [Mixed]
//	checkpoint   how many bytes are written for one changed byte?       [Checkpoint]
//	recovery     how long does opening take after a crash?              [Recovery]
//	memory       does a database larger than its budget stay inside it? [Memory]
//	transfer     what of that is left when writers meet now and then?   [Transfer]
//	hotkey       how fast can one key be read, changed and written?     [Hotkey]
//	counter      how fast can one counter be added to?                  [Counter]
//	hub          do edges of one node get in each other's way?          [Hub]
//	deadlock     how long does a deadlock last?                         [Deadlock]
//	import       how fast is a graph imported?                          [Import]
//	traverse     what do hops, BFS, paths and index ranges cost?        [Traverse]
//	graphmix     what do readers and writers of a graph cost each other? [GraphMix]
//	linkbench    what does Facebook's mix of a social graph reach?      [LinkBench]
//	longreader   what does a snapshot cost that stays open?             [LongReader]
//	shrink       does a file give back what was deleted?                [Shrink]
//	overwrite    are overwrites as fast after a minute as at first?     [Overwrite]
//	large        what does a transaction larger than memory cost?       [Large]
//	soak         does anything go wrong, or grow, in the long run?      [Soak]
//
// The last five take samples while they run and can draw them ([Curves]). Every result is an [Outcome]; measurements of
// several rounds become a [Report] with medians and their range, as text or as Markdown with plots, and can be compared
// with an earlier run.
//
// [Demo] shows the graph: it builds a social graph with concurrent writers, has them
// conflict and deadlock on purpose, asks it questions and checks it.
//
// # Rules
//
// B1: every row carries a checksum of the work that it did, so that a workload cannot measure nothing.
//
// B2: after measuring, a workload reads back what it wrote and compares it with
// what was acknowledged; a difference is an [AuditError] or a [CountError], not a figure.
//
// B3: a workload leaves nothing on the disk, also when it fails. Only the demo's database stays, and a plot that was asked for.
//
// Questions whose answers depend on nothing are compared with a model at once (traverse, mixed, ycsb, graphmix): an
// [AnswerError], or an error that names the record.
//
// B4: keys and values follow from numbers alone. Two runs of one size do the same work and
// have the same checksum; runs that end by the clock do not.
//
// B5: what a workload over time demands of files and memory is a [Bound], which the result shows with its value. A broken one
// is a [BoundError], and the result is returned with it.
//
// B6: a row that ends by the clock has a warm-up of a fifth of its time before, which is in its checksum and not in its rate or
// latency. Rows of a number of operations, and workloads over time, have none.
//
// # Reading the figures
//
// Durations of single operations come from HdrHistogram with three digits,
// from 100 ns to 100 s. All loops are closed, which finds the greatest throughput, but in arrival: there operations begin
// at fixed moments and a latency begins with the arrival (no coordinated omission). A row's rate counts all of its workers; ns per read or key is the
// time of one worker. Allocations are those of the whole process, background work included.
//
// Where writers meet, ops are transactions that committed, however often they were run, and a
// latency begins with the first attempt. A wait is the time in calls that lock keys, whether they
// were free or not. Which attempts lose depends on chance: attempts, conflicts and deadlocks
// differ between runs that have the same checksum.
//
// Rows say where records were when they were read: [FromVersions] (committed, not checkpointed)
// or [FromPages]. Default memory budgets are large enough to keep these apart, except
// in the memory workload, which is about a budget that is too small.
//
// Sizes of files in samples are read at any moment, also while a checkpoint has written new pages and not yet given up
// the old ones. "Settled" is after checkpoints that changed nothing more. A checkpoint with nothing to merge does nothing,
// so these workloads write one record before each.
//
// The process's own memory (its binary and runtime) is taken as a baseline before the database is opened.
//
// # Example
//
//	res, err := bench.Commit(ctx, bench.CommitConfig{Writers: []int{1, 32}, Limit: bench.Limit{Duration: time.Second}})
//	if err != nil {
//		return err
//	}
//	return res.WriteText(os.Stdout)
//
// Parts that other engines are measured with too (bench/peers) are in bench/internal: records and draws (gen), loops (drive),
// sessions (kv), ycsb, rmat, device, figures and chart.
//
// The same workloads are benchmarks of this package, smaller, for benchstat:
//
//	go test -run - -bench . -count 10 ./bench
package bench
