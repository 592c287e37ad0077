package versions

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"
)

func heapBytes() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// fill applies commits of ten writes each, with keys of 24 bytes.
func fill(table *Table, numbers []int, timestamp uint64, valueBytes int) {
	for len(numbers) > 0 {
		n := min(10, len(numbers))
		writes := make([]Write, n)
		for i, number := range numbers[:n] {
			key := make([]byte, 24)
			binary.BigEndian.PutUint64(key, uint64(number))
			writes[i] = Write{Key: key, Value: make([]byte, valueBytes), Kind: Put}
		}
		table.Apply(timestamp, writes)
		timestamp++
		numbers = numbers[n:]
	}
}

func TestBytesIsNearTheMemoryThatIsUsed(t *testing.T) {
	const keys = 20_000
	ascending := make([]int, keys)
	for i := range ascending {
		ascending[i] = i
	}
	random := rand.New(rand.NewPCG(1, 2)).Perm(keys)
	cases := []struct {
		name   string
		values int
		rounds []([]int)
		prune  bool
	}{
		{"ascending keys without values", 0, [][]int{ascending}, false},
		{"random keys without values", 0, [][]int{random}, false},
		{"random keys with values of 96 bytes", 96, [][]int{random}, false},
		{"three versions of each key", 32, [][]int{random, ascending, random}, false},
		{"three versions of each key, pruned", 128, [][]int{random, ascending, random}, true},
		{"hot keys in each commit, pruned", 512, [][]int{hot(random)}, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := heapBytes()
			table := New(nil)
			timestamp := uint64(1)
			for _, numbers := range c.rounds {
				fill(table, numbers, timestamp, c.values)
				timestamp += keys
			}
			if c.prune {
				table.Prune(timestamp)
			}
			used, counted := heapBytes()-before, table.Bytes()
			t.Logf("%d bytes for each key used, %d counted, ratio %.2f",
				used/table.Keys(), counted/table.Keys(), float64(counted)/float64(used))
			if 10*counted < 7*used || 10*counted > 13*used {
				t.Errorf("Bytes is %d, the heap grew by %d", counted, used)
			}
			runtime.KeepAlive(table)
		})
	}
}

// hot makes nine writes of ten go to the same nine keys.
func hot(numbers []int) []int {
	mixed := make([]int, len(numbers))
	for i, number := range numbers {
		if i%10 != 9 {
			number = i % 10
		}
		mixed[i] = number
	}
	return mixed
}
