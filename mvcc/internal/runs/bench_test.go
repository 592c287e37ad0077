package runs

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

const (
	benchWrites = 500_000
	benchValue  = 100
)

// benchDir is on the real file system, whose cache holds all of it.
func benchDir(b *testing.B) *Dir {
	b.Helper()
	d, err := OpenDir(vfs.OS, filepath.Join(b.TempDir(), "runs"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := d.Close(); err != nil {
			b.Error(err)
		}
	})
	return d
}

// benchRun writes every step-th of the numbered keys.
func benchRun(b *testing.B, d *Dir, from, step int) *Run {
	b.Helper()
	w, err := d.Create(Options{})
	if err != nil {
		b.Fatal(err)
	}
	value := pattern(1, benchValue)
	for i := from; i < benchWrites; i += step {
		if err := w.Add(versions.Write{Key: numberedKey(i), Value: value, Kind: versions.Put}); err != nil {
			b.Fatal(err)
		}
	}
	r, err := w.Finish()
	if err != nil {
		b.Fatal(err)
	}
	return r
}

func BenchmarkWriterAdd(b *testing.B) {
	d := benchDir(b)
	w, err := d.Create(Options{})
	if err != nil {
		b.Fatal(err)
	}
	write := versions.Write{Value: pattern(1, benchValue), Kind: versions.Put}
	b.SetBytes(int64(len(numberedKey(0)) + benchValue))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		key := numberedKey(i)
		write.Key = key
		if err := w.Add(write); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := w.Finish(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkGetHit(b *testing.B) {
	r := benchRun(b, benchDir(b), 0, 1)
	var value []byte
	b.ReportAllocs()
	for b.Loop() {
		w, found, err := r.Get(value[:0], numberedKey(rand.IntN(benchWrites)))
		if err != nil || !found {
			b.Fatal(found, err)
		}
		value = w.Value
	}
}

func BenchmarkGetMiss(b *testing.B) {
	r := benchRun(b, benchDir(b), 0, 1)
	passed := 0
	b.ReportAllocs()
	for b.Loop() {
		key := numberedKey(rand.IntN(benchWrites - 1))
		key[len(key)-1]++ // odd: between two keys
		if _, found, err := r.Get(nil, key); found || err != nil {
			b.Fatal(found, err)
		}
		if !r.excludes(key) {
			passed++
		}
	}
	b.ReportMetric(float64(passed)/float64(b.N), "passed/op")
}

// drain counts what a cursor shows.
func drain(b *testing.B, c moves) (writes, bytes int64) {
	b.Helper()
	for ok := c.SeekFirst(); ok; ok = c.Next() {
		value, err := c.Value()
		if err != nil {
			b.Fatal(err)
		}
		writes++
		bytes += int64(len(c.Key()) + len(value))
	}
	if c.Err() != nil {
		b.Fatal(c.Err())
	}
	return writes, bytes
}

func BenchmarkScan(b *testing.B) {
	r := benchRun(b, benchDir(b), 0, 1)
	for b.Loop() {
		c := r.Cursor()
		writes, bytes := drain(b, c)
		c.Close()
		if writes != r.Len() {
			b.Fatalf("%d writes, want %d", writes, r.Len())
		}
		b.SetBytes(bytes)
	}
}

func BenchmarkMergeOf16(b *testing.B) {
	const n = 16
	d := benchDir(b)
	var all []*Run
	for i := range n {
		all = append(all, benchRun(b, d, i, n))
	}
	for b.Loop() {
		c := Merge(all...)
		writes, bytes := drain(b, c)
		c.Close()
		if writes != benchWrites {
			b.Fatalf("%d writes, want %d", writes, benchWrites)
		}
		b.SetBytes(bytes)
	}
}
