// Package vfs is the file system as the engine uses it: positional reads and
// writes, syncs of files and of directories, atomic renames, advisory locks. It
// has one real implementation and three for tests:
//
//	OS         the operating system
//	Mem        memory that can lose power (Crash)
//	Faulty     a wrapper that fails, shortens, delays or hangs operations, or
//	           cuts the power before one of them
//	ReadOnly   a wrapper that refuses changes with EROFS
//
// # Promises
//
// What FS and File promise is little, because crash safety must not rest on
// more than every system gives:
//
//	data        written bytes survive a crash after Sync or SyncData returned
//	            nil. Before, each sector of them may be there or not.
//	size        as data
//	entry       a created, renamed or removed name survives after SyncDir of
//	            its directory. Syncing the file itself does not do that.
//	rename      one of the old and the new state is there, never neither
//	failed sync final: what it should have written may be lost although it can
//	            still be read, and no later sync will report it
//
// The package does not cache, does not retry, and does not know what the files
// hold.
//
// # Operating systems
//
//	          SyncData         Sync              SyncDir        Lock
//	Linux     fdatasync        fsync             fsync          flock
//	macOS     F_FULLFSYNC      F_FULLFSYNC       F_FULLFSYNC    flock
//	Windows   FlushFileBuffers FlushFileBuffers  nothing to do  LockFileEx
//
// On Windows Rename writes through instead. A lock conflicts between two opens
// within one process as well as between processes. The lock file holds the line
// "pid 123", which is empty again after an exclusive holder released it; the
// file itself stays, since removing it would let two processes lock two files
// of the same name.
//
// # A file system that loses power
//
// Mem keeps each file twice, and what lies between as a log:
//
//	live     what a read returns            durable + log = live
//	durable  what the last sync left
//	log      writes and truncations since   Sync: durable += log, log = empty
//
// Directories likewise: live entries, durable entries, and one log of
// operations for the whole tree, because a move belongs to two directories.
// Contents are chunks of 4 KiB that clones share until one of them writes, so
// an image of a large file costs a copy of its chunk table.
//
// Crash builds an image from durable and a part of the logs. Which part is told
// at Crash; LoseAll and KeepAll are the ends, and Random lies between them.
// Invariants:
//
//	M1  durable plus log is what a read returns, for every file.
//	M2  A sync of a file changes nothing in any directory, and SyncDir nothing
//	    in any file.
//	M3  Durable entries plus the directory log are what a listing returns.
//	M4  A directory operation survives as a whole or not at all, and only with
//	    all earlier ones in the directories that it touches. A file that is
//	    moved between directories is therefore never lost.
//	M5  The same Mem and the same CrashConfig give the same image.
//	M6  After a failed sync (see Fault.Err) the unsynced writes can be read but
//	    are in no image and no later sync writes them, as on Linux, where the
//	    pages count as clean after the error. M1 ends for such a file.
//	M7  After Faulty.PowerOff has returned, no operation changes the inner file
//	    system any more, and whatever was acknowledged is in it. Closing is
//	    the exception: it releases what is open, and empties a lock file.
//
// Check verifies M1 and M3.
//
// # A crash at every step
//
// Count the changes of a run without faults, then run again for each of them:
//
//	mem := vfs.NewMem()
//	disk := vfs.NewFaulty(mem, nil)
//	disk.CutAt(k)
//	acknowledged := workload(disk) // ends with ErrPowerOff
//	for seed := range uint64(10) {
//		image := mem.Crash(vfs.CrashConfig{Mode: vfs.Random, Seed: seed})
//		recover(image) // must show at least what was acknowledged
//	}
//
// # Lock order
//
// Faulty.power is held, shared, while the inner file system is called; Mem.mu
// is a leaf. No lock is held while a fault delays or hangs an operation.
package vfs
