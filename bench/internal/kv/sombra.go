package kv

import (
	"context"
	"errors"

	"github.com/sombradb/sombra/mvcc"
)

// Sombra is a session of this project's engine.
type Sombra struct {
	db       *mvcc.DB
	opts     *mvcc.TxnOptions
	tx       sombraTx
	fn       func(Tx) error
	attempts int
	run      func(*mvcc.Txn) error // call, kept so that a transaction allocates no closure
}

// NewSombra returns a session on a keyspace; opts are those of its updates.
func NewSombra(db *mvcc.DB, ks *mvcc.Keyspace, opts *mvcc.TxnOptions) *Sombra {
	s := &Sombra{db: db, opts: opts}
	s.tx.ks = ks
	s.run = s.call
	return s
}

func (s *Sombra) call(tx *mvcc.Txn) error {
	s.attempts++
	s.tx.tx = tx
	return s.fn(&s.tx)
}

// Update implements Session.
func (s *Sombra) Update(ctx context.Context, fn func(Tx) error) (int, error) {
	s.fn, s.attempts = fn, 0
	err := s.db.UpdateWith(ctx, s.opts, s.run)
	return s.attempts, err
}

// View implements Session.
func (s *Sombra) View(ctx context.Context, fn func(Tx) error) error {
	s.fn = fn
	return s.db.View(ctx, s.run)
}

type sombraTx struct {
	tx *mvcc.Txn
	ks *mvcc.Keyspace
}

func (t *sombraTx) Get(dst, key []byte) ([]byte, error) {
	dst, err := t.tx.Append(t.ks, dst, key)
	if errors.Is(err, mvcc.ErrNotFound) {
		err = ErrNotFound
	}
	return dst, err
}

func (t *sombraTx) GetForUpdate(dst, key []byte) ([]byte, error) {
	value, err := t.tx.GetForUpdate(t.ks, key)
	if errors.Is(err, mvcc.ErrNotFound) {
		err = ErrNotFound
	}
	return append(dst, value...), err
}

func (t *sombraTx) Put(key, value []byte) error { return t.tx.Put(t.ks, key, value) }

func (t *sombraTx) Scan(from []byte, limit int, fn func(key, value []byte)) error {
	n := 0
	for item, err := range t.tx.Scan(t.ks, mvcc.Range{Lo: from}) {
		if err != nil {
			return err
		}
		fn(item.Key, item.Value)
		if n++; n == limit {
			break
		}
	}
	return nil
}
