// Package ycsb is the core workloads A to F of the Yahoo cloud serving benchmark: Cooper, Silberstein, Tam, Ramakrishnan and
// Sears, "Benchmarking cloud serving systems with YCSB" (SoCC 2010), with the parameters of the core package
// (https://github.com/brianfrankcooper/YCSB, workloads/workload[a-f]): records of 1 KB, drawn by zipf 0.99 over
// the whole key range, the latest first in D; in E a scan of 1 to 100 records, uniformly.
//
// An operation is a transaction, and updates are durable.
//
// Invariants, which [Bench.Audit] verifies on the content of the database after a run:
//
//	Y1  All records are there, those included whose insert was acknowledged, and no others.
//	Y2  Each value was written as a whole, for the record that has it.
//	Y3  A record that nobody wrote is as it was. A read-modify-write raises the version by one: no update is lost.
//
// One database serves several workloads one after the other; a [State] knows what it holds.
package ycsb

import (
	"fmt"
	"math"

	"github.com/sombradb/sombra/bench/internal/gen"
)

// Parameters of all workloads.
const (
	ValueSize = 1000 // bytes: with the key of 16 it is 1 KB
	Theta     = 0.99
	MaxScan   = 100 // records
)

// Mix is what a workload consists of, in percent.
type Mix struct {
	Name                                 string
	Read, Update, Insert, Scan, Modified int
	Latest                               bool // reads prefer what was inserted last
}

// Mixes returns the workloads in the order that the core package advises for one database: D and E insert.
func Mixes() []Mix {
	return []Mix{
		{Name: "A", Read: 50, Update: 50},
		{Name: "B", Read: 95, Update: 5},
		{Name: "C", Read: 100},
		{Name: "F", Read: 50, Modified: 50},
		{Name: "D", Read: 95, Insert: 5, Latest: true},
		{Name: "E", Scan: 95, Insert: 5},
	}
}

// ByName returns the named workloads, all for no names.
func ByName(names []string) ([]Mix, error) {
	if len(names) == 0 {
		return Mixes(), nil
	}
	var list []Mix
	for _, name := range names {
		at := len(list)
		for _, m := range Mixes() {
			if m.Name == name {
				list = append(list, m)
			}
		}
		if len(list) == at {
			return nil, fmt.Errorf("bench: there is no YCSB workload %q, want one of A to F", name)
		}
	}
	return list, nil
}

// Kind is what an operation does.
type Kind uint8

// The kinds.
const (
	Read Kind = iota
	Update
	Insert
	Scan
	Modify // read-modify-write
)

// kind maps a draw from 0 to 99 to what an operation does.
func (m Mix) kind(draw int) Kind {
	for _, share := range [...]struct {
		kind    Kind
		percent int
	}{{Update, m.Update}, {Insert, m.Insert}, {Scan, m.Scan}, {Modify, m.Modified}} {
		if draw < share.percent {
			return share.kind
		}
		draw -= share.percent
	}
	return Read
}

// operation is one that was drawn.
type operation struct {
	kind    Kind
	record  uint64 // unless it is an insert
	version uint64 // of an update
	length  int    // of a scan
}

// draw makes the operation of a number. count is how many records are there for sure.
func (b *Bench) draw(number, count uint64) operation {
	h := gen.Mix(number)
	op := operation{kind: b.mix.kind(int(h % 100))}
	h = gen.Mix(h)
	u := gen.Unit(h)
	if b.mix.Latest {
		op.record = b.latest.Record(u, count)
	} else {
		op.record = b.popular.Rank(u)
	}
	h = gen.Mix(h)
	op.version = h & math.MaxUint16
	op.length = 1 + int(h>>32)%MaxScan
	return op
}
