package fuzz

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sombradb/sombra/mvcc"
)

// violation is a broken promise, in contrast to an error that the database is entitled to.
type violation struct{ what string }

func (v *violation) Error() string { return v.what }

func violated(format string, args ...any) error {
	return &violation{fmt.Sprintf(format, args...)}
}

// survivors is what a database says of the commits in it.
type survivors struct {
	entries map[commitID]*entry
	heads   map[uint64]head
	owners  map[uint64]commitID
	cells   map[uint64][]byte
	count   uint64 // that the counter says
}

// audit reads everything in one snapshot and verifies A1 to A5 and A7. It returns what it found also with an error.
func audit(ctx context.Context, l *ledger) (s *survivors, err error) {
	err = l.db.View(ctx, func(tx *mvcc.Txn) (err error) {
		s, err = auditIn(tx, l)
		return err
	})
	return s, err
}

func auditIn(tx *mvcc.Txn, l *ledger) (*survivors, error) {
	s := &survivors{
		entries: map[commitID]*entry{}, heads: map[uint64]head{},
		owners: map[uint64]commitID{}, cells: map[uint64][]byte{},
	}
	for _, verify := range []func() error{
		func() error { return s.load(tx, l.cells) },
		func() error { return s.load(tx, l.commits) },
		s.contiguous, s.causal, s.counted, s.whole,
	} {
		if err := verify(); err != nil {
			return s, err
		}
	}
	return s, nil
}

// auditAll is audit and Check (A6).
func auditAll(ctx context.Context, db *mvcc.DB) (*survivors, error) {
	l, err := openLedger(ctx, db)
	if err != nil {
		return nil, err
	}
	s, err := audit(ctx, l)
	if err != nil {
		return s, err
	}
	report, err := db.Check(ctx, nil)
	if len(report.Problems) > 0 {
		return s, violated("Check: %v", errors.Join(report.Problems...))
	}
	return s, err
}

func (s *survivors) load(tx *mvcc.Txn, ks *mvcc.Keyspace) error {
	for item, err := range tx.Scan(ks, mvcc.Range{}) {
		if err == nil {
			err = s.add(item)
		}
		if err != nil {
			return fmt.Errorf("scanning %s: %w", ks.Name(), err)
		}
	}
	return nil
}

// add takes one key in; one that the workload does not write was invented (A5).
func (s *survivors) add(item mvcc.Item) error {
	tag, count := byte(0), 1
	if len(item.Key) > 0 {
		tag = item.Key[0]
	}
	switch tag {
	case 't':
		count = 2
	case 'n':
		count = 0
	}
	f, ok := fields(item.Key, count)
	if !ok {
		return violated("key %q was never written", item.Key)
	}
	u := &unpacker{rest: item.Value}
	switch tag {
	case 'n':
		s.count = binary.BigEndian.Uint64(item.Value)
		return nil
	case 'c':
		s.cells[f[0]] = bytes.Clone(item.Value)
		return nil
	case 'o':
		s.owners[f[0]] = commitID{u.next(), u.next()}
		return u.done("owner of a cell")
	case 'h':
		s.heads[f[0]] = head{u.next(), u.next()}
		return u.done("head of a writer")
	case 't':
		e, err := decodeEntry(commitID{f[0], f[1]}, item.Value)
		s.entries[e.id] = e
		return err
	}
	return violated("key %q was never written", item.Key)
}

// contiguous verifies A1.
func (s *survivors) contiguous() error {
	count := map[uint64]uint64{}
	for id := range s.entries {
		count[id.writer]++
		if h := s.heads[id.writer]; id.seq < 1 || id.seq > h.seq {
			return violated("commit %v is half there: its writer's head is %d", id, h.seq)
		}
	}
	for writer, h := range s.heads {
		if count[writer] != h.seq {
			return violated("writer %d has %d commits up to its head %d", writer, count[writer], h.seq)
		}
		if e := s.entries[commitID{writer, h.seq}]; e.number != h.number {
			return violated("commit %v has number %d, its writer's head says %d", e.id, e.number, h.number)
		}
	}
	return nil
}

// counted verifies A7.
func (s *survivors) counted() error {
	if s.count != uint64(len(s.entries)) {
		return violated("there are %d commits, and the counter that each added to says %d", len(s.entries), s.count)
	}
	return nil
}

// causal verifies A2.
func (s *survivors) causal() error {
	for id, e := range s.entries {
		for _, seen := range e.seen {
			other := s.entries[seen]
			if other == nil {
				return violated("commit %v is there and commit %v, which it saw, is not", id, seen)
			}
			if other.number >= e.number {
				return violated("commit %v with number %d saw %v with number %d", id, e.number, seen, other.number)
			}
		}
	}
	return nil
}

// whole verifies A3, A4 and, for cells, A5.
func (s *survivors) whole() error {
	next := map[uint64]map[commitID]*entry{} // by cell, and by whose write was replaced
	for id, e := range s.entries {
		for _, w := range e.writes {
			if next[w.cell] == nil {
				next[w.cell] = map[commitID]*entry{}
			}
			if rival := next[w.cell][w.prev]; rival != nil {
				return violated("lost update: commits %v and %v both replaced the write of %v to cell %d", id, rival.id, w.prev, w.cell)
			}
			next[w.cell][w.prev] = e
		}
	}
	for cell := range s.cells {
		if next[cell] == nil {
			return violated("cell %d was written by no commit", cell)
		}
	}
	for cell := range s.owners {
		if next[cell] == nil {
			return violated("cell %d has an owner and was written by no commit", cell)
		}
	}
	for cell, chain := range next {
		if err := s.cell(cell, chain); err != nil {
			return err
		}
	}
	return nil
}

// cell walks the chain of writes to a cell and compares its end with what is there.
func (s *survivors) cell(cell uint64, chain map[commitID]*entry) error {
	var last *entry
	length := 0
	for e := chain[commitID{}]; e != nil && length <= len(chain); e = chain[e.id] {
		last = e
		length++
	}
	if length != len(chain) {
		return violated("cell %d: %d commits wrote it, %d of them follow one another from the first on", cell, len(chain), length)
	}
	if owner := s.owners[cell]; owner != last.id {
		return violated("cell %d: its owner is %v, its last write is that of %v", cell, owner, last.id)
	}
	w, _ := last.write(cell)
	value, found := s.cells[cell]
	switch {
	case w.deleted && found:
		return violated("cell %d: commit %v deleted it, and it is there (%d bytes)", cell, last.id, len(value))
	case !w.deleted && !found:
		return violated("cell %d: the write of commit %v is missing", cell, last.id)
	case !w.deleted && !bytes.Equal(value, filler(last.nonce, cell, w.size)):
		return violated("cell %d: its %d bytes are not the %d that commit %v wrote", cell, len(value), w.size, last.id)
	}
	return nil
}
