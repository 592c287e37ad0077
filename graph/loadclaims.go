package graph

import (
	"context"
	"errors"
	"math"

	"github.com/sombradb/sombra/mvcc"
)

const (
	// claimsKeyspace is a keyspace that stays empty: only transactions that never commit write to it.
	claimsKeyspace = "graph claims"
	// claimsShare is the part of the memory budget for claims in memory. While a load collects there is nothing in the
	// version store, which has more than that.
	claimsShare = 6
	// claimCost is what a claim needs in memory beside its key, in bytes.
	claimCost = 64
)

// claims remembers which element an entry leads to that must be unique: those of unique indexes and of external ids. The
// first ones are in memory. When there are too many the others go to a transaction that never commits: it spills to
// temporary files and finds its own writes, and this is all that is needed. After an error nothing goes on.
type claims struct {
	ctx    context.Context
	store  *mvcc.DB
	memory map[string]uint64
	room   int64 // for claims in memory, in bytes

	ks  *mvcc.Keyspace
	txn *mvcc.Txn // nil as long as memory does
	buf []byte
}

func newClaims(ctx context.Context, store *mvcc.DB) claims {
	return claims{ctx: ctx, store: store, memory: map[string]uint64{}, room: store.Health().MemoryBudget / claimsShare}
}

// get returns the element, 0 when there is no claim.
func (c *claims) get(key []byte) (uint64, error) {
	if element, ok := c.memory[string(key)]; ok || c.txn == nil {
		return element, nil
	}
	value, err := c.txn.Append(c.ks, c.buf[:0], key)
	if errors.Is(err, mvcc.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	c.buf = value
	f, err := cutUints(value, 1)
	return f[0], err
}

// put adds a claim. REQUIRES: there is none for the key.
func (c *claims) put(key []byte, element uint64) error {
	cost := int64(len(key) + claimCost)
	if c.txn == nil && c.room >= cost {
		c.room -= cost
		c.memory[string(key)] = element
		return nil
	}
	if c.txn == nil {
		if err := c.begin(); err != nil {
			return err
		}
	}
	return c.txn.Put(c.ks, key, appendUint(nil, element))
}

func (c *claims) begin() (err error) {
	if c.ks, err = c.store.Keyspace(c.ctx, claimsKeyspace); err != nil {
		return err
	}
	// Without a snapshot it keeps no history. A load may take longer than the limits for transactions.
	c.txn, err = c.store.Begin(c.ctx, &mvcc.TxnOptions{
		Label: "graph: load", Isolation: mvcc.ReadCommitted, Timeout: math.MaxInt64, IdleTimeout: math.MaxInt64,
	})
	return err
}

func (c *claims) release() {
	if c.txn != nil {
		c.txn.Rollback()
	}
	c.memory, c.txn = nil, nil
}
