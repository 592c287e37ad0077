package pagestore

import (
	"math/rand/v2"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// TestLeavesStayFullWhileRecordsGo deletes nine of ten records everywhere in a tree, a few in each checkpoint, as a
// version store of fixed size does it. The leaves that are left must not be half empty.
func TestLeavesStayFullWhileRecordsGo(t *testing.T) {
	const n = 20_000
	s, m := mustCreate(t, vfs.NewMem(), 4096), model{}
	edits := sequentialEdits(n, 100)
	quietly(t, s, edits)
	m.edit(edits)
	rng := rand.New(rand.NewPCG(1, 1))
	order := rng.Perm(n)
	for len(order) > n/10 {
		var some []Edit
		for _, i := range order[:n/25] {
			some = append(some, Edit{Key: edits[i].Key, Delete: true})
		}
		order = order[n/25:]
		some = sortEdits(some)
		quietly(t, s, some)
		m.edit(some)
	}
	mustCheck(t, s)
	compareScan(t, s.View(), DataTree, m)
	live := int64(0)
	for k, e := range m {
		live += int64(len(k) + len(e.value))
	}
	if used := mustAddUp(t, s).Trees[DataTree]; used.Leaves+used.Inner+used.Deltas > live*130/100 {
		t.Fatalf("%+v for %d bytes of records", used, live)
	}
}
