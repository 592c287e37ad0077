package ycsb

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/internal/kv"
)

// Audit reads the whole database and compares it with what was acknowledged (Y1, Y2, Y3). It returns the checksum of all
// records, and the state is that of the database then. Updates that are lost are an error only when the engine isolates
// transactions.
func (b *Bench) Audit(ctx context.Context, session kv.Session, isolated bool) (sum gen.Checksum, err error) {
	want := b.inserts.next.Load()
	found := make([]uint16, want)
	var records uint64
	var broken error
	err = session.View(ctx, func(tx kv.Tx) error {
		records, sum, broken = 0, 0, nil
		return tx.Scan(nil, 0, func(key, value []byte) {
			records++
			sum.Add(key, value)
			if broken == nil {
				broken = b.record(key, value, found, isolated)
			}
		})
	})
	switch {
	case err != nil:
		return sum, err
	case broken != nil:
		return sum, broken
	case records != want:
		return sum, fmt.Errorf("bench: %d records were read back, want %d", records, want)
	}
	b.versions = found
	return sum, nil
}

// record looks at one record and notes its version.
func (b *Bench) record(key, value []byte, found []uint16, isolated bool) error {
	if len(key) != gen.KeySize {
		return fmt.Errorf("bench: a key of %d bytes was read back", len(key))
	}
	number := binary.BigEndian.Uint64(key[8:])
	version, err := versionOf(number, value, b.valueSize)
	if err != nil {
		return err
	}
	if number >= uint64(len(found)) || !gen.Whole(value) {
		return fmt.Errorf("bench: record %d is not as it was written", number)
	}
	found[number] = uint16(version)
	writes, before := uint64(0), uint16(0)
	if number < b.records {
		writes, before = uint64(b.writes[number].Load()), b.versions[number]
	}
	switch {
	case writes == 0 && found[number] != before:
		return fmt.Errorf("bench: record %d, which nobody wrote, has version %d, want %d", number, version, before)
	case isolated && b.mix.Modified > 0 && b.mix.Update == 0 && found[number] != before+uint16(writes):
		return fmt.Errorf("bench: record %d of version %d was modified %d times and has version %d", number, before, writes, version)
	}
	return nil
}
