package kv

import (
	"bytes"
	"iter"
	"slices"

	"github.com/sombradb/sombra/bench/internal/gen"
)

// Dataset is a number of records in version 0. Immutable.
type Dataset struct {
	N, ValueSize int
	Sum          gen.Checksum
	byKey        []uint32 // numbers of the records, in the order of their keys
}

// NewDataset makes one; it takes 4 bytes of memory for each record. REQUIRES: n < 1<<32.
func NewDataset(n, valueSize int) *Dataset {
	d := &Dataset{N: n, ValueSize: valueSize, byKey: make([]uint32, n)}
	keys := make([]byte, 0, n*gen.KeySize)
	for i := range d.byKey {
		d.byKey[i] = uint32(i)
		keys = gen.AppendKey(keys, uint64(i))
	}
	key := func(i uint32) []byte { return keys[int(i)*gen.KeySize:][:gen.KeySize] }
	slices.SortFunc(d.byKey, func(a, b uint32) int { return bytes.Compare(key(a), key(b)) })
	for key, value := range d.Records(false) {
		d.Sum.Add(key, value)
	}
	return d
}

// Number returns the number of the record whose key is the i-th in order, counted from 0.
func (d *Dataset) Number(i int) uint64 { return uint64(d.byKey[i]) }

// Records yields all records, in the order of their keys or of their numbers, which is as good as random. What it yields
// is valid until the iteration goes on.
func (d *Dataset) Records(sorted bool) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		var rec gen.Record
		for i := range d.N {
			n := uint64(i)
			if sorted {
				n = d.Number(i)
			}
			rec.Set(n, 0, d.ValueSize)
			if !yield(rec.Key, rec.Value) {
				return
			}
		}
	}
}
