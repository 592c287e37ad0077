// Package versions keeps the recent versions of keys in memory: a multi-version table that
// committers add to, that snapshots read without locks, and that a checkpoint later merges into
// the base tree in key order.
//
// # Promises
//
//   - A point read (Get, Newest) takes no lock and allocates nothing.
//   - A cursor holds no lock between its calls, sees every key that has a version at its
//     timestamp, and shows each key with the same version however long it stays open.
//   - Writers of different keys meet only in short critical sections, of one hash shard or of one
//     partition of the ordered index.
//   - Memory is accounted (Bytes), and versions that nobody can see are given back (Prune).
//
// Not promised: nothing here is durable, nothing checks for conflicts or waits, and one key is
// never written by two callers at once (the engine's key lock sees to that). Keys leave only with
// the whole table, which is one generation: written, sealed, merged, dropped. A delete is a
// version like any other, because it hides an older value in the base tree.
//
// # Shape
//
//	Get, Newest            Cursor, NewerInRange, All
//	     |                        |
//	     v                        v
//	front: 256 shards      ordered index: one B-tree and one backlog for each partition [split, next split)
//	hash -> *entry         key -> *entry
//	     \                       /
//	      entry{key, head} ---> Version ---> Version ---> nil      newest first
//
// Both indexes lead to the same entry, and the entry to its versions. Everything that a reader
// follows is an atomic pointer to something that was complete before the pointer was stored.
//
// The front is an open-addressed hash table with linear probing, grown by copying at three
// quarters full. A slot is 16 bytes:
//
//	offset  size  field
//	0       8     hash of the key, lowest bit set; 0 = empty
//	8       8     pointer to the entry
//
// With a million keys of 24 bytes a miss costs about 60 ns and a hit 180 ns; the same shards
// around Go maps cost 110 and 390 ns behind an RWMutex, and let readers block each other.
//
// An item of the ordered index carries the first 16 bytes of its key, so that a search seldom has
// to follow the pointer: an insertion among a million edge-like keys costs 0.4 us instead of 1.5.
// New entries wait in the partition's backlog, unordered, until a cursor or a range check comes by: it sorts them and enters them
// one after the other. The next commits do so themselves, until no reader has come for some of them, but none waits for the mutex: what it leaves,
// the next reader takes. So writers hardly pay for the order, and what is only written gets it once, when it is merged.
// One bit for each partition says whether it holds any key, so that a cursor passes 64 empty
// partitions with one load.
//
// A cursor looks up the versions of a whole batch of entries when it has copied their pointers, kind by kind: entries,
// versions, keys. The loads of one kind do not depend on each other, so that their cache misses overlap.
//
// Load makes a table of sorted versions at once, for recovery: several goroutines fill arrays of entries and versions and
// the front, shard by shard; a partition's part of the ordered index is made when it is first needed, too.
//
// # Invariants
//
//	V1  Publication. Apply(T) has returned before any reader uses a timestamp >= T, and that
//	    hand-over synchronises (the engine publishes a watermark atomically). A reader at S thus
//	    finds every version at or before S in both indexes, and what Apply is adding at the same
//	    moment is newer than S and skipped. This is why the two indexes need no common lock, and
//	    why the order in which Apply enters them is free.
//	V2  The timestamps of an entry's versions never ascend from the head on.
//	V3  An entry is complete, its first version included, before it enters an index. It enters the
//	    front first, and it is never removed from either index.
//	V4  Horizon. Prune(H) is called with H <= every timestamp that readers use now or later. It
//	    cuts only below the newest version at or before H. A reader at S >= H stops at that
//	    version or above it, and so never follows a link that Prune clears. Apply stores heads and
//	    the links of versions that nobody else has seen; Prune stores links of versions that
//	    are reached already, and never a head. The two never store to the same place.
//	V5  An entry with two versions or more has its chained flag set, and stands exactly once on the
//	    list of its shard, or in the hands of the Prune that took that list.
//	V6  A slot's entry is stored before its hash, and neither changes again. A replaced slot array
//	    is never written again, so a reader that still holds it misses only keys that are too
//	    new for it (V1).
//	V7  All keys of a partition lie within its bounds; its bit is set once it has a key; its newest
//	    timestamp is at or after every version that has been entered in it.
//	V8  An entry of the ordered index is in its partition's backlog, or in the tree, or on the way there, in the hands of
//	    somebody who has held partition.mu since before it left the backlog. So who sees an empty backlog, and then gets the
//	    mutex, finds all entries in the tree that were entered before it looked.
//
// V5 holds in spite of a race without a lock. Apply stores the head, then looks at the flag;
// Prune, having cut a chain to one version, clears the flag, then looks at the head. At least one
// of the two sees the other's store, and the one that swaps the flag from clear to set enters the
// entry in a list. With the steps of either reversed, both could look first, and a key with two
// versions would stand on no list and never be pruned.
//
// # Memory
//
// New entries and their first versions are allocated in pieces of 4 KiB, which the commits of a table share; as no entry leaves before the table,
// that retains nothing but first versions that were pruned, and Bytes counts these on. All other versions are allocated one by one: in a
// shared allocation the one version that
// is still current would retain all that were committed with it, values included. Sharing measured
// 5 % faster for ten new keys, and retained eight times what Bytes said when nine writes of ten
// went to hot keys. For the same reason Prune clears the links between the versions that it drops.
// A table that was loaded is an exception: its entries and versions share their memory, so that Prune frees less than it says.
// Keys and values are kept as given; if they are parts of a larger buffer, the buffer lives as long
// as one of them.
//
// # Lock order
//
//	Table.pruning -> shard.mu
//	partition.mu  -> backlog.mu
//	nursery.mu
//
// A shard's and a partition's mutex are never held together, and no call leaves the package while
// one of them is held.
//
// # Example
//
//	table := versions.New(nil)
//	table.Apply(7, []versions.Write{{Key: []byte("k"), Value: []byte("v"), Kind: versions.Put}})
//	table.Get([]byte("k"), 7) // the version of 7
//	table.Get([]byte("k"), 6) // nil: look in the base tree
package versions
