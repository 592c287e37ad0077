// Package runs keeps sorted runs of key-value writes in temporary files: for transactions that are larger than memory,
// for the external sort of a bulk load, and as an immutable layer that readers search while a checkpoint merges it.
//
// # Promises
//
//   - A run is written once, in key order, and never changes. All its methods are safe for concurrent use, and reads
//     take no lock.
//   - Writing needs about 150 KiB, whatever the size of the run, beside the index and the filter that stay in memory. A
//     large value goes to the file from the caller's memory.
//   - A point read that the filter denies does no I/O; another one reads a single block, and a large value directly
//     into the caller's buffer. Cursors read ahead once they go on in one direction, and keep at most 256 KiB and the
//     memory of the largest value that they have read.
//   - Every byte that is read back is checked. Damage is a *CorruptionError, never a wrong answer.
//   - Drop gives the space back as soon as the reads under way have returned. An open cursor keeps no file: its next
//     block fails with ErrDropped, and the caller goes on from the key where it was, in whatever replaced the run.
//
// Not promised: nothing is durable. Files are never synced, mean nothing to another process, and what a crash leaves is
// removed by the next OpenDir. A run that is neither dropped nor closed with its Dir keeps its file until then.
//
// # Format
//
// A file holds blocks of about 32 KiB and, between them, the values of more than half that size (far values). All that
// leads to them is in memory, so there is neither header nor footer.
//
//	file     far value ... block, far value ... block, ...    a block follows the far values of its entries
//
//	block
//	offset   size  field
//	0        4     CRC32C of bytes [4, end), begun with the run's number and the block's offset
//	4        4     n, the number of entries, at least 1
//	8        4     p, the length of the prefix that all keys of the block share
//	12       p     prefix
//	12+p     4n    offset of each entry in the block
//	12+p+4n        entries, without gaps
//
//	entry
//	size  field
//	1     kind
//	1-3   length of the key without the prefix                                    uvarint
//	1-5   2 x length of the value, + 1 if the value is far                        uvarint
//	      key without the prefix
//	      value; of a far value its offset in the file (8) and its CRC32C (4), begun like that of a block
//
// Integers are little endian. The offsets make a point lookup in a block a binary search and a step back as cheap as
// one ahead. One prefix for a block costs nothing in either, and for keys in sequence takes off most of what
// compression against the key before would.
//
// # In memory
//
//	index    for each block 24 bytes and the shortest key that separates it from the block before. Of a run whose keys
//	         are themselves longer than a block and differ only at their ends it can be as large as the keys.
//	filter   a blocked Bloom filter (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters, 2007) of
//	         10 bits for each key and 6 probes in one cache line; about 1 % of the keys that are not there pass.
//
// The number of keys is not known before the end. So the filter is a sequence of segments, each twice as large as the
// one before up to 1 MiB; keys come in order, so each covers a range of keys, and a lookup asks only one. The last one is
// folded in half while it is less than half full. When the filter would need more than Options.MaxFilterBytes, it is
// dropped as a whole: a filter for some keys would only delay the reads that fill the disk's queue anyway.
//
// # Life of a file
//
//	Create --> writing --Finish--> run --Drop--> dropped --last read returns--> closed, removed
//	              \                                 ^
//	               `--Abort, failed Finish----------'      Dir.Close drops whatever there is, and waits
//
// The state and the number of reads under way are one atomic word (lease). A file whose removal fails is tried again at
// every Create, and by Dir.Close, which reports it.
//
// # Invariants
//
//	F1  Keys strictly ascend in a run. Those of block i are at or above separator i and below separator i+1; separator 0
//	    is empty. (Writer.Add, index)
//	F2  Every byte of a file is under one checksum, which depends on the run and the offset, too: a block of another
//	    run or from another place is damage like a flipped bit. (checksum)
//	F3  A block has at most maxBlock bytes, and a far value lies within the file. So what is read never makes a reader
//	    allocate more than was written. (block, Run.far)
//	F4  Who drops a file sets the bit before it looks at the readers; who reads counts itself before it looks at the
//	    bit. So one of the two sees the other, nobody uses a closed file, and exactly one closes it. (lease)
//	F5  The filter never denies a key that is in the run. (filter)
//	F6  Going forward, each input of a merge stands on its first key at or after the merge's key; going backward, on
//	    the last one at or before it. (Merged)
//
// # Lock order
//
//	Dir.mu is the only lock, and a leaf. It is held while files are created and, by a Create or Close, while a removal
//	that failed is tried again; never while a run is read or written.
//
// # Example
//
//	dir, err := runs.OpenDir(vfs.OS, "app.sombra-runs")
//	...
//	defer dir.Close()
//	w, err := dir.Create(runs.Options{})
//	...
//	defer w.Abort() // does nothing after Finish
//	err = w.Add(versions.Write{Key: []byte("k"), Value: []byte("v"), Kind: versions.Put})
//	...
//	run, err := w.Finish()
//	...
//	write, found, err := run.Get(nil, []byte("k"))
package runs
