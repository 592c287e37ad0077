package versions

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// modelVersion is a version in the model.
type modelVersion struct {
	timestamp uint64
	kind      Kind
	value     string
	first     bool // of its key: Prune does not free it
}

// model is the dumbest multi-version map: for each key all versions, newest first.
type model map[string][]modelVersion

func (m model) apply(timestamp uint64, w Write) {
	v := modelVersion{timestamp, w.Kind, string(w.Value), len(m[string(w.Key)]) == 0}
	m[string(w.Key)] = slices.Insert(m[string(w.Key)], 0, v)
}

func (m model) at(key string, timestamp uint64) (modelVersion, bool) {
	for _, v := range m[key] {
		if v.timestamp <= timestamp {
			return v, true
		}
	}
	return modelVersion{}, false
}

// keys returns the keys with a version at or before timestamp, ascending.
func (m model) keys(timestamp uint64) []string {
	var keys []string
	for key := range m {
		if _, ok := m.at(key, timestamp); ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (m model) prune(horizon uint64) (freedBytes int64) {
	for key, versions := range m {
		needed := slices.IndexFunc(versions, func(v modelVersion) bool { return v.timestamp <= horizon })
		if needed < 0 {
			continue
		}
		for _, v := range versions[needed+1:] {
			if !v.first {
				freedBytes += versionBytes + int64(len(v.value))
			}
		}
		m[key] = versions[:needed+1]
	}
	return freedBytes
}

// keyGenerator makes keys that are short and collide often, that differ only in trailing zeros, and
// that differ only after the 16 bytes that the index keeps beside the pointer.
func keyGenerator() *rapid.Generator[string] {
	long := strings.Repeat("b", 15)
	return rapid.Custom(func(t *rapid.T) string {
		start := rapid.SampledFrom([]string{"", "", "a", "b", long, long + "b", long + "c"}).Draw(t, "start")
		return start + rapid.StringOfN(rapid.SampledFrom([]rune{0, 'a', 'b', 'c'}), 0, 3, -1).Draw(t, "rest")
	})
}

// modelCursor is an open cursor with what the model says about it.
type modelCursor struct {
	cursor    *Cursor
	timestamp uint64
	key       string
	placed    bool
}

type machine struct {
	table     *Table
	model     model
	watermark uint64
	horizon   uint64
	cursors   []*modelCursor
}

func sameVersion(t *rapid.T, what string, got *Version, want modelVersion, exists bool) {
	t.Helper()
	switch {
	case got == nil && exists:
		t.Fatalf("%s: got none, want %v", what, want)
	case got != nil && !exists:
		t.Fatalf("%s: got the version of %d, want none", what, got.Timestamp)
	case got != nil && (modelVersion{got.Timestamp, got.Kind, string(got.Value), got.first}) != want:
		t.Fatalf("%s: got %d %v %q, want %v", what, got.Timestamp, got.Kind, got.Value, want)
	}
}

func drawWrite(t *rapid.T, key string) Write {
	if rapid.IntRange(0, 3).Draw(t, "delete if 0") == 0 {
		return Write{Key: []byte(key), Kind: Delete}
	}
	return Write{Key: []byte(key), Value: []byte(rapid.StringN(0, 5, 20).Draw(t, "value")), Kind: Put}
}

// apply enters up to three commits of different keys, in any order of their timestamps.
func (m *machine) apply(t *rapid.T) {
	keys := rapid.SliceOfNDistinct(keyGenerator(), 1, 40, rapid.ID).Draw(t, "keys")
	commits := make([][]Write, rapid.IntRange(1, 3).Draw(t, "commits"))
	for _, key := range keys {
		i := rapid.IntRange(0, len(commits)-1).Draw(t, "commit")
		commits[i] = append(commits[i], drawWrite(t, key))
	}
	order := make([]int, len(commits))
	for i := range order {
		order[i] = i
	}
	for _, i := range rapid.Permutation(order).Draw(t, "order") {
		timestamp := m.watermark + uint64(i) + 1
		slices.SortFunc(commits[i], func(a, b Write) int { return bytes.Compare(a.Key, b.Key) })
		m.table.Apply(timestamp, commits[i])
		for _, w := range commits[i] {
			m.model.apply(timestamp, w)
		}
	}
	m.watermark += uint64(len(commits))
}

// timestamp draws a snapshot. One above the watermark would break V1: the next commits would
// enter keys that it sees, behind the back of its cursors.
func (m *machine) timestamp(t *rapid.T) uint64 {
	return rapid.Uint64Range(m.horizon, m.watermark).Draw(t, "timestamp")
}

func (m *machine) get(t *rapid.T) {
	key, timestamp := keyGenerator().Draw(t, "key"), m.timestamp(t)
	want, exists := m.model.at(key, timestamp)
	sameVersion(t, fmt.Sprintf("Get(%q, %d)", key, timestamp), m.table.Get([]byte(key), timestamp), want, exists)
}

// chain compares all versions of a key.
func (m *machine) chain(t *rapid.T) {
	key := keyGenerator().Draw(t, "key")
	v := m.table.Newest([]byte(key))
	for _, want := range m.model[key] {
		sameVersion(t, fmt.Sprintf("chain of %q", key), v, want, true)
		v = v.Older()
	}
	sameVersion(t, fmt.Sprintf("end of %q", key), v, modelVersion{}, false)
}

func (m *machine) prune(t *rapid.T) {
	highest := m.watermark
	for _, c := range m.cursors {
		highest = min(highest, c.timestamp)
	}
	m.horizon = rapid.Uint64Range(m.horizon, highest).Draw(t, "horizon")
	if got, want := m.table.Prune(m.horizon), m.model.prune(m.horizon); got != want {
		t.Fatalf("Prune(%d) freed %d bytes, want %d", m.horizon, got, want)
	}
}

func (m *machine) newerInRange(t *rapid.T) {
	lo, hi := []byte(keyGenerator().Draw(t, "lo")), []byte(keyGenerator().Draw(t, "hi"))
	if rapid.Bool().Draw(t, "no bound") {
		hi = nil
	}
	after := m.timestamp(t)
	want, exists := "", false
	for _, key := range m.model.keys(m.watermark) {
		inside := key >= string(lo) && (hi == nil || key < string(hi))
		if inside && m.model[key][0].timestamp > after {
			want, exists = key, true
			break
		}
	}
	got, found := m.table.NewerInRange(lo, hi, after)
	if found != exists || string(got) != want {
		t.Fatalf("NewerInRange(%q, %q, %d) = %q, %v, want %q, %v", lo, hi, after, got, found, want, exists)
	}
}

func (m *machine) all(t *rapid.T) {
	keys, stop := m.model.keys(m.watermark), rapid.IntRange(0, 100).Draw(t, "stop after")
	seen := 0
	m.table.All(func(key []byte, newest *Version) bool {
		if seen == len(keys) || string(key) != keys[seen] {
			t.Fatalf("All shows %q as key %d of %q", key, seen, keys)
		}
		sameVersion(t, "All", newest, m.model[keys[seen]][0], true)
		seen++
		return seen < stop
	})
	if want := min(len(keys), max(stop, 1)); seen != want {
		t.Fatalf("All showed %d keys, want %d", seen, want)
	}
}

func (m *machine) openCursor(t *rapid.T) {
	c := &modelCursor{timestamp: m.timestamp(t)}
	if len(m.cursors) < 3 {
		c.cursor = m.table.Cursor(c.timestamp)
		m.cursors = append(m.cursors, c)
		return
	}
	i := rapid.IntRange(0, 2).Draw(t, "reused cursor")
	c.cursor = m.cursors[i].cursor
	c.cursor.Reset(m.table, c.timestamp)
	m.cursors[i] = c
}

func (m *machine) drawCursor(t *rapid.T) *modelCursor {
	if len(m.cursors) == 0 {
		t.Skip("no cursor is open")
	}
	return rapid.SampledFrom(m.cursors).Draw(t, "cursor")
}

// moved compares the cursor with index i of the keys that the model shows it.
func (m *machine) moved(t *rapid.T, c *modelCursor, what string, ok bool, keys []string, i int) {
	c.placed = i >= 0 && i < len(keys)
	if ok != c.placed {
		t.Fatalf("%s at %d: got %v (key %q), want %v; keys %q", what, c.timestamp, ok, c.cursor.Key(), c.placed, keys)
	}
	if !ok {
		if c.cursor.Key() != nil || c.cursor.Version() != nil {
			t.Fatalf("%s: a cursor without position is at %q", what, c.cursor.Key())
		}
		return
	}
	c.key = keys[i]
	if string(c.cursor.Key()) != c.key {
		t.Fatalf("%s at %d: got key %q, want %q", what, c.timestamp, c.cursor.Key(), c.key)
	}
	want, _ := m.model.at(c.key, c.timestamp)
	sameVersion(t, what, c.cursor.Version(), want, true)
}

func (m *machine) seek(t *rapid.T) {
	c, key := m.drawCursor(t), []byte(keyGenerator().Draw(t, "key"))
	keys := m.model.keys(c.timestamp)
	i, _ := slices.BinarySearchFunc(keys, string(key), cmp.Compare[string])
	switch rapid.IntRange(0, 2).Draw(t, "direction") {
	case 0:
		m.moved(t, c, fmt.Sprintf("Seek(%q)", key), c.cursor.Seek(key), keys, i)
	case 1:
		m.moved(t, c, fmt.Sprintf("SeekLT(%q)", key), c.cursor.SeekLT(key), keys, i-1)
	default:
		m.moved(t, c, "SeekLT(nil)", c.cursor.SeekLT(nil), keys, len(keys)-1)
	}
	for i := range key { // a cursor must not go on with the caller's buffer
		key[i] = 'z'
	}
}

func (m *machine) step(t *rapid.T) {
	c := m.drawCursor(t)
	keys := m.model.keys(c.timestamp)
	for range rapid.IntRange(1, 30).Draw(t, "steps") {
		forward := rapid.IntRange(0, 9).Draw(t, "direction") < 5
		i := -1
		if c.placed {
			i, _ = slices.BinarySearch(keys, c.key)
			if forward {
				i++
			} else {
				i--
			}
		}
		if forward {
			m.moved(t, c, "Next", c.cursor.Next(), keys, i)
		} else {
			m.moved(t, c, "Prev", c.cursor.Prev(), keys, i)
		}
	}
}

// sweep walks to the end in one direction, through several batches.
func (m *machine) sweep(t *rapid.T) {
	c := m.drawCursor(t)
	keys := m.model.keys(c.timestamp)
	if rapid.Bool().Draw(t, "forward") {
		ok := c.cursor.Seek(nil)
		for i := range len(keys) + 1 {
			m.moved(t, c, "sweep up", ok, keys, i)
			ok = c.cursor.Next()
		}
		return
	}
	ok := c.cursor.SeekLT(nil)
	for i := len(keys) - 1; i >= -1; i-- {
		m.moved(t, c, "sweep down", ok, keys, i)
		ok = c.cursor.Prev()
	}
}

// skip goes on within what a cursor has at hand, and compares what lies ahead.
func (m *machine) skip(t *rapid.T) {
	c := m.drawCursor(t)
	if !c.placed {
		return
	}
	keys := m.model.keys(c.timestamp)
	at, _ := slices.BinarySearch(keys, c.key)
	step := 1
	if c.cursor.scan.backward {
		step = -1
	}
	for i := range c.cursor.Ahead() + 1 {
		key, v := c.cursor.Peek(i)
		want, ok := m.model.at(keys[at+i*step], c.timestamp)
		if string(key) != keys[at+i*step] {
			t.Fatalf("%d keys ahead of %q is %q, want %q", i, c.key, key, keys[at+i*step])
		}
		sameVersion(t, "ahead", v, want, ok)
	}
	n := rapid.IntRange(0, c.cursor.Ahead()).Draw(t, "skipped")
	c.cursor.Skip(n)
	m.moved(t, c, "Skip", true, keys, at+n*step)
}

func (m *machine) check(t *rapid.T) {
	if err := m.table.Check(); err != nil {
		t.Fatal(err)
	}
	if got := m.table.Keys(); got != int64(len(m.model)) {
		t.Fatalf("Keys() = %d, want %d", got, len(m.model))
	}
}

func TestTableBehavesLikeASortedMapOfAllVersions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawn := rapid.SliceOfN(keyGenerator(), 0, 90).Draw(t, "splits")
		var splits [][]byte
		for _, split := range drawn {
			splits = append(splits, []byte(split))
		}
		m := &machine{table: New(splits), model: model{}}
		t.Repeat(map[string]func(*rapid.T){
			"apply":        m.apply,
			"get":          m.get,
			"chain":        m.chain,
			"prune":        m.prune,
			"newerInRange": m.newerInRange,
			"all":          m.all,
			"openCursor":   m.openCursor,
			"skip":         m.skip,
			"seek":         m.seek,
			"step":         m.step,
			"sweep":        m.sweep,
			"":             m.check,
		})
	})
}
