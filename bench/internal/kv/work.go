package kv

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/sombradb/sombra/bench/internal/gen"
)

// Reader reads random records of a dataset, each in a transaction of its own. For one goroutine.
type Reader struct {
	session    Session
	records    uint64
	valueSize  int
	next       uint64
	changing   bool
	key, value []byte
	sum        gen.Checksum
	fn         func(Tx) error
}

// NewReader returns a reader whose choice follows from a seed. With changing, records may be in the version that an
// overwriter gives them for a while.
func NewReader(s Session, d *Dataset, seed uint64, changing bool) *Reader {
	r := &Reader{session: s, records: uint64(d.N), valueSize: d.ValueSize, next: seed, changing: changing}
	r.fn = r.read
	return r
}

// Read reads a number of records and returns the checksum of what it read (K1).
func (r *Reader) Read(ctx context.Context, records int) (gen.Checksum, error) {
	r.sum = 0
	for range records {
		if err := r.session.View(ctx, r.fn); err != nil {
			return 0, err
		}
	}
	return r.sum, nil
}

func (r *Reader) read(tx Tx) (err error) {
	r.next = gen.Mix(r.next)
	n := r.next % r.records
	r.key = gen.AppendKey(r.key[:0], n)
	if r.value, err = tx.Get(r.value[:0], r.key); err != nil {
		return err
	}
	if !r.is(n, 0) && !(r.changing && r.is(n, 1)) {
		return fmt.Errorf("bench: record %d is read as %.40x", n, r.value)
	}
	r.sum += gen.Checksum(binary.LittleEndian.Uint64(r.value))
	return nil
}

// is compares the length and the first bytes of the value that was read. REQUIRES: values of 8 bytes or more.
func (r *Reader) is(n, version uint64) bool {
	return len(r.value) == r.valueSize && binary.LittleEndian.Uint64(r.value) == gen.ValueHead(n, version)
}

// Overwrite puts random records until the context ends, which is no error, and returns the number of its commits. It puts
// each record twice, with another version and then with the one that it had: so the content is the same ever after (K2),
// and no engine can leave out a value that is already there. Several may run at a time with different seeds.
func Overwrite(ctx context.Context, s Session, d *Dataset, seed uint64) (commits int64, err error) {
	var rec gen.Record
	put := func(tx Tx) error { return tx.Put(rec.Key, rec.Value) }
	next := seed
	for version := uint64(1); version == 0 || ctx.Err() == nil; version = 1 - version {
		if version == 1 {
			next = gen.Mix(^next)
		}
		rec.Set(next%uint64(d.N), version, d.ValueSize)
		// A commit that has begun is finished: what a cancelled one did would be unknown.
		if _, err := s.Update(context.WithoutCancel(ctx), put); err != nil {
			return commits, err
		}
		commits++
	}
	return commits, nil
}

// Range reads keys from a place that follows from a number, in one transaction.
func Range(ctx context.Context, s Session, n uint64, keys int, q *QuickSum) error {
	from := binary.BigEndian.AppendUint64(nil, gen.Mix(n))
	return s.View(ctx, func(tx Tx) error { return tx.Scan(from, keys, q.Add) })
}
