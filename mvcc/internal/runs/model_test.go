package runs

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// model is a sorted map.
type model map[string]versions.Write

func (m model) sorted() []versions.Write {
	var writes []versions.Write
	for _, key := range slices.Sorted(maps.Keys(m)) {
		writes = append(writes, m[key])
	}
	return writes
}

// keys are short and collide often, share long prefixes, differ in trailing zeros, and are longer than a small block.
var keys = rapid.Custom(func(t *rapid.T) string {
	long := strings.Repeat("p", 70)
	start := rapid.SampledFrom([]string{"", "a", "ab", long, long + "q", strings.Repeat("q", 300)}).Draw(t, "start")
	return start + rapid.StringOfN(rapid.SampledFrom([]rune{0, 'a', 'b', 'z'}), 0, 3, -1).Draw(t, "rest")
})

// writes have any kind, and values that are empty, small, at the limit of what is far, and larger than a small block.
func drawWrite(t *rapid.T, key string) versions.Write {
	size := rapid.SampledFrom([]int{0, 0, 1, 7, 31, 32, 33, 100, 101, 500, blockSize / 2, blockSize/2 + 1}).Draw(t, "size")
	return versions.Write{
		Key:   []byte(key),
		Value: pattern(rapid.IntRange(0, 1000).Draw(t, "pattern"), size),
		Kind:  versions.Kind(rapid.Byte().Draw(t, "kind")),
	}
}

func drawModel(t *rapid.T) model {
	m := model{}
	for _, key := range rapid.SliceOfN(keys, 0, 40).Draw(t, "keys") {
		m[key] = drawWrite(t, key)
	}
	return m
}

// position is a cursor beside the model of it.
type position struct {
	cursor moves
	writes []versions.Write
	at     int // -1 without a position
}

func (p *position) check(t *rapid.T, ok bool, at int) {
	t.Helper()
	if at < 0 || at >= len(p.writes) {
		at = -1
	}
	p.at = at
	if err := p.cursor.Err(); err != nil || ok != (at >= 0) {
		t.Fatalf("move returned %v, %v; want position %d of %d", ok, err, at, len(p.writes))
	}
	if ok {
		wantWrite(t, p.cursor, p.writes[at])
		return
	}
	value, err := p.cursor.Value()
	if p.cursor.Key() != nil || p.cursor.Kind() != 0 || p.cursor.ValueSize() != 0 || value != nil || err != nil {
		t.Fatalf("without a position there is %q, %v", p.cursor.Key(), err)
	}
}

// place returns the number of the first write at or after key.
func (p *position) place(key []byte) int {
	at, _ := slices.BinarySearchFunc(p.writes, key, func(w versions.Write, key []byte) int { return bytes.Compare(w.Key, key) })
	return at
}

func (p *position) actions() map[string]func(*rapid.T) {
	draw := func(t *rapid.T) []byte { return []byte(keys.Draw(t, "key")) }
	move := func(go_ func() bool, by int) func(*rapid.T) {
		return func(t *rapid.T) {
			for range rapid.IntRange(1, 5).Draw(t, "moves") {
				at := p.at + by
				if p.at < 0 {
					at = -1
				}
				p.check(t, go_(), at)
			}
		}
	}
	return map[string]func(*rapid.T){
		"first":  func(t *rapid.T) { p.check(t, p.cursor.SeekFirst(), 0) },
		"last":   func(t *rapid.T) { p.check(t, p.cursor.SeekLast(), len(p.writes)-1) },
		"seek":   func(t *rapid.T) { key := draw(t); p.check(t, p.cursor.Seek(key), p.place(key)) },
		"before": func(t *rapid.T) { key := draw(t); p.check(t, p.cursor.SeekBefore(key), p.place(key)-1) },
		"next":   move(func() bool { return p.cursor.Next() }, 1),
		"next2":  move(func() bool { return p.cursor.Next() }, 1),
		"prev":   move(func() bool { return p.cursor.Prev() }, -1),
		"prev2":  move(func() bool { return p.cursor.Prev() }, -1),
	}
}

func drawOptions(t *rapid.T) Options {
	return Options{
		block:          rapid.SampledFrom([]int{64, 200, 1000, 0}).Draw(t, "block"),
		MaxFilterBytes: rapid.SampledFrom([]int64{-1, 64, 0}).Draw(t, "filter"),
	}
}

func TestModelOfOneRun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := vfs.NewMem()
		d := openDir(t, mem)
		m := drawModel(t)
		writes := m.sorted()
		r := build(t, d, drawOptions(t), writes...)
		if r.Len() != int64(len(writes)) || r.Bytes() != d.Bytes() {
			t.Fatalf("%d writes in %d bytes, want %d in %d", r.Len(), r.Bytes(), len(writes), d.Bytes())
		}
		for _, w := range writes {
			wantGet(t, r, w)
		}
		for _, key := range rapid.SliceOfN(keys, 0, 20).Draw(t, "lookups") {
			if w, found := m[key]; found {
				wantGet(t, r, w)
			} else {
				wantAbsent(t, r, []byte(key))
			}
		}
		c := r.Cursor()
		wantWrites(t, c, writes)
		p := &position{cursor: c, writes: writes, at: -1}
		t.Repeat(p.actions())
		c.Close()
		closeDir(t, d)
		wantNothing(t, mem)
	})
}

func TestModelOfAMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := vfs.NewMem()
		d := openDir(t, mem)
		all := model{}
		var newestFirst []*Run
		for range rapid.IntRange(0, 6).Draw(t, "runs") {
			m := drawModel(t)
			newestFirst = slices.Insert(newestFirst, 0, build(t, d, drawOptions(t), m.sorted()...))
			maps.Copy(all, m) // what is written later wins
		}
		c := Merge(newestFirst...)
		wantWrites(t, c, all.sorted())
		p := &position{cursor: c, writes: all.sorted(), at: -1}
		t.Repeat(p.actions())
		c.Close()
		closeDir(t, d)
		wantNothing(t, mem)
	})
}
