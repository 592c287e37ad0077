// Package pagestore keeps immutable, copy-on-write B+trees in one file.
//
// A store holds a fixed set of trees of opaque keys. It changes only by checkpoints: one checkpoint at a time merges
// sorted edits into the trees by writing new pages beside the old ones, and then makes a superblock lead to them.
// Readers work on views. A view is the content of one superblock; it needs no lock, no reference count and no release.
//
// # Promises
//
//   - After any crash the file opens at the last committed checkpoint or, when the crash hit a commit, at that one or
//     the one before it. Never at a mixture.
//   - A page is verified completely when it is read from the file: checksum, page number, the checkpoint that wrote
//     it, its place in the tree, its structure. Damage yields *CorruptionError, never a wrong answer, a panic, an
//     endless loop or memory in proportion to a number found in the file.
//   - Readers never wait for a checkpoint, nor a checkpoint for readers.
//   - The file grows and shrinks with what it holds: the free tail is cut off when a checkpoint commits.
//
// It does not promise: exclusion of other processes (the owner locks the file), durability of anything before Commit,
// or that a view stays readable for long (see Views).
//
// # The file
//
// Pages have one size, 4 to 64 KiB. Pages 0 and 1 are the superblocks, written in turn. All numbers are little endian.
//
//	superblock (4096 bytes at the start of the page)
//	   0  8  "SombraDB"                         576      zeros
//	   8  4  format version                    1024      128 x bitmap index page:
//	  12  4  page size                                   8 page (0: none), 8 birth
//	  16 16  database id                       3072      zeros
//	  32  8  sequence of the checkpoint        4080  4   crc32c of bytes 0-4079
//	  40  8  pages up to the last live one     4084 12   zeros
//	  48  8  live pages
//	  56  8  Meta.Timestamp
//	  64  8  Meta.LogLSN
//	  80     per tree 48: 8 root page, 8 its birth, 4 its pages, 4 height, 8 records, 8 newest timestamp, 8 zeros
//	 256 256 Meta.Owner
//	 512     per tree 24: 8 pages of leaves, 8 of inner nodes, 8 of overflow runs; zeros: not counted
//	 560     per tree 8: delta pages
//
// The magic, the version, the length and the checksum stay in place in all versions, so that a file from the future
// is told from a damaged one.
//
// Every other page, or row of contiguous pages, starts and ends like this; the checksum covers all before it and is
// seeded with the database id. The last twelve bytes are kept for an authentication tag.
//
//	   0  4  magic            24  8  newest timestamp in the node      48  8  base timestamp
//	   4  1  kind             32  4  tree (255: none)                  56  4  length of the common prefix
//	   5  1  format version   36  4  key id, 0                         60  4  zeros
//	   6  1  flags            40  4  pages in the row                  64     content
//	   7  1  level            44  4  cells                              -16  4  crc32c
//	   8  8  page number                                               -12 12  zeros
//	  16  8  birth: sequence of the checkpoint that wrote it
//
//	leaf and inner node (kinds 1, 2)
//	  prefix  the bytes that all keys share
//	  heads   per cell 4: the first bytes of the key behind the prefix, big endian, padded with zeros
//	  offsets per cell 2, or 4 in nodes longer than 64 KiB (flag 1): where the cell starts
//	  cells   uvarint key length x 4 + flags | [uvarint timestamp - base] | uvarint value length | key | value
//	          flags: 1 a timestamp follows, else it is the base; 2 the value is an overflow reference or, in an
//	          inner node, the subtree has such values
//	  leaf value            the value, or uvarint page, birth, size of an overflow value
//	  inner value           uvarint child page, its pages, age (birth of this node - birth of the child), records below;
//	                        when the child is a leaf with a delta, then uvarint delta page, its age, slot, bytes
//	  inner key, timestamp  the shortest key that separates the child from its left neighbour (none in the first
//	                        cell); the newest timestamp below
//	bitmap page (3)  one bit per page of the file, set when live; base timestamp = number of the bitmap page
//	index page (4)   per bitmap page 8 page (0: none live), 8 birth; base timestamp = number of the index page
//	overflow run (5) newest timestamp = length of the value, base = number of runs, cells = number of this run;
//	                 the first run starts with 8 per further run, its page; then the bytes of the value
//	delta page (6)   level 255; offsets per delta 2, where it starts, and 2 for the end of the last one; the deltas
//	  delta          2 records, 2 length of the common prefix, 8 base timestamp, 8 page of the leaf; prefix; heads per
//	                 record 4; offsets per record 2, from the start of the delta; places per record 2; cells as in a leaf,
//	                 but flag 2 without a value: the record is deleted
//	  place          twice the number of the leaf's cell before which the record belongs, plus 1 if it is instead of it
//
// Nodes have one page. Only when a single key is too long for that does a node take several contiguous pages, one
// header and one checksum for all. Values above a quarter of a page lie in overflow runs of at most 1 MiB. The first
// run knows the places of the others, so that freeing a value of a gigabyte reads one run and not a chain of a thousand.
//
// The birth in a child reference is exact. It finds what a checksum cannot: a write that was acknowledged and never
// reached the disk leaves an older page with a good checksum and the right number. And it makes (page, birth) the name
// of a content, which the cache and the detection of stale views rest on.
//
// Format version 1 has no deltas. Its files are read; their next checkpoint makes them version 2, and pages of version
// 1 stay in them until they are written anew.
//
// # Invariants
//
//	I1  A superblock is written only after everything it leads to is synced, and the next one only after it is.
//	I2  A page that either superblock (or a running Check) reaches is not written. So a page freed by checkpoint N may
//	    be written by checkpoint N+2 at the earliest, when N+1 is durable.
//	I3  A reference holds page and birth of a content. No two contents that a process can meet share both: each
//	    checkpoint has its own sequence, aborted ones too, and takes each page at most once.
//	I4  The bytes of a node are verified once, when they are read. The accessors rely on it.
//	I5  Whoever sees a page reused under a view also sees that the view is not protected any more.
//	I6  A frame's bytes change only while it is busy, and are read only with a pin. A pinned frame is never busy.
//	I7  A leaf has at least one record, a node's level is one less than its parent's, and the keys below child i lie in
//	    [separator i, separator i+1). Records, timestamps and overflow flags that a parent tells are those of the leaf as
//	    its delta leaves it.
//	I8  The bitmap in the file has exactly the pages that its superblock reaches.
//	I9  One level-1 node alone leads to a delta page. A root, and a leaf of several pages, have no delta.
//
// # Views
//
// There are two protected versions, the current one and the one before it (I2). A view that is older may meet pages
// that were written again. The reader knows by the birth, by the checksum when it reads in the middle of the write, or
// by the end of the file when the tail was cut off. So every such fault on a view that is no longer protected is
// ErrStale, and on one that is protected it is corruption. The argument for I5: a page of version N is written again by
// checkpoint N+3 at the earliest, which begins after N+2 was published. A reader that sees the new bytes therefore sees
// N+2 as the current version when it looks afterwards, and that is two commits after N. Real damage met by an old view
// is reported as ErrStale too; the retry on the current view then meets it as what it is.
//
// # Allocation
//
// In memory there is one bit per page for each of the two versions. A page is free when both say so. Pages are taken
// from the lowest number up, so that content moves to the front. On disk the bits are pages themselves, copied on
// write; since writing them takes and frees pages, a commit first closes the set of changed bitmap pages and then
// writes it.
//
// Content that nobody changes would keep a file long after a large deletion. So a checkpoint may also Vacuum: move a
// bounded number of pages from the end to free pages in front, in proportion to what is free. A node there tells by its
// own keys how it is reached, and a delta page by those of the deltas that are in use; an overflow run does not, but the
// flag in inner cells leads to all large values without reading the rest of the tree. When there is no row of free pages for a long value, the emptiest one is emptied first.
// What a deletion freed can be written two checkpoints later (I2), and the end is cut off by the one after that.
//
// A Compaction does the same down to the last page, repacks leaves that fit in fewer pages, and merges deltas into them.
// It is made of steps that are parts of ordinary checkpoints.
//
// Store.Space says what each byte of the file is for. The pages of each tree are counted by the merges that take and give
// them, and stand in the superblock; Check finds wrong counts, and nothing else relies on them.
//
// # Deltas
//
// When a checkpoint changes one record of a leaf, writing the leaf costs seventy times what changed. So a leaf may have
// a delta: the records that were put since its page was written, and those that were deleted.
//
//	level-1 node   ... | leaf 7, delta 40 slot 0 | leaf 8 | leaf 9, delta 40 slot 1 | leaf 12, delta 31 slot 5 | ...
//	delta page 40      leaf 7: put b, delete k                leaf 9: put s
//
// A delta names the place of each of its records in the leaf, which never changes. So walking both is a merge without
// a comparison of keys, and a point read that finds the key in the delta does not look at the leaf.
//
// # Images
//
// Where leaf and delta are read again and again, they are merged once, into an image: a leaf's node in a frame of the cache and in no
// file. A search draws it when it finds the two separately for the second time, a scan that reads the whole leaf at once.
// Searches and scans of it know nothing of deltas.
//
//	page table    leaf 9 -> frame 17      delta 40 -> frame 3      image of 9 (birth of delta 40) -> frame 58
//
// The page of the leaf and the birth of the delta name one content: a checkpoint leaves a leaf with one delta, and does not write a page
// that the one before it freed (I2), so two leaves in one page never have deltas of one birth. The header has the leaf's birth and the delta's page and slot,
// so that in a damaged file a reference to anything else does not find it. The delta of the next checkpoint has another birth: its image takes the
// place of the older one, whose frame is free at once.
//
// It takes frames that nothing is in. Only what is read separately sixteen times takes one of another page. What does not fit into a
// page is not drawn, nor is a delta with a key outside of the leaf's prefix or a timestamp before its base; the leaf's frame
// keeps that in mind. Merges, Check and Newer read leaf and delta.
//
// A checkpoint writes the deltas that changed below a level-1 node, each as a whole, into new pages of that node. The
// pages that it had stay, as long as a cell of it leads to them and they are not mostly unused: what is left in a page
// of which less than a quarter is in use, or that fits into the last new page, moves on. The bytes in the references
// tell that without reading. As no other node leads to these pages (I9), nobody counts references. When a node is cut
// or joined, the first of the new ones takes a page over, and others copy out of it.
//
// # Merge
//
// A merge walks a path from the root through the old tree, and has a builder per level for the new nodes. An edit moves
// the path to its leaf. The leaf's cells before it are copied to the builder of level 0, and its own record follows.
// Nodes on the path become dirty only when something changes; clean subtrees keep their pages. When the path leaves a
// changed region, the builders below are flushed: too little for a node joins its right or left neighbour under the same
// parent, more than one page is cut in even halves. In the middle of a tree new nodes are filled to 90 %, behind its last
// key completely. While a merge deletes more records than it adds, a leaf of less than three quarters of a page is too little.
// Memory is a path of pinned nodes, two nodes per level with the deltas of their leaves, and one write
// buffer.
//
// The edits of a leaf wait until the path leaves it. They and the delta that is there become the new delta, if that has
// at most a fifth of a page, and if what is left of the leaf is not too little for a node. Otherwise leaf, delta and edits
// are copied to the builder.
//
// MergeRanges has several workers do this below the children of the root, see mergeparts.go.
//
// # Cursors
//
// A cursor pins a leaf with its delta, or their image, and the leaf's parent, where it finds the leaf's neighbours; a router needs no
// pin. Behind the last child of the parent it descends from the root again, to the fence that it has noted on the way down.
//
// ReadAhead gives the records that follow in the leaf at once: keys are put together in memory of the caller's, values
// are slices of the leaf. Both stay valid as long as the cursor stays in the leaf, because a pinned frame does
// not change (I6). Where the leaf's cells follow each other without a record of its delta, it begins a Run instead, which shows
// one record at a time where it lies: a scan writes nothing but the keys' own parts. A run that has come to the end of its leaf goes on in the
// next one, if that is cached and there is nothing to merge.
//
// Whether a processor has a leaf in its caches decides what a point read costs. So a search has no branch that depends on
// the keys, and looks at one cell only in most cases; and the lines of the leaf that it needs are touched together, as are those that a
// scan needs first.
//
// # Routers
//
// A view passes the same inner nodes again and again. Of one that it has passed sixteen times it keeps a router: a copy of the
// node on the Go heap, with the children's references decoded. As the garbage collector keeps it, nobody pins it or asks
// the page table for it. Content has one name (I3), so a view's routers are never out of date; they go with the view.
//
// For a leaf, or its image, a router also remembers the frame that it was in when somebody looked last. That is a hint and may be wrong at any time:
// who follows it pins the frame first, and then compares page and birth, as one does who comes by the page table (I6).
//
// Routers take a 64th of the cache's budget per view at most. Without one the node is pinned. The second checkpoint after a view
// takes its routers away, so that two views have some, however many are kept.
//
// # Page cache
//
// Frames lie outside of the Go heap, so that a large cache costs the garbage collector nothing (under the race detector
// they lie on the heap, because it sees nothing else). The page table is an array of buckets with frames chained by
// index. A hit walks the chain without a lock, pins the frame by compare-and-swap, and then looks again whether it holds
// the page and birth it wants: a frame that moved meanwhile was either unpinnable or shows another page. Misses take the
// lock of the bucket's shard, so that one of several readers reads the page. Eviction is CLOCK; a frame whose page has got a newer
// content goes at once, unless it is pinned.
//
// # Locks
//
// Store.mu, the shards of the cache, the list of free frames, the large nodes and the allocator of a checkpoint have a
// mutex each. None is held while another is taken, nor across I/O. A mutex of its own orders what makes the file longer.
//
// # Example
//
//	s, err := pagestore.Open("graph.db", pagestore.Options{FS: vfs.OS})
//	...
//	c, err := s.Begin()
//	defer c.Abort() // nothing after Commit
//	err = c.Merge(ctx, pagestore.DataTree, edits, nil)
//	_, err = c.Vacuum(ctx, pagestore.AutoVacuum)
//	view, err := c.Commit(pagestore.Meta{Timestamp: ts, LogLSN: lsn})
//	value, ts, found, err := view.Get(pagestore.DataTree, key, nil)
package pagestore
