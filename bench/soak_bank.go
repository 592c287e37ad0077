package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// soakBank moves money between accounts: the total never changes, now or in the past.
type soakBank struct {
	bank
	s          *soaking
	opening    []int64
	tellers    []teller
	contenders []contender
	moments    struct {
		sync.Mutex
		ring [64]moment // the newest ones
		n    uint64     // remembered so far
	}
}

// moment is what all accounts were at a timestamp.
type moment struct {
	at  mvcc.Timestamp
	sum Checksum
}

// soakSkew makes some accounts hot, so that transfers meet.
const soakSkew = 0.7

func newSoakBank(ctx context.Context, s *soaking) (*soakBank, error) {
	st, err := s.keyspace(ctx, "accounts")
	if err != nil {
		return nil, err
	}
	b := &soakBank{
		bank: bank{store: st, choice: gen.NewZipf(s.cfg.Accounts, soakSkew), accounts: uint64(s.cfg.Accounts)},
		s:    s, opening: make([]int64, s.cfg.Accounts), tellers: make([]teller, soakWriters), contenders: make([]contender, soakWriters),
	}
	for i := range b.opening {
		b.opening[i] = openingBalance
	}
	return b, b.open(ctx, b.opening)
}

func (b *soakBank) transfer(ctx context.Context, w int) func() error {
	c := &b.contenders[w]
	return func() error {
		err := timed(b.s.writes, func() error {
			return b.db.UpdateWith(ctx, levelOf("transfer", w), func(tx *mvcc.Txn) error {
				return b.tellers[w].transfer(tx, &b.bank, c, opNumber(w, uint64(c.ops)))
			})
		})
		if err == nil {
			c.ops++
		}
		return err
	}
}

// look sums up all accounts as a transaction sees them.
func (b *soakBank) look(tx *mvcc.Txn) (sum Checksum, err error) {
	var total, accounts int64
	for item, err := range tx.Scan(b.ks, mvcc.Range{}) {
		if err != nil {
			return 0, err
		}
		balance, err := mvcc.DecodeInt64(item.Value)
		if err != nil {
			return 0, err
		}
		total += balance
		accounts++
		sum.Add(item.Key, item.Value)
	}
	return sum, errors.Join(auditCount("accounts", accounts, int64(b.accounts)),
		auditCount("total of all accounts", total, int64(b.accounts)*openingBalance))
}

func (b *soakBank) scan(ctx context.Context) func() error {
	return func() error {
		return timed(b.s.scans, func() error {
			return b.db.View(ctx, func(tx *mvcc.Txn) error {
				_, err := b.look(tx)
				return err
			})
		})
	}
}

// remember records a moment.
func (b *soakBank) remember(ctx context.Context) func() error {
	return func() error {
		var m moment
		err := b.db.View(ctx, func(tx *mvcc.Txn) (err error) {
			if m.at, err = tx.Snapshot(); err == nil {
				m.sum, err = b.look(tx)
			}
			return err
		})
		b.moments.Lock()
		defer b.moments.Unlock()
		b.moments.ring[b.moments.n%uint64(len(b.moments.ring))] = m
		b.moments.n++
		return err
	}
}

// PastError reports a moment in the past that is not what it was: the engine has a fault.
type PastError struct {
	At   mvcc.Timestamp
	Age  time.Duration
	Got  Checksum
	Want Checksum
}

func (e *PastError) Error() string {
	return fmt.Sprintf("bench: audit failed: as of %d, %v ago, the checksum is %v, want %v", e.At, e.Age, e.Got, e.Want)
}

// recall reads the database as of a moment. Only one that is older than what is retained may be gone.
func (b *soakBank) recall(ctx context.Context) func() error {
	var turn uint64
	return func() error {
		turn++
		b.moments.Lock()
		known := min(b.moments.n, uint64(len(b.moments.ring)))
		m := b.moments.ring[gen.Mix(turn)%max(known, 1)]
		b.moments.Unlock()
		if known == 0 {
			return nil
		}
		return timed(b.s.past, func() error { return b.compare(ctx, m) })
	}
}

func (b *soakBank) compare(ctx context.Context, m moment) error {
	var sum Checksum
	err := b.db.ViewAsOf(ctx, m.at, func(tx *mvcc.Txn) (err error) {
		sum, err = b.look(tx)
		return err
	})
	age := time.Since(m.at.Time())
	switch {
	case errors.Is(err, mvcc.ErrHistoryPruned) && age > b.s.cfg.retained():
		return nil
	case err != nil:
		return fmt.Errorf("bench: %v ago: %w", age, err)
	case sum != m.sum:
		return &PastError{At: m.at, Age: age, Got: sum, Want: m.sum}
	}
	return nil
}

func (b *soakBank) audit(ctx context.Context) (Checksum, error) {
	b.replay(b.opening, b.contenders)
	return b.auditBalances(ctx, b.opening)
}
