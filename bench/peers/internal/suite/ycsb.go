package suite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sombradb/sombra/bench"
	"github.com/sombradb/sombra/bench/peers/internal/engine"
)

const (
	ycsbRecords = 100_000
	ycsbValue   = 1000 // bytes
	ycsbWorkers = 8
	ycsbTheta   = 0.99
)

// mix is what a YCSB workload consists of, in percent; the rest is reads.
type mix struct {
	name               string
	updates, modifying int
}

var ycsbMixes = []mix{{"A", 50, 0}, {"B", 5, 0}, {"C", 0, 0}, {"F", 0, 50}}

func ycsbWorkload() workload {
	return workload{
		Info: Info{
			Name: "ycsb", Title: "YCSB",
			About: "The core workloads of the Yahoo cloud serving benchmark (Cooper and others, SoCC 2010): A is half reads and half updates, B 95 % reads, " +
				"C reads only, F half reads and half read-modify-writes. 100,000 records of 1,000 bytes, drawn by zipf 0.99, 8 goroutines, a transaction " +
				"for each operation, updates durable. Afterwards all records are read back; each must be one that was written as a whole.",
		},
		start: func(cfg Config, root string) (contest, error) {
			n := cfg.size(ycsbRecords, 100)
			return &ycsb{
				field: newField(cfg, root), data: newDataset(n, ycsbValue), filled: make([]bool, len(cfg.Engines)),
				choice: bench.NewZipf(int64(n), ycsbTheta),
			}, nil
		},
	}
}

type ycsb struct {
	field
	data   *dataset
	filled []bool
	choice bench.Zipf
}

func (y *ycsb) turn(ctx context.Context, i, round int, emit func(Sample) error) error {
	if !y.filled[i] {
		if err := y.with(i, 1, func(a *arena) error { return y.data.fill(ctx, a.db) }); err != nil {
			return err
		}
		y.filled[i] = true
	}
	for n, m := range ycsbMixes {
		err := y.with(i, ycsbWorkers, func(a *arena) error {
			if err := errors.Join(y.audit(ctx, a), a.warm(ctx)); err != nil { // the audit fills the cache
				return err
			}
			s, err := y.measure(ctx, a, m, round*len(ycsbMixes)+n)
			if err != nil {
				return err
			}
			s.Case, s.Workers = m.name, ycsbWorkers
			return emit(s)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (y *ycsb) measure(ctx context.Context, a *arena, m mix, series int) (Sample, error) {
	clients := make([]client, len(a.sessions))
	for w := range clients {
		clients[w] = client{session: a.sessions[w], base: (uint64(series)<<8 | uint64(w)) << 32}
		clients[w].init()
	}
	r, err := a.closed(ctx, y.cfg.length(), func(ctx context.Context, w int, seq uint64) (int, error) {
		c := &clients[w]
		h := gen.Mix(c.base | seq)
		h2 := gen.Mix(h)
		c.record, c.version = y.choice.Rank(gen.Unit(h)), gen.Mix(h2)
		return c.do(ctx, m, int(h2%100))
	})
	if err != nil {
		return Sample{}, err
	}
	return sampleOf(r, "operations"), y.audit(ctx, a)
}

// audit reads all records. Which version of a record is the last one depends on chance, but it was written as a whole.
func (y *ycsb) audit(ctx context.Context, a *arena) error {
	records, broken := 0, 0
	err := a.scan(ctx, func(_, value []byte) {
		records++
		if !whole(value) {
			broken++
		}
	})
	if err != nil {
		return err
	}
	if records != y.data.n || broken > 0 {
		return fmt.Errorf("peers: %d records were read back, %d of them not as written; want %d", records, broken, y.data.n)
	}
	return nil
}

// whole reports whether a value is one that the generator makes: each word follows from the one before.
func whole(value []byte) bool {
	if len(value) != ycsbValue {
		return false
	}
	word := binary.LittleEndian.Uint64(value)
	for at := 8; at < len(value); at += 8 {
		if word = gen.Mix(word); binary.LittleEndian.Uint64(value[at:]) != word {
			return false
		}
	}
	return true
}

// client is one goroutine of YCSB.
type client struct {
	session              engine.Session
	base                 uint64
	record, version      uint64
	key, old, value      []byte
	read, update, modify func(engine.Tx) error
}

func (c *client) init() {
	c.read = func(tx engine.Tx) (err error) {
		c.old, err = tx.Get(c.old[:0], c.key)
		return err
	}
	c.update = func(tx engine.Tx) error { return tx.Put(c.key, c.value) }
	c.modify = func(tx engine.Tx) (err error) {
		if c.old, err = tx.GetForUpdate(c.old[:0], c.key); err != nil {
			return err
		}
		// The new value depends on the old one, as a modification's does.
		c.value = gen.AppendValue(c.value[:0], binary.LittleEndian.Uint64(c.old), c.version, ycsbValue)
		return tx.Put(c.key, c.value)
	}
}

// do performs one operation; draw is from 0 to 99.
func (c *client) do(ctx context.Context, m mix, draw int) (int, error) {
	c.key = gen.AppendKey(c.key[:0], c.record)
	switch {
	case draw < m.updates:
		c.value = gen.AppendValue(c.value[:0], c.record, c.version, ycsbValue)
		return c.session.Update(ctx, c.update)
	case draw < m.updates+m.modifying:
		return c.session.Update(ctx, c.modify)
	}
	return 1, c.session.View(ctx, c.read)
}
