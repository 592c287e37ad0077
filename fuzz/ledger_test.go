package fuzz

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sombradb/sombra/mvcc"
)

// commitID names a commit: the seq-th of a writer, from 1. The zero value is none.
type commitID struct{ writer, seq uint64 }

func (c commitID) String() string { return fmt.Sprintf("%d/%d", c.writer, c.seq) }

// cellWrite is what a commit did to one cell.
type cellWrite struct {
	cell    uint64
	size    uint64 // of the value, when it was not deleted
	deleted bool
	prev    commitID // whose write it replaced
}

// entry is a commit as its ledger record describes it.
type entry struct {
	id     commitID
	nonce  uint64 // another one for each attempt
	number uint64 // above the numbers of all commits that it saw
	seen   []commitID
	writes []cellWrite
}

func (e *entry) encode() []byte {
	b := pack(e.nonce, e.number, uint64(len(e.seen)))
	for _, s := range e.seen {
		b = append(b, pack(s.writer, s.seq)...)
	}
	b = append(b, pack(uint64(len(e.writes)))...)
	for _, w := range e.writes {
		deleted := uint64(0)
		if w.deleted {
			deleted = 1
		}
		b = append(b, pack(w.cell, w.size, deleted, w.prev.writer, w.prev.seq)...)
	}
	return b
}

func decodeEntry(id commitID, b []byte) (*entry, error) {
	u := &unpacker{rest: b}
	e := &entry{id: id, nonce: u.next(), number: u.next()}
	for range u.count() {
		e.seen = append(e.seen, commitID{u.next(), u.next()})
	}
	for range u.count() {
		w := cellWrite{cell: u.next(), size: u.next(), deleted: u.next() == 1}
		w.prev = commitID{u.next(), u.next()}
		e.writes = append(e.writes, w)
	}
	return e, u.done(fmt.Sprintf("ledger record of commit %v", id))
}

// write returns what the commit did to a cell.
func (e *entry) write(cell uint64) (cellWrite, bool) {
	for _, w := range e.writes {
		if w.cell == cell {
			return w, true
		}
	}
	return cellWrite{}, false
}

// head is a writer's newest commit.
type head struct{ seq, number uint64 }

// ledger is the layout of the keyspaces that the workload writes:
//
//	cells  'c' cell           filler(nonce, cell, size) of the last write, or absent after a delete
//	       'o' cell           writer, seq: the owner, whose write was the last one
//	ledger 'h' writer         seq, number: the head
//	       't' writer seq     entry
//	       'n'                a counter, of all commits
//
// Every commit changes some cells with their owners, its writer's head, and
// adds its record. Cells, writers and seqs are 8 bytes big-endian in keys.
type ledger struct {
	db             *mvcc.DB
	cells, commits *mvcc.Keyspace
}

func openLedger(ctx context.Context, db *mvcc.DB) (*ledger, error) {
	l := &ledger{db: db}
	var err error
	if l.cells, err = db.Keyspace(ctx, "cells"); err != nil {
		return nil, err
	}
	l.commits, err = db.Keyspace(ctx, "ledger")
	return l, err
}

func key(tag byte, fields ...uint64) []byte {
	k := []byte{tag}
	for _, f := range fields {
		k = binary.BigEndian.AppendUint64(k, f)
	}
	return k
}

// fields splits a key that key made.
func fields(k []byte, count int) ([]uint64, bool) {
	if len(k) != 1+8*count {
		return nil, false
	}
	f := make([]uint64, count)
	for i := range f {
		f[i] = binary.BigEndian.Uint64(k[1+8*i:])
	}
	return f, true
}

// getter reads a key: with or without a lock.
type getter func(ks *mvcc.Keyspace, key []byte) ([]byte, error)

// owner reads whose write a cell holds, the zero commitID when it was never written.
func (l *ledger) owner(get getter, cell uint64) (commitID, error) {
	u, err := l.numbers(get, l.cells, key('o', cell))
	if err != nil || u == nil {
		return commitID{}, err
	}
	id := commitID{u.next(), u.next()}
	return id, u.done("owner of a cell")
}

func (l *ledger) head(get getter, writer uint64) (head, error) {
	u, err := l.numbers(get, l.commits, key('h', writer))
	if err != nil || u == nil {
		return head{}, err
	}
	h := head{u.next(), u.next()}
	return h, u.done("head of a writer")
}

// numbers reads a packed value, nil when there is none.
func (l *ledger) numbers(get getter, ks *mvcc.Keyspace, key []byte) (*unpacker, error) {
	value, err := get(ks, key)
	if errors.Is(err, mvcc.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &unpacker{rest: value}, nil
}

// put writes everything that the commit consists of.
func (l *ledger) put(tx *mvcc.Txn, e *entry) error {
	for _, w := range e.writes {
		if err := l.putCell(tx, e, w); err != nil {
			return err
		}
	}
	if err := tx.Put(l.commits, key('h', e.id.writer), pack(e.id.seq, e.number)); err != nil {
		return err
	}
	if err := tx.Put(l.commits, key('t', e.id.writer, e.id.seq), e.encode()); err != nil {
		return err
	}
	return tx.Add(l.commits, key('n'), 1)
}

func (l *ledger) putCell(tx *mvcc.Txn, e *entry, w cellWrite) error {
	if err := tx.Put(l.cells, key('o', w.cell), pack(e.id.writer, e.id.seq)); err != nil {
		return err
	}
	if w.deleted {
		return tx.Delete(l.cells, key('c', w.cell))
	}
	return tx.Put(l.cells, key('c', w.cell), filler(e.nonce, w.cell, w.size))
}
