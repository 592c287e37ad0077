package graph

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestIDSetIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, model := new(idSet), map[NodeID]bool{}
		ids := rapid.OneOf(rapid.Uint64Range(0, 300), rapid.Uint64Range(4090, 9000), rapid.Uint64Range(1<<32-2, 1<<32+2), rapid.Just(uint64(math.MaxUint64)))
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 20).Draw(t, "reset") == 0 {
				s.reset()
				clear(model)
			}
			id := NodeID(ids.Draw(t, "id"))
			if s.has(id) != model[id] {
				t.Fatalf("%d is in the set: %v", id, s.has(id))
			}
			if s.add(id) == model[id] {
				t.Fatalf("%d is new: %v", id, !model[id])
			}
			model[id] = true
		}
	})
}
