package graph

import (
	"context"
	"errors"
	"sync"

	"github.com/sombradb/sombra/mvcc"
)

// idBlock is how many ids a counter takes from the store at once. What a
// process has not used when it ends is lost.
const idBlock = 4096

// Counters of the catalog.
const (
	counterNodes   = "node"
	counterEdges   = "edge"
	counterIndexes = "index"
	counterRules   = "constraint"
)

// counter hands out ids that nobody ever had. Ids come in blocks, each
// reserved by a small transaction of its own, so that transactions that create elements share no key.
// Safe for concurrent use.
type counter struct {
	db    *DB
	key   []byte
	block uint64
	// refill is held by the one goroutine that reserves the next block.
	refill chan struct{}
	mu     struct {
		sync.Mutex
		next, limit uint64
	}
}

func newCounter(db *DB, name string, block uint64) *counter {
	return &counter{db: db, key: counterKey(name), block: block, refill: make(chan struct{}, 1)}
}

func counterKey(name string) []byte {
	return append([]byte{keyCatalog, catCounter}, name...)
}

// take returns a new id.
func (c *counter) take(ctx context.Context) (uint64, error) {
	for {
		if id, ok := c.pop(); ok {
			return id, nil
		}
		select {
		case c.refill <- struct{}{}:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		err := c.reserve(ctx)
		<-c.refill
		if err != nil {
			return 0, err
		}
	}
}

func (c *counter) pop() (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.next == c.mu.limit {
		return 0, false
	}
	c.mu.next++
	return c.mu.next - 1, true
}

// reserve gets a block unless somebody just did. REQUIRES: the refill token.
func (c *counter) reserve(ctx context.Context) error {
	c.mu.Lock()
	have := c.mu.next != c.mu.limit
	c.mu.Unlock()
	if have {
		return nil
	}
	var first uint64
	err := c.db.small(ctx, "graph: reserve ids", func(kv *mvcc.Txn) (err error) {
		first, err = c.db.advance(kv, c.key, c.block)
		return err
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.next, c.mu.limit = first, first+c.block
	return nil
}

// advance adds n to the counter under key and returns what it was. Counters begin at 1.
func (db *DB) advance(kv *mvcc.Txn, key []byte, n uint64) (uint64, error) {
	value, err := kv.GetForUpdate(db.ks, key)
	if err != nil && !errors.Is(err, mvcc.ErrNotFound) {
		return 0, err
	}
	next := uint64(1)
	if err == nil {
		if next, err = db.uintValue(key, value); err != nil {
			return 0, err
		}
	}
	if next+n < next {
		return 0, db.corrupt(key, "the counter has no ids left")
	}
	return next, kv.Put(db.ks, key, appendUint(nil, next+n))
}

// uintValue decodes a value that is one ordered integer.
func (db *DB) uintValue(key, value []byte) (uint64, error) {
	f, err := cutUints(value, 1)
	if err != nil {
		return 0, db.corrupt(key, "its value is not an integer")
	}
	return f[0], nil
}

// small runs a transaction of the graph's own. It reads committed data, so that two
// of a kind wait for each other instead of failing.
func (db *DB) small(ctx context.Context, label string, fn func(*mvcc.Txn) error) error {
	return db.explain(db.store.UpdateWith(ctx, &mvcc.TxnOptions{Isolation: mvcc.ReadCommitted, Label: label}, fn))
}
