package wal

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

func benchLog(b *testing.B) *Log {
	b.Helper()
	l, _, err := Open(Options{FS: vfs.OS, Dir: b.TempDir(), DatabaseID: testID}, 0, nil)
	must(b, err)
	return l
}

// BenchmarkCommit appends and syncs 100-byte records from several goroutines, on the real file system.
func BenchmarkCommit(b *testing.B) {
	for _, cancellable := range []bool{false, true} {
		for _, writers := range []int{1, 2, 8, 32, 128, 512} {
			b.Run(fmt.Sprintf("writers=%d/cancellable=%v", writers, cancellable), func(b *testing.B) {
				ctx := context.Background()
				if cancellable {
					var cancel context.CancelFunc
					ctx, cancel = context.WithCancel(ctx)
					defer cancel()
				}
				benchCommit(b, ctx, writers)
			})
		}
	}
}

func benchCommit(b *testing.B, ctx context.Context, writers int) {
	l := benchLog(b)
	payload := make([]byte, 100)
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < b.N; i += writers {
				end, err := l.Append(1, uint64(i), payload)
				if err == nil {
					err = l.Sync(ctx, end)
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	m := l.Metrics()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
	b.ReportMetric(float64(m.SyncedRecords)/float64(m.Syncs), "records/sync")
	b.ReportMetric(float64(m.SyncTime.Microseconds())/float64(m.Syncs), "us/sync")
	must(b, l.Close())
}

// BenchmarkRawSync is what a lone committer is measured against: one write and one sync.
func BenchmarkRawSync(b *testing.B) {
	l := benchLog(b)
	defer l.Close()
	f := l.out.segment.file
	rec := make([]byte, recordSize(100))
	must(b, erase(f, segmentHeaderArea, segmentHeaderArea+16<<20))
	must(b, f.Sync())
	b.ResetTimer()
	for i := range b.N {
		off := segmentHeaderArea + int64(i*len(rec))%(15<<20)
		if _, err := f.WriteAt(rec, off); err != nil {
			b.Fatal(err)
		}
		must(b, f.SyncData())
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

// BenchmarkAppend measures the copy into the buffer; the writes behind it go on meanwhile.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 1000} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			l := benchLog(b)
			payload := make([]byte, size)
			b.ReportAllocs()
			b.SetBytes(int64(recordSize(size)))
			b.ResetTimer()
			for i := range b.N {
				if i%1024 == 0 {
					must(b, l.Admit(context.Background(), size))
				}
				if _, err := l.Append(1, uint64(i), payload); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			must(b, l.Close())
		})
	}
}

// BenchmarkReplay measures Open on a log of 256 MiB.
func BenchmarkReplay(b *testing.B) {
	for _, size := range []int{100, 1000, 100_000} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			opts := Options{FS: vfs.OS, Dir: b.TempDir(), DatabaseID: testID}
			l, _, err := Open(opts, 0, nil)
			must(b, err)
			payload := make([]byte, size)
			for int64(l.End()) < 256<<20 {
				must(b, l.Admit(context.Background(), size))
				_, err := l.Append(1, 1, payload)
				must(b, err)
			}
			must(b, l.Close())
			opts.ReadOnly = true
			b.SetBytes(int64(l.End()))
			b.ResetTimer()
			for range b.N {
				l, _, err := Open(opts, 0, func(Record) error { return nil })
				must(b, err)
				must(b, l.Close())
			}
		})
	}
}
