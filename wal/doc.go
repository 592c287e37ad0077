// Package wal is a write-ahead log of opaque records in segment files, with
// group commit and a watchdog.
//
// # Promises
//
//   - A record whose Sync has returned nil is found by every later Open, in the
//     order of the Append calls, whatever happens to power, process or device
//     in between, short of damage to the files.
//   - Damage to what had been durable is reported, never taken for the end of the log.
//   - What was not acknowledged may be found or not, but only whole, and never
//     without everything before it.
//   - A failed write of records, or sync, ends the log's service; it is never retried.
//
// It does not promise to notice damage to the records of the last sync before a
// power loss: nothing tells them from an unfinished tail. Close leaves a mark
// for that. It does not know what the records mean, does not lock the
// directory against a second process, and takes the medium to write a sector of
// 512 bytes whole or not at all.
//
// # Positions
//
// An LSN is the count of log bytes before a position over the log's whole
// life, from FirstLSN on. Segment headers do not count and segments leave no
// gaps, so that a position says nothing about files: segment sizes may change.
//
// # Format
//
// All integers are little endian. A segment file is NNNNNNNNNNNNNNNN.wal, its
// number in hexadecimal. Its first 4096 bytes hold one sector:
//
//	offset size
//	     0    8  "SOMBRWAL"
//	     8    4  format version, 1
//	    12    4  CRC32C of the 512 bytes without this field
//	    16   16  database id
//	    32    8  segment number: one that is not the file's own marks a spare
//	    40    8  LSN of the first record: here the previous segment's records end
//	    48    8  size of the file in bytes, as far as records may use it
//	    56    4  crc field of the last record in the previous segment
//	    60  452  zeros
//
// A record begins at a multiple of 8 and lies in one segment:
//
//	offset size
//	     0    4  crc: CRC32C of everything after it, padding included
//	     4    4  prev: the crc of the record before it; before the first one, CRC32C of the database id
//	     8    4  length of the payload, at most 16 MiB
//	    12    1  kind, the owner's
//	    13    1  flags; 1: a mark, not given to the replay
//	    14    2  zeros
//	    16    8  lsn: its own position
//	    24    8  durable: everything before this position was durable when the record was written
//	    32    8  timestamp, the owner's
//	    40       payload, padding to a multiple of 8
//
// # The end of the log, and damage
//
// Unsynced sectors reach the medium in any order. After a power loss, a hole
// followed by good records is therefore normal, as long as it lies in what was
// written after the last sync. Hence "a good record follows" does not mean
// damage. But the flusher writes the records of one round only after the sync
// of the round before, and notes in each how far the log was durable then. If
// a good record says that the log was durable beyond a bad position, the
// position is damaged; if none says so, it was never acknowledged, or is not
// known to have been, and is the log's end. The same holds for a later
// segment's header, which is written when all before it is durable.
//
// What lies behind the end is erased before the log accepts records: if a new
// record took the place of a lost one and was by chance the same, the chain
// would go on into old ones. In recycled files, old records cannot be mistaken
// for new ones, because each names its own position and positions never come back.
//
// # Invariants
//
//	W1  The log is the records from the oldest segment on, each one's lsn the end of the one before, its prev
//	    that one's crc.
//	W2  A record's durable is a position that had been synced before the record was written.
//	W3  A position p is damaged, not the end, if and only if there is no good record at p and one of these says
//	    that p was durable: a record with durable > p, a segment in use with a first LSN > p, or the owner, who
//	    asks for a replay from a position > p.
//	W4  A segment's header is written only after everything in the segments before it is durable, into a file
//	    whose name is durable.
//	W5  Before Open returns, what it replayed is durable, and nothing behind it can be read as a record.
//	    Recovery writes again what nothing proves durable: after a failed sync, the kernel may hold pages as
//	    clean that never reached the device.
//	W6  Append decides where a segment ends. The flusher follows.
//	W7  From the oldest segment that a replay may need to the last spare, numbers have no gaps. A recycled file
//	    is renamed, and the directory synced, before it is a spare.
//	W8  The first failure of a write or a sync is final, but for zeros that find the disk full: no record depends
//	    on them. The durable position does not move after it.
//	W9  Whoever waits in Sync is woken once, by the end of the round that serves it or by the failure.
//
// # Group commit
//
// Append copies into the pending batch under a mutex. One goroutine at a time
// holds the flush token: it swaps the batches, fills in the fields that need
// order (prev, durable, crc), writes, syncs, and wakes the round's waiters.
//
//	          Sync, token free, ctx cannot end          more waits
//	free ------------------------------------> inline ------------> syncer <--+
//	  ^  \------ Sync with a ctx that can end, 1 MiB pending, tick ---^  |    | more waits
//	  |                                                                  v    |
//	  +--------------------------------------------------------------- flush -+
//
// A committer that is alone does the I/O itself, unless its context can end:
// a system call cannot be left, and a deadline must hold even if the device hangs.
// On a virtual disk (0.15 ms a sync) the hand-over's cost was within the noise
// between runs, about 5 %.
//
// After a round, the syncer waits for the committers that it woke, for twice the time of a sync at most, less when
// they are few, and never for one that is alone (fill.go). Most come back at once, and then share the next sync with those that
// came meanwhile; otherwise two halves of the committers take turns. A goroutine that goes into a sync also keeps its
// processor for a while, and with it the committers that were woken there: when all have come there are none. After a wait
// that was in vain the next 2, 4, ... 1024 rounds go without one, and only yield once (docs/decisions/0023-full-batches.md).
//
// # Files
//
// A new segment is a spare first: zero-filled and synced in the background, once
// half of the current one is used, so that a commit never allocates blocks. If
// somebody must wait for it, the filling is cut short, at 1 MiB or what the
// records need that wait, and the flusher writes zeros ahead, 1 MiB at a time.
// Release recycles up to two segments as spares.
//
// # A full disk
//
// If there is no room for a spare, Admit and Append refuse what does not fit
// (ErrNoSpace) instead of letting a write fail. If there is none for the zeros
// ahead, the segment ends where its blocks do. Whoever is refused causes the
// next attempt, 250 ms after the last one at the earliest. Admit waits for an
// attempt that is due, and so tells of the present; it also waits, near a
// segment's end, until it is known whether there is a next one.
//
// A full disk still fails the log if a write of records meets it: on a file
// system where overwriting takes room, and if more than 512 KiB are appended
// at once to a segment without all its blocks, or into a segment that is still
// to be made, without Admit. A close on a full disk may leave no mark.
//
// # Locks
//
//	flush token  >  Log.mu  >  segmentSet.mu
//	segmentSet.maint  >  Log.mu, segmentSet.mu
//
// The token and maint are held across I/O, the mutexes never. Four goroutines
// at most, all ended by Close: the syncer, the preparer of spares, the monitor
// (the watchdog's clock), and whoever calls.
package wal
