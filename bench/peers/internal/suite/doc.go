// Package suite measures engines against each other. Each workload is a contest: in every round each participant has its
// turn, in an order that rotates, with nobody else's database open. So slow changes of the machine meet all alike, and
// ratios within a round mean more than figures of different rounds.
//
// Invariants:
//
//	S1  All participants do the same work on the same data, which follow from numbers alone.
//	S2  Every measurement is preceded by a warm-up and followed by reading back what it wrote. A difference is an error,
//	    but for an engine without isolation, where it is a result: what it lost.
//	S3  Answers that must be equal (scans, ranges, traversals) are compared between participants.
//	S4  All scratch files lie in one directory that is removed, also after an error.
package suite
