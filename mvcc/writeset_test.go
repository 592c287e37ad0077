package mvcc

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// TestWriteSetIsASortedMap compares write sets of few and of many keys with a map, through savepoints.
func TestWriteSetIsASortedMap(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		keys := 1 + rng.IntN(3*fewWrites)
		var w, mark writeSet
		want, marked := map[string]string{}, map[string]string{}
		for step := range 4 * keys {
			key := []byte{byte(rng.IntN(keys))}
			switch rng.IntN(12) {
			case 0:
				mark, marked = w.mark(), maps.Clone(want)
			case 1:
				w.reset(mark)
				want = maps.Clone(marked)
			default:
				value := []byte{byte(step), byte(step >> 8)}
				w.set(key, value, versions.Put)
				want[string(key)] = string(value)
			}
			checkWriteSet(t, &w, want, keys)
		}
	}
}

func checkWriteSet(t *testing.T, w *writeSet, want map[string]string, keys int) {
	t.Helper()
	sorted := slices.Sorted(maps.Keys(want))
	if w.len() != len(want) || w.empty() != (len(want) == 0) {
		t.Fatalf("%d writes, want %d", w.len(), len(want))
	}
	for i, x := range w.list() {
		if string(x.Key) != sorted[i] || string(x.Value) != want[sorted[i]] {
			t.Fatalf("write %d is %x = %x, want %x = %x", i, x.Key, x.Value, sorted[i], want[sorted[i]])
		}
	}
	for k := range keys {
		key := []byte{byte(k)}
		i, found := slices.BinarySearch(sorted, string(key))
		x, ok := w.recent(key)
		if ok != found || string(x.Value) != want[string(key)] {
			t.Fatalf("key %x: %x, %v", key, x.Value, ok)
		}
		if x, ok := w.atOrAfter(key); ok != (i < len(sorted)) || ok && !bytes.Equal(x.Key, []byte(sorted[i])) {
			t.Fatalf("at or after %x: %x, %v", key, x.Key, ok)
		}
		if x, ok := w.before(key); ok != (i > 0) || ok && !bytes.Equal(x.Key, []byte(sorted[i-1])) {
			t.Fatalf("before %x: %x, %v", key, x.Key, ok)
		}
	}
}
