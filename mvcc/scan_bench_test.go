package mvcc

import (
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// BenchmarkScan reads a keyspace of cached pages, once for each iteration.
func BenchmarkScan(b *testing.B) {
	const keys = 200_000
	db, err := Open(filepath.Join(b.TempDir(), "scan.sombra"), &Options{MemoryBudget: 256 << 20, FS: vfs.OS})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	ks, err := db.Load(b.Context(), "k", func(l *Loader) error {
		value := make([]byte, 100)
		for i := range uint64(keys) {
			key := binary.BigEndian.AppendUint64(nil, i*0x9e3779b97f4a7c15>>20)
			if err := l.Put(binary.BigEndian.AppendUint64(key, i), value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		n := 0
		err := db.View(b.Context(), func(tx *Txn) error {
			for item, err := range tx.Scan(ks, Range{}) {
				if err != nil {
					return err
				}
				n += len(item.Key) / 16
			}
			return nil
		})
		if err != nil || n != keys {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/keys, "ns/key")
}
