// Package mvcc is an embedded, ordered, transactional key-value engine: many
// concurrent writers, an isolation level per transaction, snapshots that block
// nobody, and durable group commit.
//
// # Promises
//
//   - Several transactions write at once. They meet only where they lock the same key, and in
//     one short section that gives a commit its timestamp and its place in the log.
//   - Readers take no lock that a writer holds across I/O, and hold up no writer, at any level.
//   - Each level prevents what docs/isolation.md says, also when transactions of different levels run side by side.
//   - A commit that was acknowledged survives a crash at any moment (Full durability), one that
//     was not is there as a whole or not at all, and commits survive in their order.
//   - No error is a guess: when the outcome of a commit is not known, the error says so (*CommitUnknownError).
//
// It does not promise to hold back a process that ignores the lock file, nor that a committed
// transaction survives the loss of the disk: that is what copies are for.
//
// # How it works
//
//	        Put/Delete                     Get/Scan at snapshot S
//	            |                                |
//	     write set (private)      write set, active table, frozen layers, data tree, history tree
//	            |  Commit                        ^
//	locks -> validate -> [timestamp + log position] -> apply -> unlock -> sync (group) -> publish -> acknowledge
//	                                                      \-> active table
//	                                                             |  checkpoint: seal, merge, write, sync, flip
//	                                                      data tree (newest versions) + history tree (older ones that snapshots need)
//
// A write locks its key in the lock table (package lockmgr) when it is made and keeps the write private. Commit validates what
// must not have changed, takes the timestamp and appends the log record in one critical section, puts the versions into the
// active table (package versions), frees the locks, waits for the log (package wal), and moves the watermark.
// A snapshot is a timestamp at the watermark: it pins no page and no table. When a write meets a newer version and nothing that
// was read has changed, the snapshot moves forward instead of failing (refresh.go). What an attempt of Update lost on, the next one
// locks first (lessons.go). A transaction that has lost three
// times holds off the commits that would make it lose again (protect.go). Additions to counters do not exclude each other (counter.go).
//
// A transaction too large for memory spills its writes to sorted temporary files (package runs); its commit makes the
// file a frozen layer (spill.go, large.go).
//
// A bulk load sorts pairs into runs and merges them straight into pages (load.go).
//
// A checkpoint freezes the active table, merges it into copy-on-write B+trees (package pagestore) and flips a
// superblock, while everybody goes on. Versions that an open snapshot still needs move to the history tree.
// With Options.Retain versions stay for a time, so that a transaction can read the database as of a moment (retain.go).
// Stamps tell when keys have changed, so that a program can keep copies of what it has read, exact at every level (stamp.go).
// Recovery opens the newest superblock and replays the log; versions carry their timestamps, so replaying twice does no harm.
//
// # Rules
//
//	R1  Commit timestamp order is log order: both are taken under commits.mu.
//	R2  A commit becomes visible when it and all before it are applied and, per their durability, durable;
//	    it is acknowledged only after that. (publish)
//	R3  A snapshot pins a timestamp, never pages. A cursor holds a leaf of each tree, with its delta and its parent, no longer than
//	    from one move to the next after a checkpoint, and finds its place again by key. (Cursor)
//	R4  No page that a superblock reaches is overwritten; the log is kept back to the older superblock. (pagestore, checkpoint)
//	R5  Conflict checks come before any "nothing changed" shortcut: a Put of the same value locks, conflicts and commits. (lock)
//	R6  A failed sync is final: writes are refused with ErrFailed, waiting commits get *CommitUnknownError, reads go on. (fail)
//	R7  Memory has one budget: cache and tables are sized from Options.MemoryBudget, and commits are delayed when it is short. (admit)
//	R8  Nothing acknowledged is lost, nothing unacknowledged is half there, at any crash point. (recover)
//
// Further invariants, cited in the code:
//
//	S1  A checkpoint that lists the snapshots after its seal became visible knows every snapshot below the seal. (snapshots)
//	S2  Whoever holds a key's X lock and finds no version after its snapshot is the only one that can commit the key:
//	    locks are released when the commit and all before it are applied, so the winner's version is in the store before
//	    the loser looks. (unlock, lock)
//	S3  Of two commits that validate at the same time, the later in commit order validates against the writes of the
//	    earlier one: entries linked after validation looked are checked again inside commits.mu. (validate, append)
//	S4  A state holds every version that a timestamp read before it was loaded can see: pinned ones by S1, the watermark
//	    because baseTS never passes it. Unpinned readers check that base is not newer than their timestamp. (readAt)
//
//	S5  Who has seen a commit before it was durable is acknowledged after it: a commit of its own lies later in the log,
//	    and one without writes waits for its floor. Only who has taken a lock sees such commits. (sees, awaitFloor)
//	S6  While a snapshot moves both its places are pinned, so no checkpoint drops what either sees. (pinNext)
//	S7  The sum of a counter is formed and stored inside commits.mu, so its versions are in commit order though adders
//	    hold their locks together. (resolve, append)
//	S8  A protected transaction's read is registered under commits.mu before it is made, and commits linked before that are
//	    waited for: from then on nobody can change what it read. (shielded)
//	S9  Who drops versions announces the new horizon before it lists the snapshots; who reads the past pins its timestamp
//	    before it looks at the horizon. So one of them sees the other. (announce, pinPast)
//	S10 Who has locked a key that a large transaction has spilled waits for that transaction: runs are made known before
//	    the locks of their keys are given up, and looked at after a lock was granted. (spill, awaitLarge)
//	S11 A commit stamps the groups of its keys before it is applied; who wants to use a copy takes its snapshot first, and looks
//	    at the stamp afterwards. (stamp, Holds)
//	S12 The transaction of a View or an Update is used again only when nobody but its user has it: who takes one out of the registry marks it under
//	    the shard's mutex, and the end looks for the mark under that mutex. Its user may have kept the handle, which enters
//	    the transaction in its own turn only. (keepHolder, removeView, finish, enter)
//	S13 What a cursor has read ahead is what its snapshot sees, whatever is committed or checkpointed meanwhile. When the snapshot
//	    moves, or writes are undone, it is dropped. (atHand, forget)
//
// # Lock order
//
// Key locks first, as the user asks for them; no internal mutex is held while waiting for one.
//
//	checkpointer.run -> commits.mu -> log append, table partition (sums of counters)
//	                 -> commits.publish
//	                 -> snapshotShard.mu
//	                 -> checkpointer.progress
//	commits.mu -> keyspaces.mu (to name a key in a conflict found there)
//	keyspaces.naming -> a whole transaction that reads or writes the catalog
//	lifetime.mu, larges.mu: alone
//
// # Example
//
//	db, err := mvcc.Open("app.sombra", nil)
//	...
//	users, err := db.Keyspace(ctx, "users")
//	...
//	err = db.Update(ctx, func(tx *mvcc.Txn) error {
//		return tx.Put(users, []byte("ada"), []byte("1815"))
//	})
package mvcc
