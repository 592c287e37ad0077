package mvcc

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc/internal/runs"
)

// TestABatchIsSortedAndKeepsTheLastOfEqualKeys compares what a batch writes with a map. Keys share heads, end within
// them, and have zeros where the head is padded with them.
func TestABatchIsSortedAndKeepsTheLastOfEqualKeys(t *testing.T) {
	dir, err := runs.OpenDir(vfs.NewMem(), "tmp")
	if err != nil {
		t.Fatal(err)
	}
	b := newLoadBatch(64 << 10)
	parts := rapid.SampledFrom([]string{"", "\x00", "a", "b", "\xff", "long prefix", "12345678"})
	rapid.Check(t, func(t *rapid.T) {
		want := map[string]string{}
		for range rapid.IntRange(0, 200).Draw(t, "pairs") {
			key := parts.Draw(t, "1") + parts.Draw(t, "2") + parts.Draw(t, "3")
			value := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "value")
			if !b.fits([]byte(key), value) {
				break
			}
			b.add([]byte(key), value)
			want[key] = string(value)
		}
		r, err := b.write(dir, makePrefix(7))
		if err != nil {
			t.Fatal(err)
		}
		b.reset()
		if r == nil {
			if len(want) > 0 {
				t.Fatal("no run")
			}
			return
		}
		defer r.Drop()
		c := r.Cursor()
		defer c.Close()
		prefix := makePrefix(7)
		ok := c.SeekFirst()
		for _, key := range slices.Sorted(maps.Keys(want)) {
			if !ok || !bytes.Equal(c.Key(), append(prefix[:], key...)) {
				t.Fatalf("%q instead of %q", c.Key(), key)
			}
			if value, err := c.Value(); err != nil || string(value) != want[key] {
				t.Fatalf("%q: %q instead of %q, %v", key, value, want[key], err)
			}
			ok = c.Next()
		}
		if ok {
			t.Fatalf("%q is too much", c.Key())
		}
	})
}
