package bench

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// TransferConfig configures the transfer workload: each transaction moves an
// amount between two of many accounts, durably. Read committed locks both accounts before it reads them,
// in the order of their keys; the levels above read, then write.
type TransferConfig struct {
	Common
	Accounts int64 `json:"accounts"` // default 100,000
	// Thetas are the skews of the choice of accounts, in [0, 1): 0 is uniform. Default 0 and 0.99.
	Thetas  []float64 `json:"thetas"`
	Writers []int     `json:"writers"` // concurrent writers, one row for each; default 8, 32, 128
	// Limit ends each row; default 2 s.
	Limit Limit `json:"limit"`
}

func (c TransferConfig) withDefaults() TransferConfig {
	setDefault(&c.Accounts, 100_000)
	if len(c.Thetas) == 0 {
		c.Thetas = []float64{0, 0.99}
	}
	if len(c.Writers) == 0 {
		c.Writers = contendedWriters
	}
	c.Limit = orDuration(c.Limit, 2*time.Second)
	return c
}

func (c *TransferConfig) validate() error {
	err := errors.Join(atLeast("Accounts", c.Accounts, 2), allPositive("Writers", c.Writers))
	for _, theta := range c.Thetas {
		if !(theta >= 0 && theta < 1) {
			err = errors.Join(err, &ConfigError{Field: "Thetas", Value: theta, Want: "at least 0 and below 1"})
		}
	}
	return err
}

// Transfer measures goodput of transactions that read and write two keys each.
func Transfer(ctx context.Context, cfg TransferConfig) (*ContentionResult, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	res := &ContentionResult{Workload: "transfer", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	for _, theta := range cfg.Thetas {
		choice := gen.NewZipf(cfg.Accounts, theta)
		for _, writers := range cfg.Writers {
			for _, level := range isolationLevels {
				cfg.note("transfer: %v, %d writers, %v", choice, writers, level)
				row, err := transferRow(ctx, cfg, choice, writers, level)
				if err != nil {
					return nil, err
				}
				res.Rows = append(res.Rows, row)
			}
		}
	}
	return res, nil
}

func transferRow(ctx context.Context, cfg TransferConfig, choice *gen.Zipf, writers int, level mvcc.Isolation) (row ContentionRow, err error) {
	err = cfg.inScratch("transfer", func(dir string) error {
		return withStore(ctx, dir, cfg.options(), func(s *store) (err error) {
			b := &bank{store: s, choice: choice, accounts: uint64(cfg.Accounts)}
			row, err = b.row(ctx, cfg.Limit, writers, level)
			return err
		})
	})
	return row, err
}

// openingBalance is what each account begins with. Accounts may be overdrawn.
const openingBalance = 1000

// bank is a database of accounts.
type bank struct {
	*store
	choice   *gen.Zipf
	accounts uint64
}

// row opens the accounts, measures, and audits.
func (b *bank) row(ctx context.Context, limit Limit, writers int, level mvcc.Isolation) (ContentionRow, error) {
	balances := make([]int64, b.accounts)
	for i := range balances {
		balances[i] = openingBalance
	}
	if err := b.open(ctx, balances); err != nil {
		return ContentionRow{}, err
	}
	tellers := make([]teller, writers)
	c := &contest[*mvcc.Txn]{
		kind: b.choice.String(), writers: writers, limit: limit,
		opts: &mvcc.TxnOptions{Isolation: level, Label: "bench transfer"},
		db:   b.db, update: b.db.UpdateWith,
		body: func(tx *mvcc.Txn, c *contender, worker int, op uint64) (Checksum, error) {
			return 0, tellers[worker].transfer(tx, b, c, op)
		},
	}
	row, err := c.run(ctx)
	if err != nil {
		return row, err
	}
	b.replay(balances, c.contenders)
	row.Checksum, err = b.auditBalances(ctx, balances)
	return row, err
}

// open puts the accounts, and merges them into the data file, so that all rows begin alike.
func (b *bank) open(ctx context.Context, balances []int64) error {
	for lo := uint64(0); lo < b.accounts; lo += loadBatch {
		err := b.db.Update(ctx, func(tx *mvcc.Txn) error {
			for n := lo; n < min(lo+loadBatch, b.accounts); n++ {
				if err := tx.Put(b.ks, gen.AppendKey(nil, n), mvcc.EncodeInt64(balances[n])); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return b.db.Checkpoint(ctx)
}

// entry is what one account gets; negative amounts leave it.
type entry struct {
	account uint64
	amount  int64
}

// entries returns the two entries of an operation's transfer.
func (b *bank) entries(op uint64) [2]entry {
	h1 := gen.Mix(op)
	h2 := gen.Mix(h1)
	from, to := b.choice.Rank(gen.Unit(h1)), b.choice.Rank(gen.Unit(h2))
	if to == from {
		to = (from + 1) % b.accounts
	}
	amount := int64(1 + gen.Mix(h2)%100)
	return [2]entry{{from, -amount}, {to, amount}}
}

// teller makes one writer's transfers, in buffers of its own.
type teller struct{ keys [2][]byte }

func (t *teller) transfer(tx *mvcc.Txn, b *bank, c *contender, op uint64) error {
	entries := b.entries(op)
	for i, e := range entries {
		t.keys[i] = gen.AppendKey(t.keys[i][:0], e.account)
	}
	read := tx.Get
	if tx.Isolation() == mvcc.ReadCommitted {
		read = c.readLocked(tx)
		if bytes.Compare(t.keys[0], t.keys[1]) > 0 {
			t.keys[0], t.keys[1] = t.keys[1], t.keys[0]
			entries[0], entries[1] = entries[1], entries[0]
		}
	}
	var balances [2]int64
	for i, key := range t.keys {
		value, err := read(b.ks, key)
		if err != nil {
			return err
		}
		if balances[i], err = mvcc.DecodeInt64(value); err != nil {
			return err
		}
	}
	for i, key := range t.keys {
		if err := c.put(tx, b.ks, key, mvcc.EncodeInt64(balances[i]+entries[i].amount)); err != nil {
			return err
		}
	}
	return nil
}

// readLocked is the transaction's GetForUpdate, with a clock.
func (c *contender) readLocked(tx *mvcc.Txn) func(*mvcc.Keyspace, []byte) ([]byte, error) {
	return func(ks *mvcc.Keyspace, key []byte) ([]byte, error) {
		defer c.since(time.Now())
		return tx.GetForUpdate(ks, key)
	}
}

// put is the transaction's Put, with a clock.
func (c *contender) put(tx *mvcc.Txn, ks *mvcc.Keyspace, key, value []byte) error {
	defer c.since(time.Now())
	return tx.Put(ks, key, value)
}

// replay makes the acknowledged transfers on paper. They commute, so their order does not matter.
func (b *bank) replay(balances []int64, contenders []contender) {
	for worker, c := range contenders {
		for seq := range uint64(c.ops) {
			for _, e := range b.entries(opNumber(worker, seq)) {
				balances[e.account] += e.amount
			}
		}
	}
}

// auditBalances compares the total, then each account. It returns the checksum of all.
func (b *bank) auditBalances(ctx context.Context, balances []int64) (Checksum, error) {
	var total int64
	err := b.db.View(ctx, func(tx *mvcc.Txn) error {
		for item, err := range tx.Scan(b.ks, mvcc.Range{}) {
			if err != nil {
				return err
			}
			balance, err := mvcc.DecodeInt64(item.Value)
			if err != nil {
				return err
			}
			total += balance
		}
		return nil
	})
	if err == nil {
		err = auditCount("total of all accounts", total, int64(b.accounts)*openingBalance)
	}
	var want Checksum
	for n, balance := range balances {
		want.Add(gen.AppendKey(nil, uint64(n)), mvcc.EncodeInt64(balance))
	}
	if err != nil {
		return want, err
	}
	return want, b.audit(ctx, int64(b.accounts), want)
}
