// Package fuzz holds the tests that go through all layers: it crashes, breaks
// and kills databases, and verifies what is left. It has no code besides tests.
//
//	crash   the power goes off at a change of the disk           film_test.go, crash_test.go, features_test.go, graph_test.go
//	fault   one call of the disk fails; the disk gets full       fault_test.go, space_test.go
//	hang    one sync does not return                             hang_test.go
//	kill    the process dies, on a real disk                     kill_test.go
//	damage  bytes of the files change behind the engine's back   damage_test.go
//	rot     one bit flips; what a repair saves then              rot_test.go
//
// # Commits that describe themselves
//
// An audit must not need to know what a run had done when it was cut off. So
// each commit writes down what it consists of, and the audit works out from the
// commits that it finds what everything must look like (ledger_test.go):
//
//	ledger  't' writer seq   the commit: number, what it saw, what it wrote and whose writes it replaced
//	        'h' writer       the writer's newest commit
//	cells   'o' cell         the commit whose write was the last one
//	        'c' cell         its value, bytes that follow from commit, cell and size; absent after a delete
//
// Several writers at all isolation levels change cells, look at each other's
// heads, roll back now and then, checkpoint, and write values that need several
// log records. A reader holds a snapshot across checkpoints and looks at it twice. What the
// database alone must satisfy, in any snapshot, before and after any accident:
//
//	A1  The commits of a writer are 1 to n, and its head says n.
//	A2  What a commit saw is there, and has a lower number. So nothing is there without
//	    what was visible to it.
//	A3  A commit's writes are all there, as far as no later commit replaced them: the last write
//	    to each cell is its owner's, with exactly its bytes.
//	A4  No two commits replaced the same write: no update is lost.
//	A5  There is no key that no commit wrote.
//	A6  Check finds nothing.
//	A7  The counter to which each commit added one says how many there are.
//
// What it must satisfy against what its users were told (history_test.go):
//
//	H1  An acknowledged commit is there.
//	H2  A commit that failed, or was rolled back, is not.
//	H3  Of the commits of one opening, in order of their timestamps, a prefix is there.
//	H4  A commit is there as it was written.
//	H5  What a reader saw is there, whether or not its writer had been told.
//
// After an audit the history is settled: commits whose outcome was unknown are
// there or not, and must stay so in all later crashes.
//
// The graph's workload does the same with nodes and edges (graph_test.go).
//
// # Accidents
//
// film: the workload runs once, and each of its changes gives an image, which is audited; see film_test.go.
//
// crash: the workload runs again and again on a vfs.Mem, with the power cut before its first,
// second, ... change, until one run ends first. From each cut:
//
//	images     all unsynced lost, all kept, some at random with sectors of 512 and of 4096 bytes:
//	           recover, audit; recover again with the power going off on the way,
//	           audit, write on, power off, audit, write on, close, audit
//	superblock one of the two damaged: the other one must be enough (R4)
//	process    recover from what had been written but not synced, then power off
//
// fault: each call fails once, with EIO, ENOSPC, or after a part of its bytes. The error
// says so, reads go on, writes go on or are refused with ErrFailed, no file and no goroutine stays behind, and
// nothing is lost after reopening, nor when the power fails before or after that.
//
// kill: the test binary runs itself as a child with six writers, which prints what
// is acknowledged, and kills it at a random moment, also during recovery.
//
// damage: a database refuses to open, or says that it is damaged, or is right. Only the end of a log that was
// not closed may be missing, for nothing tells it from one that was never written.
//
// # Long forms
//
//	go test ./fuzz -crash.points=100000  images of that many changes, and as many of recoveries (half an hour)
//	go test ./fuzz -crash.every        runs cut off at every change, all images (2 minutes)
//	go test ./fuzz -fault.every        every call, every size of disk, damage all over the log (2 minutes)
//	go test ./fuzz -rot.step=97        every 97th bit flipped, a repair after every 97th byte
//	go test ./fuzz -kill.rounds=500    a process killed so often
//	go test ./fuzz -fuzz=Damaged       damage found by the fuzzer
//
// # What it cannot show
//
// A disk that lies about syncs, that returns old contents, or tears a sector; damage that keeps a
// checksum intact; anomalies of isolation other than lost updates. The schedule of goroutines differs from
// run to run: a failure names the change at which it happened, which need not fail again.
package fuzz
