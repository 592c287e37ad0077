//go:build !unix || race || invariants

package pagestore

import "github.com/sombradb/sombra/internal/invariants"

// poisonFrames says whether evicted frames are overwritten, so that a use after eviction shows.
const poisonFrames = invariants.Enabled

// newSlab returns memory on the Go heap: the race detector sees no other memory.
func newSlab(size int) ([]byte, error) { return make([]byte, size), nil }

func freeSlab([]byte) {}
