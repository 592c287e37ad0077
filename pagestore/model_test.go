package pagestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sort"
	"testing"

	"pgregory.net/rapid"

	"github.com/sombradb/sombra/internal/vfs"
)

var testID = DatabaseID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

// entry is a record of the model.
type entry struct {
	value string
	ts    uint64
}

// model is the dumb counterpart of one tree.
type model map[string]entry

func (m model) keys() []string { return slices.Sorted(maps.Keys(m)) }

func (m model) maxTS() (ts uint64) {
	for _, e := range m {
		ts = max(ts, e.ts)
	}
	return ts
}

// apply makes edits on a copy.
func (m model) apply(edits []Edit) model {
	out := maps.Clone(m)
	for _, e := range edits {
		if e.Delete {
			delete(out, string(e.Key))
		} else {
			out[string(e.Key)] = entry{string(e.Value), e.Timestamp}
		}
	}
	return out
}

func sortEdits(edits []Edit) []Edit {
	sort.SliceStable(edits, func(i, j int) bool { return bytes.Compare(edits[i].Key, edits[j].Key) < 0 })
	return slices.CompactFunc(edits, func(a, b Edit) bool { return bytes.Equal(a.Key, b.Key) })
}

func mustCreate(t testing.TB, fs vfs.FS, pageSize int) *Store {
	t.Helper()
	s, err := Create("db", testID, Options{FS: fs, PageSize: pageSize, CacheBytes: minCache})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
	Fatal(args ...any)
}

// commit applies edits to the data tree and commits.
func commit(t fataler, s *Store, edits []Edit) *View {
	t.Helper()
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	if err := c.Merge(context.Background(), DataTree, slices.Values(edits), nil); err != nil {
		t.Fatal(err)
	}
	v, err := c.Commit(Meta{Timestamp: uint64(len(edits)), LogLSN: c.seq})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustCheck(t fataler, s *Store) CheckReport {
	t.Helper()
	rep, err := s.Check(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range rep.Problems {
		t.Fatalf("check: %v (of %d problems)", p, len(rep.Problems))
	}
	mustAddUp(t, s)
	return rep
}

// compareScan walks a tree in both directions.
func compareScan(t fataler, v *View, tree TreeID, m model) {
	t.Helper()
	keys := m.keys()
	c := v.Cursor(tree)
	defer c.Close()
	i := 0
	for ok := c.First(); ok; ok = c.Next() {
		compareRecord(t, c, keys, i, m)
		i++
	}
	if c.Err() != nil || i != len(keys) {
		t.Fatalf("forward scan ended after %d of %d records: %v", i, len(keys), c.Err())
	}
	for ok := c.Last(); ok; ok = c.Prev() {
		i--
		compareRecord(t, c, keys, i, m)
	}
	if c.Err() != nil || i != 0 {
		t.Fatalf("backward scan ended %d records before the first: %v", i, c.Err())
	}
	if v.Count(tree) != int64(len(m)) || v.MaxTimestamp(tree) != m.maxTS() {
		t.Fatalf("count %d max %d, want %d and %d", v.Count(tree), v.MaxTimestamp(tree), len(m), m.maxTS())
	}
}

func compareRecord(t fataler, c *Cursor, keys []string, i int, m model) {
	t.Helper()
	if i < 0 || i >= len(keys) || string(c.Key()) != keys[i] {
		t.Fatalf("record %d is %.40q, want one of %d keys", i, c.Key(), len(keys))
	}
	want := m[keys[i]]
	got, err := c.Value()
	if err != nil || string(got) != want.value || c.Timestamp() != want.ts || c.ValueSize() != int64(len(want.value)) {
		t.Fatalf("key %.40q: %d bytes at %d (%v), want %d bytes at %d",
			keys[i], len(got), c.Timestamp(), err, len(want.value), want.ts)
	}
}

// machine runs random checkpoints and reads against the model.
type machine struct {
	fs       *vfs.Mem
	s        *Store
	pageSize int
	deltas   int // bytes of a delta, see Store.deltaLimit
	ts       uint64
	now      [NumTrees]model
	views    []oldView
	overRefs int

	compaction *Compaction
}

type oldView struct {
	v      *View
	models [NumTrees]model
}

func newMachine(t *rapid.T) *machine {
	m := &machine{fs: vfs.NewMem(), pageSize: rapid.SampledFrom([]int{4096, 4096, 8192, 65536}).Draw(t, "page")}
	m.deltas = m.pageSize * rapid.SampledFrom([]int{0, 5, deltaShare, deltaShare, 50}).Draw(t, "deltas") / 100
	var err error
	m.s, err = Create("db", testID, m.options())
	if err != nil {
		t.Fatal(err)
	}
	m.s.deltaLimit = m.deltas
	for i := range m.now {
		m.now[i] = model{}
	}
	m.compaction = m.s.NewCompaction()
	m.remember()
	return m
}

func (m *machine) options() Options {
	return Options{FS: m.fs, PageSize: m.pageSize, CacheBytes: minCache}
}

func (m *machine) remember() { m.views = append(m.views, oldView{m.s.View(), m.now}) }

// drawKey prefers keys near existing ones; some are long.
func drawKey(t *rapid.T) []byte {
	switch rapid.IntRange(0, 19).Draw(t, "keykind") {
	case 0:
		n := rapid.SampledFrom([]int{1000, 5000, 20000, MaxKeySize}).Draw(t, "long")
		k := bytes.Repeat([]byte{'l'}, n)
		copy(k[n-4:], fmt.Sprintf("%04d", rapid.IntRange(0, 30).Draw(t, "tail")))
		return k
	case 1:
		return rapid.SliceOfN(rapid.Byte(), 0, 6).Draw(t, "bytes")
	case 2, 3, 4:
		return fmt.Appendf(nil, "other/prefix/%d", rapid.IntRange(0, 300).Draw(t, "o"))
	}
	return fmt.Appendf(nil, "key/%06d", rapid.IntRange(0, 4000).Draw(t, "k"))
}

func drawValue(t *rapid.T, seed uint64) []byte {
	n := rapid.SampledFrom([]int{0, 1, 10, 100, 100, 100, 300, 1024, 1025, 5000, 70000}).Draw(t, "len")
	if rapid.IntRange(0, 300).Draw(t, "huge") == 0 {
		n = 2<<20 + 17
	}
	return pattern(n, seed)
}

// pattern returns n bytes that differ by seed and position.
func pattern(n int, seed uint64) []byte {
	b := make([]byte, n)
	x := seed*2 + 1
	for i := range b {
		x = x*6364136223846793005 + 1442695040888963407
		b[i] = byte(x >> 56)
	}
	return b
}

func (m *machine) drawEdits(t *rapid.T, tree TreeID) []Edit {
	var edits []Edit
	switch rapid.IntRange(0, 9).Draw(t, "shape") {
	case 0: // delete most of it
		for i, k := range m.now[tree].keys() {
			if (i*7+3)%10 > 0 {
				edits = append(edits, Edit{Key: []byte(k), Delete: true})
			}
		}
	case 1: // delete a range
		keys := m.now[tree].keys()
		if len(keys) > 0 {
			from := rapid.IntRange(0, len(keys)-1).Draw(t, "from")
			for _, k := range keys[from:] {
				edits = append(edits, Edit{Key: []byte(k), Delete: true})
			}
		}
	case 2: // bulk
		base, n := rapid.IntRange(0, 4000).Draw(t, "base"), rapid.IntRange(1, 3000).Draw(t, "n")
		for i := range n {
			edits = append(edits, Edit{
				Key: fmt.Appendf(nil, "key/%06d", base+i), Value: pattern(i%200, m.ts), Timestamp: m.ts + uint64(i%5),
			})
		}
	case 3, 4, 5: // a few of what is there, so that leaves get deltas and their deltas change
		keys := m.now[tree].keys()
		for i := rapid.IntRange(0, 40).Draw(t, "first"); i < len(keys); i += rapid.IntRange(1, 60).Draw(t, "step") {
			e := Edit{Key: []byte(keys[i]), Timestamp: m.ts + uint64(i%9)}
			switch rapid.IntRange(0, 5).Draw(t, "kind") {
			case 0:
				e.Delete = true
			case 1:
				if len(e.Key) < MaxKeySize {
					e.Key = append(e.Key, '+')
				}
			}
			if !e.Delete {
				e.Value = drawValue(t, m.ts+uint64(i))
			}
			edits = append(edits, e)
		}
	default:
		for range rapid.IntRange(0, 40).Draw(t, "edits") {
			e := Edit{Key: drawKey(t), Timestamp: m.ts + rapid.Uint64Range(0, 1<<40).Draw(t, "dts")}
			if rapid.IntRange(0, 3).Draw(t, "del") == 0 {
				e.Delete = true
			} else {
				e.Value = drawValue(t, m.ts)
			}
			edits = append(edits, e)
		}
	}
	m.ts += 7
	return sortEdits(edits)
}

// merge applies edits and checks what superseded sees.
func (m *machine) merge(t *rapid.T, c *Checkpoint, tree TreeID, edits []Edit) {
	old, seen := m.now[tree], 0
	want := 0
	for _, e := range edits {
		if _, ok := old[string(e.Key)]; ok {
			want++
		}
	}
	err := c.Merge(context.Background(), tree, reusing(edits), func(r Record) bool {
		e, ok := old[string(r.Key)]
		if !ok || e.ts != r.Timestamp || r.Ref == (OverflowRef{}) && string(r.Value) != e.value ||
			r.Ref != (OverflowRef{}) && (r.Ref.Size != int64(len(e.value)) || r.Value != nil) {
			t.Fatalf("superseded saw %.40q at %d, model has it: %v", r.Key, r.Timestamp, ok)
		}
		seen++
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen != want {
		t.Fatalf("superseded saw %d records, want %d", seen, want)
	}
}

// reusing yields edits through one buffer that is overwritten behind them: Merge must have copied them.
func reusing(edits []Edit) iter.Seq[Edit] {
	return func(yield func(Edit) bool) {
		var k, v []byte
		for _, e := range edits {
			k, v = append(k[:0], e.Key...), append(v[:0], e.Value...)
			e.Key, e.Value = k, v
			if !yield(e) {
				return
			}
			poison(k)
			poison(v)
		}
	}
}

func (m *machine) checkpoint(t *rapid.T) {
	c, err := m.s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.s.Begin(); !errors.Is(err, ErrCheckpointOpen) {
		t.Fatalf("second Begin: %v", err)
	}
	next := m.now
	for tree := range TreeID(NumTrees) {
		switch rapid.IntRange(0, 9).Draw(t, "tree") {
		case 0:
		case 1:
			if err := c.Clear(tree); err != nil {
				t.Fatal(err)
			}
			next[tree] = model{}
		default:
			edits := m.drawEdits(t, tree)
			m.merge(t, c, tree, edits)
			next[tree] = next[tree].apply(edits)
		}
	}
	m.shorten(t, c)
	if rapid.IntRange(0, 9).Draw(t, "abort") == 0 {
		c.Abort()
		return
	}
	v, err := c.Commit(Meta{Timestamp: m.ts, LogLSN: m.ts * 2, Owner: [256]byte{byte(m.ts)}})
	if err != nil {
		t.Fatal(err)
	}
	if v != m.s.View() || v.Meta().LogLSN != m.ts*2 || v.Meta().Owner[0] != byte(m.ts) {
		t.Fatal("the committed view is not the current one")
	}
	m.now = next
	m.remember()
}

// shorten moves pages in one of the ways there are.
func (m *machine) shorten(t *rapid.T, c *Checkpoint) {
	var err error
	pages := rapid.IntRange(1, 500).Draw(t, "pages")
	switch rapid.IntRange(0, 3).Draw(t, "shorten") {
	case 0:
		return
	case 1:
		_, err = c.Vacuum(context.Background(), pages)
	case 2:
		_, err = c.Vacuum(context.Background(), AutoVacuum)
	case 3:
		var p CompactProgress
		if p, err = m.compaction.Step(context.Background(), c, pages); p.Finished {
			m.compaction = m.s.NewCompaction()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// moveValues hands large values of the data tree to the history tree without copying them.
func (m *machine) moveValues(t *rapid.T) {
	c, err := m.s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	var edits, moved []Edit
	next := m.now
	next[HistoryTree] = maps.Clone(next[HistoryTree])
	for _, k := range m.now[DataTree].keys() {
		if rapid.IntRange(0, 2).Draw(t, "move") == 0 {
			edits = append(edits, Edit{Key: []byte(k), Delete: true})
		}
	}
	err = c.Merge(context.Background(), DataTree, slices.Values(edits), func(r Record) bool {
		if r.Ref == (OverflowRef{}) {
			return false
		}
		key := append([]byte("moved/"), r.Key...)
		if len(key) > MaxKeySize {
			return false
		}
		moved = append(moved, Edit{Key: key, Timestamp: r.Timestamp, Ref: r.Ref})
		next[HistoryTree][string(key)] = m.now[DataTree][string(r.Key)]
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Merge(context.Background(), HistoryTree, slices.Values(sortEdits(moved)), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Commit(Meta{}); err != nil {
		t.Fatal(err)
	}
	next[DataTree] = next[DataTree].apply(edits)
	m.overRefs += len(moved)
	m.now = next
	m.remember()
}

func (m *machine) reopen(t *rapid.T) {
	if err := m.s.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if m.s, err = Open("db", m.options()); err != nil {
		t.Fatal(err)
	}
	m.s.deltaLimit = m.deltas
	m.views = nil
	m.compaction = m.s.NewCompaction()
	m.remember()
}

func (m *machine) seek(t *rapid.T) {
	tree := TreeID(rapid.IntRange(0, NumTrees-1).Draw(t, "tree"))
	v, mod := m.s.View(), m.now[tree]
	keys := mod.keys()
	key := drawKey(t)
	at := sort.SearchStrings(keys, string(key))
	c := v.Cursor(tree)
	defer c.Close()
	if ok := c.Seek(key); ok != (at < len(keys)) || ok && string(c.Key()) != keys[at] {
		t.Fatalf("Seek(%.40q) = %v at %.40q, err %v", key, ok, c.Key(), c.Err())
	}
	for i := at; c.Key() != nil && i < at+100; i++ {
		compareRecord(t, c, keys, i, mod)
		c.Next()
	}
	if ok := c.SeekLT(key); ok != (at > 0) || ok && string(c.Key()) != keys[at-1] {
		t.Fatalf("SeekLT(%.40q) = %v at %.40q, err %v", key, ok, c.Key(), c.Err())
	}
	got, ts, found, err := v.Get(tree, key, []byte("x"))
	want, ok := mod[string(key)]
	if err != nil || found != ok || string(got) != "x"+want.value || ts != want.ts {
		t.Fatalf("Get(%.40q) = %d bytes at %d, %v, %v", key, len(got), ts, found, err)
	}
	if ts, found, err := v.Timestamp(tree, key); err != nil || found != ok || ts != want.ts {
		t.Fatalf("Timestamp(%.40q) = %d, %v, %v", key, ts, found, err)
	}
}

func (m *machine) newer(t *rapid.T) {
	tree := TreeID(rapid.IntRange(0, NumTrees-1).Draw(t, "tree"))
	lo, hi := drawKey(t), drawKey(t)
	if rapid.Bool().Draw(t, "open") {
		hi = nil
	}
	after := rapid.Uint64Range(0, m.ts+1<<40).Draw(t, "after")
	if keys := m.now[tree].keys(); len(keys) > 0 && rapid.Bool().Draw(t, "near") {
		// The borders are at the timestamps themselves, the newest one above all.
		after = m.now[tree][rapid.SampledFrom(keys).Draw(t, "of")].ts
		if rapid.Bool().Draw(t, "newest") {
			after = m.now[tree].maxTS()
		}
		if after > 0 && rapid.Bool().Draw(t, "below") {
			after--
		}
	}
	want := false
	for k, e := range m.now[tree] {
		want = want || k >= string(lo) && (hi == nil || k < string(hi)) && e.ts > after
	}
	key, found, err := m.s.View().Newer(tree, lo, hi, after)
	if err != nil || found != want {
		t.Fatalf("Newer(%.40q, %.40q, %d) = %v, %v, want %v", lo, hi, after, found, err, want)
	}
	if found && (m.now[tree][string(key)].ts <= after || string(key) < string(lo) || hi != nil && string(key) >= string(hi)) {
		t.Fatalf("Newer found %.40q, which is not newer or outside", key)
	}
}

// staleViews demands of every view the truth or, once two newer checkpoints are there, ErrStale.
func (m *machine) staleViews(t *rapid.T) {
	for i, old := range m.views {
		age := len(m.views) - 1 - i
		for tree := range TreeID(NumTrees) {
			m.scanOld(t, old, tree, age)
		}
	}
	if len(m.views) > 6 {
		m.views = m.views[len(m.views)-6:]
	}
}

func (m *machine) scanOld(t *rapid.T, old oldView, tree TreeID, age int) {
	keys := old.models[tree].keys()
	c := old.v.Cursor(tree)
	defer c.Close()
	i := 0
	for ok := c.First(); ok; ok = c.Next() {
		v, err := c.Value()
		if errors.Is(err, ErrStale) && age >= 2 {
			return
		}
		if err != nil || i >= len(keys) || string(c.Key()) != keys[i] || string(v) != old.models[tree][keys[i]].value {
			t.Fatalf("view of age %d: record %d is %.40q (%v)", age, i, c.Key(), err)
		}
		i++
	}
	if errors.Is(c.Err(), ErrStale) && age >= 2 {
		return
	}
	if c.Err() != nil || i != len(keys) {
		t.Fatalf("view of age %d: scan ended after %d of %d: %v", age, i, len(keys), c.Err())
	}
}

func (m *machine) check(t *rapid.T) {
	mustCheck(t, m.s)
	for tree := range TreeID(NumTrees) {
		compareScan(t, m.s.View(), tree, m.now[tree])
	}
}

func TestStoreBehavesLikeSortedMaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		defer func() { _ = m.s.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"":           m.check,
			"checkpoint": m.checkpoint,
			"more":       m.checkpoint,
			"move":       m.moveValues,
			"reopen":     m.reopen,
			"seek":       m.seek,
			"ahead":      m.readAhead,
			"newer":      m.newer,
			"stale":      m.staleViews,
		})
	})
}
