package vfs

import (
	"path/filepath"
	"testing"
)

// eachFS runs a benchmark on the real and the simulated file system.
func eachFS(b *testing.B, run func(b *testing.B, f File)) {
	b.Run("OS", func(b *testing.B) { run(b, create(b, OS, filepath.Join(b.TempDir(), "f"))) })
	b.Run("Mem", func(b *testing.B) { run(b, create(b, NewMem(), "f")) })
	b.Run("Faulty", func(b *testing.B) { run(b, create(b, NewFaulty(NewMem(), nil), "f")) })
}

func BenchmarkReadPage(b *testing.B) {
	eachFS(b, func(b *testing.B, f File) {
		page := make([]byte, 8192)
		for i := range int64(64) {
			page[0] = byte(i + 1)
			_, err := f.WriteAt(page, i*8192)
			must(b, err)
		}
		b.SetBytes(8192)
		b.ReportAllocs()
		for i := int64(0); b.Loop(); i++ {
			if _, err := f.ReadAt(page, i%64*8192); err != nil {
				b.Fatal(err)
			}
		}
		must(b, f.Close())
	})
}

func BenchmarkWriteRecordAndSync(b *testing.B) {
	eachFS(b, func(b *testing.B, f File) {
		must(b, f.Truncate(1<<20))
		must(b, f.Sync())
		record := make([]byte, 200)
		record[0] = 1
		b.ReportAllocs()
		for i := int64(0); b.Loop(); i++ {
			if _, err := f.WriteAt(record, i%5000*200); err != nil {
				b.Fatal(err)
			}
			if err := f.SyncData(); err != nil {
				b.Fatal(err)
			}
		}
		must(b, f.Close())
	})
}

// BenchmarkCrash64MiB is the price of an image of a database of that size.
func BenchmarkCrash64MiB(b *testing.B) {
	mem := NewMem()
	f := create(b, mem, "f")
	page := make([]byte, 8192)
	page[0], page[chunkSize] = 1, 1
	for off := int64(0); off < 64<<20; off += 8192 {
		_, err := f.WriteAt(page, off)
		must(b, err)
	}
	must(b, f.Sync())
	for range 100 {
		_, err := f.WriteAt(page, 4096)
		must(b, err)
	}
	for i := uint64(0); b.Loop(); i++ {
		mem.Crash(CrashConfig{Mode: Random, Seed: i})
	}
}

func BenchmarkLock(b *testing.B) {
	name := filepath.Join(b.TempDir(), "LOCK")
	for b.Loop() {
		lock, err := OS.Lock(name, false)
		must(b, err)
		must(b, lock.Close())
	}
}
