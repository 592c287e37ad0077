package ycsb

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/internal/kv"
)

// State is what a database holds, and how its records are drawn.
type State struct {
	valueSize int
	versions  []uint16 // by record, those that were inserted included
	popular   *gen.Zipf
}

// NewState returns that of a database into which a dataset was loaded. It takes time in proportion to its size.
func NewState(d *kv.Dataset) *State {
	return &State{d.ValueSize, make([]uint16, d.N), gen.NewZipf(int64(d.N), Theta)}
}

// Loaded says that the first n records, and no others, have been loaded again.
func (s *State) Loaded(n int) { s.versions = make([]uint16, n) }

// Bench is a workload on a database. It is used once.
type Bench struct {
	*State
	mix     Mix
	number  uint64 // of the bench, so that no two do the same
	records uint64 // at the start
	latest  *gen.Latest
	inserts inserts
	writes  []atomic.Uint32 // acknowledged, by record
	clients []client
}

// New returns a bench with a client for each session. Its operations follow from its number, below 256.
func New(m Mix, s *State, number int, sessions []kv.Session) *Bench {
	n := len(s.versions)
	b := &Bench{State: s, mix: m, number: uint64(number), records: uint64(n), latest: gen.LatestBy(s.popular), writes: make([]atomic.Uint32, n)}
	b.inserts.init(b.records)
	b.clients = make([]client, len(sessions))
	for w := range b.clients {
		b.clients[w].init(sessions[w], s.valueSize)
	}
	return b
}

// Do is the operation of the bench, for a loop with one worker for each session.
func (b *Bench) Do(ctx context.Context, worker int, seq uint64) (drive.Did, error) {
	c := &b.clients[worker]
	op := b.draw((b.number<<8|uint64(worker))<<40|seq, b.inserts.known.Load())
	if op.kind == Insert {
		record := b.inserts.begin()
		c.rec.Set(record, 0, b.valueSize)
		attempts, err := c.session.Update(ctx, c.put)
		if err == nil {
			b.inserts.acknowledge(record)
		}
		return drive.Did{Attempts: attempts, Sum: c.sum()}, err
	}
	return b.access(ctx, c, op)
}

// access does an operation on a record that is there.
func (b *Bench) access(ctx context.Context, c *client, op operation) (did drive.Did, err error) {
	c.rec.Key = gen.AppendKey(c.rec.Key[:0], op.record)
	c.number = op.record
	switch op.kind {
	case Update:
		c.rec.Set(op.record, op.version, b.valueSize)
		did.Attempts, err = c.session.Update(ctx, c.put)
		did.Sum = c.sum()
	case Modify:
		did.Attempts, err = c.session.Update(ctx, c.modify)
		did.Sum = c.sum()
	case Scan:
		c.start(op.length)
		did.Attempts, err = 1, c.session.View(ctx, c.scan)
		if err == nil {
			err = c.scanned()
		}
		did.Sum = gen.Checksum(c.quick.Sum)
	default:
		did.Attempts, err = 1, c.session.View(ctx, c.get)
		did.Sum = c.sum()
	}
	if err == nil && (op.kind == Update || op.kind == Modify) && op.record < b.records {
		b.writes[op.record].Add(1)
	}
	return did, err
}

// client is one goroutine.
type client struct {
	session                kv.Session
	size                   int // of values, in bytes
	number                 uint64
	rec                    gen.Record // key, and the value that was read or is written
	get, put, modify, scan func(kv.Tx) error

	length  int // of a scan, at most
	quick   kv.QuickSum
	last    []byte // key of a scan
	order   bool   // its keys ascend from the first one on
	collect func(key, value []byte)
}

func (c *client) init(s kv.Session, valueSize int) {
	c.session, c.size = s, valueSize
	c.get = func(tx kv.Tx) (err error) {
		if c.rec.Value, err = tx.Get(c.rec.Value[:0], c.rec.Key); err != nil {
			return err
		}
		_, err = versionOf(c.number, c.rec.Value, c.size)
		return err
	}
	c.put = func(tx kv.Tx) error { return tx.Put(c.rec.Key, c.rec.Value) }
	c.modify = c.raise
	c.collect = c.visit
	c.scan = func(tx kv.Tx) error {
		c.start(c.length)
		return tx.Scan(c.rec.Key, c.length, c.collect)
	}
}

func (c *client) sum() gen.Checksum {
	if len(c.rec.Value) < gen.MinValueSize {
		return 0
	}
	return gen.Checksum(binary.LittleEndian.Uint64(c.rec.Value))
}

// raise writes the next version of a record.
func (c *client) raise(tx kv.Tx) (err error) {
	if c.rec.Value, err = tx.GetForUpdate(c.rec.Value[:0], c.rec.Key); err != nil {
		return err
	}
	version, err := versionOf(c.number, c.rec.Value, c.size)
	if err != nil {
		return err
	}
	c.rec.Value = gen.AppendValue(c.rec.Value[:0], c.number, (version+1)&math.MaxUint16, c.size)
	return tx.Put(c.rec.Key, c.rec.Value)
}

// start prepares a scan.
func (c *client) start(length int) {
	c.length, c.quick, c.last, c.order = length, kv.QuickSum{}, c.last[:0], true
}

func (c *client) visit(key, value []byte) {
	if c.quick.Keys == 0 {
		c.order = bytes.Equal(key, c.rec.Key)
	} else {
		c.order = c.order && bytes.Compare(key, c.last) > 0
	}
	c.last = append(c.last[:0], key...)
	c.quick.Add(key, value)
}

// scanned looks at what a scan found: its first record is there, so it begins with it.
func (c *client) scanned() error {
	if c.quick.Keys == 0 || c.quick.Keys > int64(c.length) || !c.order {
		return fmt.Errorf("bench: a scan of %d records from record %d on gave %d, in order: %v", c.length, c.number, c.quick.Keys, c.order)
	}
	return nil
}

// versionOf tells the version of a record from its value, whose first word is of that record alone.
func versionOf(number uint64, value []byte, size int) (version uint64, err error) {
	if len(value) == size {
		if version, ok := gen.VersionOf(number, value); ok {
			return version, nil
		}
	}
	return 0, fmt.Errorf("bench: record %d is read as %d bytes, %.40x", number, len(value), value)
}
