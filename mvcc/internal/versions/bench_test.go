package versions

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
)

const benchKeys = 1_000_000

// edgeKey looks like an adjacency key: kind, source, type, target.
func edgeKey(n uint64) []byte {
	key := make([]byte, 24)
	key[0] = 2
	binary.BigEndian.PutUint64(key[1:], n*0x9E3779B97F4A7C15%100_003)
	binary.BigEndian.PutUint32(key[9:], 3)
	binary.BigEndian.PutUint64(key[16:], n)
	return key
}

// benchSplits cuts edge keys at their sources.
func benchSplits(partitions int) [][]byte {
	var splits [][]byte
	for i := 1; i < partitions; i++ {
		key := make([]byte, 9)
		key[0] = 2
		binary.BigEndian.PutUint64(key[1:], uint64(i*100_003/partitions))
		splits = append(splits, key)
	}
	return splits
}

func benchTable(keys uint64) *Table {
	table := New(benchSplits(64))
	for n := range keys {
		table.Apply(1, []Write{{Key: edgeKey(n), Value: make([]byte, 16), Kind: Put}})
	}
	return table
}

func byKey(a, b Write) int { return slices.Compare(a.Key, b.Key) }

// applier makes commits of new or of known keys; a million new keys fill a table.
type applier struct {
	table  atomic.Pointer[Table]
	clock  atomic.Uint64
	writes int
	known  bool
}

func (a *applier) run(next func() bool) {
	value := make([]byte, 16)
	random := rand.New(rand.NewPCG(rand.Uint64(), 1))
	for next() {
		timestamp := a.clock.Add(1)
		writes := make([]Write, a.writes)
		for i := range writes {
			n := timestamp*uint64(a.writes) + uint64(i)
			if a.known {
				n = random.Uint64N(benchKeys)
			}
			writes[i] = Write{Key: edgeKey(n), Value: value, Kind: Put}
		}
		slices.SortFunc(writes, byKey)
		a.table.Load().Apply(timestamp, writes)
		if !a.known && timestamp*uint64(a.writes)%benchKeys < uint64(a.writes) {
			a.table.Store(New(benchSplits(64)))
		}
	}
}

func BenchmarkApply(b *testing.B) {
	for _, known := range []bool{false, true} {
		for _, writes := range []int{1, 10} {
			for _, writers := range []int{1, 2} {
				b.Run(fmt.Sprintf("known=%v/writes=%d/writers=%d", known, writes, writers), func(b *testing.B) {
					a := applier{writes: writes, known: known}
					a.table.Store(New(benchSplits(64)))
					if known {
						a.table.Store(benchTable(benchKeys))
					}
					b.ReportAllocs()
					b.ResetTimer()
					if writers == 1 {
						a.run(b.Loop)
						return
					}
					b.SetParallelism(1)
					b.RunParallel(func(pb *testing.PB) { a.run(pb.Next) })
				})
			}
		}
	}
}

func BenchmarkRead(b *testing.B) {
	table := benchTable(benchKeys)
	var present, absent [1 << 16][]byte
	random := rand.New(rand.NewPCG(1, 2))
	for i := range present {
		present[i] = edgeKey(random.Uint64N(benchKeys))
		absent[i] = edgeKey(benchKeys + random.Uint64N(benchKeys))
	}
	for i := range table.partitions { // so that NewerInRange has to look at the keys
		table.partitions[i].raise(2)
	}
	reads := []struct {
		name string
		read func(key []byte) bool
		keys *[1 << 16][]byte
	}{
		{"Get hit", func(key []byte) bool { return table.Get(key, 1) != nil }, &present},
		{"Get miss", func(key []byte) bool { return table.Get(key, 1) == nil }, &absent},
		{"Newest miss", func(key []byte) bool { return table.Newest(key) == nil }, &absent},
		{"NewerInRange of one source", func(key []byte) bool {
			_, found := table.NewerInRange(key[:9], key, 1)
			return !found
		}, &present},
	}
	for _, r := range reads {
		b.Run(r.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if !r.read(r.keys[i%len(r.keys)]) {
					b.Fatal("wrong answer")
				}
			}
		})
	}
	b.Run("Get miss, empty table", func(b *testing.B) {
		empty := New(nil)
		for i := 0; b.Loop(); i++ {
			if empty.Get(absent[i%len(absent)], 1) != nil {
				b.Fatal("wrong answer")
			}
		}
	})
}

func BenchmarkCursor(b *testing.B) {
	table := benchTable(benchKeys)
	sweep := func(c *Cursor, start func() bool, move func() bool) func(b *testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !move() && !start() {
					b.Fatal("no key")
				}
			}
		}
	}
	c := table.Cursor(1)
	b.Run("Next", sweep(c, func() bool { return c.Seek(nil) }, c.Next))
	b.Run("Prev", sweep(c, func() bool { return c.SeekLT(nil) }, c.Prev))
	seek := func(b *testing.B, table *Table) {
		b.RunParallel(func(pb *testing.PB) {
			c := table.Cursor(1)
			key := edgeKey(0)
			for n := rand.Uint64N(benchKeys); pb.Next(); n += 7919 {
				binary.BigEndian.PutUint64(key[1:], n%100_003)
				c.Seek(key)
			}
		})
	}
	b.Run("Seek, 2 readers", func(b *testing.B) { seek(b, table) })
	one := New(nil)
	table.All(func(key []byte, _ *Version) bool {
		one.Apply(1, []Write{{Key: key, Kind: Put}})
		return true
	})
	b.Run("Seek, 2 readers, one partition", func(b *testing.B) { seek(b, one) })
	b.Run("Seek, 2 readers, empty table of 1024 partitions", func(b *testing.B) { seek(b, New(benchSplits(1024))) })
}

func BenchmarkPrune(b *testing.B) {
	const keys = 100_000
	b.Run("nothing to drop", func(b *testing.B) {
		table := benchTable(keys)
		for b.Loop() {
			table.Prune(1)
		}
	})
	b.Run("one version of each key", func(b *testing.B) {
		table := benchTable(keys)
		timestamp := uint64(1)
		for b.Loop() {
			b.StopTimer()
			timestamp++
			for n := range uint64(keys) {
				table.Apply(timestamp, []Write{{Key: edgeKey(n), Kind: Put}})
			}
			b.StartTimer()
			table.Prune(timestamp)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/keys, "ns/key")
	})
}
