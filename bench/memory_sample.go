package bench

import (
	"context"
	"encoding/binary"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
	"github.com/sombradb/sombra/pagestore"
)

func (r *MemoryResult) summarise(m drive.Result, before pagestore.Metrics, after mvcc.Metrics) {
	r.Ops, r.PerSecond, r.Latency = m.Ops, m.PerSecond(), m.Latency()
	r.Peak = peakOf(r.Samples)
	r.Reads = per(float64(after.Pages.PageReads-before.PageReads), float64(m.Ops))
}

// readOrWrite returns an operation that reads or overwrites a random key.
func (s *store) readOrWrite(r *MemoryResult, versions []atomic.Uint32) work {
	type state struct {
		rec  gen.Record
		next uint64
		buf  []byte
	}
	states := make([]state, r.Config.Workers)
	for i := range states {
		states[i].next = uint64(i)
	}
	writesBelow := uint64(r.Config.Writes * (1 << 20))
	return func(ctx context.Context, worker int, _ uint64) (sum Checksum, err error) {
		st := &states[worker]
		st.next = gen.Mix(st.next)
		n := st.next % uint64(len(versions))
		if st.next>>44 < writesBelow {
			return 0, s.bump(ctx, &st.rec, n, r.Config.ValueSize, versions)
		}
		err = s.db.View(ctx, func(tx *mvcc.Txn) error {
			st.rec.Key = gen.AppendKey(st.rec.Key[:0], n)
			st.buf, err = tx.Append(s.ks, st.buf[:0], st.rec.Key)
			return err
		})
		return 0, err
	}
}

// bump reads a key's version from its value, writes the next one, and notes it.
// The note comes after the commit, so that the final notes are what was acknowledged.
func (s *store) bump(ctx context.Context, rec *gen.Record, n uint64, valueSize int, versions []atomic.Uint32) error {
	err := s.db.Update(ctx, func(tx *mvcc.Txn) error {
		rec.Key = gen.AppendKey(rec.Key[:0], n)
		old, err := tx.GetForUpdate(s.ks, rec.Key)
		if err != nil {
			return err
		}
		rec.Set(n, versionOf(n, old)+1, valueSize)
		return tx.Put(s.ks, rec.Key, rec.Value)
	})
	if err == nil {
		versions[n].Add(1)
	}
	return err
}

// versionOf finds the version whose value begins as this one does. Versions
// are few in a measurement, so trying them is cheap.
func versionOf(n uint64, value []byte) uint64 {
	head := binary.LittleEndian.Uint64(value)
	for v := uint64(0); v < 1<<16; v++ {
		if gen.ValueHead(n, v) == head {
			return v
		}
	}
	return 0
}

// sampleMemory reads the memory of the process until it is stopped.
func sampleMemory(db *mvcc.DB, every time.Duration) *recorder[MemorySample] {
	return sampleEvery(every, func(at time.Duration) MemorySample { return readMemory(db, at) })
}

func readMemory(db *mvcc.DB, at time.Duration) MemorySample {
	m := db.Metrics()
	return MemorySample{
		At: at, RSS: residentBytes(), Heap: runtimeBytes("/memory/classes/heap/objects:bytes"),
		Versions: m.VersionBytes, Cache: m.Pages.CacheBytes,
	}
}

func runtimeBytes(name string) int64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(sample[0].Value.Uint64())
}

func peakOf(samples []MemorySample) int64 {
	return highest(samples, func(s MemorySample) int64 { return s.RSS })
}
