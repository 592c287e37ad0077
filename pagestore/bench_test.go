package pagestore

import (
	"context"
	"encoding/binary"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

const (
	benchRecords = 1_000_000
	benchKey     = 24
	benchValue   = 100
)

// benchKeyOf spreads i over the key space in order.
func benchKeyOf(dst []byte, i uint64) []byte {
	dst = append(dst[:0], "user:0000"...)
	dst = binary.BigEndian.AppendUint64(dst, i*0x1000)
	return append(dst, "-record"...)
}

func benchEdits(n int) iter.Seq[Edit] {
	return func(yield func(Edit) bool) {
		key, val := make([]byte, 0, benchKey), pattern(benchValue, 1)
		for i := range n {
			key = benchKeyOf(key, uint64(i))
			binary.LittleEndian.PutUint64(val, uint64(i))
			if !yield(Edit{Key: key, Value: val, Timestamp: uint64(i / 100)}) {
				return
			}
		}
	}
}

// The stores that reads are measured on: without deltas, and with one at every leaf, which holds each seventh record.
var (
	cleanStore = sync.OnceValues(func() (*Store, error) { return newBenchStore(0) })
	deltaStore = sync.OnceValues(func() (*Store, error) { return newBenchStore(7) })
)

func newBenchStore(changed int) (*Store, error) {
	s, err := Create("bench", testID, Options{FS: vfs.NewMem(), CacheBytes: 512 << 20})
	if err != nil {
		return nil, err
	}
	edits := []iter.Seq[Edit]{benchEdits(benchRecords)}
	if changed > 0 {
		edits = append(edits, everyNth(edits[0], changed))
	}
	for _, e := range edits {
		c, err := s.Begin()
		if err == nil {
			err = c.Merge(context.Background(), DataTree, e, nil)
		}
		if err == nil {
			_, err = c.Commit(Meta{})
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

func everyNth(edits iter.Seq[Edit], n int) iter.Seq[Edit] {
	return func(yield func(Edit) bool) {
		i := 0
		for e := range edits {
			if i++; i%n == 0 && !yield(e) {
				return
			}
		}
	}
}

func loadedStore(b *testing.B, load func() (*Store, error)) *Store {
	s, err := load()
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkGet(b *testing.B)      { benchGet(b, cleanStore) }
func BenchmarkGetDelta(b *testing.B) { benchGet(b, deltaStore) }

func benchGet(b *testing.B, load func() (*Store, error)) {
	v := loadedStore(b, load).View()
	rng := rand.New(rand.NewPCG(1, 2))
	key, dst := make([]byte, 0, benchKey), make([]byte, 0, 200)
	b.ReportAllocs()
	for b.Loop() {
		key = benchKeyOf(key, rng.Uint64N(benchRecords))
		_, _, found, err := v.Get(DataTree, key, dst)
		if err != nil || !found {
			b.Fatal(found, err)
		}
	}
}

func BenchmarkGetParallel(b *testing.B) {
	v := loadedStore(b, cleanStore).View()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		rng := rand.New(rand.NewPCG(rand.Uint64(), 2))
		key, dst := make([]byte, 0, benchKey), make([]byte, 0, 200)
		for pb.Next() {
			key = benchKeyOf(key, rng.Uint64N(benchRecords))
			if _, _, found, err := v.Get(DataTree, key, dst); err != nil || !found {
				b.Error(found, err)
				return
			}
		}
	})
}

func BenchmarkGetMiss(b *testing.B)      { benchGetMiss(b, cleanStore) }
func BenchmarkGetMissDelta(b *testing.B) { benchGetMiss(b, deltaStore) }

func benchGetMiss(b *testing.B, load func() (*Store, error)) {
	v := loadedStore(b, load).View()
	rng := rand.New(rand.NewPCG(1, 2))
	key := make([]byte, 0, benchKey)
	b.ReportAllocs()
	for b.Loop() {
		key = benchKeyOf(key, rng.Uint64N(benchRecords))
		key[len(key)-1]++
		if _, found, err := v.Timestamp(DataTree, key); err != nil || found {
			b.Fatal(found, err)
		}
	}
}

func BenchmarkScan(b *testing.B)      { benchScan(b, cleanStore) }
func BenchmarkScanDelta(b *testing.B) { benchScan(b, deltaStore) }

func benchScan(b *testing.B, load func() (*Store, error)) {
	v := loadedStore(b, load).View()
	n := 0
	for b.Loop() {
		c := v.Cursor(DataTree)
		for ok := c.First(); ok; ok = c.Next() {
			val, _ := c.Value()
			n += len(val) & 1
		}
		c.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRecords, "ns/record")
}

func BenchmarkScanBackward(b *testing.B)      { benchScanBackward(b, cleanStore) }
func BenchmarkScanBackwardDelta(b *testing.B) { benchScanBackward(b, deltaStore) }

func benchScanBackward(b *testing.B, load func() (*Store, error)) {
	v := loadedStore(b, load).View()
	for b.Loop() {
		c := v.Cursor(DataTree)
		for ok := c.Last(); ok; ok = c.Prev() {
			_ = c.Key()
		}
		c.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRecords, "ns/record")
}

func BenchmarkRange100(b *testing.B)      { benchRange100(b, cleanStore) }
func BenchmarkRange100Delta(b *testing.B) { benchRange100(b, deltaStore) }

func benchRange100(b *testing.B, load func() (*Store, error)) {
	v := loadedStore(b, load).View()
	rng := rand.New(rand.NewPCG(1, 2))
	key := make([]byte, 0, benchKey)
	c := v.Cursor(DataTree)
	defer c.Close()
	b.ReportAllocs()
	for b.Loop() {
		key = benchKeyOf(key, rng.Uint64N(benchRecords-100))
		ok := c.Seek(key)
		for i := 0; ok && i < 99; i++ {
			ok = c.Next()
		}
		if !ok {
			b.Fatal(c.Err())
		}
	}
}

func benchFile(b *testing.B, cache int64) *Store {
	s, err := Create(filepath.Join(b.TempDir(), "db"), testID, Options{FS: vfs.OS, CacheBytes: cache})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

func BenchmarkMergeIntoEmpty(b *testing.B) {
	for b.Loop() {
		s := benchFile(b, 64<<20)
		c, err := s.Begin()
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Merge(context.Background(), DataTree, benchEdits(benchRecords), nil); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Commit(Meta{}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(s.Metrics().LiveBytes)/(benchRecords*(benchKey+benchValue)), "file/raw")
		_ = s.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRecords, "ns/record")
}

// BenchmarkMergeUpdates replaces random records of a million, evenly spread, in one checkpoint each.
func BenchmarkMergeUpdates(b *testing.B) {
	for _, updates := range []int{10_000, 100_000} {
		b.Run("updates="+map[int]string{10_000: "10k", 100_000: "100k"}[updates], func(b *testing.B) {
			s := benchFile(b, 64<<20)
			merge := func(edits iter.Seq[Edit]) CheckpointStats {
				c, err := s.Begin()
				if err == nil {
					err = c.Merge(context.Background(), DataTree, edits, nil)
				}
				if err == nil {
					_, err = c.Commit(Meta{})
				}
				if err != nil {
					b.Fatal(err)
				}
				return c.Stats()
			}
			merge(benchEdits(benchRecords))
			rng := rand.New(rand.NewPCG(1, 2))
			var written int64
			for b.Loop() {
				step := uint64(benchRecords / updates)
				written += merge(func(yield func(Edit) bool) {
					key, val := make([]byte, 0, benchKey), pattern(benchValue, 2)
					for i := range uint64(updates) {
						key = benchKeyOf(key, i*step+rng.Uint64N(step))
						if !yield(Edit{Key: key, Value: val, Timestamp: 1 << 20}) {
							return
						}
					}
				}).BytesWritten
			}
			raw := float64(b.N) * float64(updates) * (benchKey + benchValue)
			b.ReportMetric(float64(written)/raw, "written/raw")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(updates), "ns/record")
			b.ReportMetric(float64(s.Metrics().FileBytes)/(benchRecords*(benchKey+benchValue)), "file/raw")
		})
	}
}
