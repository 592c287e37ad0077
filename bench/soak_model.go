package bench

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// soakModel reads, writes and deletes random records. Each writer has records of its own and knows what they are.
type soakModel struct {
	*store
	s       *soaking
	current []uint64 // version of each record, 0 for one that is not there
	last    []uint64 // newest version ever given to it
	turn    [soakWriters]uint64
}

func newSoakModel(ctx context.Context, s *soaking) (*soakModel, error) {
	st, err := s.keyspace(ctx, "records")
	return &soakModel{store: st, s: s, current: make([]uint64, s.cfg.Records), last: make([]uint64, s.cfg.Records)}, err
}

// modelWrite is one write of a transaction; version 0 deletes.
type modelWrite struct{ n, version uint64 }

// errUndone ends a transaction that is rolled back on purpose.
var errUndone = errors.New("bench: rolled back on purpose")

// step returns the operation of one writer: half of them read a record, the others read and write one to four.
func (m *soakModel) step(ctx context.Context, w int) func() error {
	return func() error {
		m.turn[w]++
		random := gen.Mix(opNumber(w, m.turn[w]))
		if random%2 == 0 {
			return timed(m.s.reads, func() error {
				return m.db.View(ctx, func(tx *mvcc.Txn) error { return m.compare(tx, m.own(random>>8, w)) })
			})
		}
		return timed(m.s.writes, func() error { return m.write(ctx, w, random>>1) })
	}
}

// own turns a random number into a record of the writer.
func (m *soakModel) own(random uint64, w int) uint64 {
	each := uint64(len(m.current) / soakWriters)
	return random%each*uint64(soakWriters) + uint64(w)
}

func (m *soakModel) write(ctx context.Context, w int, random uint64) error {
	writes := make([]modelWrite, 0, 4)
	for i := range 1 + random%4 {
		choice := gen.Mix(random + i)
		n := m.own(choice>>8, w)
		m.last[n]++
		version := m.last[n]
		if choice%4 == 0 {
			version = 0
		}
		writes = append(writes, modelWrite{n, version})
	}
	undo := random>>8%16 == 0
	err := m.db.UpdateWith(ctx, levelOf("records", w), func(tx *mvcc.Txn) error {
		for _, write := range writes {
			if err := m.apply(tx, write); err != nil {
				return err
			}
		}
		if undo {
			return errUndone
		}
		return nil
	})
	switch {
	case errors.Is(err, errUndone):
		return nil
	case err != nil:
		return err
	}
	for _, write := range writes {
		m.current[write.n] = write.version
	}
	return nil
}

func (m *soakModel) apply(tx *mvcc.Txn, w modelWrite) error {
	key, value := recordOf(w.n, w.version, m.s.cfg.ValueSize)
	if w.version == 0 {
		return tx.Delete(m.ks, key)
	}
	return tx.Put(m.ks, key, value)
}

// compare reads a record and compares it with the model.
func (m *soakModel) compare(tx *mvcc.Txn, n uint64) error {
	key, want := recordOf(n, m.current[n], m.s.cfg.ValueSize)
	if m.current[n] == 0 {
		want = nil
	}
	got, err := tx.Get(m.ks, key)
	if err != nil && !errors.Is(err, mvcc.ErrNotFound) {
		return err
	}
	if present := err == nil; present != (m.current[n] != 0) || !bytes.Equal(got, want) {
		return &RecordError{Number: n, Got: got, Want: want}
	}
	return nil
}

func (m *soakModel) audit(ctx context.Context) (sum Checksum, err error) {
	var records int64
	for n, version := range m.current {
		if version != 0 {
			records++
			sum.Add(recordOf(uint64(n), version, m.s.cfg.ValueSize))
		}
	}
	return sum, m.store.audit(ctx, records, sum)
}

// soakCounters adds to counters what it takes from others, so that their sum is 0.
type soakCounters struct {
	*store
	s      *soaking
	totals [8]atomic.Int64 // acknowledged
}

func newSoakCounters(ctx context.Context, s *soaking) (*soakCounters, error) {
	st, err := s.keyspace(ctx, "counters")
	return &soakCounters{store: st, s: s}, err
}

func (c *soakCounters) add(ctx context.Context, w int) func() error {
	var turn uint64
	return func() error {
		turn++
		random := gen.Mix(opNumber(w, turn))
		from, to := random%uint64(len(c.totals)), random>>8%uint64(len(c.totals))
		amount := int64(random >> 56)
		err := timed(c.s.writes, func() error {
			return c.db.UpdateWith(ctx, levelOf("counters", w), func(tx *mvcc.Txn) error {
				return errors.Join(tx.Add(c.ks, gen.AppendKey(nil, from), -amount), tx.Add(c.ks, gen.AppendKey(nil, to), amount))
			})
		})
		if err == nil {
			c.totals[from].Add(-amount)
			c.totals[to].Add(amount)
		}
		return err
	}
}

func (c *soakCounters) scan(ctx context.Context) func() error {
	return func() error {
		return timed(c.s.scans, func() error {
			return c.db.View(ctx, func(tx *mvcc.Txn) error {
				var sum int64
				for item, err := range tx.Scan(c.ks, mvcc.Range{}) {
					if err != nil {
						return err
					}
					n, err := mvcc.DecodeInt64(item.Value)
					if err != nil {
						return err
					}
					sum += n
				}
				return auditCount("sum of the counters", sum, 0)
			})
		})
	}
}

func (c *soakCounters) audit(ctx context.Context) (Checksum, error) {
	err := c.db.View(ctx, func(tx *mvcc.Txn) error {
		for i := range c.totals {
			value, err := tx.Get(c.ks, gen.AppendKey(nil, uint64(i)))
			if errors.Is(err, mvcc.ErrNotFound) {
				value, err = mvcc.EncodeInt64(0), nil
			}
			if err != nil {
				return err
			}
			n, err := mvcc.DecodeInt64(value)
			if err = errors.Join(err, auditCount("a counter", n, c.totals[i].Load())); err != nil {
				return err
			}
		}
		return nil
	})
	return 0, err
}
