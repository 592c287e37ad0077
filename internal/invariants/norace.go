//go:build !race

package invariants

// RaceEnabled says that the race detector is on. It does not see memory outside
// the Go heap, so arenas and page frames must be on the heap then.
const RaceEnabled = false
