package pagestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

func sequentialEdits(n, size int) []Edit {
	edits := make([]Edit, n)
	for k := range edits {
		edits[k] = Edit{Key: roundKey(uint64(k)), Value: pattern(size, uint64(k)), Timestamp: 1}
	}
	return edits
}

func rawBytes(edits []Edit) (n int64) {
	for _, e := range edits {
		n += int64(len(e.Key) + len(e.Value))
	}
	return n
}

// TestAscendingLoadFillsNodesCompletely loads in one and in many checkpoints.
func TestAscendingLoadFillsNodesCompletely(t *testing.T) {
	for _, batch := range []int{20_000, 999} {
		s := mustCreate(t, vfs.NewMem(), 4096)
		edits := sequentialEdits(20_000, 100)
		for part := range slices.Chunk(edits, batch) {
			commit(t, s, part)
		}
		mustCheck(t, s)
		if live := s.Metrics().LiveBytes; live > rawBytes(edits)*110/100 {
			t.Fatalf("batches of %d: %d live bytes for %d raw ones", batch, live, rawBytes(edits))
		}
	}
}

// TestRandomInsertsKeepNodesHalfFull inserts in random order, a few at a time.
func TestRandomInsertsKeepNodesHalfFull(t *testing.T) {
	s := mustCreate(t, vfs.NewMem(), 4096)
	edits := sequentialEdits(12_000, 100)
	order := rand.New(rand.NewPCG(1, 1)).Perm(len(edits))
	for part := range slices.Chunk(order, 400) {
		slices.Sort(part)
		var some []Edit
		for _, k := range part {
			some = append(some, edits[k])
		}
		commit(t, s, some)
	}
	mustCheck(t, s)
	if live := s.Metrics().LiveBytes; live > rawBytes(edits)*18/10 {
		t.Fatalf("%d live bytes for %d raw ones", live, rawBytes(edits))
	}
}

// TestSparseDeletesCombineNeighbours thins a tree out, a few records of each leaf at a time and from both ends of the
// parents, so that nodes must join the neighbours to their left and right.
func TestSparseDeletesCombineNeighbours(t *testing.T) {
	for _, reverse := range []bool{false, true} {
		s := mustCreate(t, vfs.NewMem(), 4096)
		edits := sequentialEdits(20_000, 100)
		commit(t, s, edits)
		var deletes [][]Edit
		for part := range slices.Chunk(edits, 400) {
			var some []Edit
			for i, e := range part {
				if i%25 > 0 {
					some = append(some, Edit{Key: e.Key, Delete: true})
				}
			}
			deletes = append(deletes, some)
		}
		if reverse {
			slices.Reverse(deletes)
		}
		for _, some := range deletes {
			commit(t, s, some)
		}
		rep := mustCheck(t, s)
		left := rep.Records * int64(len(edits[0].Key)+100)
		if live := s.Metrics().LiveBytes; live > left*3 {
			t.Fatalf("reverse %v: %d live bytes for %d raw ones", reverse, live, left)
		}
	}
}

func TestEmptyTreeAfterDeletingAllHasNoPages(t *testing.T) {
	s := mustCreate(t, vfs.NewMem(), 4096)
	edits := sequentialEdits(5000, 50)
	commit(t, s, edits)
	for i := range edits {
		edits[i].Delete = true
	}
	v := commit(t, s, edits)
	if v.Count(DataTree) != 0 || v.MaxTimestamp(DataTree) != 0 || v.Cursor(DataTree).First() {
		t.Fatal("the tree is not empty")
	}
	if rep := mustCheck(t, s); rep.Pages > 4 {
		t.Fatalf("%d pages are in use", rep.Pages)
	}
}

// TestUntouchedSubtreesKeepTheirPages changes one record of many and looks at what was written.
func TestUntouchedSubtreesKeepTheirPages(t *testing.T) {
	s := mustCreate(t, vfs.NewMem(), 4096)
	edits := sequentialEdits(20_000, 100)
	commit(t, s, edits)
	height := int64(s.View().sb.trees[DataTree].height)
	run := func(edits []Edit) CheckpointStats {
		c, err := s.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Merge(context.Background(), DataTree, slices.Values(edits), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Commit(Meta{}); err != nil {
			t.Fatal(err)
		}
		return c.Stats()
	}
	edits[9000].Value = pattern(100, 9)
	if st := run(edits[9000:9001]); st.LeavesRewritten != 0 || st.DeltaPages != 1 || st.PagesWritten != height+2 || st.PagesFreed != height+1 {
		t.Fatalf("one update of a tree of height %d: %+v", height, st)
	}
	if st := run(edits[8990:9010]); st.LeavesRewritten == 0 || st.LeavesRewritten > 2 || st.PagesWritten > 2*height+2 {
		t.Fatalf("twenty updates of neighbours: %+v", st)
	}
	absent := []Edit{{Key: []byte("absent"), Delete: true}, {Key: []byte("key/absent"), Delete: true}}
	if st := run(absent); st.PagesWritten != 0 || st.PagesFreed != 0 {
		t.Fatalf("deleting absent keys: %+v", st)
	}
}

func TestSeparatorsCutEvenRanges(t *testing.T) {
	s := mustCreate(t, vfs.NewMem(), 4096)
	const records = 60_000
	v := commit(t, s, sequentialEdits(records, 100))
	for _, n := range []int{2, 7, 64} {
		seps, err := v.Separators(DataTree, n)
		if err != nil || len(seps) != n-1 {
			t.Fatalf("%d ranges: %d separators, %v", n, len(seps), err)
		}
		at := uint64(0)
		for i, sep := range append(seps, roundKey(records)) {
			from := at
			for at < records && bytes.Compare(roundKey(at), sep) < 0 {
				at++
			}
			if share := at - from; share < records/uint64(n)/2 || share > records/uint64(n)*2 {
				t.Fatalf("range %d of %d has %d of %d records", i, n, share, records)
			}
		}
	}
	if seps, err := v.Separators(HistoryTree, 8); err != nil || len(seps) != 0 {
		t.Fatal(seps, err)
	}
}

func TestMergeRefusesBadEdits(t *testing.T) {
	s := mustCreate(t, vfs.NewMem(), 4096)
	v := commit(t, s, sequentialEdits(100, 10))
	put := func(key string) Edit { return Edit{Key: []byte(key)} }
	for name, bad := range map[string]struct {
		edits []Edit
		want  error
	}{
		"order":   {[]Edit{put("b"), put("a")}, ErrEditOrder},
		"twice":   {[]Edit{put("b"), put("b")}, ErrEditOrder},
		"key":     {[]Edit{put(string(make([]byte, MaxKeySize+1)))}, ErrTooLarge},
		"foreign": {[]Edit{{Key: []byte("a"), Ref: OverflowRef{Page: 7, Size: 9000}}}, ErrForeignRef},
	} {
		c, err := s.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Merge(context.Background(), DataTree, slices.Values(bad.edits), nil); !errors.Is(err, bad.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.Commit(Meta{}); !errors.Is(err, bad.want) {
			t.Errorf("%s: Commit after a failed Merge: %v", name, err)
		}
		c.Abort()
		if s.View() != v {
			t.Fatalf("%s: the view changed", name)
		}
	}
	mustCheck(t, s)
}

func TestCheckpointRules(t *testing.T) {
	s := mustCreate(t, vfs.NewMem(), 4096)
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	reason := errors.New("shutting down")
	cancel(reason)
	if err := c.Merge(ctx, DataTree, slices.Values(sequentialEdits(9, 1)), nil); !errors.Is(err, reason) {
		t.Fatal(err)
	}
	c.Abort()
	c.Abort()
	if c, err = s.Begin(); err != nil {
		t.Fatal(err)
	}
	if err := c.Clear(DataTree); err != nil {
		t.Fatal(err)
	}
	if err := c.Merge(context.Background(), DataTree, slices.Values([]Edit{}), nil); !errors.Is(err, ErrMerged) {
		t.Fatal(err)
	}
	if err := c.Clear(NumTrees); !errors.Is(err, ErrUnknownTree) {
		t.Fatal(err)
	}
	if _, err := c.Commit(Meta{}); err != nil {
		t.Fatal(err)
	}
	c.Abort()
	if _, err := c.Commit(Meta{}); !errors.Is(err, ErrCheckpointDone) {
		t.Fatal(err)
	}
	if _, _, _, err := s.View().Get(NumTrees, nil, nil); !errors.Is(err, ErrUnknownTree) {
		t.Fatal(err)
	}
}

// TestDamageUnderAProtectedViewIsCorruption: one newer checkpoint does not turn damage into staleness.
func TestDamageUnderAProtectedViewIsCorruption(t *testing.T) {
	mem := vfs.NewMem()
	s := mustCreate(t, mem, 4096)
	commit(t, s, sequentialEdits(10, 10))
	_ = s.Close()
	s = openAt(t, mem)
	defer func() { _ = s.Close() }()
	v := s.View()
	damage(t, mem, int64(v.sb.trees[DataTree].page)*4096+200, []byte{1, 2, 3})
	for i := range 3 {
		want := ErrCorrupt
		if i == 2 {
			want = ErrStale
		}
		if _, _, _, err := v.Get(DataTree, roundKey(1), nil); !errors.Is(err, want) {
			t.Fatalf("after %d newer checkpoints: %v", i, err)
		}
		if _, err := s.Begin(); err != nil {
			t.Fatal(err)
		}
		c := s.mu.open
		if _, err := c.Commit(Meta{}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBitmapsOfLargeFiles makes a file with pages far apart, so that several bitmap and index pages are in use, and then
// frees the far ones.
func TestBitmapsOfLargeFiles(t *testing.T) {
	mem := vfs.NewMem()
	s := mustCreate(t, mem, 4096)
	m := model{}
	far := []PageID{2, PageID(chunkBits(4096)) - 1, 3 * PageID(chunkBits(4096)),
		PageID(chunkBits(4096)*indexRefs(4096)) - 2, PageID(chunkBits(4096)*indexRefs(4096)) + 70_000}
	for i, p := range far {
		e := Edit{Key: roundKey(uint64(i)), Value: pattern(3000, uint64(i))}
		c, err := s.Begin()
		if err != nil {
			t.Fatal(err)
		}
		c.alloc.low = p
		if err := c.Merge(t.Context(), DataTree, slices.Values([]Edit{e}), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Commit(Meta{}); err != nil {
			t.Fatal(err)
		}
		m[string(e.Key)] = entry{value: string(e.Value)}
		mustCheck(t, s)
		_ = s.Close()
		s = openAt(t, mem)
		compareScan(t, s.View(), DataTree, m)
	}
	if n := len(s.View().sb.index); n != 2 {
		t.Fatalf("%d index pages", n)
	}
	for range 4 {
		vacuumed(t, s, nil, 100)
	}
	compareScan(t, s.View(), DataTree, m)
	rep := mustCheck(t, s)
	if n := len(s.View().sb.index); n != 1 || rep.Pages > 20 || s.Metrics().FileBytes > 1<<20 {
		t.Fatalf("%d index pages, %d pages live in %d bytes", n, rep.Pages, s.Metrics().FileBytes)
	}
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	c.alloc.low = pageLimit(4096)
	if err := c.Merge(t.Context(), DataTree, slices.Values([]Edit{{Key: []byte("x")}}), nil); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	_ = s.Close()
}

func TestOptionsAreChecked(t *testing.T) {
	fs := vfs.NewMem()
	for i, o := range []Options{
		{}, {FS: fs, PageSize: 5000}, {FS: fs, PageSize: 2048}, {FS: fs, PageSize: 1 << 17}, {FS: fs, CacheBytes: 5},
		{FS: fs, ReadOnly: true},
	} {
		if _, err := Create("db", testID, o); !errors.Is(err, ErrBadOption) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if _, err := fs.Stat("db"); err == nil {
		t.Error("a refused Create left a file")
	}
}

func TestErrorsSayWhatWhereAndWhatToDo(t *testing.T) {
	for _, err := range []error{
		&CorruptionError{"graph.db", 7, "checksum is 0"}, &TruncatedError{"graph.db", 1, 2}, &SizeError{"key", 70_000, 65_536},
		&NotDatabaseError{"graph.db", "a directory"}, &VersionError{"graph.db", 2, 1}, &VersionError{"graph.db", 0, 1},
		&OptionError{"PageSize", "must be a power of two"}, &FailedError{errors.New("broken")},
	} {
		if text := fmt.Sprint(err); len(text) < 30 || text[:11] != "pagestore: " {
			t.Error(text)
		}
	}
}

// TestSmallLeafJoinsWhicheverNeighbourItHas thins out one leaf of a few: no position may be left with a tiny leaf.
func TestSmallLeafJoinsWhicheverNeighbourItHas(t *testing.T) {
	for thin := range 4 {
		s := mustCreate(t, vfs.NewMem(), 4096)
		edits := sequentialEdits(144, 100)
		v := commit(t, s, edits)
		sizes := leafSizes(t, v)
		if len(sizes) != 4 || sizes[3] != sizes[0] {
			t.Fatalf("%v records in leaves, want 4 full ones", sizes)
		}
		from, to := int64(0), int64(0)
		for _, n := range sizes[:thin+1] {
			from, to = to, to+n
		}
		var deletes []Edit
		for _, e := range edits[from+1 : to] {
			deletes = append(deletes, Edit{Key: e.Key, Delete: true})
		}
		after := leafSizes(t, commit(t, s, deletes))
		mustCheck(t, s)
		if slices.Min(after) < sizes[0]/3 {
			t.Errorf("thinning leaf %d of %v left %v", thin, sizes, after)
		}
	}
}

// TestSmallLastLeafOfAParentJoinsItsLeftNeighbour thins out a leaf whose right neighbour has another parent.
func TestSmallLastLeafOfAParentJoinsItsLeftNeighbour(t *testing.T) {
	s := mustCreate(t, vfs.NewMem(), 4096)
	edits := sequentialEdits(20_000, 100)
	v := commit(t, s, edits)
	root := v.sb.trees[DataTree]
	parents, err := v.expand(DataTree, []part{{ref: root.childRef}}, 2)
	if err != nil || root.height != 3 || len(parents) < 2 {
		t.Fatal(root.height, len(parents), err)
	}
	leaf := leafSizes(t, v)[0]
	var deletes []Edit
	for _, e := range edits[parents[0].count-leaf+1 : parents[0].count] {
		deletes = append(deletes, Edit{Key: e.Key, Delete: true})
	}
	after := leafSizes(t, commit(t, s, deletes))
	mustCheck(t, s)
	if slices.Min(after[:len(after)-1]) < leaf/3 {
		t.Errorf("a leaf of %d records is left", slices.Min(after))
	}
}

// leafSizes returns the records per leaf.
func leafSizes(t *testing.T, v *View) (sizes []int64) {
	t.Helper()
	root := v.sb.trees[DataTree]
	parts := []part{{ref: root.childRef, count: root.count}}
	for level := root.height - 1; level > 0; level-- {
		var err error
		if parts, err = v.expand(DataTree, parts, level); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range parts {
		sizes = append(sizes, p.count)
	}
	return sizes
}
