package versions

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// logged is a version of a key.
type logged struct {
	write     Write
	timestamp uint64
}

// randomHistory returns versions of random keys in the order of their timestamps; hot keys have many.
func randomHistory(rng *rand.Rand, n int) []logged {
	var all []logged
	for i := range n {
		number := rng.IntN(n)
		if rng.IntN(4) == 0 {
			number = rng.IntN(5)
		}
		w := put(fmt.Sprintf("key %05d", number), fmt.Sprint("value ", i))
		if rng.IntN(5) == 0 {
			w = Write{Key: w.Key, Kind: Delete}
		}
		all = append(all, logged{w, uint64(i + 1)})
	}
	return all
}

// loadOf makes the table of a history with Load.
func loadOf(splits [][]byte, all []logged, goroutines int) *Table {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b logged) int { return slices.Compare(a.write.Key, b.write.Key) })
	parts := make([]Part, len(splits)+1)
	for i := range parts {
		n := len(sorted)
		if i < len(splits) {
			n = slices.IndexFunc(sorted, func(x logged) bool { return slices.Compare(x.write.Key, splits[i]) >= 0 })
			if n < 0 {
				n = len(sorted)
			}
		}
		mine := sorted[:n]
		sorted = sorted[n:]
		parts[i] = Part{Keys: n, Versions: n, Each: func(yield func(Write, uint64)) {
			for _, x := range mine {
				yield(x.write, x.timestamp)
			}
		}}
	}
	return Load(splits, parts, goroutines)
}

func TestALoadedTableIsLikeOneThatWasAppliedTo(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, splits := range [][][]byte{nil, split("key 00002"), split("a", "key 00001", "key 00100", "key 00300", "z")} {
		for _, n := range []int{0, 1, 10, 600} {
			all := randomHistory(rng, n)
			loaded, applied := loadOf(splits, all, 3), New(splits)
			for _, x := range all {
				applied.Apply(x.timestamp, []Write{x.write})
			}
			compareTables(t, loaded, applied, all)
			// From here on both take commits, and are pruned.
			for i, x := range randomHistory(rng, n) {
				ts := uint64(n + i + 1)
				loaded.Apply(ts, []Write{x.write})
				applied.Apply(ts, []Write{x.write})
			}
			compareTables(t, loaded, applied, all)
			if a, b := loaded.Prune(uint64(n)), applied.Prune(uint64(n)); a != b {
				t.Fatalf("pruning freed %d bytes, want %d", a, b)
			}
			checked(t, loaded)
		}
	}
}

// compareTables compares what two tables show at the timestamps of a history.
func compareTables(t *testing.T, got, want *Table, all []logged) {
	t.Helper()
	checked(t, got)
	if got.Keys() != want.Keys() {
		t.Fatalf("%d keys, want %d", got.Keys(), want.Keys())
	}
	for _, x := range all {
		a, b := got.Get(x.write.Key, x.timestamp), want.Get(x.write.Key, x.timestamp)
		if a.Timestamp != b.Timestamp || a.Kind != b.Kind || string(a.Value) != string(b.Value) {
			t.Fatalf("%q at %d: %v, want %v", x.write.Key, x.timestamp, a, b)
		}
		for _, ts := range []uint64{x.timestamp - 1, x.timestamp} {
			key, found := got.NewerInRange(x.write.Key, nil, ts)
			wantKey, wantFound := want.NewerInRange(x.write.Key, nil, ts)
			if found != wantFound || string(key) != string(wantKey) {
				t.Fatalf("newer than %d from %q on: %q %v, want %q %v", ts, x.write.Key, key, found, wantKey, wantFound)
			}
		}
	}
	for _, ts := range []uint64{0, uint64(len(all) / 2), uint64(len(all))} {
		if a, b := upward(got, nil, ts), upward(want, nil, ts); !slices.Equal(a, b) {
			t.Fatalf("scan at %d: %q, want %q", ts, a, b)
		}
	}
}
