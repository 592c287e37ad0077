// Package gen makes what benchmarks work on: keys and values that follow from numbers alone, draws of keys by popularity, and
// checksums. Two runs of one size do the same work, whatever engine does it.
//
// A record has a number and a version. Its key is 16 bytes: the number mixed, which is its place in the key range, then
// the number. Its value is a chain of 64-bit words, of which the first depends on number and version and each
// other one on the word before it. So a value that was torn or mixed up with another one can be told by itself ([Whole]).
//
// All functions are safe for concurrent use; a Record and a Checksum belong to one goroutine.
package gen
