package bench

import (
	"encoding/binary"
	"sort"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/internal/kv"
)

// scanAudit works out what scans must have seen (B2).
type scanAudit struct {
	cfg   ScanConfig
	data  *kv.Dataset
	known map[scanQuestion]Checksum
}

// scanQuestion is what was iterated over.
type scanQuestion struct{ keysOnly, ranges, renewed bool }

func newScanAudit(cfg ScanConfig) *scanAudit {
	return &scanAudit{cfg, kv.NewDataset(int(cfg.Keys), cfg.ValueSize), map[scanQuestion]Checksum{}}
}

func (a *scanAudit) compare(kind scanKind, renewed bool, got ScanRow) error {
	q := scanQuestion{keysOnly: kind.name == "keys", ranges: kind.name == "ranges of 100", renewed: renewed}
	want, worked := a.known[q]
	if !worked {
		want = a.expect(q)
		a.known[q] = want
	}
	if got.Keys != a.cfg.Keys || got.Checksum != want {
		return &AuditError{Keys: got.Keys, WantKeys: a.cfg.Keys, Sum: got.Checksum, WantSum: want}
	}
	return nil
}

func (a *scanAudit) expect(q scanQuestion) Checksum {
	var sum kv.QuickSum
	var rec gen.Record
	add := func(n uint64) {
		rec.Set(n, 0, a.cfg.ValueSize)
		if q.renewed && n%2 == 0 {
			rec.Set(n, 1, a.cfg.ValueSize)
		}
		if q.keysOnly {
			rec.Value = rec.Value[:0]
		}
		sum.Add(rec.Key, rec.Value)
	}
	if !q.ranges {
		for n := range uint64(a.cfg.Keys) {
			add(n)
		}
		return Checksum(sum.Sum)
	}
	for start := uint64(0); sum.Keys < a.cfg.Keys; start++ {
		at := a.place(gen.Mix(start))
		for range min(a.cfg.Keys-sum.Keys, rangeKeys) {
			add(a.data.Number(at % a.data.N))
			at++
		}
	}
	return Checksum(sum.Sum)
}

// place returns where in the order of keys the first one is that does not lie before a prefix.
func (a *scanAudit) place(prefix uint64) int {
	var key []byte
	return sort.Search(a.data.N, func(i int) bool {
		key = gen.AppendKey(key[:0], a.data.Number(i))
		return binary.BigEndian.Uint64(key) >= prefix
	})
}
