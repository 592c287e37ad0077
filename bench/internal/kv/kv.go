// Package kv is an ordered set of keys as benchmarks see it, so that one workload can be run with any engine, and the work
// on it that workloads share: random reads that compare what they read, overwrites, ranges.
//
// Invariants:
//
//	K1  A reader compares each value with what it must be; one that is wrong is an error, not a figure.
//	K2  Overwriters leave every record in version 0 when they have ended.
package kv

import (
	"context"
	"errors"
)

// ErrNotFound is returned by Get for a key that is not there.
var ErrNotFound = errors.New("bench: key not found")

// Session is for one goroutine at a time.
type Session interface {
	// Update runs fn in a transaction and commits it durably. fn is run again after a conflict; attempts says how often it ran.
	Update(ctx context.Context, fn func(Tx) error) (attempts int, err error)
	// View runs fn, which does one Get or one Scan, in a transaction that only reads.
	View(ctx context.Context, fn func(Tx) error) error
}

// Tx is a running transaction. Keys and values given to it must stay unchanged until the transaction ends.
type Tx interface {
	// Get appends the key's value to dst, or returns ErrNotFound.
	Get(dst, key []byte) ([]byte, error)
	// GetForUpdate is Get of a key that will be written; an engine with locks takes one.
	GetForUpdate(dst, key []byte) ([]byte, error)
	Put(key, value []byte) error
	// Scan calls fn for keys from a first one on (nil is the smallest) in ascending order, at most limit of them; 0 is no limit.
	Scan(from []byte, limit int, fn func(key, value []byte)) error
}

// QuickSum sums up records at next to no cost, so that it is the engine that is measured.
type QuickSum struct {
	Keys int64
	Sum  uint64
}

// Add adds a record.
func (q *QuickSum) Add(key, value []byte) {
	q.Keys++
	if len(key) > 0 {
		q.Sum += uint64(key[len(key)-1])
	}
	if len(value) > 0 {
		q.Sum += uint64(value[0]) << 32
	}
}
